"""Masks of json files as the spans of pixels that they cover.

The quick way from run-length codes to areas, boxes and overlaps: all codes of
a list are decoded and checked together, once, and no pixel is drawn. What is
unusual or wrong goes the slow way of :func:`~.rle.to_rles`, which says what
is wrong.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from . import compiled
from .rle import MAX_PIXELS, MaskError, to_rles

# As many as the integers of pycocotools can hold.
_MAX_GROUPS = 6
# 2**k for bit k of a word.
_POWERS = (np.uint64(1) << np.arange(64, dtype=np.uint64)).view(np.int64)
# Characters or runs that are decoded together: the arrays stay in the cache.
_BATCH = 1 << 17


class TrackMaskError(MaskError):
    """A mask of one of several tracks that cannot be read.

    Attributes:
        track (int): Position of the track, from 0.
    """

    def __init__(self, phrase: str, frame: int, track: int) -> None:
        super().__init__(phrase, frame)
        self.track = track


@dataclass
class Spans:
    """K masks of one size, given by the pixels in column order they cover.

    Attributes:
        bounds (np.ndarray): int32 (S, 2), first pixel of a span and the one
            behind its last; in order, mask after mask. The last span of a
            mask may be empty and behind its last pixel.
        offsets (np.ndarray): int64 (K + 1,), where the spans of a mask begin
            in ``bounds``; every mask has one at least.
        height (int): Height of the masks in pixels.
    """
    bounds: np.ndarray
    offsets: np.ndarray
    height: int

    def areas(self) -> np.ndarray:
        """Pixels of the masks: int64 (K,)."""
        if len(self.offsets) == 1:
            return np.zeros(0, np.int64)
        return np.add.reduceat(self.bounds[:, 1] - self.bounds[:, 0],
                               self.offsets[:-1], dtype=np.int64)

    def bits(self, masks: slice, first: int, last: int) -> np.ndarray:
        """Some pixels of some masks, a bit each.

        Args:
            masks (slice): Start and stop; C masks.
            first (int): First pixel, in column order.
            last (int): The pixel behind the last one.

        Returns:
            np.ndarray: uint64 (C, W), bit k of word w is pixel ``first + 64 *
            w + k``; those from ``last`` on are 0.
        """
        offsets = self.offsets[masks.start:masks.stop + 1]
        count, words = len(offsets) - 1, (last - first) // 64 + 1
        bounds = self.bounds[offsets[0]:offsets[-1]].clip(first, last) - first
        places = (bounds >> 6).astype(np.intp)
        places += np.repeat(np.arange(count) * words,
                            np.diff(offsets))[:, None]
        # Bits a..b - 1 are the number 2**b - 2**a. Where b is in a later word
        # there is a borrow: 1 less in every word behind that of a.
        powers = _POWERS.take(bounds & 63)
        np.negative(powers[:, 0], out=powers[:, 0])
        drawn, borrows = np.zeros((2, count * words + 1), np.int64)
        signs = np.ones_like(powers)
        signs[:, 0] = -1
        np.add.at(drawn, places.reshape(-1), powers.reshape(-1))
        np.add.at(borrows, places.reshape(-1), signs.reshape(-1))
        drawn[1:] += borrows.cumsum(out=borrows)[:-1]
        return drawn[:-1].view(np.uint64).reshape(count, words)

    def boxes(self) -> np.ndarray:
        """Tight boxes of the masks.

        Returns:
            np.ndarray: float64 (K, 4), x, y, width and height in pixels; NaN
            where the mask is empty.
        """
        found = np.full((len(self.offsets) - 1, 4), np.nan)
        begin, end = self.bounds[:, 0], self.bounds[:, 1]
        full = end > begin
        columns, tops = np.divmod(begin, self.height)
        last, bottoms = np.divmod(end - 1, self.height)
        wraps = last > columns
        tops[wraps], bottoms[wraps] = 0, self.height - 1
        tops[~full], bottoms[~full] = self.height, -1
        last[~full], columns[~full] = -1, np.iinfo(np.int32).max
        first = self.offsets[:-1]
        if len(first):
            x, y = (np.minimum.reduceat(v, first) for v in (columns, tops))
            right, lower = (np.maximum.reduceat(v, first)
                            for v in (last, bottoms))
            seen = right >= 0
            found[seen] = np.stack(
                [x, y, right - x + 1, lower - y + 1], 1)[seen]
        return found


def read_spans(tracks: Sequence[Sequence[object]], size: tuple[int, int],
               polygons: bool = False) -> tuple[Spans, np.ndarray]:
    """Decode the masks of several tracks.

    Args:
        tracks (Sequence): N tracks: a mask, or None, a frame, in one of the
            forms of :func:`~.rle.to_rles`.
        size (tuple[int, int]): (H, W) that all must have, in pixels.
        polygons (bool): Whether polygons are allowed, as they are in ground
            truths. Defaults to False.

    Returns:
        tuple[Spans, np.ndarray]: The K masks that are there, track after
        track, and int64 (K, 2): track and frame of each.

    Raises:
        TrackMaskError: If a mask cannot be read.
    """
    masks = [m for track in tracks for m in track if m is not None]
    spans = _quick(masks, size)
    if spans is None:
        tracks = _slow(tracks, size, polygons)
        masks = [m for track in tracks for m in track if m is not None]
        spans = _quick(masks, size)
        if spans is None:
            raise AssertionError('a checked mask was refused')
    places = np.asarray([(n, t) for n, track in enumerate(tracks)
                         for t, mask in enumerate(track) if mask is not None],
                        np.int64).reshape(-1, 2)
    return spans, places


def _slow(tracks: Sequence[Sequence[object]], size: tuple[int, int],
          polygons: bool) -> list[list]:
    """Checked codes of masks of any form."""
    found: list[list] = []
    for n, track in enumerate(tracks):
        try:
            if not polygons and any(isinstance(m, list) for m in track):
                to_rles(track, None)  # refuses polygons
            found.append(to_rles(track, size))
        except MaskError as error:
            raise TrackMaskError(str(error), error.frame, n) from error
    return found


def _quick(masks: list, size: tuple[int, int]) -> Spans | None:
    """Spans of ordinary run-length codes; None if one is not ordinary."""
    pixels = size[0] * size[1]
    if not masks:
        return Spans(np.zeros((0, 2), np.int32), np.zeros(1, np.int64),
                     size[0])
    try:
        counts = [mask['counts'] for mask in masks]
        sizes = [mask['size'] for mask in masks]
    except (TypeError, KeyError):
        return None
    kinds = set(map(type, counts))
    if (len(kinds) > 1 or not kinds <= {str, bytes, list}
            or pixels >= MAX_PIXELS or set(map(type, sizes)) != {list}
            or sizes.count([*size]) != len(sizes)
            or set(map(type, chain.from_iterable(sizes))) != {int}):
        return None
    lengths = np.fromiter(map(len, counts), np.int64, len(counts))
    if not lengths.all():
        return None
    read = _runs_of_lists if kinds == {list} else _runs_of_strings
    ends = lengths.cumsum()
    # The compiled functions need no arrays besides the answer.
    batch = _BATCH if compiled.missing() else int(ends[-1])
    bounds, rows = [], []
    start = before = 0
    while start < len(counts):
        stop = max(int(np.searchsorted(ends, before + batch, 'right')),
                   start + 1)
        found = read(counts[start:stop], ends[start:stop] - before, pixels)
        if found is None:
            return None
        bounds.append(found[0])
        rows.append(found[1])
        start, before = stop, ends[stop - 1]
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(np.concatenate(rows), out=offsets[1:])
    return Spans(np.concatenate(bounds) if len(bounds) > 1 else bounds[0],
                 offsets, size[0])


_Part = tuple[np.ndarray, np.ndarray] | None


def _runs_of_lists(counts: list[list], ends: np.ndarray,
                   pixels: int) -> _Part:
    """Bounds (S, 2) of the spans of lists of runs, and (K,) how many each."""
    flat = list(chain.from_iterable(counts))
    if set(map(type, flat)) != {int}:
        return None
    try:
        runs = np.asarray(flat, np.int32)
    except OverflowError:
        return None
    rows, first, short = _layout(ends)
    runs = _even(runs, ends, short)
    return _spans(runs[0::2], runs[1::2], rows, first, short, pixels)


def _runs_of_strings(counts: list, ends: np.ndarray, pixels: int) -> _Part:
    """The same of compressed codes.

    A run is a number of 5-bit groups, the lowest first, sign extended; bit 5
    says that another group follows. From the fourth run on it is the
    difference to the run two before.
    """
    try:
        text = (''.join(counts).encode('ascii')
                if type(counts[0]) is str else b''.join(counts))
    except UnicodeEncodeError:
        return None
    if not compiled.missing():
        return compiled.decode(text, ends, np.full(len(ends), pixels,
                                                  np.int64))
    digits = np.frombuffer(text, np.uint8) - np.uint8(48)
    if digits.max() > 63:  # what is below 48 wraps
        return None
    more = digits > 31
    if more[ends - 1].any():
        return None
    low = digits & np.uint8(31)
    # Values of one and of two groups, all at once; longer ones are few.
    values = _top(low).astype(np.int16)
    values[1:] <<= more[:-1] * np.int16(5)
    values[1:] |= low[:-1] * more[:-1]
    last = np.flatnonzero(~more)
    deltas = values.take(last).astype(np.int32)
    long = np.flatnonzero(more[:-2] & more[1:-1] & ~more[2:]) + 2
    if len(long):
        found = _long_values(long, low, more)
        if found is None:
            return None
        deltas[np.searchsorted(last, long)] = found
    stops = np.searchsorted(last, ends)
    rows, first, short = _layout(stops)
    deltas = _even(deltas, stops, short)
    # Sums over every second value of all codes, less what they were where
    # the code began. They wrap as those of pycocotools do.
    even = np.cumsum(deltas[0::2], dtype=np.int32)
    odd = np.cumsum(deltas[1::2], dtype=np.int32)
    even -= np.repeat(even[first], rows)
    odd -= np.repeat(odd[first] - deltas[1::2][first], rows)
    even[first] = deltas[0::2][first]
    odd[short] = 0
    return _spans(even, odd, rows, first, short, pixels)


def _top(low: np.ndarray) -> np.ndarray:
    """The highest groups of values: int8, their bit 4 is the sign."""
    return ((low ^ np.uint8(16)) - np.uint8(16)).view(np.int8)


def _long_values(ends: np.ndarray, low: np.ndarray,
                 more: np.ndarray) -> np.ndarray | None:
    """Values of three to six groups, of which the last places are given."""
    values = _top(low[ends]).astype(np.int32)
    goes_on = np.ones(len(ends), bool)
    for k in range(1, _MAX_GROUPS + 1):
        at = ends - k
        goes_on &= (at >= 0) & more[at]
        values[goes_on] = values[goes_on] << 5 | low[at[goes_on]]
    return None if goes_on.any() else values


def _layout(stops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of runs of K codes: how many, the first, the incomplete ones."""
    counts = np.diff(stops, prepend=0)
    rows = (counts + 1) // 2
    ends = rows.cumsum()
    return rows, ends - rows, ends[counts % 2 == 1] - 1


