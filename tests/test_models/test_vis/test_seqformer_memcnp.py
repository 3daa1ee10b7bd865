"""MemCNP in SeqFormer: what it adds to the losses, and when it writes."""
import copy

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from mmvis_memcnp.models.memcnp import MemoryBank
from mmvis_memcnp.models.memcnp.distribution import half_sides
from mmvis_memcnp.models.memcnp.hosts.queries import ClipRules
from mmvis_memcnp.models.truth import Matches, collect_clips
from mmvis_memcnp.results import FileSink
from tests.fakes.gradients import TRUNK, heads_of, parts_reached
from tests.fakes.tiny_seqformer import (
    OBJECTS,
    clip,
    kept_bytes,
    metas,
    tiny_model,
    total,
)
from tests.fakes.tiny_sipmask import batch, losses, noise, video
from tests.fakes.two_ranks import on_two_ranks

MEMCNP = dict(type='MemCNP', num_items=8, rate=.5)
HOST = {f'{layer}loss_{kind}' for layer in ('', 'd0.')
        for kind in ('cls', 'bbox', 'giou', 'mask', 'dice')}
OWN = {'loss_cnp', 'd0.loss_cnp', 'loss_track'}
EMPTY = {
    'one clip without': [clip([[]] * 3, seed=1), clip()],
    'no object at all': [clip([[]] * 3), clip([[]] * 3, seed=1)],
    'in one frame only': [clip([[], OBJECTS[0], []])],
    'clips of one frame': [clip(OBJECTS[:1]), clip([[]])],
}


def model_with(training=None, learnable=False, **model):
    return tiny_model(
        memcnp=dict(MEMCNP, training=training or {}, learnable=learnable),
        **model)


def items(model):
    return model.memcnp.bank.items


def memory(model):
    """The items and how much they are used."""
    return copy.deepcopy(model.memcnp.bank.state_dict())


def recall(model, state):
    model.memcnp.bank.load_state_dict(state)


def same(state, other):
    assert {'items', 'usage'} <= state.keys() == other.keys()
    return all(torch.equal(v, other[k]) for k, v in state.items())


def gradients(model):
    return {n: p.grad for n, p in model.named_parameters()
            if p.grad is not None}


def decoded_clips(model, *clips):
    """What the layers say about clips, also as queries, the truth, and the
    matching."""
    inputs, samples = batch(model, *clips)
    encoded = model.segmenter.encode_frames(
        inputs.flatten(0, 1),
        [f.img_shape for s in samples for f in s.video_data_samples])
    decoded = model.decode_clips(encoded, len(inputs))
    truth = collect_clips(samples, inputs.device)
    queries = model.queries(decoded)
    return decoded, queries, truth, model.matcher.match(queries, truth)


def picked_and_losses(model, decoded, queries, truth, matches):
    """Supports, and what MemCNP adds to the losses."""
    rules = model.memcnp_training
    picked = rules.select(queries, truth, matches)
    return picked, {
        **rules.box_losses(queries, picked, truth),
        **rules.track_loss(decoded.box_queries[-1], matches.best[-1], truth)}


def remember(model, decoded, truth):
    model.memcnp.write(decoded.box_queries[-1], decoded.references[-1],
                       *truth.by_frame())


# -- the plain host ---------------------------------------------------------
def test_without_memcnp_nothing_of_it_is_there(monkeypatch):
    def never(*_, **__):
        raise AssertionError('the plain host has no such part')

    monkeypatch.setattr(ClipRules, '__init__', never)
    monkeypatch.setattr(MemoryBank, '__init__', never)
    found, states = [], []
    for settings in ({}, dict(memcnp=None)):
        model = tiny_model(**settings)
        found.append((losses(model, clip()), model.state_dict(),
                      torch.get_rng_state()))
        states.append([k for k in model.state_dict() if 'memcnp' in k])
    assert states == [[]] * 2
    first = found[0]
    assert set(first[0]) == HOST | {'class_error'}
    for values, state, random in found[1:]:
        assert state.keys() == first[1].keys()
        assert all(torch.equal(values[n], first[0][n]) for n in first[0])
        assert torch.equal(random, first[2])


def test_memcnp_adds_parameters_and_keeps_the_others():
    plain, built = tiny_model().state_dict(), model_with().state_dict()
    added = built.keys() - plain.keys()
    assert plain.keys() <= built.keys()
    assert all(k.startswith(
        ('segmenter.box_branches.', 'memcnp.', 'memcnp_training.'))
               for k in added)
    changed = {k for k in plain if plain[k].shape != built[k].shape}
    assert changed == {
        f'segmenter.box_branches.{i}.{name}' for i in (0, 1)
        for name in ('last.weight', 'last.bias', 'hidden.0.weight')
    }


