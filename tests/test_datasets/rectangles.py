"""Masks and tracks of rectangles, in the forms that jsons have."""
import numpy as np
from pycocotools import mask as mask_utils

HEIGHT, WIDTH = 8, 12


def box_mask(x, y, w, h, height=HEIGHT, width=WIDTH):
    """Mask of a rectangle."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[y:y + h, x:x + w] = 1
    return mask


def uncompressed(mask):
    """Run lengths, column by column, of the zeros first."""
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return dict(
        size=list(mask.shape), counts=([0] if flat[0] else []) + runs)


def compressed(mask):
    """COCO's string."""
    rle = mask_utils.encode(np.asfortranarray(mask))
    return dict(size=list(mask.shape), counts=rle['counts'].decode())


def track(id, video_id, category_id, boxes, encode=compressed, **fields):
    """Track of rectangles; a box is (x, y, w, h) or None."""
    return dict(
        id=id,
        video_id=video_id,
        category_id=category_id,
        iscrowd=0,
        segmentations=[b and encode(box_mask(*b)) for b in boxes],
        bboxes=[b and list(map(float, b)) for b in boxes],
        areas=[b and b[2] * b[3] for b in boxes]) | fields
