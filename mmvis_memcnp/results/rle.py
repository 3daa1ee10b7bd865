"""Masks of json files, in whichever of their forms, checked and compressed.

pycocotools believes what it is given: it loops for ever on runs that do not
fill the size, reads behind the end of a string that is cut off within a run,
and asks for gigabytes for a polygon with a huge coordinate. So every mask of
a file passes through :func:`to_rles` before pycocotools sees it.
"""
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np
from pycocotools import mask as mask_utils

from . import compiled

# Below this number of pixels every run, and every difference of two, fits
# into six 5-bit groups: as far as the integers of pycocotools go.
MAX_PIXELS = 1 << 29
_MAX_GROUPS = 6
# Bytes of codes that are decoded together: the arrays stay in the cache.
_BATCH = 1 << 16
# Pixels of outline that a polygon may have: as many as the frame has, but at
# least the first and at most the second number (some 300 MB).
_OUTLINE = (100_000, 1 << 22)


class RLE(TypedDict):
    """COCO's run-length code of a mask.

    Attributes:
        size: height and width.
        counts: compressed runs.
    """
    size: list[int]
    counts: bytes


class MaskError(ValueError):
    """A mask that cannot be read.

    The message is a phrase that lacks its subject, which the caller knows.

    Attributes:
        frame (int): Position of the mask in its track, from 0.
    """

    def __init__(self, phrase: str, frame: int = 0) -> None:
        super().__init__(phrase)
        self.frame = frame


def to_rle(segmentation: object, height: int, width: int) -> RLE | None:
    """Bring one frame's segmentation to COCO's compressed RLE.

    Args:
        segmentation (object): As for :func:`to_rles`.
        height (int): Height of the frame in pixels.
        width (int): Width of the frame in pixels.

    Raises:
        MaskError: As for :func:`to_rles`.
    """
    return to_rles([segmentation], (height, width))[0]


def to_rles(segmentations: Sequence[object],
            size: tuple[int, int] | None) -> list[RLE | None]:
    """Bring the segmentations of a track to COCO's compressed RLE.

    Args:
        segmentations (Sequence): One a frame: None or an empty list where
            the object is not seen, a list of polygons
            ``[x1, y1, x2, y2, ...]`` in pixels, an uncompressed RLE
            (``counts`` a list of ints) or a compressed one (``counts`` str
            or bytes). Of some polygons those of less than three points,
            which have no area, do not count.
        size (tuple[int, int], optional): (H, W) of the frames in pixels,
            which the codes must have. None: any size will do, and polygons
            are refused, as in results.

    Returns:
        list[dict | None]: ``dict(size=[H, W], counts=bytes)`` whose runs
        fill the size, none but the first being of no pixel; None where there
        is no segmentation.

    Raises:
        MaskError: If the form is none of these, the size is another, the
            runs do not fill it, no polygon has three points, or a coordinate
            is not finite or far out of the frame.
    """
    found: list[RLE | None] = []
    strings: dict[int, RLE] = {}
    for frame, segmentation in enumerate(segmentations):
        try:
            if segmentation is None:
                found.append(None)
            elif isinstance(segmentation, list):
                found.append(_from_polygons(segmentation, size))
            else:
                known, counts = _parts(segmentation, size)
                if isinstance(counts, list):
                    found.append(_from_runs(counts, known))
                else:
                    strings[frame] = RLE(size=known, counts=counts)
                    found.append(strings[frame])
        except MaskError as error:
            error.frame = frame
            raise
    for batch in _batches(strings):
        checked = _check_strings([strings[f] for f in batch], batch)
        for frame, rle in zip(batch, checked, strict=True):
            found[frame] = rle
    return found


def short(value: object) -> str:
    """Text of a value of a file, cut to what fits into a sentence."""
    text = reprlib.repr(value)  # of nested lists still long
    return text if len(text) <= 120 else f'{text[:117]}...'


