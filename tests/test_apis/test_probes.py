"""What the figures of MemCNP are made of, family by family."""
import warnings

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.models.memcnp import memory_target
from mmvis_memcnp.models.memcnp.distribution import half_sides
from mmvis_memcnp.probes import memcnp_probe
from tests.fakes import tiny_dvis_daq, tiny_idol, tiny_seqformer, tiny_sipmask
from tests.fakes.colour_blobs import CLASSES, clip, config

# 75 x 50 pixels stay what they are and are padded to 96 x 64.
FRAMES = clip(2, 50, 75)
SIZE = np.array([75, 50])


def tiny_models(memcnp=True):
    """Model configs by family."""
    key = Config.fromfile(
        tiny_idol.CONFIGS / 'memcnp_queries.py').memcnp_queries.to_dict()
    return dict(
        SipMask=tiny_sipmask.tiny_config(
            'memcnp' if memcnp else 'sipmask').model,
        IDOL=tiny_idol.tiny_config(memcnp=key if memcnp else None).model,
        SeqFormer=tiny_seqformer.tiny_config(
            memcnp=dict(type='MemCNP', num_items=8) if memcnp else None),
        DVISDAQ=tiny_dvis_daq.tiny_dvis_daq_config(
            **dict(memcnp=key) if memcnp else {}))


def inferencer(family, memcnp=True):
    cfg = config(scale=(75, 50))
    cfg.model = tiny_models(memcnp)[family]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return VISInferencer(cfg, device='cpu')


@pytest.fixture(params=['IDOL', 'SeqFormer'])
def queries(request):
    """Probe of a host with queries."""
    return memcnp_probe(inferencer(request.param))


def truth(labels=(0, 1)):
    """Two objects of the second frame."""
    boxes = torch.tensor([[8., 8., 20., 24.], [40., 28., 56., 40.]])
    return InstanceData(bboxes=boxes, labels=torch.tensor(labels))


@pytest.mark.parametrize('family', [
    'SipMask', 'IDOL', 'SeqFormer', 'DVISDAQ'])
def test_models_without_memcnp_are_refused(family):
    with pytest.raises(ValueError, match='use a config with MemCNP'):
        memcnp_probe(inferencer(family, memcnp=False))


def test_queries_are_those_of_the_results(queries):
    model = queries.model
    found = queries.queries(FRAMES)
    layers, frames, count = found.sigmas.shape[:3]
    assert (frames, count) == (2, 12) and layers == len(queries.stages)
    assert found.hidden.shape[:3] == found.boxes.shape[:3] == (layers, 2, 12)
    session = queries.inferencer.session()
    results = session.step(FRAMES) + session.flush()
    for t, result in enumerate(results):
        assert len(result)
        # The queries' are in the unit of the memory, halves of the sides of
        # boxes; the results' are fractions of the frame.
        of_frame = found.sigmas[-1, t] * half_sides(
            bbox_cxcywh_to_xyxy(found.boxes[-1, t]))
        for sigma in result.box_sigmas:  # each is one of the queries'
            assert (of_frame - sigma).abs().amax(1).min() < 1e-5
            assert (found.sigmas[-1, t] - sigma).abs().amax(1).min() > 1e-2
    assert model.training is False


def test_the_nearest_query_reads_the_memory(queries):
    """An item like a query holds distances; they are drawn around it."""
    # What enters the first layer does not depend on the memory.
    found, query = queries.queries([FRAMES[0]]), 5
    sides = torch.tensor([.1, .2, .3, .4])
    queries.model.memcnp.bank.items.data[3] = torch.cat(
        (found.hidden[0, 0, query], memory_target(sides)))
    place = found.references[0, 0, query].numpy() * SIZE
    got = queries.retrieve(FRAMES[0], 0, place, 2)
    assert got.scores[0] == pytest.approx(1, abs=1e-4)
    assert got.scores[1] < got.scores[0]
    np.testing.assert_allclose(got.point, place, atol=1e-3)
    x, y = place
    np.testing.assert_allclose(
        got.boxes[0], [x - 7.5, y - 10, x + 22.5, y + 20], atol=1e-3)


def test_the_best_query_is_the_default(queries):
    found = queries.queries([FRAMES[0]])
    best = found.scores.argmax()
    got = queries.retrieve(FRAMES[0], 1, None, 3)
    np.testing.assert_allclose(
        got.point, found.references[1, 0, best].numpy() * SIZE, atol=1e-3)
    assert len(got.scores) == 3 and got.boxes.shape == (3, 4)


def test_uncertainty_of_queries_is_drawn_at_their_boxes(queries, monkeypatch):
    drawn = {}
    monkeypatch.setattr('mmvis_memcnp.probes.queries.'
                        'draw_query_uncertainty', lambda *args: drawn.update(
                            zip(('images', 'points', 'values', 'titles'),
                                args, strict=False)))
    queries.uncertainty(FRAMES, 48)
    found = queries.queries(FRAMES)
    assert drawn['titles'] == ['layer 0', 'layer 1']
    for t in range(2):
        for layer in range(2):
            np.testing.assert_allclose(
                drawn['points'][t][layer],
                found.boxes[layer, t, :, :2].numpy() * SIZE, atol=1e-4)
            np.testing.assert_allclose(
                drawn['values'][t][layer],
                found.sigmas[layer, t].mean(1).numpy(), atol=1e-6)


