"""DVIS-DAQ with MemCNP: what is trained, what moves the memory, what is
found."""
import math

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.models.layers import aligned_giou
from mmvis_memcnp.models.memcnp import MemoryBank
from mmvis_memcnp.models.memcnp.distribution import half_sides
from mmvis_memcnp.models.memcnp.hosts.rows import (
    NOWHERE,
    RowBoxes,
    RowRules,
    mask_places,
)
from mmvis_memcnp.models.truth import collect_clips
from tests.fakes.tiny_dvis_daq import OBJECTS, long_clip, tiny_model
from tests.fakes.tiny_mask2former import CONFIGS
from tests.fakes.tiny_sipmask import batch, losses, video
from tests.fakes.two_ranks import on_two_ranks

RAND = torch.rand
HOST = {'loss_cls', 'loss_mask', 'loss_dice'}
OWN = {'loss_cnp', 'loss_giou', 'loss_track'}
TWO = [OBJECTS[:2]] * 5
#: Rows of random weights stand near the middle.
MIDDLE = [(3, 0, 10, 8, 56, 58), (8, 2, 34, 10, 60, 50)]


def memcnp_model(training=None, gate=0., stage=0, seed=0, **memcnp):
    """The tiny model with what the config of MemCNP adds: one key.

    Args:
        training: changes its rules.
        gate: of the context.
        stage: of the training.
        seed: of the weights; with 3, clips carry different numbers of rows.
        memcnp: changes its other settings.
    """
    key = Config.fromfile(CONFIGS / 'memcnp_queries.py').memcnp_queries
    key = key.to_dict() | dict(num_items=8, rate=.9) | memcnp
    key['training'] |= training or {}
    model = tiny_model(seed, memcnp=key, carry_thr=.5)
    model.set_progress([0, 10000][stage], 160000)
    branch = model.tracker.memcnp.box_branch
    torch.nn.init.normal_(branch.last.weight, std=.02)  # rows differ
    model.tracker.memcnp.gate.data.fill_(gate)
    return model


def test_certainty_power_is_refused():
    """Its scores are logits of whole videos: it would change nothing."""
    with pytest.raises(ValueError, match='certainty_power changes no score'):
        memcnp_model(certainty_power=.5)


def memory(model):
    return {k: v.clone() for k, v in model.memcnp.bank.state_dict().items()}


def same(state, other):
    return all(torch.equal(v, other[k]) for k, v in state.items())


def same_points(*shape, **options):
    """Stands for torch.rand: the same for each row of the batch."""
    first, *rest = shape if isinstance(shape[0], int) else shape[0]
    row = RAND(rest, generator=torch.Generator().manual_seed(0))
    return row.expand(first, *rest).clone()


def followed(model, *clips):
    """Rows of clips, frame by frame, and their objects."""
    inputs, samples = batch(model, *clips)
    count, frames = inputs.shape[:2]
    order = torch.arange(count * frames).view(count, frames).T.flatten()
    truth = collect_clips(samples, inputs.device, 1)
    found = model.segmenter(inputs.flatten(0, 1)[order])
    rows = model.follow(found, truth.frames().take(order), count,
                        truth.sizes.flatten(0, 1)[order])
    return [x[0] for x in rows], truth


def run(model, frames, size=(64, 64)):
    """Results of a video, frame by frame."""
    model.eval()
    inputs, (sample, ) = batch(model, video(len(frames), size),
                               training=False)
    session = model.session()
    return session.step(frames, [
        f.metainfo for f in sample.video_data_samples]), session.finish()


def frames_of(model, size=(64, 64), count=4):
    inputs, _ = batch(model, video(count, size), training=False)
    return inputs[0]