def _parts(segmentation: object, size: tuple[int, int] | None
           ) -> tuple[list[int], bytes | list]:
    """Size and counts of a code.

    Raises:
        MaskError: If it is no code, or of another size.
    """
    if segmentation == {}:
        raise MaskError('is {}, which no mask is; write null where the '
                        'object is not seen')
    if not isinstance(segmentation, dict) or 'counts' not in segmentation:
        raise MaskError('is neither polygons nor a run-length encoding')
    given = segmentation.get('size')
    if (not isinstance(given, (list, tuple)) or len(given) != 2
            or not all(type(side) is int and side > 0 for side in given)):
        raise MaskError(f'has the size {short(given)}, which is not '
                        '[height, width] in whole numbers')
    given = list(given)
    if size is not None and given != list(size):
        order = (' (height and width are exchanged)'
                 if given == list(size)[::-1] else '')
        raise MaskError(f'has the size {given}, but its video has '
                        f'{list(size)}{order}')
    if given[0] * given[1] >= MAX_PIXELS:
        raise MaskError(f'has the size {short(given)}; a mask has less than '
                        f'{MAX_PIXELS} pixels')
    counts = segmentation['counts']
    if isinstance(counts, str):
        counts = counts.encode('utf-8', 'surrogatepass')
    if not isinstance(counts, (bytes, list)):
        raise MaskError(f'has counts of the type {type(counts).__name__}')
    if not counts:
        raise MaskError('has empty counts, without a run')
    if isinstance(counts, bytes) and counts[:2] in (b"b'", b'b"'):
        raise MaskError("has counts that are the text of Python's bytes "
                        "(b'...'); write counts.decode() to the json")
    return given, counts


def _wrong_sum(pixels: int, size: Sequence[int]) -> MaskError:
    return MaskError(f'has runs for {short(pixels)} pixels in its counts, but '
                     f'the frame has {size[0] * size[1]} (size {list(size)});'
                     ' it is cut short or of another size')


def _from_runs(counts: list, size: list[int]) -> RLE:
    """Compressed RLE of a list of runs."""
    if not set(map(type, counts)) <= {int}:
        i = next(i for i, run in enumerate(counts) if type(run) is not int)
        raise MaskError(f'has {short(counts[i])} in its counts at position '
                        f'{i}, which is not a whole number')
    if min(counts) < 0:
        i = next(i for i, run in enumerate(counts) if run < 0)
        raise MaskError(f'has the run {short(counts[i])} in its counts at '
                        f'position {i}, which is negative')
    if sum(counts) != size[0] * size[1]:
        raise _wrong_sum(sum(counts), size)
    if counts.count(0) > (counts[0] == 0):
        counts = _without_empty_runs(np.asarray(counts))
    return mask_utils.frPyObjects(dict(size=size, counts=counts), *size)


def _without_empty_runs(runs: np.ndarray) -> list[int]:
    """The same mask without runs of no pixel.

    pycocotools stops early where two masks have such a run at one place.
    """
    kept = np.flatnonzero(runs)
    value = kept % 2
    first = np.flatnonzero(np.diff(value, prepend=-1))
    merged = np.add.reduceat(runs[kept], first).tolist()
    return [0] * int(value[0]) + merged


def _from_polygons(polygons: list, size: tuple[int, int] | None
                   ) -> RLE | None:
    """Compressed RLE of polygons that are known to be near the frame."""
    if not all(isinstance(p, list) for p in polygons):
        raise MaskError('is a list, but not a list of polygons')
    if not polygons:
        return None
    if size is None:
        raise MaskError('consists of polygons; results need run-length codes')
    for i, polygon in enumerate(polygons):
        _check_polygon(polygon, i, *size)
    polygons = [p for p in polygons if len(p) >= 6]
    if not polygons:
        raise MaskError('has no polygon of three points; write null where '
                        'the object is not seen')
    return mask_utils.merge(mask_utils.frPyObjects(polygons, *size))


def _check_polygon(polygon: list, index: int, height: int,
                   width: int) -> None:
    """Refuse coordinates that pycocotools cannot take.

    Raises:
        MaskError: If one is not a finite number within the frame and one
            frame around it, or the outline is too long.
    """
    good = set(map(type, polygon)) <= {int, float}
    if good and len(polygon) % 2 == 0:
        low, high = (-width, -height), (2 * width, 2 * height)
        # Comparisons with NaN are false.
        good = all(low[axis] <= v <= high[axis]
                   for axis in (0, 1) for v in polygon[axis::2])
    elif good:
        raise MaskError(f'has {len(polygon)} coordinates in polygon {index}; '
                        'each point has two, x and y')
    if not good:
        i, value = next(
            (i, v) for i, v in enumerate(polygon)
            if type(v) not in (int, float)
            or not -(width, height)[i % 2] <= v <= 2 * (width, height)[i % 2])
        raise MaskError(
            f'has the {"xy"[i % 2]} coordinate {short(value)} in polygon '
            f'{index} at position {i}, which is not a finite number of '
            f'pixels near its frame of {width}x{height}')
    limit = min(max(height * width, _OUTLINE[0]), _OUTLINE[1])
    if len(polygon) * 3 * max(height, width) > 2 * limit:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        steps = np.abs(points - np.roll(points, 1, 0)).max(1)
        if steps.sum() > limit:
            raise MaskError(f'has an outline of {steps.sum():.0f} pixels in '
                            f'polygon {index}, more than its frame of '
                            f'{width}x{height} can hold')


