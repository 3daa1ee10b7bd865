"""InstanceFormer: sessions, bounded state, losses."""
import copy

import pytest
import torch

from tests.fakes.gradients import TRUNK, heads_of, parts_reached
from tests.fakes.tiny_instanceformer import (
    OBJECTS,
    batch,
    clip,
    losses,
    tiny_model,
    total,
    video,
)

OFFICIAL = dict(
    segmenter=dict(decoder=dict(cross_position=False), class_offset=1),
    reference_prior=dict(
        source='position', combine='multiply', handed_on='start'),
    class_prior=dict(active=False),
    memory=dict(temporal_index='slot'),
    matcher=dict(rule='first_frame', costs=dict(bbox=dict(norm=2.))),
    mask_way='stretch',
    ranking=dict(type='TopQuarterQuery'))
HOSTS = {
    'paper': {},
    'official': OFFICIAL,
    'queries alone': dict(memory=None, contrast=None, class_prior=None,
                          reference_prior=dict(combine=None)),
}


@pytest.fixture(params=HOSTS)
def model(request):
    return tiny_model(**HOSTS[request.param])


def metas(sample):
    return [f.metainfo for f in sample.video_data_samples]


def answers(result):
    return result.to_ytvis(1, [1, 2, 3])


def follow(model, frames, infos, chunk=1):
    session = model.session()
    for t in range(0, len(frames), chunk):
        session.step(frames[t:t + chunk], infos[t:t + chunk])
    return session


# -- sessions ---------------------------------------------------------------
@pytest.mark.parametrize('length', [1, 2, 3, 5])
def test_predict_is_a_session(model, length):
    model.eval()
    inputs, samples = batch(model, video(length), training=False)
    expected = answers(follow(model, inputs[0], metas(samples[0])).finish())
    found = model(inputs, samples, mode='predict')[0].pred_tracks
    assert found.num_frames == length and len(found.tracks) > 0
    assert answers(found) == expected
    assert all(0 < t.score < 1 and 0 <= t.label < 3 for t in found.tracks)


def test_a_chunk_is_its_frames(model):
    model.eval()
    inputs, (sample, ) = batch(model, video(5), training=False)
    one, two, five = (answers(follow(model, inputs[0], metas(sample),
                                     chunk).finish()) for chunk in (1, 2, 5))
    for other in (two, five):
        for a, b in zip(one, other, strict=True):
            # But for rounding, which depends on the size of a batch.
            assert a['score'] == pytest.approx(b['score'], abs=1e-5)
            assert dict(a, score=0) == dict(b, score=0)


def test_two_sessions_do_not_meet(model):
    model.eval()
    clips = [batch(model, video(4, seed=s), training=False) for s in (0, 1)]
    alone = [answers(follow(model, i[0], metas(s[0])).finish())
             for i, s in clips]
    assert alone[0] != alone[1]
    sessions = [model.session(), model.session(dict(name='second'))]
    assert sessions[1].video_meta == dict(name='second')
    for t in range(4):
        for session, (inputs, samples) in zip(sessions, clips, strict=True):
            session.step(inputs[0, t:t + 1], metas(samples[0])[t:t + 1])
    assert [answers(s.finish()) for s in sessions] == alone


def test_identity_is_the_query_and_stays_with_the_choice(model):
    model.eval()
    inputs, (sample, ) = batch(model, video(6), training=False)
    session = model.session()
    # The first two frames wait until the instances are chosen.
    assert session.step(inputs[0, :2], metas(sample)[:2]) == []
    results = session.step(inputs[0, 2:], metas(sample)[2:])
    assert [r.frame_id for r in results] == list(range(6))
    chosen = set(session.state.proposals.chosen.tolist())
    assert 0 < len(chosen) <= 6
    for result in results:
        assert set(result.instances_id.tolist()) <= chosen
    video_result = session.finish()
    for frame, result in zip(video_result.iter_frames(), results,
                             strict=True):
        assert frame.instances_id.tolist() == result.instances_id.tolist()
    assert {t.id for t in video_result.tracks} <= chosen


@pytest.mark.parametrize('at', [2, 4])
def test_a_copy_goes_on_from_the_middle_of_a_video(model, at):
    model.eval()
    inputs, (sample, ) = batch(model, video(5), training=False)
    whole = answers(follow(model, inputs[0], metas(sample)).finish())
    session = follow(model, inputs[0, :at], metas(sample)[:at])
    other = copy.deepcopy(session)
    assert other.model is model
    short = answers(other.finish())  # as if the video ended here
    assert len(short[0]['segmentations']) == at
    if at == 4:  # the instances are chosen: settled frames have tracks
        assert answers(session.tracks()) == short
    for t in range(at, 5):
        session.step(inputs[0, t:t + 1], metas(sample)[t:t + 1])
    assert answers(session.finish()) == whole