# -- the plain host ---------------------------------------------------------
def test_without_memcnp_nothing_of_it_is_there(monkeypatch):
    def never(*_, **__):
        raise AssertionError('the plain host has no such part')

    monkeypatch.setattr(RowRules, '__init__', never)
    monkeypatch.setattr(MemoryBank, '__init__', never)
    found = []
    for settings in ({}, dict(memcnp=None)):
        model = tiny_model(**settings)
        assert model.memcnp is None
        torch.manual_seed(1)
        found.append((losses(model, long_clip()), model.state_dict(),
                      torch.get_rng_state()))
    (values, state, random), other = found
    assert not [k for k in state if 'memcnp' in k]
    assert not OWN & values.keys()
    assert all(torch.equal(v, other[0][k]) for k, v in values.items())
    assert all(torch.equal(v, other[1][k]) for k, v in state.items())
    assert torch.equal(random, other[2])


def test_a_plain_checkpoint_says_the_same(monkeypatch):
    """The gate starts at 0: all but the boxes, which are a distribution's
    and start as those of the masks at their own resolution."""
    plain = tiny_model()
    key = Config.fromfile(CONFIGS / 'memcnp_queries.py').memcnp_queries
    model = tiny_model(memcnp=key.to_dict())
    rest = model.load_state_dict(plain.state_dict(), strict=False)
    assert not rest.unexpected_keys
    assert all(k.startswith('tracker.memcnp.') for k in rest.missing_keys)
    near = []
    for size in ((64, 64), (50, 90)):
        frames = frames_of(plain, size)
        first, second = (run(m, frames, size) for m in (plain, model))
        for mine, theirs in zip(second[0], first[0], strict=True):
            assert len(theirs) > 0
            for name in ('instances_id', 'labels', 'scores'):
                assert torch.equal(mine[name], theirs[name]), name
            assert mine.masks == theirs.masks
            assert 'box_sigmas' not in theirs
            height, width = size
            # To half a stride; boxes of the whole frame keep off its sides.
            # A single pixel of random masks may vanish at their full size.
            limit = 3 + .02 * max(height, width)
            near += ((mine.bboxes - theirs.bboxes).abs() < limit).flatten(
                ).tolist()
        assert second[1].to_ytvis(1, [1, 2, 3]) == \
            first[1].to_ytvis(1, [1, 2, 3])
    assert sum(near) > .8 * len(near)
    # In training as well: the host's losses are what they were.
    monkeypatch.setattr(torch, 'rand', same_points)
    own, host = (losses(m.train(), long_clip([OBJECTS] * 2))
                 for m in (model, plain))
    assert own.keys() == host.keys() | OWN
    assert all(torch.equal(v, own[k]) for k, v in host.items())


# -- losses -----------------------------------------------------------------
@pytest.mark.parametrize('stage', [0, 1])
def test_losses_of_sizes_that_differ(stage):
    model = memcnp_model(stage=stage, gate=.3)
    out = losses(model, long_clip(), long_clip(size=(41, 90), seed=3))
    assert OWN < out.keys()
    assert all(v.dim() == 0 and v.isfinite() for v in out.values())
    assert out['loss_giou'] > 0 and out['loss_track'] > 0
    sum(out.values()).backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name


def test_each_loss_teaches_what_it_should():
    """mu and sigma of their loss, mu of GIoU, the gate of the host's classes
    alone; all of them the rows."""
    model = memcnp_model(gate=.3)
    out = losses(model, long_clip())
    own = model.tracker.memcnp
    last, mlp = own.box_branch.last, model.memcnp.bank.mlp
    expected = dict(  # mu, sigma, gate, read-out, rows, masks
        loss_cnp=[True, True, False, True, True, False],
        loss_giou=[True, False, False, True, True, False],
        loss_track=[False, False, False, False, True, False],
        loss_cls=[False, False, True, True, True, False],
        loss_mask=[False, False, False, False, True, True])
    for name, reached in expected.items():
        model.zero_grad()
        out[name].backward(retain_graph=True)
        grads = [last.weight.grad, last.weight.grad, own.gate.grad,
                 mlp.fc1.weight.grad, model.tracker.layers[0].ffn.layers[
                     1].weight.grad, model.tracker.mask_proj.weight.grad]
        parts = [slice(4), slice(4, 8)] + [...] * 4
        found = [g is not None and bool(g[p].abs().sum() > 0)
                 for g, p in zip(grads, parts, strict=True)]
        assert found == reached, name
    # Items are moved by the moving average alone (eq 5).
    assert not model.memcnp.bank.items.requires_grad