# -- losses -----------------------------------------------------------------
def test_names_of_the_losses():
    found = losses(model_with(), clip(), clip(seed=1))
    assert set(found) == HOST | OWN | {'class_error'}
    assert all(found[n].dim() == 0 and found[n].isfinite() for n in OWN)
    assert found['loss_track'] > 0


def test_contrast_is_removable():
    model = model_with(dict(contrast=None))
    assert not [n for n, _ in model.named_parameters()
                if 'memcnp_training' in n]
    assert set(losses(model, clip())) == (HOST | OWN
                                          | {'class_error'}) - {'loss_track'}


def test_the_matching_alone_trains_classes_and_masks():
    """Supports change the boxes' losses and no other of the host."""
    model = model_with()
    start = memory(model)
    both = losses(model, clip(), clip(seed=1))
    recall(model, start)  # as before the write
    model.memcnp_training.assigner.topk = 0  # no support
    host = losses(model, clip(), clip(seed=1))
    for name in HOST:
        equal = torch.equal(both[name], host[name])
        assert equal == (not name.endswith(('bbox', 'giou'))), name


def test_supports_join_the_matched_queries():
    model = model_with()
    decoded, queries, truth, matches = decoded_clips(
        model, clip(), clip(seed=1))
    picked, _ = picked_and_losses(model, decoded, queries, truth, matches)
    assert picked.pos.shape == (2, 2, 12)
    assert picked.centreness.shape == (2, 2, 3, 12)
    pairs = set(zip(*(x.tolist() for x in picked.pairs), strict=True))
    matched = set(zip(*(x.tolist() for x in matches.pairs), strict=True))
    assert matched < pairs
    for key in {(*at, g) for *at, _, g in pairs}:
        assert sum(key == (*at, g) for *at, _, g in pairs) <= 5 + 1


def test_box_losses_are_means_over_the_pairs():
    model = model_with()
    _, (logits, boxes, *_), truth, matches = decoded_clips(model, clip())
    masks = torch.zeros(len(matches.gt), 3, 16, 16)

    def loss(pairs, of=boxes):
        return model.clip_loss(logits, of, masks, matches, truth,
                               torch.tensor(2.), pairs)

    plain, again = loss(None), loss(matches)
    # a second query an object, with the very box of the first one
    index, copies = matches.gt_index.clone(), boxes.clone()
    for layer, frame, query, gt in zip(*matches.pairs, strict=True):
        other = int((index[layer, frame] < 0).nonzero()[0])
        index[layer, frame, other] = gt
        copies[layer, frame, other] = boxes[layer, frame, query]
    twice = loss(Matches(index), copies)
    assert len(Matches(index).gt) == 2 * len(matches.gt)
    # only the last layer's pairs: the first layer has none
    index = matches.gt_index.clone()
    index[0] = -1
    last = loss(Matches(index))
    for name in HOST:
        assert torch.allclose(plain[name], again[name]), name
        assert torch.allclose(plain[name], twice[name]), name
        if name in ('d0.loss_bbox', 'd0.loss_giou'):
            assert last[name] == 0
        elif name in ('loss_bbox', 'loss_giou'):
            assert torch.allclose(plain[name], last[name]), name


@pytest.mark.parametrize('learnable', [False, True])
def test_gradients_reach_sigmas_readouts_and_the_memory(learnable):
    """The memory where it is a parameter."""
    model = model_with(learnable=learnable)
    found = losses(model, clip())
    names = ('d0.loss_cnp', 'loss_cnp')
    for layer, name in enumerate(names):
        model.zero_grad(set_to_none=True)
        found[name].backward(retain_graph=True)
        branch = model.segmenter.box_branches[layer]
        assert (branch.last.weight.grad[4:].abs().sum(1) > 0).all()
        assert (branch.last.bias.grad[4:] != 0).all()
        for parameter in branch.readout.parameters():
            assert parameter.grad.abs().sum() > 0
        if learnable:
            assert items(model).grad.abs().sum() > 0
        else:
            assert not items(model).requires_grad
    model.zero_grad(set_to_none=True)
    total(found).backward()
    assert {n for n, p in model.named_parameters()
            if p.requires_grad and p.grad is None} == set()
    for parameter in model.memcnp_training.embed.parameters():
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize('case', EMPTY)
def test_missing_objects_keep_every_loss_on_the_graph(case):
    model = model_with()
    total(losses(model, clip())).backward()
    usual = gradients(model).keys()
    model.zero_grad(set_to_none=True)
    found = losses(model, *EMPTY[case])
    for name in HOST | OWN:
        assert found[name].isfinite() and found[name].requires_grad, name
    total(found).backward()
    # distributed training waits for the very same gradients
    assert gradients(model).keys() == usual
    assert all(g.isfinite().all() for g in gradients(model).values())


