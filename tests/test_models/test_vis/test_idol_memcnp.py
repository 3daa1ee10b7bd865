"""IDOL with MemCNP: what is trained, what moves the memory, what is found."""
import pytest
import torch
from mmengine.config import Config

from mmvis_memcnp.models.memcnp import ContrastiveTrackingLoss, MemCNPBoxBranch
from mmvis_memcnp.models.memcnp.distribution import half_sides
from tests.fakes.gradients import TRUNK, heads_of, parts_reached
from tests.fakes.tiny_idol import CONFIGS, tiny_model
from tests.fakes.tiny_sipmask import KEY, REF, batch, clip, losses, video
from tests.fakes.two_ranks import on_two_ranks

NAMES = {'loss_cls', 'loss_bbox', 'loss_giou', 'loss_mask', 'loss_dice'}
CNP = {'loss_cnp', 'd0.loss_cnp'}


def memcnp_model(training=None, **options):
    """The tiny model with what the config of MemCNP adds: one key.

    Args:
        training: changes its rules.
        options: change its other settings.
    """
    memcnp = Config.fromfile(CONFIGS / 'memcnp_queries.py').memcnp_queries
    memcnp = memcnp.to_dict() | dict(num_items=8, rate=0.9) | options
    memcnp['training'] |= training or {}
    model = tiny_model(memcnp=memcnp)
    for branch in model.segmenter.box_branches:  # spread means, not sigmas
        branch.last.weight.data[4:] *= 0.1
    return model


@pytest.fixture(scope='module')
def trained():
    """Its memory moves, its weights do not."""
    return memcnp_model()


def step(model, *clips):
    """Losses, and a backward pass that reaches every parameter."""
    model.zero_grad()
    out = losses(model, *clips)
    sum(out.values()).backward()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or (
            parameter.grad is not None and
            parameter.grad.isfinite().all()), name
    return out


def predict(model, *clips):
    model.eval()
    return [s.pred_tracks for s in model(
        *batch(model, *clips, training=False), mode='predict')]


def items(model):
    return model.memcnp.bank.items.detach().clone()


def test_plain_host_has_nothing_of_it():
    model = tiny_model()
    assert model.memcnp is None and model.memcnp_training is None
    assert not any('memcnp' in k or 'readout' in k
                   for k in model.state_dict())
    out = losses(model, clip())
    assert not any('cnp' in k or 'track' in k for k in out)
    # Draws: weights come from one seed in the same order, with the key set
    # to None or absent.
    other = tiny_model(memcnp=None)
    theirs = other.state_dict()
    assert model.state_dict().keys() == theirs.keys()
    assert all(torch.equal(v, theirs[k])
               for k, v in model.state_dict().items())
    state = torch.get_rng_state()
    first = losses(model, clip())
    torch.set_rng_state(state)
    second = losses(other, clip())
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_losses_and_gradients_of_mixed_sizes(trained):
    out = step(trained, clip(), clip(size=(41, 90), seed=3))
    assert out.keys() == NAMES | {f'd0.{n}' for n in NAMES} | CNP | {
        'loss_track'}
    assert all(v.isfinite() for v in out.values())
    for branch in trained.segmenter.box_branches:
        assert isinstance(branch, MemCNPBoxBranch)
        assert branch.last.weight.grad[4:].abs().sum() > 0  # sigma
        assert branch.readout.fc1.weight.grad.abs().sum() > 0
    assert trained.segmenter.embed_head.layers[0].weight.grad.abs().sum() > 0


def test_sigma_learns_from_its_own_loss_alone(trained):
    trained.zero_grad()
    out = losses(trained, clip())
    (out['loss_cls'] + out['loss_bbox'] + out['loss_giou']).backward(
        retain_graph=True)
    last = trained.segmenter.box_branches[-1].last.weight
    assert last.grad[4:].abs().sum() == 0
    out['loss_cnp'].backward()
    assert last.grad[4:].abs().sum() > 0


def test_the_memory_moves_in_training_once():
    model = memcnp_model()
    calls = []
    write = model.memcnp.bank.write
    model.memcnp.bank.write = lambda *a: calls.append(
        a[0].shape) or write(*a)
    before = items(model)
    step(model, clip(), clip(seed=1))
    assert calls == [(2 * 12, 32)]  # key frames only, last layer only
    after = items(model)
    assert not torch.equal(before, after)
    predict(model, video(2))
    assert torch.equal(items(model), after) and len(calls) == 1


@pytest.mark.parametrize('key, ref, boxes, track', [
    ([], [], False, False), ([], REF, False, False), (KEY, [], True, False),
    (KEY[:1], REF[:1], True, False), (KEY[:1], REF[1:], True, False),
    (KEY, REF[:1], True, True),
])
def test_absent_objects(key, ref, boxes, track):
    """A single object in both frames has no negative pair: its loss is 0."""
    model = memcnp_model()
    before = items(model)
    out = step(model, clip(key, ref))
    assert all(v.isfinite() for v in out.values()) and out['loss_cls'] > 0
    assert bool(out['loss_cnp'] != 0) == boxes
    assert (out['loss_track'].item() > 1e-6) == track
    if not key:
        assert torch.equal(items(model), before)