def test_a_gate_of_zero_opens():
    model = memcnp_model()
    losses(model, long_clip())['loss_cls'].backward()
    assert (model.tracker.memcnp.gate.grad != 0).all()


def test_contrast_is_removable():
    out = losses(memcnp_model(dict(contrast=None)), long_clip())
    assert OWN & out.keys() == OWN - {'loss_track'}


@pytest.mark.parametrize('objects, boxes, track', [
    ([[]] * 5, False, False), ([[], [], MIDDLE, [], []], True, False),
    ([MIDDLE[:1]] * 5, True, False), ([MIDDLE] * 5, True, True)])
def test_absent_objects_keep_every_loss_on_the_graph(objects, boxes, track):
    """Of a single object there is no negative pair: its loss is 0."""
    model = memcnp_model()
    model.num_frames = (5, 5)
    start = memory(model)
    out = losses(model, long_clip(objects))
    assert (out['loss_cnp'] != 0) == (out['loss_giou'] != 0) == boxes
    assert (out['loss_track'].item() > 1e-6) == track
    assert same(memory(model), start) == (not any(objects))
    sum(out.values()).backward()
    for name, parameter in model.tracker.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


# -- rules by hand ------------------------------------------------------------
def rows_at(boxes):
    """Rows of a frame whose masks have these boxes, xyxy."""
    boxes = bbox_xyxy_to_cxcywh(torch.tensor(boxes))[None]
    return RowBoxes(torch.randn(1, boxes.shape[1], 8), boxes[..., :2].clone(),
                    boxes.requires_grad_(),
                    torch.full_like(boxes, .5).requires_grad_())


def object_at(*box):
    """Truth of a frame of 100 x 100 pixels with an object of class 2."""
    sample = long_clip([[(1, 2, *box)]], (100, 100))[1]
    sample.video_data_samples[0].set_metainfo(
        dict(batch_input_shape=(100, 100)))
    return collect_clips([sample], torch.device('cpu'), 1).frames()


def rules(**training):
    init_default_scope('mmdet')
    return MODELS.build(dict(
        type='RowRules', assigner=dict(type='QueryUSSAssigner', **training),
        loss=dict(type='MemCNPLoss'), contrast=None))


@pytest.mark.parametrize('topk, best, learn', [
    (5, 0, [0, 1]),     # the row that has the object, and a central one
    (1, 0, [0, 1]),     # by USS the best is row 1
    (1, 1, [1]),
    (0, 2, [2]),        # it learns the object wherever it stands
    (5, -1, [0, 1])])   # objects without a row: those that stand in them
def test_targets_of_rows(topk, best, learn):
    """Row 0 stands off the middle of the object, row 1 in the middle, row 2
    outside, row 3 has no mask."""
    found = rows_at([[.25, .25, .45, .45], [.2, .2, .6, .6],
                     [.7, .7, .9, .9], [NOWHERE] * 4])
    found.references[0, 3] = NOWHERE
    out = rules(topk=topk).losses(
        found, torch.zeros(1, 4, 4), torch.tensor([[best]]),
        object_at(20, 20, 60, 60), 1)
    sum(out.values()).backward()
    taught = (found.boxes.grad[0].abs().sum(-1) > 0).nonzero()[:, 0].tolist()
    assert taught == learn
    giou = 1 - aligned_giou(
        torch.tensor([[.25, .25, .45, .45], [.2, .2, .6, .6],
                      [.7, .7, .9, .9]])[learn],
        torch.tensor([.2, .2, .6, .6]))
    assert torch.allclose(out['loss_giou'], giou.mean(), atol=1e-5)


