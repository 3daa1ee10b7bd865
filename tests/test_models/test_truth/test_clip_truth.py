"""Objects of a clip, lined up by identity."""
import torch
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy

from mmvis_memcnp.models.truth.clip_truth import collect_clips
from mmvis_memcnp.models.truth.ground_truth import collect_ground_truth
from tests.fakes.tiny_sipmask import frame

A, B = (7, 1, 0, 0, 16, 8), (2, 0, 8, 8, 24, 16)
#: A after a crop that left nothing of it.
GONE = (7, 1, 16, 0, 16, 8)


def clip(*frames, size=(16, 32)):
    sample = TrackDataSample()
    sample.video_data_samples = [
        frame(objects, size, t) for t, objects in enumerate(frames)]
    for single in sample.video_data_samples:
        single.set_metainfo(dict(batch_input_shape=size))
    return sample


def collect(*clips, **options):
    return collect_clips(clips, torch.device('cpu'), **options)


def test_objects_are_lined_up():
    gt = collect(clip([A, B], [B], []), clip([], [A], [A]), absent_box=1e-6)
    assert gt.valid.tolist() == [[True, True], [True, False]]
    # objects in the order of their identities: B, A; A
    assert gt.present.tolist() == [
        [[True, True, False], [True, False, False]],
        [[False, True, True], [False, False, False]]]
    assert gt.labels.tolist() == [[0, 1], [1, 0]]
    assert torch.allclose(gt.cxcywh[0, :, 0], torch.tensor(
        [[.5, .75, .5, .5], [.25, .25, .5, .5]]))
    assert (gt.cxcywh[0, :, 2] == 1e-6).all()
    assert (gt.cxcywh[1, 1] == 1e-6).all()
    assert gt.masks.shape == (2, 2, 3, 4, 8)
    assert gt.masks[0, :, 0].flatten(1).sum(1).tolist() == [8, 8]
    assert not gt.masks[0, :, 2].any() and not gt.masks[1, 1].any()
    assert (gt.sizes == torch.tensor([32., 16.])).all()


def test_both_forms_of_a_box_agree_and_frames_are_slices():
    gt = collect(clip([A, B], [B], []), clip([], [A], [A]), absent_box=1e-6)
    assert gt.xyxy[0, 1, 0].tolist() == [0, 0, .5, .5]
    torch.testing.assert_close(gt.xyxy, bbox_cxcywh_to_xyxy(gt.cxcywh))
    one = gt.frame(1)
    assert torch.equal(one.xyxy, gt.xyxy[:, :, 1])
    assert one.present.tolist() == [[True, False], [True, False]]
    assert one.masks.shape == (2, 2, 4, 8) and one.sizes.shape == (2, 2)
    assert one.labels is gt.labels and one.valid is gt.valid


def test_boxes_of_the_absent_are_zeros_by_default():
    gt = collect(clip([A], []))
    assert (gt.cxcywh[0, 0, 1] == 0).all() and (gt.cxcywh[0, 0, 0] > 0).all()


def test_no_object_at_all():
    gt = collect(clip([], []))
    assert gt.valid.tolist() == [[False]]
    assert not gt.present.any() and not gt.masks.any()


def test_what_has_no_area_is_absent():
    gt = collect(clip([GONE, B], [A, B]))
    assert gt.present.tolist() == [[[True, True], [False, True]]]
    assert gt.labels.tolist() == [[0, 1]]
    assert (gt.cxcywh[0, 1, 0] == 0).all()


def test_what_never_has_an_area_is_no_object():
    gt = collect(clip([GONE, B], [GONE]))
    assert gt.valid.tolist() == [[True]] and gt.labels.tolist() == [[0]]


def test_sides_that_eight_does_not_divide():
    gt = collect(clip([A], size=(13, 30)))
    assert gt.masks.shape[-2:] == (4, 8)
    # pixels 2 and 6 of 8 rows; 2, 6, 10 and 14 of 16 columns
    assert gt.masks.sum() == 2 * 4 and gt.masks[..., :2, :4].all()


def test_frames_are_those_of_the_clips_with_the_same_rows():
    clips = clip([A, B], [B], []), clip([], [A], [A])
    gt = collect(*clips)
    frames = gt.frames()
    assert frames.valid.tolist() == [
        [True, True], [True, False], [False, False],
        [False, False], [True, False], [True, False]]
    assert frames.labels.tolist() == [[0, 1]] * 3 + [[1, 0]] * 3
    # With absent ones all but padding is valid, and their masks are empty.
    every = gt.frames(absent=True)
    assert every.valid.tolist() == [[True, True]] * 3 + [[True, False]] * 3
    assert torch.equal(every.masks.flatten(2).any(2), frames.valid)
    # An identity is the same in all frames of its clip, and in no other.
    assert frames.ids.tolist() == [[0, 1]] * 3 + [[2, -1]] * 3
    singles = collect_ground_truth(
        [f for one in clips for f in one.video_data_samples],
        torch.device('cpu'), mask_stride=4)
    for b in range(6):
        for name in ('boxes', 'cxcywh', 'xyxy', 'masks', 'labels'):
            mine, other = (getattr(x, name)[b][x.valid[b]]
                           for x in (frames, singles))
            # There in the order of the annotations.
            if b == 0:
                other = other.flip(0)
            torch.testing.assert_close(mine, other, msg=name)