def test_no_frame_and_nothing_found(model):
    model.eval()
    assert answers(model.session().finish()) == []
    last = model.segmenter.mask_controller.layers[-1]
    torch.nn.init.constant_(last.weight, 0.)
    torch.nn.init.constant_(last.bias, 0.)
    last.bias.data[-1] = -9.  # empty masks
    inputs, samples = batch(model, video(4), training=False)
    found = model(inputs, samples, mode='predict')[0].pred_tracks
    assert found.num_frames == 4 and found.tracks == []
    model.ranking['score_thr'] = 1.
    last.bias.data[-1] = 9.
    assert model(inputs, samples, mode='predict')[0].pred_tracks.tracks == []


def tensors(node):
    """Every tensor that a value holds."""
    if isinstance(node, torch.Tensor):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from tensors(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from tensors(value)
    elif hasattr(node, '__dict__') and not isinstance(node, torch.nn.Module):
        yield from tensors(vars(node))


def test_state_does_not_grow(model):
    model.eval()
    inputs, (sample, ) = batch(model, video(1, size=(32, 32)), training=False)
    session = model.session()
    sizes = {}
    for t in range(1, 161):
        session.step(inputs[0], metas(sample))
        if t in (40, 160):
            sizes[t] = sum(
                x.untyped_storage().nbytes()
                for part in (session.state, session.ranking)
                for x in tensors(part))
    assert sizes[40] == sizes[160] > 0


def test_frame_results_keep_the_contract(model):
    model.eval()
    inputs, (sample, ) = batch(model, video(1, size=(50, 75)), training=False)
    meta = dict(metas(sample)[0], ori_shape=(100, 150), scale_factor=(.5, .5))
    session = model.session()
    assert session.step(inputs[0], [meta]) == []
    result, = session.flush()
    assert len(result) > 0
    assert result.bboxes.min() >= 0
    assert (result.bboxes[:, 2] <= 150).all()
    assert (result.bboxes[:, 3] <= 100).all()
    assert all(m['size'] == [100, 150] for m in result.masks)
    assert ((result.scores > 0) & (result.scores < 1)).all()
    assert 'box_sigmas' not in result


@torch.no_grad()
def test_what_is_padded_does_not_matter():
    model = tiny_model().eval()
    encoded = model.segmenter.encode_frames(torch.rand(1, 3, 96, 128),
                                            [(64, 64)])
    assert encoded.padding.any()
    other = encoded._replace(memory=torch.where(
        encoded.padding[..., None], 9., encoded.memory))
    one, two = (model.decode(e, None).logits for e in (encoded, other))
    assert torch.allclose(one, two, atol=1e-6)


def test_frames_and_metas_must_be_as_many(model):
    with pytest.raises(ValueError, match='1 frames came with 2 metas'):
        model.session().step(torch.zeros(1, 3, 32, 32), [{}, {}])


def test_tensor_mode_gives_every_frame(model):
    frame = model.eval()(torch.zeros(2, 2, 3, 64, 64), mode='tensor')
    assert frame.decoded.boxes.shape == (2, 4, 12, 4)


@pytest.mark.parametrize('options, message', [
    (dict(memory=None), 'contrast=None'),
    (dict(num_proposals=0), 'num_proposals'),
    (dict(mask_way='fast'), "'fast'"),
    (dict(matcher=dict(rule='last')), "'last'"),
])
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(**options)


# -- losses -----------------------------------------------------------------
def test_names_of_the_losses():
    names = {'loss_cls', 'loss_bbox', 'loss_giou', 'loss_mask', 'loss_dice'}
    found = losses(tiny_model(), clip())
    assert set(found) == names | {f'd0.{n}' for n in names} | {
        'loss_contrast'}
    assert all(v.dim() == 0 and v > 0 for v in found.values())
    assert 'loss_contrast' not in losses(
        tiny_model(memory=None, contrast=None), clip())


EMPTY = {
    'no object at all': [clip([], [])],
    'one clip without': [clip([], []), clip(seed=1)],
    'only in the first frame': [clip(OBJECTS, [])],
    'only in the last frame': [clip([], OBJECTS)],
    'another object each': [clip(OBJECTS[:1], OBJECTS[1:])],
}


@pytest.mark.parametrize('case', EMPTY)
def test_missing_objects_keep_every_loss_on_the_graph(model, case):
    sum(losses(model, clip(), clip(seed=1)).values()).backward()
    usual = {n for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    found = losses(model, *EMPTY[case])
    assert all(v.isfinite() and v.requires_grad for v in found.values())
    sum(found.values()).backward()
    assert usual == {
        n for n, p in model.named_parameters() if p.grad is not None}
    assert all(p.grad.isfinite().all() for p in model.parameters()
               if p.grad is not None)


def test_nothing_to_learn_costs_the_background_alone():
    found = losses(tiny_model(), clip([], []))
    assert {k for k, v in found.items() if v > 0} == {
        'loss_cls', 'd0.loss_cls'}


def test_clips_of_one_frame(model):
    found = losses(model, clip(OBJECTS), clip([], seed=1))
    assert all(v.isfinite() for v in found.values())
    if 'loss_contrast' in found:
        assert found['loss_contrast'] == 0
    sum(found.values()).backward()


def test_every_parameter_is_trained_in_the_paper_model():
    model = tiny_model()
    sum(losses(model, clip(OBJECTS, OBJECTS, OBJECTS)).values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0
               for p in model.parameters() if p.requires_grad)


def test_every_loss_reaches_its_heads_and_the_trunk():
    """By way of the frames before also memory and reference prior and, of
    classes, the prior with the last layer's scores."""
    model = tiny_model()
    for name, value in losses(model, clip()).items():
        heads = set() if name == 'loss_contrast' else heads_of(name)
        if name.endswith('cls'):
            heads = heads | {'class_prior', 'cls_branches.1'}
        assert parts_reached(
            model, value) == TRUNK | heads | {
                'memory', 'reference_prior'}, name


def test_gradients_run_through_the_clip():
    """What the last frame costs moves the queries of the first one."""
    model = tiny_model(contrast=None)
    inputs, samples = batch(model, clip(OBJECTS, OBJECTS, OBJECTS))
    seen = []
    propagate = model.propagate

    def keep(frame, state, matched=None):
        new = propagate(frame, state, matched)
        new.queries.retain_grad()
        seen.append(new.queries)
        return new

    model.propagate = keep
    sum(model(inputs, samples, mode='loss').values()).backward()
    assert seen[0].grad.abs().sum() > 0 and seen[1].grad.abs().sum() > 0


@pytest.mark.parametrize('handed_on', ['start', 'centre'])
@torch.no_grad()
def test_a_frame_starts_where_the_last_one_ended(handed_on):
    """With an offset of zero, which moves no point: at the centres of the
    last boxes, or where the last frame started."""
    model = tiny_model(reference_prior=dict(
        combine='logit', handed_on=handed_on)).eval()
    for parameter in model.reference_prior.parameters():
        parameter.zero_()
    inputs, _ = batch(model, video(3), training=False)
    encoded = model.segmenter.encode_frames(inputs[0], [(64, 64)] * 3)
    state = expected = None
    for t in range(3):
        frame = model.decode(encoded.select(slice(t, t + 1)), state)
        if expected is None:
            expected = frame.decoded.references[0]
            assert expected.std(1).min() > .01
        assert torch.allclose(frame.decoded.references[0], expected,
                              atol=1e-5)
        state = model.propagate(frame, state)
        if handed_on == 'centre':
            expected = frame.decoded.boxes[-1, ..., :2]
            assert expected.std(1).min() > .01


def test_batch_of_two_is_two_batches_of_one(model):
    one, two = clip(), clip(OBJECTS[1:], OBJECTS[:1], seed=1)
    a, b, both = (losses(model, *c) for c in ([one], [two], [one, two]))
    for name, value in both.items():
        if name != 'loss_contrast':  # two objects in each
            assert torch.allclose(value, (a[name] + b[name]) / 2,
                                  rtol=1e-4, atol=1e-6), name


def test_sizes_of_a_batch_may_differ(model):
    small = clip(OBJECTS[:1], OBJECTS[:1], size=(41, 57), seed=2)
    inputs, samples = batch(model, clip(size=(64, 90)), small)
    assert inputs.shape == (2, 2, 3, 64, 96)
    found = model(inputs, samples, mode='loss')
    sum(found.values()).backward()
    assert all(v.isfinite() for v in found.values())


def test_inputs_of_any_side():
    model = tiny_model(data_preprocessor=dict(pad_size_divisor=1))
    found = losses(model, clip(OBJECTS[:1], OBJECTS[:1], size=(43, 61)))
    assert total(found).isfinite()


def test_clips_of_different_lengths_are_named():
    model = tiny_model()
    inputs, samples = batch(model, clip(), clip(seed=1))
    del samples[1].video_data_samples[1:]
    with pytest.raises(ValueError, match='same number of frames'):
        model(inputs, samples, mode='loss')


def test_unused_channels_are_no_class():
    """Offset 1: labels are those of the data, scores of five channels."""
    model = tiny_model(segmenter=dict(class_offset=1))
    assert model.segmenter.cls_branches[0].out_features == 5
    for branch in model.segmenter.cls_branches:
        branch.bias.data[[0, -1]] = 50.
    model.eval()
    inputs, samples = batch(model, video(4), training=False)
    tracks = model(inputs, samples, mode='predict')[0].pred_tracks.tracks
    assert tracks and all(0 <= t.label < 3 for t in tracks)


def test_initial_weights():
    """Boxes start at their references, classes at one per cent."""
    model = tiny_model()
    model.init_weights()
    for i, branch in enumerate(model.segmenter.box_branches):
        assert not branch.last.weight.any()
        assert branch.last.bias.tolist() == [0, 0] + [-2 if i == 0 else 0] * 2
    for branch in model.segmenter.cls_branches:
        assert torch.allclose(branch.bias.sigmoid(), torch.tensor(.01))
    for layer in model.segmenter.mask_controller.layers:  # Xavier, as released
        limit = (6 / sum(layer.weight.shape))**.5
        assert not layer.bias.any()
        assert .9 * limit < layer.weight.abs().max() <= limit
    offsets = model.segmenter.decoder.layers[0].cross_attn.sampling_offsets
    assert not offsets.weight.any() and offsets.bias.any()
