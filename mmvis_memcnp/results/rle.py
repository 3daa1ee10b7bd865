"""Masks of json files, in whichever of their three forms."""
from typing import Any

from pycocotools import mask as mask_utils

#: COCO's run-length code, ``dict(size=[H, W], counts=...)``.
RLE = dict[str, Any]


def to_rle(segmentation: Any,
           height: int,
           width: int,
           same_size: bool = True) -> RLE | None:
    """Bring one frame's segmentation to COCO's compressed RLE.

    Args:
        segmentation: None, a list of polygons ``[x1, y1, x2, y2, ...]`` in
            pixels, an uncompressed RLE (``counts`` a list of ints) or a
            compressed one (``counts`` str or bytes).
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        same_size: Whether a code must be of this size. The evaluator takes
            codes as they are, as the official one does.

    Returns:
        ``dict(size=[H, W], counts=bytes)``, or None where there is no
        segmentation (nothing, no polygon of three points or more).

    Raises:
        ValueError: If the form is none of these or the size is another; a
            phrase that lacks its subject, which the caller knows.
    """
    if segmentation is None or segmentation == {}:
        return None
    if isinstance(segmentation, list):
        if not all(isinstance(p, list) for p in segmentation):
            raise ValueError('is a list, but not a list of polygons')
        polygons = [p for p in segmentation if len(p) >= 6]
        if not polygons:
            return None
        return mask_utils.merge(
            mask_utils.frPyObjects(polygons, height, width))
    if not isinstance(segmentation, dict) or 'counts' not in segmentation:
        raise ValueError('is neither polygons nor a run-length encoding')
    size = segmentation.get('size')
    if size is None or same_size and list(size) != [height, width]:
        raise ValueError(
            f'has the size {size}, but its video has [{height}, {width}]')
    counts = segmentation['counts']
    if isinstance(counts, list):
        pixels = size[0] * size[1]
        if sum(counts) != pixels:
            raise ValueError(f'has runs for {sum(counts)} pixels, but the '
                             f'frame has {pixels}')
        return mask_utils.frPyObjects(
            dict(size=list(size), counts=counts), *size)
    if isinstance(counts, str):
        counts = counts.encode()
    if not isinstance(counts, bytes):
        raise ValueError(f'has counts of the type {type(counts).__name__}')
    return dict(size=list(size), counts=counts)
