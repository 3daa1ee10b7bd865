"""Ground truth of a batch as padded tensors."""
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes

from mmvis_memcnp.models.truth.ground_truth import (
    clip_frames,
    collect_ground_truth,
    same_objects,
)
from tests.fakes.tiny_sipmask import KEY, REF, clip, frame


def frames(*objects, size=(64, 64)):
    samples = [frame(o, size) for o in objects]
    for sample in samples:
        sample.set_metainfo(dict(batch_input_shape=size))
    return samples


def test_padding_by_hand():
    gt = collect_ground_truth(frames(KEY, KEY[1:], []), torch.device('cpu'))
    assert gt.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert gt.labels.tolist() == [[0, 2], [2, 0], [0, 0]]
    # identities 3 and 8, three clips: 3 * 3, 8 * 3; 8 * 3 + 1
    assert gt.ids.tolist() == [[9, 24], [25, -1], [-1, -1]]
    assert gt.boxes[0].tolist() == [[4, 6, 30, 40], [34, 10, 60, 50]]
    assert gt.boxes[1, 1].tolist() == [0, 0, 0, 0]
    assert gt.masks.shape == (3, 2, 64, 64) and gt.masks.dtype == torch.bool
    assert gt.masks.sum((2, 3)).tolist() == [[26 * 34, 26 * 40],
                                             [26 * 40, 0], [0, 0]]
    assert (gt.boxes.dtype, gt.ids.dtype) == (torch.float32, torch.int64)


def test_no_object_at_all_leaves_one_padded():
    gt = collect_ground_truth(frames([], []), torch.device('cpu'))
    assert gt.boxes.shape == (2, 1, 4) and not gt.valid.any()
    assert gt.masks.shape == (2, 1, 64, 64) and not gt.masks.any()


def test_what_was_cropped_away_is_not_valid():
    gone = (5, 1, 20, 10, 20, 30)
    gt = collect_ground_truth(
        frames([KEY[0], gone, KEY[1]]), torch.device('cpu'))
    assert gt.valid.tolist() == [[True, False, True]]


def test_the_same_objects_in_another_frame():
    key, ref = (
        collect_ground_truth(frames(*f), torch.device('cpu')) for f in (
            [KEY, KEY[:1], KEY, []], [REF, REF[:1], [], KEY]))
    found, row = same_objects(key, ref)
    assert found.tolist() == [[True, True], [False, False], [False, False],
                              [False, False]]
    assert row.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]


def test_box_structures_and_no_masks():
    samples = frames(KEY)
    boxes = samples[0].gt_instances.bboxes
    samples[0].gt_instances.bboxes = HorizontalBoxes(boxes)
    gt = collect_ground_truth(samples, torch.device('cpu'), with_masks=False)
    assert torch.equal(gt.boxes[0], boxes) and gt.masks is None


def test_unpadded_masks_are_named():
    samples = frames(KEY)
    samples[0].set_metainfo(dict(batch_input_shape=(64, 96)))
    with pytest.raises(ValueError, match='pad_mask=True'):
        collect_ground_truth(samples, torch.device('cpu'))


def test_key_and_reference_frames():
    samples = [clip()[1], clip(KEY[:1])[1]]
    samples[1].set_metainfo(dict(key_frames_inds=[1], ref_frames_inds=[0]))
    at, found = clip_frames(samples, 'key')
    assert at == [0, 1]
    assert [len(f.gt_instances) for f in found] == [2, 2]
    assert clip_frames(samples, 'ref')[0] == [1, 0]


def test_fractions_are_of_the_frame_without_padding():
    samples = frames(KEY)
    samples[0].set_metainfo(dict(img_shape=(50, 64)))
    gt = collect_ground_truth(samples, torch.device('cpu'))
    torch.testing.assert_close(
        gt.cxcywh[0, 0], torch.tensor([17 / 64, 23 / 50, 26 / 64, 34 / 50]))
    torch.testing.assert_close(
        gt.xyxy[0, 0], torch.tensor([4 / 64, 6 / 50, 30 / 64, 40 / 50]))


def test_masks_are_sampled_from_the_middle_of_a_stride_on():
    full, small = (
        collect_ground_truth(frames(KEY), torch.device('cpu'),
                             mask_stride=stride).masks for stride in (1, 4))
    assert torch.equal(small, full[..., 2::4, 2::4])