def _batches(codes: Mapping[int, RLE]) -> Iterator[list[int]]:
    """Cut frames into lists of about `_BATCH` bytes of codes."""
    batch: list[int] = []
    size = 0
    for frame, rle in codes.items():
        batch.append(frame)
        size += len(rle['counts'])
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _check_strings(codes: list[RLE], frames: list[int]) -> list[RLE]:
    """Refuse compressed codes whose runs do not fill their size.

    A run is a number of 5-bit groups, the lowest first, sign extended; bit 5
    says that another group follows. From the fourth run on it is the
    difference to the run two before.

    Args:
        codes: n codes, ``counts`` bytes of at least one character.
        frames: Their positions, for the error.

    Returns:
        The same codes; those with empty runs are written anew.

    Raises:
        MaskError: For the first bad code.
    """
    lengths = np.asarray([len(c['counts']) for c in codes], np.int64)
    pixels = np.asarray([c['size'][0] * c['size'][1] for c in codes],
                        np.int64)
    ends = lengths.cumsum()
    joined = b''.join(c['counts'] for c in codes)
    if not compiled.missing() and compiled.decode(joined, ends,
                                                  pixels) is not None:
        return codes
    text = np.frombuffer(joined, np.uint8)
    digits = text - np.uint8(48)  # what is below 48 wraps to above 63
    alien = digits > 63
    if alien.any():
        where = int(np.flatnonzero(alien)[0])
        i = int(np.searchsorted(ends, where, 'right'))
        raise MaskError(
            f'has the byte {bytes(text[where:where + 1])!r} in its counts at '
            f'position {where - int(ends[i] - lengths[i])}, which no '
            'run-length code has', frames[i])
    more = digits > 31
    if more[ends - 1].any():
        raise MaskError('has counts that are cut short: they end within a '
                        'run and do not fill its size',
                        frames[int(np.flatnonzero(more[ends - 1])[0])])
    # Groups to runs; no run reaches over the end of its code.
    last = np.flatnonzero(~more)
    groups = np.diff(last, prepend=-1)
    first = last - groups + 1
    stop = np.searchsorted(last, ends)
    start = np.concatenate([[0], stop[:-1]])
    if groups.max() > _MAX_GROUPS:
        i = int(np.searchsorted(stop, np.argmax(groups > _MAX_GROUPS),
                                'right'))
        raise MaskError('has a run of more pixels than any frame in its '
                        'counts', frames[i])
    values = (digits[first] & 31).astype(np.int32)
    for k in range(1, int(groups.max())):
        longer = np.flatnonzero(groups > k)
        values[longer] |= (digits[first[longer] + k] & 31).astype(
            np.int32) << 5 * k
    minus = np.flatnonzero(digits[last] & 16)
    values[minus] -= np.left_shift(1, 5 * groups[minus], dtype=np.int32)
    # Differences to runs: sums over every second value, less what the sum
    # was where the code began. They wrap as those of pycocotools do.
    sums = np.zeros(len(values) + 2, np.int32)
    for odd in (0, 1):
        np.cumsum(values[odd::2], out=sums[2 + odd::2])
    begin = np.repeat(start, stop - start)
    number = np.arange(len(values)) - begin
    runs = sums[2:] - sums[begin + 2 - number % 2]
    runs[start] = values[start]
    totals = np.add.reduceat(runs, start, dtype=np.int64)
    negative = np.minimum.reduceat(runs, start) < 0
    for i in np.flatnonzero(negative | (totals != pixels)).tolist():
        if negative[i]:
            raise MaskError('has a run of less than no pixel in its counts',
                            frames[i])
        error = _wrong_sum(int(totals[i]), codes[i]['size'])
        error.frame = frames[i]
        raise error
    empty = (runs == 0) & (number > 0)
    if empty.any():
        codes = list(codes)
        for i in np.flatnonzero(np.logical_or.reduceat(empty,
                                                       start)).tolist():
            codes[i] = _from_runs(runs[start[i]:stop[i]].tolist(),
                                  codes[i]['size'])
    return codes
