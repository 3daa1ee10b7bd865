"""SeqFormer: losses on clips, and what leaves a video."""
from types import SimpleNamespace

import pytest
import torch
from mmdet.structures import TrackDataSample

from mmvis_memcnp.models.memcnp.distribution import half_sides
from mmvis_memcnp.models.truth.clip_truth import collect_clips
from tests.fakes.gradients import TRUNK, heads_of, parts_reached
from tests.fakes.tiny_seqformer import (
    OBJECTS,
    clip,
    metas,
    tiny_model,
    total,
)
from tests.fakes.tiny_sipmask import batch, frame, losses, video

NAMES = {f'{layer}loss_{kind}' for layer in ('', 'd0.')
         for kind in ('cls', 'bbox', 'giou', 'mask', 'dice')}
EMPTY = {
    'one clip without': [clip([[]] * 3, seed=1), clip()],
    'no object at all': [clip([[]] * 3), clip([[]] * 3, seed=1)],
    'in one frame only': [clip([[], OBJECTS[0], []])],
    'clips of one frame': [clip(OBJECTS[:1]), clip([[]])],
}


def trained(model):
    return {n for n, p in model.named_parameters() if p.grad is not None}


def test_names_of_the_losses():
    found = losses(tiny_model(), clip(), clip(seed=1))
    assert set(found) == NAMES | {'class_error'}
    assert all(found[n].dim() == 0 and found[n] > 0 for n in NAMES)
    assert 0 <= found['class_error'] <= 100
    assert not found['class_error'].requires_grad


@pytest.mark.parametrize('case', EMPTY)
def test_missing_objects_keep_every_loss_on_the_graph(case):
    model = tiny_model()
    total(losses(model, clip())).backward()
    usual = trained(model)
    model.zero_grad(set_to_none=True)
    found = losses(model, *EMPTY[case])
    for name in NAMES:
        assert found[name].isfinite() and found[name].requires_grad, name
    total(found).backward()
    # distributed training waits for the very same gradients
    assert trained(model) == usual
    assert all(p.grad.isfinite().all() for p in model.parameters()
               if p.grad is not None)


def test_nothing_to_find_costs_the_classes_alone():
    found = losses(tiny_model(), clip([[]] * 3))
    assert {n for n in NAMES if found[n] > 0} == {'loss_cls', 'd0.loss_cls'}


def test_every_parameter_is_trained():
    model = tiny_model()
    total(losses(model, clip())).backward()
    idle = {n for n, p in model.named_parameters()
            if p.requires_grad and p.grad is None}
    assert idle == set()
    quiet = {n for n, p in model.named_parameters()
             if p.grad is not None and p.grad.abs().sum() == 0}
    # positions act through offsets, which start constant; blocks of the
    # backbone start as identities
    assert all(n == 'segmenter.encoder.level_embed' or
               n.startswith('segmenter.backbone.layer') for n in quiet)


def test_order_of_the_objects_does_not_matter():
    turned = [objects[::-1] for objects in OBJECTS]
    model = tiny_model()
    straight = losses(model, clip())
    for name, value in losses(model, clip(turned)).items():
        assert torch.allclose(straight[name], value, rtol=1e-4), name


def test_batch_of_two_is_two_batches():
    """Sums over the objects, divided by their number."""
    model = tiny_model()
    one, two = clip(), clip([o[:1] for o in OBJECTS], seed=1)
    objects = 2, 2  # identities 3 and 8 in both
    a, b, both = (losses(model, *c) for c in ([one], [two], [one, two]))
    for name in NAMES:
        wanted = (objects[0] * a[name] + objects[1] * b[name]) / sum(objects)
        assert torch.allclose(both[name], wanted, rtol=1e-4), name


def test_sizes_of_a_batch_may_differ():
    """Padding changes nothing but the pixels that the masks average over."""
    model = tiny_model()
    small = clip(size=(41, 62), seed=2)
    inputs, samples = batch(model, small, clip(size=(64, 90)))
    assert inputs.shape == (2, 3, 3, 64, 96)
    found = model(inputs, samples, mode='loss')
    total(found).backward()
    assert total(found).isfinite()


def test_truth_is_the_union_of_the_frames():
    _, sample = clip(size=(64, 128))
    for annotated in sample.video_data_samples:
        annotated.set_metainfo(dict(batch_input_shape=(64, 128)))
    truth = collect_clips([sample], torch.device('cpu'))
    assert truth.labels.tolist() == [[0, 2]]
    assert truth.valid.tolist() == [[True, True]]
    assert truth.cxcywh.shape == (1, 2, 3, 4)
    assert truth.masks.shape == (1, 2, 3, 16, 32)
    # identity 3 is absent in the second frame
    assert truth.cxcywh[0, 0, 1].tolist() == [0.] * 4
    assert not truth.masks[0, 0, 1].any()
    assert torch.allclose(truth.cxcywh[0, 0, 0], torch.tensor(
        [17 / 128, 23 / 64, 26 / 128, 34 / 64]))
    # every fourth pixel from the third on: x 6..26, y 6..38
    assert truth.masks[0, 0, 0].sum() == 6 * 9
    assert truth.masks[0, 0, 0, 1:10, 1:7].all()


