"""Sessions: streams, chunks, whole videos, two videos at a time."""
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmvis_memcnp.models.vis.online import OnlineState
from tests.fakes.colour_blobs import ColourBlobVIS
from tests.fakes.tiny_sipmask import batch, tiny_config, tiny_model, video

TRACKER = dict(type='CueTracker', association=dict(type='CueAssociation'),
               memory=dict(type='LatestMemory'))


@pytest.fixture
def blobs():
    """Finds pure colours, follows them with the real tracker."""
    model = ColourBlobVIS(with_sigmas=False)
    model.tracker = MODELS.build(TRACKER)
    return model


def paint(*colours, size=(24, 32)):
    """Frame (1, 3, H, W) with an 8 x 8 square a colour, and its meta."""
    frame = torch.full((1, 3, *size), 90.)
    for c in colours:
        frame[0, :, 4:12, 2 + 10 * c:10 + 10 * c] = 0
        frame[0, c, 4:12, 2 + 10 * c:10 + 10 * c] = 255
    return frame, dict(img_shape=size, ori_shape=size, scale_factor=(1., 1.))


def follow(session, frames):
    return [session.step(f, [m])[0].instances_id.tolist() for f, m in frames]


def test_objects_leave_and_come_back(blobs):
    session = blobs.session()
    frames = [paint(0, 1), paint(1), paint(), paint(2), paint(0, 1, 2)]
    assert follow(session, frames) == [[0, 1], [1], [], [2], [0, 1, 2]]
    result = session.finish()
    assert [[s is not None for s in t.segmentations] for t in result.tracks
            ] == [[1, 0, 0, 0, 1], [1, 1, 0, 0, 1], [0, 0, 0, 1, 1]]
    assert [t.label for t in result.tracks] == [0, 1, 2]
    assert [t.score for t in result.tracks] == pytest.approx([.9, .8, .7])
    assert coco_mask.area(result.tracks[0].segmentations[0]) == 64


def test_two_sessions_do_not_meet(blobs):
    one, two = blobs.session(), blobs.session(dict(name='second'))
    assert two.video_meta == dict(name='second')
    assert follow(one, [paint(0, 1)]) == [[0, 1]]
    assert follow(two, [paint(1), paint(2)]) == [[0], [1]]
    assert follow(one, [paint(2), paint(1)]) == [[2], [1]]
    assert [t.label for t in one.finish().tracks] == [0, 1, 2]
    assert [t.label for t in two.finish().tracks] == [1, 2]


@pytest.mark.parametrize('frames', [[paint()] * 3, []])
def test_nothing_found(blobs, frames):
    session = blobs.session()
    follow(session, frames)
    result = session.finish()
    assert result.num_frames == len(frames) and result.tracks == []
    assert result.to_ytvis(1, [1, 2, 3]) == []


def test_what_gets_no_identity_leaves(blobs):
    blobs.tracker.step = lambda tracks, _: (SimpleNamespace(
        ids=torch.tensor([4, -1, 5])), tracks + 1)
    state = OnlineState(1)
    out = blobs.associate(state, InstanceData(scores=torch.arange(3.)))
    assert out.instances_id.tolist() == [4, 5]
    assert out.scores.tolist() == [0, 2] and state.tracks == 2


def test_frames_and_metas_must_be_as_many(blobs):
    frame, meta = paint(0)
    with pytest.raises(ValueError, match='1 frames came with 2 metas'):
        blobs.session().step(frame, [meta, meta])


@pytest.mark.parametrize('mode, shape, message', [
    ('loss', (2, 3, 8, 8), r'\(N, T, 3, H, W\)'),
    ('train', (1, 2, 3, 8, 8), "'train'"),
])
def test_bad_calls_are_named(blobs, mode, shape, message):
    with pytest.raises(ValueError, match=message):
        blobs(torch.zeros(shape), [], mode=mode)


# -- the real network -------------------------------------------------------
HOSTS = {
    'sipmask': dict(kind='sipmask'),
    'memcnp': dict(),
    'without memory': dict(memcnp=None)
}


@pytest.fixture(params=HOSTS)
def model(request):
    return tiny_model(**HOSTS[request.param]).eval()


def metas(sample):
    return [f.metainfo for f in sample.video_data_samples]


def answers(result):
    return result.to_ytvis(1, [1, 2, 3])


@pytest.mark.parametrize('num_frames', [1, 3])
def test_predict_is_a_session(model, num_frames):
    inputs, samples = batch(model, video(num_frames), training=False)
    session = model.session()
    for t, meta in enumerate(metas(samples[0])):
        session.step(inputs[0, t:t + 1], [meta])
    expected = session.finish()
    predicted = model(inputs, samples, mode='predict')[0].pred_tracks
    assert predicted.num_frames == num_frames and len(predicted.tracks) > 0
    assert answers(predicted) == answers(expected)


def test_predict_of_two_videos_is_each_alone(model):
    clips = [video(2), video(2, seed=1)]
    both = model(*batch(model, *clips, training=False), mode='predict')
    for seed, sample in enumerate(both):
        alone, = model(*batch(model, video(2, seed=seed), training=False),
                       mode='predict')
        assert answers(alone.pred_tracks) == answers(sample.pred_tracks)


def test_a_chunk_is_its_frames(model):
    inputs, (sample, ) = batch(model, video(3), training=False)
    one, chunk = model.session(), model.session()
    single = [one.step(inputs[0, t:t + 1], [meta])[0]
              for t, meta in enumerate(metas(sample))]
    for a, b in zip(single, chunk.step(inputs[0], metas(sample)),
                    strict=True):
        assert a.instances_id.tolist() == b.instances_id.tolist()
        assert a.labels.tolist() == b.labels.tolist()
        assert torch.allclose(a.bboxes, b.bboxes, atol=1e-2)
        assert torch.allclose(a.scores, b.scores, atol=1e-4)


