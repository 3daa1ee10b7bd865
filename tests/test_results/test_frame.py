"""The value of a frame, and what leaves a session."""
import pytest
import torch

from mmvis_memcnp.results import (
    FrameInstances,
    MaskSource,
    decode_masks,
    mask_boxes,
)

META = dict(img_shape=(4, 4), ori_shape=(4, 4), batch_input_shape=(4, 4),
            frame_id=3)


def squares(*corners):
    """4 x 4 masks with a 2 x 2 square each; None is an empty one."""
    masks = torch.full((len(corners), 4, 4), -1.)
    for mask, corner in zip(masks, corners, strict=True):
        if corner is not None:
            y, x = corner
            mask[y:y + 2, x:x + 2] = 1.
    return masks


def value(*corners, **fields):
    n = len(corners)
    return FrameInstances(
        torch.arange(n) + 10,
        MaskSource(squares(*corners), META, 'stretch', 1), META,
        class_scores=torch.linspace(.1, .9, 2 * n).view(n, 2), **fields)


def test_boxes_come_from_masks_where_there_are_none():
    result = value((0, 1), None, (2, 2)).render()
    assert result.bboxes.tolist() == [[1, 0, 3, 2], [0] * 4, [2, 2, 4, 4]]
    assert result.instances_id.tolist() == [10, 11, 12]
    assert result.frame_id == 3 and 'box_sigmas' not in result
    assert (decode_masks(result.masks, (4, 4)) == (
        squares((0, 1), None, (2, 2)) > 0).numpy()).all()


def test_empty_masks_are_no_results_where_the_system_says_so():
    boxes, sigmas = torch.rand(3, 4), torch.rand(3, 4)
    result = value((0, 1), None, (2, 2), keep_empty=False, boxes=boxes,
                   sigmas=sigmas).render()
    assert result.instances_id.tolist() == [10, 12]
    assert torch.equal(result.bboxes, boxes[[0, 2]])
    assert torch.equal(result.box_sigmas, sigmas[[0, 2]])
    assert result.labels.tolist() == [1, 1]
    assert result.scores.tolist() == pytest.approx([.26, .9])


def test_who_is_shown():
    """Of those that the system shows, the ones with a pixel, where it says
    so; boxes and scores stay with their identities."""
    shown = torch.tensor([False, True, True])
    boxes = torch.rand(3, 4)
    result = value((0, 1), None, (2, 2), shown=shown, boxes=boxes).render()
    assert result.instances_id.tolist() == [11, 12]
    assert torch.equal(result.bboxes, boxes[1:])
    assert result.scores.tolist() == pytest.approx([.58, .9])
    result = value((0, 1), None, (2, 2), shown=shown, keep_empty=False
                   ).render()
    assert result.instances_id.tolist() == [12]
    assert decode_masks(result.masks, (4, 4))[0, 2:, 2:].all()
    assert len(value((0, 1), shown=shown[:1]).render()) == 0


def test_scores_come_from_logits_without_no_object():
    frame = FrameInstances(
        torch.tensor([0]), MaskSource(squares((0, 0)), META, 'stretch', 1),
        META, logits=torch.tensor([[1., 2., 9.]]))
    assert frame.labels.tolist() == [1]
    assert frame.scores.item() == pytest.approx(
        torch.tensor([1., 2., 9.]).softmax(0)[1].item())
    with pytest.raises(ValueError, match='need scores'):
        FrameInstances(frame.ids, frame.masks, META)


def test_nothing_in_a_frame():
    result = value().render()
    assert len(result) == 0 and result.bboxes.shape == (0, 4)


def test_mask_boxes_of_any_shape():
    masks = torch.zeros(2, 3, 7, dtype=torch.bool)
    masks[0, 1, 2:6] = masks[1, 2, 6] = True
    assert mask_boxes(masks).tolist() == [[2, 1, 6, 2], [6, 2, 7, 3]]
    assert mask_boxes(masks[:0]).shape == (0, 4)