def _even(values: np.ndarray, stops: np.ndarray,
          short: np.ndarray) -> np.ndarray:
    """Values with a 0 behind every code of an odd number of them."""
    if not len(short):
        return values
    odd = np.diff(stops, prepend=0) % 2 == 1
    return np.insert(values, stops[odd], 0)


def _spans(gaps: np.ndarray, covered: np.ndarray, rows: np.ndarray,
           first: np.ndarray, short: np.ndarray, pixels: int) -> _Part:
    """Bounds of the spans of checked runs.

    Args:
        gaps: int32 (S,) runs of pixels outside the masks.
        covered: int32 (S,) the runs behind them, inside.
        rows: (K,) how many belong to each mask.
        first: (K,) the first of each.
        short: which of ``covered`` are 0 since the code has none there.
        pixels: of each mask.
    """
    empty = (np.count_nonzero(gaps <= 0) - np.count_nonzero(gaps[first] == 0)
             + np.count_nonzero(covered <= 0) - len(short))
    if empty or gaps.max() > pixels or covered.max() > pixels:
        return None
    ends = gaps + covered
    ends[first[1:]] -= pixels  # begins anew
    np.cumsum(ends, out=ends)
    if (ends[first + rows - 1] != pixels).any() or ends.max() > pixels:
        return None
    bounds = np.empty((len(ends), 2), np.int32)
    bounds[:, 1] = ends
    np.subtract(ends, covered, out=bounds[:, 0])
    return bounds, rows