def test_nothing_to_find_costs_the_classes_alone():
    found = losses(model_with(), clip([[]] * 3))
    assert {n for n in HOST | OWN if found[n] != 0} == {
        'loss_cls', 'd0.loss_cls'
    }


def test_one_frame_has_nothing_to_contrast():
    found = losses(model_with(), clip(OBJECTS[:1]))
    assert found['loss_track'] == 0 and found['loss_cnp'] != 0


def test_a_mixture_does_not_see_frames_without_the_object():
    """Whatever is predicted where it is absent, L_cnp stays."""
    model = model_with()
    decoded, queries, truth, matches = decoded_clips(
        model, clip([o[:1] if o[0][0] == 3 else [] for o in OBJECTS]))
    assert truth.present.tolist() == [[[True, False, True]]]
    _, before = picked_and_losses(model, decoded, queries, truth, matches)
    moved = queries.boxes.clone()
    moved[:, :, :, 1] = .5
    _, after = picked_and_losses(model, decoded, queries._replace(boxes=moved),
                                 truth, matches)
    assert torch.equal(before['loss_cnp'], after['loss_cnp'])
    moved[:, :, :, 0] = .5
    _, after = picked_and_losses(model, decoded, queries._replace(boxes=moved),
                                 truth, matches)
    assert not torch.equal(before['loss_cnp'], after['loss_cnp'])


def test_sizes_of_a_batch_may_differ():
    model = model_with()
    small = clip(size=(41, 62), seed=2)
    found = losses(model, small, clip(size=(64, 90)))
    total(found).backward()
    assert total(found).isfinite()
    assert all(g.isfinite().all() for g in gradients(model).values())


@pytest.mark.parametrize('learnable', [False, True])
def test_every_loss_reaches_its_heads_and_the_trunk(learnable):
    """What reads the memory as a parameter trains it."""
    model = model_with(learnable=learnable)
    found = losses(model, clip())
    for name in HOST | OWN - {'loss_track'}:
        heads = heads_of(name.replace('loss_cnp', 'loss_bbox'))
        if learnable and not name.endswith(('cls', 'mask', 'dice')):
            heads.add('memcnp')
        assert parts_reached(model, found[name]) == TRUNK | heads, name
    # the matched queries of frames alone: no reference point is compared
    assert parts_reached(model, found['loss_track']) == TRUNK | {
        'memcnp_training'}


# -- memory -----------------------------------------------------------------
def test_an_iteration_reads_what_the_one_before_wrote():
    """Losses are those of the memory as it was: what the step itself writes
    is seen by the next one alone, and a clip without objects writes nothing.
    """
    model = model_with()
    start = memory(model)
    first = losses(model, clip(), clip([[]] * 3, seed=1))
    moved = memory(model)
    assert not same(moved, start)
    second = losses(model, clip(), clip([[]] * 3, seed=1))
    assert second['loss_bbox'] != first['loss_bbox']
    recall(model, start)
    again = losses(model, clip(), clip([[]] * 3, seed=1))
    assert all(torch.equal(first[n], again[n]) for n in first)
    recall(model, start)
    losses(model, clip())  # as if the empty clip had not been there
    for name, value in memory(model).items():
        assert torch.allclose(value, moved[name], atol=1e-6), name


def test_the_memory_moves_in_training_only():
    model = model_with()
    start = memory(model)
    losses(model, clip([[]] * 3))
    assert same(memory(model), start)
    losses(model, clip())
    moved = memory(model)
    assert not same(moved, start)
    model.eval()
    inputs, samples = batch(model, video(2), training=False)
    model(inputs, samples, mode='predict')
    with torch.no_grad():
        model(*batch(model, clip()), mode='loss')
    assert same(memory(model), moved)


def test_absent_objects_are_not_written():
    """A clip with a frame in which nothing is seen writes as if that frame
    had no queries."""
    model = model_with()
    decoded, _, truth, _ = decoded_clips(
        model, clip([o[:1] if o[0][0] == 3 else [] for o in OBJECTS]))
    start = memory(model)
    remember(model, decoded, truth)
    whole = memory(model)
    recall(model, start)
    seen = [0, 2]
    remember(
        model,
        decoded._replace(
            box_queries=[q[:, seen] for q in decoded.box_queries],
            references=[r[:, seen] for r in decoded.references]),
        truth._replace(
            cxcywh=truth.cxcywh[:, :, seen], xyxy=truth.xyxy[:, :, seen],
            present=truth.present[:, :, seen]))
    for name, value in memory(model).items():
        assert torch.allclose(value, whole[name], atol=1e-6), name
    assert not same(whole, start)