def test_selection_of_idol():
    """Points at the references; USS has ignored queries, SimOTA has none."""
    probe = memcnp_probe(inferencer('IDOL'))
    found = probe.queries([FRAMES[1]])
    chosen = probe.select(FRAMES[1], truth(), CLASSES, ['USS', 'SimOTA'])
    assert list(chosen) == ['USS', 'SimOTA']
    for name, levels in chosen.items():
        assert len(levels) == 2
        for layer, level in enumerate(levels):
            np.testing.assert_allclose(
                level.points, found.references[layer, 0].numpy() * SIZE,
                atol=1e-4)
            assert level.positive.any()
            assert not (level.positive & level.negative).any()
            assert name == 'USS' or (level.positive | level.negative).all()
    # A sure query in a box is ignored where another one is positive.
    probe.model.memcnp_training.assigner.topk = 1
    probe.model.memcnp_training.assigner.lambda_tau = 0.
    level = probe.select(FRAMES[1], InstanceData(
        bboxes=torch.tensor([[0., 0., 75., 50.]]), labels=torch.tensor([0])),
        CLASSES, ['USS'])['USS'][0]
    assert level.positive.sum() == 1
    assert not level.negative.any()


def test_classes_go_by_name():
    probe = memcnp_probe(inferencer('IDOL'))
    same = probe.select(FRAMES[1], truth((1, 0)), CLASSES[1::-1], ['SimOTA'])
    wanted = probe.select(FRAMES[1], truth(), CLASSES, ['SimOTA'])
    for a, b in zip(same['SimOTA'], wanted['SimOTA'], strict=True):
        np.testing.assert_array_equal(a.positive, b.positive)
    with pytest.raises(ValueError, match="class 'shark', which the model"):
        probe.select(FRAMES[1], truth(), ('whale', 'shark'), ['SimOTA'])


def test_seqformer_has_no_selection_in_a_frame():
    probe = memcnp_probe(inferencer('SeqFormer'))
    with pytest.raises(ValueError, match='keeps its one-to-one matching'):
        probe.select(FRAMES[1], truth(), CLASSES, ['USS'])


# -- rows of a tracker --------------------------------------------------------
@pytest.fixture()
def rows():
    """Probe of DVIS-DAQ; its queries differ."""
    probe = memcnp_probe(inferencer('DVISDAQ'))
    torch.manual_seed(0)
    decoder = probe.model.segmenter.decoder
    torch.nn.init.normal_(decoder.query_feat.weight, std=3.)
    return probe


def test_rows_are_those_of_the_first_frame(rows):
    """Each frame is looked at by itself."""
    assert rows.stages == ['layer 1'] and rows.default_stage == 0
    found = rows.queries(FRAMES)
    assert found.sigmas.shape == (1, 2, 7, 4)
    for t, image in enumerate(FRAMES):
        (result, ) = rows.inferencer.session().step([image])
        assert len(result) > 0
        of_frame = found.sigmas[0, t] * half_sides(
            bbox_cxcywh_to_xyxy(found.boxes[0, t]))
        for sigma in result.box_sigmas:
            assert (of_frame - sigma).abs().amax(1).min() < 1e-5
    assert found.scores.shape == (7, )
    # They stand where their masks are, in the frame, or nowhere.
    inside = (found.references > 0) & (found.references <= 1)
    assert inside.any() and (inside | (found.references == -1)).all()


def test_the_nearest_row_reads_the_memory(rows):
    found = rows.queries([FRAMES[0]])
    sides, row = torch.tensor([.1, .2, .3, .4]), 5
    place = found.references[0, 0, row].numpy() * SIZE
    rows.model.memcnp.bank.items.data[3] = torch.cat(
        (found.hidden[0, 0, row], memory_target(sides)))
    got = rows.retrieve(FRAMES[0], 0, place, 2)
    assert got.scores[0] == pytest.approx(1, abs=1e-4)
    x, y = place
    np.testing.assert_allclose(
        got.boxes[0], [x - 7.5, y - 10, x + 22.5, y + 20], atol=1e-3)
    assert rows.uncertainty(FRAMES, 48).ndim == 3


def test_selection_of_rows(rows):
    """In an object that fills the frame: the best rows, not all."""
    whole = InstanceData(bboxes=torch.tensor([[0., 0., 75., 50.]]),
                         labels=torch.tensor([1]))
    level, = rows.select(FRAMES[1], whole, CLASSES, ['USS'])['USS']
    found = rows.queries([FRAMES[1]])
    np.testing.assert_allclose(
        level.points, found.references[0, 0].numpy() * SIZE, atol=1e-4)
    assert level.positive.sum() == 5
    assert not (level.positive & level.negative).any()
