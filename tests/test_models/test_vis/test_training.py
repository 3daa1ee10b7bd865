"""Losses of both hosts: batches, missing objects, precision, gradients."""
import pytest
import torch

from tests.fakes.tiny_sipmask import (
    KEY,
    REF,
    batch,
    clip,
    losses,
    tiny_model,
    total,
)

CONTRAST = dict(type='ContrastiveTrackingLoss')
MODELS = {
    'sipmask': dict(kind='sipmask'),
    'memcnp': dict(),
    'without memory': dict(memcnp=None, loss_track=CONTRAST),
    'host matching': dict(memcnp=None),
}
NAMES = {
    'sipmask': {'loss_cls', 'loss_bbox', 'loss_centerness', 'loss_mask',
                'loss_match', 'match_acc'},
    'memcnp': {'loss_cls', 'loss_bbox', 'loss_centerness', 'loss_seg',
               'loss_match', 'loss_cnp', 'match_acc'},
}
EMPTY = {
    'one clip without': [clip([], [], seed=1), clip()],
    'no object at all': [clip([], []), clip([], [], seed=1)],
    'only in the key frame': [clip(KEY, [])],
    'only in the reference frame': [clip([], REF)],
    'another object each': [clip(KEY[:1], REF[:1])],
}


def gradients(model):
    return {n for n, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(params=MODELS)
def model(request):
    return tiny_model(**MODELS[request.param])


@pytest.mark.parametrize('kind', NAMES)
def test_names_of_the_losses(kind):
    found = losses(tiny_model(kind), clip())
    assert set(found) == NAMES[kind]
    # a density may exceed 1; no loss of this clip is idle
    assert all(v.dim() == 0 and (v > 0 or k == 'loss_cnp')
               for k, v in found.items())
    assert 0 <= found['match_acc'] <= 100


@pytest.mark.parametrize('case', EMPTY)
def test_missing_objects_keep_every_loss_on_the_graph(model, case):
    total(losses(model, clip(), clip(seed=1))).backward()
    usual = gradients(model)
    model.zero_grad(set_to_none=True)
    found = losses(model, *EMPTY[case])
    for name, value in found.items():
        assert value.isfinite(), name
        assert value.requires_grad == name.startswith('loss'), name
    total(found).backward()
    # distributed training waits for the very same gradients
    assert gradients(model) == usual
    assert all(p.grad.isfinite().all() for p in model.parameters()
               if p.grad is not None)


def test_nothing_to_regress_costs_nothing(model):
    found = losses(model, clip([], []))
    for name in ('loss_bbox', 'loss_mask', 'loss_seg', 'loss_cnp',
                 'loss_match'):
        assert found.get(name, 0.) == 0, name


def test_gradients_reach_the_parts(model):
    total(losses(model, clip())).backward()
    for part in (model.backbone.conv1, model.neck.lateral_convs[0],
                 model.bbox_head.fcos_cls, model.bbox_head.fcos_reg,
                 model.bbox_head.fcos_centerness, *model.bbox_head.cls_convs,
                 *model.bbox_head.track_convs):
        assert all(p.grad.abs().sum() > 0 for p in part.parameters()
                   if p.requires_grad)


@pytest.mark.parametrize('kind, loss, parts', [
    ('sipmask', 'loss_mask', ('sip_mask_lat0', 'sip_mask_lat', 'sip_cof')),
    # the track vectors are the coefficients
    ('memcnp', 'loss_seg', ('mask_fuse', 'track_fuse')),
])
def test_the_mask_loss_reaches_basis_and_coefficients(kind, loss, parts):
    model = tiny_model(kind)
    losses(model, clip())[loss].backward()
    for part in parts:
        weight = getattr(model.bbox_head, part).weight
        assert weight.grad.abs().sum() > 0, part


def test_unused_parameters_are_the_known_ones():
    """Scales act through a detached offset; the rest is trained."""
    model = tiny_model()
    total(losses(model, clip())).backward()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert {n.rsplit('.', 1)[0].rsplit('.', 1)[0]
            for n in trained - gradients(model)} == {'bbox_head.scales'}


def test_order_of_the_objects_does_not_matter(model):
    state = {k: v.clone() for k, v in model.state_dict().items()}
    straight = losses(model, clip())
    model.load_state_dict(state)  # the memory was written
    turned = losses(model, clip(KEY[::-1], REF[::-1]))
    for name, value in straight.items():
        assert torch.allclose(value, turned[name], atol=1e-5), name


def positives(model, *clips):
    """Number of positives of a batch."""
    seen = []
    assign = model.bbox_head.assigner.match
    model.bbox_head.assigner.match = lambda *a, **k: seen.append(
        assign(*a, **k)) or seen[-1]
    found = losses(model, *clips)
    model.bbox_head.assigner.match = assign
    return found, int(seen[0].pos.sum())


def test_batch_of_two_is_two_batches_sipmask():
    model = tiny_model('sipmask')
    one, two = clip(), clip(KEY[1:], REF[:1], seed=1)
    (a, n), (b, m), (both, _) = (positives(model, *c)
                                 for c in ([one], [two], [one, two]))
    assert n > 0 and m > 0
    for name in ('loss_mask', 'loss_match'):  # means over the clips
        assert torch.allclose(both[name], (a[name] + b[name]) / 2, rtol=1e-4)
    for name, extra in (('loss_cls', 1), ('loss_centerness', 0)):
        expected = ((n + extra) * a[name] + (m + extra) * b[name]) / (
            n + m + 2 * extra)
        assert torch.allclose(both[name], expected, rtol=1e-4), name


def test_batch_of_two_is_two_batches_memcnp():
    memory = dict(type='MemCNP', num_items=8, feat_dims=16, hidden_dims=16,
                  rate=1., revive=0.)  # what one writes, the other reads
    model = tiny_model(memcnp=memory)
    one, two = clip(), clip(KEY[1:], REF[:1], seed=1)
    a, b, both = (losses(model, *c) for c in ([one], [two], [one, two]))
    for name in ('loss_cls', 'loss_bbox', 'loss_centerness', 'loss_seg'):
        assert torch.allclose(both[name], (a[name] + b[name]) / 2,
                              rtol=1e-4), name
    # the mean over ground truths: two of the first, one of the second
    assert torch.allclose(both['loss_cnp'],
                          (2 * a['loss_cnp'] + b['loss_cnp']) / 3, rtol=1e-4)


def test_clip_without_objects_counts_as_the_losses_say():
    """Frames without objects take no part in class, box and mask losses."""
    memory = dict(type='MemCNP', num_items=8, feat_dims=16, hidden_dims=16,
                  rate=1., revive=0.)
    model = tiny_model(memcnp=memory)
    alone = losses(model, clip())
    both = losses(model, clip(), clip([], [], seed=1))
    for name, share in (('loss_cls', 1), ('loss_bbox', 1), ('loss_seg', 1),
                        ('loss_cnp', 1), ('loss_match', 1),
                        ('loss_centerness', .5)):
        assert torch.allclose(both[name], alone[name] * share, rtol=1e-4), name


def test_sizes_of_a_batch_may_differ(model):
    small = clip(KEY[:1], REF[1:], size=(41, 57), seed=2)
    inputs, samples = batch(model, clip(size=(64, 90)), small)
    assert inputs.shape == (2, 2, 3, 64, 96)
    assert samples[1][0].gt_instances.masks.masks.shape == (1, 64, 96)
    found = model(inputs, samples, mode='loss')
    total(found).backward()
    assert total(found).isfinite()


def test_training_writes_the_memory_once_a_step_and_prediction_never():
    model = tiny_model()
    items = model.bbox_head.memcnp.bank.items
    before = items.detach().clone()
    losses(model, clip())
    assert not torch.equal(items, before)
    before = items.detach().clone()
    losses(model, clip([], REF))  # nothing lies in a box
    assert torch.equal(items, before)
    model.eval()
    model(*batch(model, clip(), training=False), mode='predict')
    assert torch.equal(items, before)


def test_jitter_changes_the_match_alone():
    model = tiny_model('sipmask', ref_jitter=0.4)
    still = losses(tiny_model('sipmask'), clip())
    torch.manual_seed(0)
    moved = losses(model, clip())
    assert {k for k, v in still.items() if not torch.allclose(v, moved[k])
            } <= {'loss_match', 'match_acc'}


@pytest.mark.parametrize('kind, head, message', [
    ('memcnp', dict(track_anchors='centres'), 'track_anchors'),
    ('memcnp', dict(centreness_level='coarse'), 'centreness_level'),
    ('memcnp', dict(assigner=dict(type='FCOSPointAssigner')),
     'memcnp.training.assigner'),
    ('memcnp', dict(loss_track=CONTRAST), 'memcnp.training.contrast'),
    ('memcnp', dict(clip_boxes='frame'), 'clip_boxes'),
    ('memcnp', dict(strides=(8, 16)), '2 strides'),
    ('sipmask', dict(strides=(8, 16, 32)), 'regress_ranges'),
])
def test_bad_options_are_named(kind, head, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(kind, **head)


def test_clips_without_a_reference_frame_are_named():
    model = tiny_model()
    inputs, samples = batch(model, clip())
    samples[0].set_metainfo(dict(ref_frames_inds=[]))
    with pytest.raises(ValueError, match='no ref frame'):
        model(inputs, samples, mode='loss')