def _train(rank):
    model = model_with()
    parallel = DistributedDataParallel(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(2):
        # The second rank has no object in its first step.
        own = clip([[]] * 3, seed=7) if rank > step else clip(seed=rank)
        total(parallel(*batch(model, own), mode='loss')).backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.state_dict()


def test_two_ranks_hold_one_memory(tmp_path):
    first, second = on_two_ranks(_train, tmp_path)
    memory = {f'memcnp.bank.{name}' for name in ('items', 'usage')}
    for key in memory:
        assert not torch.equal(first[key], model_with().state_dict()[key])
    trained = {n for n, _ in model_with().named_parameters()}
    assert all(torch.equal(first[n], second[n]) for n in trained | memory)


# -- results ----------------------------------------------------------------
@pytest.mark.parametrize('window', [
    None, dict(type='ClipMatching', length=2)])
@pytest.mark.parametrize('half', [False, True])
def test_sigmas_leave_with_the_results(window, half):
    """As fractions of the frame: those of the box times half its sides."""
    model = model_with(window=window).eval()
    inputs, _ = batch(model, video(3, size=(50, 75)), training=False)

    def run(unit):
        model.memcnp.box_unit = unit
        session = model.session()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
            results = session.step(inputs[0], metas(3, (50, 75)))
            results += session.flush()
        assert [r.frame_id for r in results] == [0, 1, 2]
        return results, session.finish().tracks

    found, tracks = run('object')
    plain, _ = run('image')  # as they are predicted
    size = torch.tensor([75, 50] * 2)
    for result, raw in zip(found, plain, strict=True):
        assert (raw.box_sigmas > .1).all()
        assert torch.equal(result.bboxes, raw.bboxes)
        assert result.box_sigmas.shape == result.bboxes.shape
        # Windows meet in frame 1: a mean of products, of similar boxes.
        assert torch.allclose(
            result.box_sigmas,
            raw.box_sigmas * half_sides(result.bboxes / size),
            rtol=.02 if window and result.frame_id == 1 else 1e-4)
    assert not torch.equal(found[0].box_sigmas, found[1].box_sigmas)
    for t, result in enumerate(found):
        means = result.box_sigmas.mean(1)
        assert tracks and all((means - x.sigmas[t]).abs().min() < 1e-6
                              for x in tracks)


def test_scores_fall_with_the_certainty_of_the_boxes():
    """Of all frames of the clip, whose queries have one score."""
    model = model_with().eval()
    model.top_k = 1000
    inputs, _ = batch(model, video(3), training=False)
    items = model.encode(inputs[0], metas(3, (64, 64)))
    plain = model.decode(items, metas(3, (64, 64)))
    model.memcnp.certainty_power = 1.
    sure = model.decode(items, metas(3, (64, 64)))
    factor = (1 - sure.uncertainties / 2).clamp(min=.02).mean(1)
    unsure = sure.class_scores.amax(1) / factor
    assert factor.min() < .8
    assert torch.allclose(unsure.sort().values,
                          plain.class_scores.amax(1).sort().values)


def test_one_frame_video():
    model = model_with().eval()
    inputs, samples = batch(model, video(1), training=False)
    sample, = model(inputs, samples, mode='predict')
    assert sample.pred_tracks.num_frames == 1
    assert {t.num_detections for t in sample.pred_tracks.tracks} == {1}


def test_windows_hold_no_more_of_a_longer_video():
    window = dict(type='ClipMatching', length=4, stride=2)
    model = model_with(window=window).eval()
    most = {}
    for length in (40, 160):
        inputs, _ = batch(model, (noise(length, (32, 32), seed=3),
                                  video(length, (32, 32))[1]), training=False)
        session, sizes = model.session(sink=FileSink()), []
        for at in range(0, length, 8):
            session.step(inputs[0, at:at + 8].clone(), [
                dict(m, frame_id=m['frame_id'] + at)
                for m in metas(8, (32, 32))
            ])
            sizes.append(kept_bytes(session))
        most[length] = max(sizes)
        assert session.finish().num_frames == length
    # what is held of a frame is a few kilobytes at least
    assert 4e3 < most[160] <= 1.02 * most[40]