def test_positives_are_central_and_ignored_queries_learn_no_class():
    model, seen = memcnp_model(), {}
    # So that central queries are certain enough and yet not the best.
    model.memcnp_training.assigner.topk = 1
    model.memcnp_training.assigner.lambda_tau = .1
    forward = model.loss_instance.forward

    def keep(*args):
        seen['args'] = args
        return forward(*args)

    model.loss_instance.forward = keep
    out = losses(model, clip())
    chosen = seen['args'][3]
    ignored = chosen.ignored
    assert chosen.pos.any(-1).all() and ignored.any(-1).all()
    assert not (ignored & (chosen.pos | chosen.neg)).any()
    assert (chosen.pos | chosen.neg | ignored).all()
    assert (chosen.centreness[chosen.pos] > 0).all()
    assert len(chosen.query) == chosen.pos.sum()
    logits = seen['args'][0].detach().requires_grad_()
    again = forward(logits, *seen['args'][1:])
    again['loss_cls'].backward()
    grad = logits.grad[-1].abs().sum(-1)
    assert (grad[ignored[-1]] == 0).all() and (grad[~ignored[-1]] > 0).all()
    assert torch.equal(again['loss_cls'].detach(), out['loss_cls'].detach())


def test_every_loss_reaches_its_heads_and_the_trunk(trained):
    """The memory, here a buffer, is no parameter."""
    out = losses(trained, clip())
    for name, value in out.items():
        heads = {'embed_head'} if name == 'loss_track' else heads_of(
            name.replace('loss_cnp', 'loss_bbox'))
        assert parts_reached(trained, value) == TRUNK | heads, name


def test_results_carry_sigma_and_one_frame_is_a_video():
    model = memcnp_model().eval()
    inputs, samples = batch(model, video(1), training=False)
    frames = [f.metainfo for f in samples[0].video_data_samples]
    (out, ) = model.session().step(inputs[0], frames)
    assert len(out) and out.box_sigmas.shape == (len(out), 4)
    # Of half the sides of the boxes, as fractions of the frame of 64 pixels.
    model.memcnp.box_unit = 'image'
    (raw, ) = model.session().step(inputs[0], frames)
    assert (raw.box_sigmas >= 0.1).all()
    assert torch.allclose(out.box_sigmas,
                          raw.box_sigmas * half_sides(out.bboxes / 64))
    (result, ) = predict(model, video(1))
    assert result.num_frames == 1 and len(result.tracks) > 0
    (again, ) = predict(model, video(1))
    assert result.to_ytvis(1, [1, 2, 3]) == again.to_ytvis(1, [1, 2, 3])


def test_scores_fall_with_the_certainty_of_a_box():
    model = memcnp_model().eval()
    model.score_thr, model.box_nms_iou, model.mask_nms_iou = -1., 1., 1.
    inputs, samples = batch(model, video(1), training=False)
    frames = [f.metainfo for f in samples[0].video_data_samples]
    (plain, ) = model.encode(inputs[0], frames)
    model.memcnp.certainty_power = 1.
    (sure, ) = model.encode(inputs[0], frames)
    plain, sure = (x[x.queries.argsort()] for x in (plain, sure))
    assert torch.equal(plain.queries, sure.queries) and len(plain) > 5
    factor = (1 - plain.uncertainties / 2).clamp(min=.02)
    assert factor.min() < .8
    assert torch.allclose(sure.scores, plain.scores * factor)


def test_matching_on_the_scale_of_training(trained):
    association = trained.tracker.association
    contrast = trained.memcnp_training.contrast
    assert isinstance(contrast, ContrastiveTrackingLoss)
    assert association.similarity == 'cosine'
    assert association.temperature == contrast.temperature
    assert trained.tracker.memory.normalize


def test_the_key_replaces_the_contrast_of_the_host(trained):
    """One key over a config that has the host's own."""
    assert tiny_model().loss_embed is not None
    assert trained.loss_embed is None


def test_the_host_contrast_may_stay():
    """And with it the scale of the host's tracker."""
    model = memcnp_model(dict(contrast=None))
    out = step(model, clip())
    assert {'loss_embed', 'loss_embed_aux', 'loss_cnp'} <= out.keys()
    assert 'loss_track' not in out
    plain = tiny_model().tracker
    for name in ('similarity', 'temperature'):
        assert getattr(model.tracker.association, name) == getattr(
            plain.association, name)
    assert model.tracker.memory.normalize == plain.memory.normalize


def test_all_is_overridable_below_the_key():
    model = memcnp_model(
        dict(assigner=dict(topk=2), loss=dict(rule='nll'),
             contrast=dict(temperature=.2)),
        tracker=dict(association=dict(similarity='dot')))
    rules = model.memcnp_training
    assert (rules.assigner.topk, rules.loss.rule) == (2, 'nll')
    assert rules.loss.alpha == 'image'  # the default
    assert rules.contrast.temperature == .2
    association = model.tracker.association
    assert (association.similarity, association.temperature) == ('dot', .2)


# -- two ranks ------------------------------------------------------------
def _step(rank):
    model = memcnp_model()
    # The second rank's clip has no object.
    step(model, clip() if rank == 0 else clip([], [], seed=1))
    return items(model)


def test_ranks_hold_the_same_memory_after_a_step(tmp_path):
    first, second = on_two_ranks(_step, tmp_path)
    assert torch.equal(first, second)
    assert not torch.equal(first, items(memcnp_model()))