def test_clips_of_a_batch_have_one_length():
    samples = []
    for count in (1, 2):
        sample = TrackDataSample()
        sample.video_data_samples = [frame([], (64, 64), t)
                                     for t in range(count)]
        samples.append(sample)
    with pytest.raises(ValueError, match=r'same number of frames.*\[1, 2\]'):
        collect_clips(samples, torch.device('cpu'))


def test_masks_that_are_not_padded_are_named():
    _, sample = clip()
    for annotated in sample.video_data_samples:
        annotated.set_metainfo(dict(batch_input_shape=(96, 96)))
    with pytest.raises(ValueError, match='pad_mask=True'):
        collect_clips([sample], torch.device('cpu'))


def test_every_loss_reaches_its_heads_and_the_trunk():
    model = tiny_model()
    found = losses(model, clip())
    for name in NAMES:
        assert parts_reached(
            model, found[name]) == TRUNK | heads_of(name), name


@pytest.mark.parametrize('window', [
    None, dict(type='ClipMatching', length=2)])
@pytest.mark.parametrize('half', [False, True])
def test_predict(window, half):
    model = tiny_model(window=window).eval()
    inputs, samples = batch(model, video(3, size=(50, 75)), training=False)
    assert inputs.shape[-2:] == (64, 96)
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
        sample, = model(inputs, samples, mode='predict')
    tracks = sample.pred_tracks
    assert tracks.num_frames == 3 and tracks.ori_shape == (50, 75)
    assert len(tracks.tracks) >= 12
    assert all(0 < t.score <= 1 for t in tracks.tracks)


def test_frame_result_keeps_the_contract():
    model = tiny_model().eval()
    inputs, _ = batch(model, video(2, size=(50, 75)), training=False)
    sizes = [dict(m, ori_shape=(100, 150)) for m in metas(2, (50, 75))]
    session = model.session()
    assert session.step(inputs[0], sizes) == []
    results = session.flush()
    assert [r.frame_id for r in results] == [0, 1]
    for result in results:
        assert result.instances_id.tolist() == [0, 1, 2, 3]
        assert result.bboxes.shape == (4, 4)
        assert ((result.scores > 0) & (result.scores < 1)).all()
        assert (result.scores.diff() <= 0).all()  # best first
        assert all(m['size'] == [100, 150] for m in result.masks)
        assert (result.bboxes[:, 0] <= result.bboxes[:, 2]).all()
        assert 'box_sigmas' not in result


def test_one_frame_video():
    for window in (None, dict(type='ClipMatching')):
        model = tiny_model(window=window).eval()
        inputs, samples = batch(model, video(1), training=False)
        sample, = model(inputs, samples, mode='predict')
        assert sample.pred_tracks.num_frames == 1
        assert {t.num_detections for t in sample.pred_tracks.tracks} == {1}


def test_tensor_mode_gives_the_last_layer():
    logits, boxes = tiny_model().eval()(torch.zeros(2, 3, 3, 64, 64),
                                        mode='tensor')
    assert logits.shape == (2, 12, 3) and boxes.shape == (2, 3, 12, 4)


def test_memcnp_none_is_the_plain_host():
    plain, said = tiny_model(), tiny_model(memcnp=None)
    assert plain.state_dict().keys() == said.state_dict().keys()
    for (name, a), b in zip(plain.state_dict().items(),
                            said.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_box_branch_is_called_once_a_layer_and_its_sigma_is_kept():
    model = tiny_model(window=dict(type='ClipMatching', length=2)).eval()
    calls = []

    def with_sigma(layer, branch):
        plain = branch.forward

        def forward(query, context):
            calls.append((layer, tuple(query.shape)))
            delta = plain(query).delta
            return type(plain(query))(delta, torch.full_like(delta, .3))

        branch.forward = forward

    for layer, branch in enumerate(model.segmenter.box_branches):
        with_sigma(layer, branch)
    # A memory that says nothing but what sigmas are measured in.
    model.memcnp = SimpleNamespace(
        read=lambda query: None,
        certainty=lambda sigmas: torch.ones_like(sigmas[..., 0]),
        frame_sigmas=lambda sigmas, boxes: sigmas * half_sides(boxes))
    inputs, _ = batch(model, video(2), training=False)
    session = model.session()
    results = session.step(inputs[0], metas(2, (64, 64))) + session.flush()
    assert calls == [(0, (1, 2, 12, 32)), (1, (1, 2, 12, 32))]
    for result in results:
        assert torch.allclose(result.box_sigmas,
                              .3 * half_sides(result.bboxes / 64))
    assert session.finish().tracks[0].sigmas == pytest.approx(
        [r.box_sigmas[0].mean().item() for r in results])