def test_frame_result_keeps_the_contract(model):
    inputs, (sample, ) = batch(
        model, video(1, size=(50, 75)), training=False)
    assert inputs.shape[-2:] == (64, 96)
    meta = dict(metas(sample)[0], ori_shape=(100, 150), scale_factor=(.5, .5))
    result, = model.session().step(inputs[0], [meta])
    n = len(result)
    assert 0 < n <= 4 and result.bboxes.shape == (n, 4)
    assert result.instances_id.dtype == result.labels.dtype == torch.int64
    assert result.bboxes.dtype == result.scores.dtype == torch.float32
    assert (result.scores > 0.1).all() and (result.scores <= 1).all()
    assert all(m['size'] == [100, 150] for m in result.masks)
    assert result.bboxes.min() >= 0  # nothing in the padding
    assert (result.bboxes[:, 2] <= 150).all()
    assert (result.bboxes[:, 3] <= 100).all()
    with_memory = getattr(model.bbox_head, 'memcnp', None) is not None
    assert ('box_sigmas' in result) == with_memory


@pytest.mark.parametrize('unit', ['object', 'image'])
@pytest.mark.parametrize('bias', [0., 5.])
def test_sigmas_are_fractions_of_the_frame_without_a_bound(bias, unit):
    """75 x 50 pixels are padded to 96 x 64: the head's sigmas are fractions
    of that, or of half a box, results are of the frame, however large they
    are."""
    model = tiny_model().eval()
    model.bbox_head.memcnp.box_unit = unit
    model.bbox_head.fcos_reg.bias.data[4:] += bias
    inputs, (sample, ) = batch(
        model, video(1, size=(50, 75)), training=False)
    meta, = metas(sample)
    raw = torch.cat(model.bbox_head(model.extract_feat(inputs[0])).sigmas, 1)
    found, = model.encode(inputs[0], [meta])
    result, = model.session().step(inputs[0], [meta])
    kept = torch.cdist(result.bboxes, found.bboxes).argmin(1)
    assert torch.equal(result.box_sigmas, found.box_sigmas[kept])
    own = result.box_sigmas * torch.tensor([75., 50.] * 2)  # pixels
    if unit == 'object':
        sides = result.bboxes[:, 2:] - result.bboxes[:, :2]
        own = own / (sides / 2).repeat(1, 2)
    else:
        own = own / torch.tensor([96., 64.] * 2)
    gaps = (own[:, None] - raw).abs().amax(-1)  # (n, points)
    assert gaps.amin(1).max() < 1e-5
    assert own.min() > 0.1 and (own.min() > 1) == (bias > 0)


def test_boxes_clipped_to_the_image_or_the_input():
    size = (50, 75)
    for clip_boxes, limit in (('image', 75), ('input', 96)):
        model = tiny_model(clip_boxes=clip_boxes).eval()
        model.bbox_head.fcos_reg.bias.data[:4] = 9.  # as far as it goes
        inputs, (sample, ) = batch(
            model, video(1, size=size), training=False)
        found, = model.encode(inputs[0], metas(sample))
        assert found.bboxes[:, 2].max() == limit


def test_masks_are_what_exceeds_the_threshold():
    areas = []
    for threshold in (.1, .5, .9):
        config = tiny_config().model
        host = tiny_model().eval()
        host.mask_thr = MODELS.build(dict(config, mask_thr=threshold)).mask_thr
        inputs, (sample, ) = batch(host, video(1), training=False)
        result, = host.session().step(inputs[0], metas(sample))
        areas.append(sum(coco_mask.area(m) for m in result.masks))
    assert areas[0] > areas[1] > areas[2]


@pytest.mark.parametrize('threshold', [0, 1, -.5])
def test_threshold_of_masks_is_a_probability(threshold):
    with pytest.raises(ValueError, match='mask_thr must be between'):
        MODELS.build(dict(tiny_config().model, mask_thr=threshold))


def test_no_detection_above_an_unreachable_threshold(model):
    model.bbox_head.test_cfg['score_thr'] = 1.
    inputs, samples = batch(model, video(2), training=False)
    sample, = model(inputs, samples, mode='predict')
    assert sample.pred_tracks.num_frames == 2
    assert sample.pred_tracks.tracks == []


def test_a_point_has_one_label_or_several(model):
    """The same box under two labels, unless the config says otherwise."""
    model.eval()
    inputs, (sample, ) = batch(model, video(1), training=False)
    boxes = {}
    model.bbox_head.test_cfg.update(score_thr=0., max_per_img=100)
    for rule in ('every_label', 'one_label', 'class_agnostic'):
        model.bbox_head.test_cfg['nms'] = rule
        found, = model.encode(inputs[0], metas(sample))
        boxes[rule] = found.bboxes
    number = {rule: len(b) for rule, b in boxes.items()}
    assert number['every_label'] > number['one_label'] >= number[
        'class_agnostic'] > 0
    assert len(boxes['every_label'].unique(dim=0)) < number['every_label']
    assert len(boxes['one_label'].unique(dim=0)) == number['one_label']


def test_rules_of_labels_are_named():
    config = tiny_config(test_cfg=dict(nms='soft')).model
    with pytest.raises(ValueError, match="'soft'.*'one_label'"):
        MODELS.build(config)


def test_tensor_mode_gives_every_frame(model):
    outs = model(torch.zeros(2, 3, 3, 64, 64), mode='tensor')
    assert [tuple(x.shape) for x in outs.cls_scores] == [
        (6, 3, s, s) for s in (8, 4, 2, 1)]
    assert outs.basis.shape[-2:] == (32, 32)