def test_uncertainties_by_hand():
    """R_sigma draws to 2 - P - IoU, with P of the softmax."""
    found = rows_at([[.2, .2, .6, .6]])
    logits = torch.tensor([[[.1, .2, .4, .3]]]).log()
    out = rules().losses(found, logits, torch.tensor([[0]]),
                         object_at(20, 20, 60, 60), 1)
    nll = 2 * math.log(2 * math.pi) + 4 * math.log(.5)
    # Of 4 sides: sigma is .5, its target 2 - .4 - 1.
    assert out['loss_cnp'].item() == pytest.approx(nll + 4 * .1, abs=1e-4)
    assert out['loss_giou'].abs() < 1e-5


def test_places_of_masks_by_hand():
    """Masks at a quarter of 24 x 16 pixels, the last 4 rows of which are
    padding."""
    masks = torch.full((1, 4, 4, 6), -1.)
    masks[0, 0, 1:3, 2:5] = masks[0, 0, 0, 2] = 1.  # not a rectangle
    masks[0, 1, 1, 2] = masks[0, 1, 3] = 1.  # a cell, and padding
    masks[0, 2, 3] = 1.  # padding alone
    points, boxes = mask_places(masks, torch.tensor([[24., 12.]]))
    assert torch.allclose(points[0], torch.tensor([
        [(2 * 10.5 + 2.5) / 7 / 6, (3 * (1.5 + 2.5) + .5) / 7 / 3],
        [2.5 / 6, 1.5 / 3], [NOWHERE] * 2, [NOWHERE] * 2]))
    assert torch.allclose(boxes[0], torch.tensor([
        [3.5 / 6, .5, 3 / 6, 1.], [2.5 / 6, 1.5 / 3, 1 / 6, 1 / 3],
        [.5] * 4, [.5] * 4]))
    # A cell that is partly in the padding is not larger than the frame.
    masks[0, 0] = 1.
    points, boxes = mask_places(masks, torch.tensor([[22., 10.]]))
    assert torch.allclose(boxes[0, 0], torch.tensor([.5, .5, 1, 1]))
    assert torch.allclose(points[0, 0], torch.tensor([12 / 22, 6 / 10]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_places_of_large_masks_in_mixed_precision(dtype):
    """The sum of 12800 cells' places is larger than float16 can hold."""
    masks = torch.full((1, 2, 96, 160), -1.)
    masks[0, 0] = masks[0, 1, 10:80, 20:151] = 1.
    size = torch.tensor([[640., 384.]])
    expected = mask_places(masks, size)
    with torch.autocast('cpu', dtype):
        found = mask_places(masks, size)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert torch.allclose(found[0][0, 0], torch.tensor([.5, .5]))


# -- batches and padding ----------------------------------------------------
@pytest.mark.parametrize('stage', [0, 1])
def test_clips_do_not_know_of_each_other(monkeypatch, stage):
    """What MemCNP says about the rows of a batch is what it says about each
    clip alone, in which fewer rows are padded."""
    model = memcnp_model(gate=.5, stage=stage, seed=3)
    clips = long_clip(), long_clip(TWO, seed=4)
    monkeypatch.setattr(torch, 'rand', same_points)
    both, _ = followed(model, *clips)
    padded = 0
    for b, one in enumerate(clips):
        for joint, own in zip(both, followed(model, one)[0], strict=True):
            real = ~joint.padded[b]
            padded += int(joint.padded[b].sum())
            for mine, theirs in zip(joint.boxes, own.boxes, strict=True):
                torch.testing.assert_close(mine[b, real], theirs[0],
                                           rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                joint.logits[-1, b, real], own.logits[-1, 0], rtol=1e-4,
                atol=1e-4)
            assert (joint.boxes[1][joint.padded] == NOWHERE).all()
    assert padded > 0


@pytest.mark.parametrize('stage', [0, 1])
def test_a_batch_has_the_losses_of_its_clips(monkeypatch, stage):
    """The sums before they are divided, with clips that carry different
    numbers of rows."""
    model = memcnp_model(dict(contrast=None), gate=.5, stage=stage, seed=3)
    model.num_frames = (5, 5)
    clips = long_clip(), long_clip(TWO, seed=4)
    monkeypatch.setattr(torch, 'rand', same_points)
    start = memory(model)

    def sums(*some):
        model.memcnp.bank.load_state_dict(start)
        counts = {}
        per_box = model.memcnp_training.loss.per_box

        def counted(*args, **kwargs):
            loss, supported = per_box(*args, **kwargs)
            counts.update(cnp=float(supported.view(-1).sum()),
                          giou=float(len(args[0].mu)))
            return loss, supported

        model.memcnp_training.loss.per_box = counted
        out = losses(model, *some)
        model.memcnp_training.loss.per_box = per_box
        return torch.stack([out[f'loss_{n}'] * counts[n]
                            for n in ('cnp', 'giou')])

    one, two, both = sums(clips[0]), sums(clips[1]), sums(*clips)
    assert (two[1] > 0) and (one != two).all()
    torch.testing.assert_close(one + two, both, rtol=1e-5, atol=1e-5)


def test_padding_of_frames_changes_no_box():
    """A frame that is padded further: masks there do not count."""
    model = memcnp_model(gate=.5).eval()
    own = model.tracker.memcnp
    z, masks = torch.randn(1, 7, 32), torch.randn(1, 7, 10, 12)
    sizes = torch.tensor([[48., 40.]])
    padded = torch.nn.functional.pad(masks, (0, 5, 0, 3), value=9.)
    none = torch.zeros(1, 7, dtype=torch.bool)
    for mine, theirs in zip(own(z, masks, sizes, none)[1],
                            own(z, padded, sizes, none)[1], strict=True):
        assert torch.equal(mine, theirs)
    assert not torch.equal(own(z, padded, sizes * 1.3, none)[1].references,
                           own(z, masks, sizes, none)[1].references)


# -- memory -----------------------------------------------------------------
def test_the_memory_moves_in_training_once_a_step(monkeypatch):
    model = memcnp_model(gate=.5)
    reads, writes = [], []
    bank = model.memcnp.bank
    read, write = bank.read, bank.write
    bank.read = lambda *a: reads.append(a[0].shape) or read(*a)
    bank.write = lambda *a: writes.append(a[2]) or write(*a)
    start = memory(model)
    losses(model, long_clip(), long_clip(TWO, seed=4))
    assert len(reads) == 2 and len(writes) == 1  # a frame; a step
    assert 0 < writes[0].sum() < len(writes[0])
    moved = memory(model)
    assert not same(moved, start)
    run(model, frames_of(model))
    assert len(reads) == 2 + 4 and len(writes) == 1
    with torch.no_grad():
        model(*batch(model, long_clip()), mode='loss')  # in eval mode
    assert same(memory(model), moved)


def test_a_step_reads_what_the_one_before_wrote():
    model = memcnp_model(gate=.5)
    model.num_frames = (5, 5)
    start = memory(model)

    def step(seed=0):
        torch.manual_seed(seed)
        return losses(model, long_clip())

    first, second = step(), step()
    assert second['loss_cnp'] != first['loss_cnp']
    assert second['loss_cls'] != first['loss_cls']
    model.memcnp.bank.load_state_dict(start)
    again = step()
    assert all(torch.equal(v, again[k]) for k, v in first.items())


def test_what_is_written_are_rows_in_boxes():
    """With y of the smallest box, and rows of no mask are not."""
    model = memcnp_model()
    model.num_frames = (5, 5)
    seen = {}
    write = model.memcnp.bank.write
    model.memcnp.bank.write = lambda z, y, valid: seen.update(
        y=y, valid=valid) or write(z, y, valid)
    losses(model, long_clip())
    rows, truth = followed(model, long_clip())
    boxes = truth.frames().xyxy
    at = 0
    count = max(r.padded.shape[1] for r in rows)
    for t, row in enumerate(rows):
        point = row.boxes[1][0, :, :2]
        inside = ((point[:, None] > boxes[t, None, :, :2]).all(-1) &
                  (point[:, None] < boxes[t, None, :, 2:]).all(-1)).any(1)
        assert seen['valid'][at:at + len(inside)].tolist() == inside.tolist()
        assert not seen['valid'][at + len(inside):at + count].any()
        at += count
    y = seen['y'][seen['valid']]
    assert len(y) and (y > -1).all() and (y < 1).all()


def _train(rank):
    model = memcnp_model()
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimiser = torch.optim.AdamW(model.tracker.parameters(), lr=1e-3)
    for step in range(2):
        # The second rank has no object in its first step.
        own = long_clip([[]] * 5, seed=7) if rank > step else long_clip(
            seed=rank)
        out = parallel(*batch(model, own), mode='loss')
        sum(out.values()).backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.state_dict()


def test_two_ranks_hold_one_memory(tmp_path):
    first, second = on_two_ranks(_train, tmp_path)
    names = {f'tracker.memcnp.memory.bank.{n}' for n in ('items', 'usage')}
    start = memcnp_model().state_dict()
    for key in names:
        assert not torch.equal(first[key], start[key])
    trained = {n for n, _ in memcnp_model().named_parameters()}
    assert all(torch.equal(first[n], second[n]) for n in trained | names)


# -- results ----------------------------------------------------------------
def test_a_constant_context_is_seen_once_the_gate_is_open():
    """Classes of the rows depend on what the memory returns, and boxes do in
    any case."""
    model = memcnp_model()
    frames = frames_of(model)
    bank = model.memcnp.bank

    def scores(gate, constant):
        model.tracker.memcnp.gate.data.fill_(gate)
        if constant:
            bank.read = lambda z, _=None: torch.full_like(z, .5)
        found = run(model, frames)[0]
        bank.__dict__.pop('read', None)
        return found

    def differ(name, mine, theirs):
        return any(not torch.equal(a[name], b[name])
                   for a, b in zip(mine, theirs, strict=True)
                   if len(a) == len(b))

    closed, closed_constant = scores(0., False), scores(0., True)
    opened, opened_constant = scores(1., False), scores(1., True)
    assert not differ('scores', closed, closed_constant)
    assert differ('bboxes', closed, closed_constant)
    assert differ('scores', closed, opened)
    assert differ('scores', opened, opened_constant)


@pytest.mark.parametrize('half', [False, True])
def test_sigmas_leave_with_the_results(half):
    """As fractions of the frame: those of the box times half its sides."""
    model = memcnp_model(gate=.5)
    # Boxes smaller than the frame, as the masks of random weights are not.
    model.tracker.memcnp.box_branch.last.bias.data[2:4] = -5.
    size = (50, 75)
    frames = frames_of(model, size)

    def results(unit):
        model.memcnp.box_unit = unit
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
            found, tracks = run(model, frames, size)
        assert len(tracks.tracks) > 0
        assert all(x.sigmas is not None for x in tracks.tracks)
        return found

    whole = torch.tensor([75, 50] * 2)
    for result, raw in zip(results('object'), results('image'), strict=True):
        assert (raw.box_sigmas > .1).all() and len(raw) > 0
        assert torch.equal(result.bboxes, raw.bboxes)
        assert (result.bboxes <= whole).all() and (result.bboxes >= 0).all()
        # Boxes that were not cut off at the frame.
        own = ((result.bboxes > 0) & (result.bboxes < whole)).all(1)
        assert own.any()
        torch.testing.assert_close(
            result.box_sigmas[own],
            (raw.box_sigmas * half_sides(result.bboxes / whole))[own])
        torch.testing.assert_close(result.uncertainties,
                                   raw.box_sigmas.mean(1))


def test_readouts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='leave readout and hidden_dims'):
        memcnp_model(readout='raw')
    with pytest.raises(ValueError, match="type='MemCNP'"):
        tiny_model(memcnp=dict(type='CNP'))
