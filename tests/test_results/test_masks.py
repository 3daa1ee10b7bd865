"""Run-length codes of masks, beside those of pycocotools."""
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from mmvis_memcnp.results import decode_masks, encode_masks, mask_boxes
from mmvis_memcnp.results.frame import code_boxes
from mmvis_memcnp.results.masks import Patch, encode_patches

SIZE = (9, 14)


def by_pycocotools(masks):
    return coco_mask.encode(np.asfortranarray(
        np.asarray(masks).transpose(1, 2, 0), np.uint8))


def drawn(*boxes):
    """Masks with the pixels of a box (top, bottom, left, right) each."""
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (top, bottom, left, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return masks


CASES = dict(
    # Runs of one pixel: codes of one character a run.
    noise=torch.rand(
        5, *SIZE, generator=torch.Generator().manual_seed(0)) > .5,
    # The first pixel: the first run, outside, is empty.
    corner=drawn((0, 3, 0, 2)),
    # The last pixel: no run, outside, follows.
    last=drawn((6, 9, 12, 14), (8, 9, 13, 14)),
    # As high as the frame: a run goes on in the next column.
    columns=drawn((0, 9, 3, 7), (0, 9, 0, 14), (0, 9, 13, 14)),
    # The end of a column and the start of the next one are one run.
    joined=drawn((0, 2, 4, 5)) | drawn((5, 9, 3, 4)),
    # One without a pixel between others.
    empty=drawn((1, 2, 1, 2), (0, 0, 0, 0), (7, 9, 2, 5)))


@pytest.mark.parametrize('name', CASES)
def test_the_codes_are_those_of_pycocotools(name):
    masks = CASES[name]
    for form in (masks, masks.numpy(), masks.int() * 7, masks.float()):
        assert encode_masks(form) == by_pycocotools(masks)
    assert (decode_masks(encode_masks(masks), SIZE) == masks.numpy()).all()
    assert torch.equal(code_boxes(encode_masks(masks)), mask_boxes(masks))


def test_a_large_mask_has_long_runs():
    """Runs of one to four characters."""
    masks = torch.zeros(2, 700, 900, dtype=torch.bool)
    masks[0, 3:5, 2:800], masks[1, 650:, 400] = True, True
    masks[0, 600:, 700:] = True
    assert encode_masks(masks) == by_pycocotools(masks)


@pytest.mark.parametrize('name', CASES)
def test_parts_of_the_frame_give_the_codes_of_the_whole(name):
    """The smallest part with all pixels, with a margin, on two sides."""
    masks = CASES[name]
    for margin in ((0, 0, 0, 0), (1, 1, 1, 1), (9, 0, 2, 0), (0, 9, 0, 14)):
        patches = []
        for mask, box in zip(masks, mask_boxes(masks).int().tolist(),
                             strict=True):
            top, left = max(box[1] - margin[0], 0), max(box[0] - margin[2], 0)
            patches.append(Patch(
                mask[None, top:box[3] + margin[1], left:box[2] + margin[3]],
                top, left))
        assert encode_patches(patches, SIZE) == by_pycocotools(masks)


def test_nothing_has_no_codes():
    assert encode_masks(torch.zeros(0, *SIZE)) == []
    assert encode_patches([], SIZE) == []
    assert code_boxes([]).shape == (0, 4)
