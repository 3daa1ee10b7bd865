"""Greedy suppression equals a loop over instances."""
import pytest
import torch

from mmvis_memcnp.models.layers import (
    class_nms,
    greedy_keep,
    mask_iou,
    mask_nms,
    pairwise_iou,
)


def loop(overlaps):
    """One instance after the other; the rows that are kept."""
    keep = [True] * len(overlaps)
    for i in range(len(overlaps)):
        for j in range(i + 1, len(overlaps)):
            if keep[i] and keep[j] and overlaps[i, j]:
                keep[j] = False
    return [i for i, kept in enumerate(keep) if kept]


@pytest.mark.parametrize('seed', range(5))
def test_equals_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    overlaps = torch.rand(30, 30, generator=generator) < 0.15
    assert greedy_keep(overlaps).tolist() == loop(overlaps)


def test_a_chain_lets_every_second_live():
    overlaps = torch.zeros(7, 7, dtype=torch.bool)
    overlaps[range(6), range(1, 7)] = True
    assert greedy_keep(overlaps).tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize('seed', range(3))
def test_mask_nms_equals_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(12, 1, 3, 4, generator=generator)
    masks = torch.nn.functional.interpolate(
        coarse, size=(15, 20), mode='bilinear')[:, 0] > 0.5
    keep = [True] * 12
    for i in range(12):
        for j in range(i + 1, 12):
            inter = int((masks[i] & masks[j]).sum())
            union = int((masks[i] | masks[j]).sum())
            if keep[i] and keep[j] and (inter + 1e-6) / (union + 1e-6) > 0.3:
                keep[j] = False
    assert 1 < sum(keep) < 12
    assert mask_nms(masks, 0.3).tolist() == [
        i for i, kept in enumerate(keep) if kept]


def test_mask_iou_by_hand():
    masks = torch.zeros(4, 2, 4, dtype=torch.bool)
    masks[0, 0] = True
    masks[1, :, :2] = True
    iou = mask_iou(masks)
    assert iou[0, 1] == pytest.approx(2 / 6, rel=1e-5)
    assert iou[0, 2] == pytest.approx(0, abs=1e-5)
    assert iou[2, 3] == 1  # both empty
    assert mask_nms(masks, 0.5).tolist() == [0, 1, 2]


def test_classes_do_not_suppress_each_other():
    boxes = torch.tensor([[0., 0, 10, 10], [0, 0, 10, 9.5], [0, 0, 10, 10]])
    labels = torch.tensor([0, 0, 1])
    assert class_nms(boxes, labels, 0.9).tolist() == [0, 2]
    assert class_nms(boxes, labels, 0.96).tolist() == [0, 1, 2]
    assert pairwise_iou(boxes, boxes)[0, 1] == pytest.approx(0.95)


def test_nothing():
    none = torch.zeros(0, 5, 5, dtype=torch.bool)
    assert mask_nms(none, 0.5).shape == (0, )
    assert class_nms(torch.zeros(0, 4), torch.zeros(0).long(), .5).shape == (
        0, )
