"""Resizing a part of a map, bit for bit as resizing the whole of it.

A step says, along one axis, which results some samples reach and which
samples some results are made of. With that the part of a mask around its
positive values is brought to the original frame, and nothing else of it.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Maps with fewer rows and columns, added up, PyTorch interpolates on a CPU
#: by another kernel, which adds in another order.
_SMALL = 129


@dataclass(frozen=True)
class Bilinear:
    """Bilinear interpolation along one axis, ``align_corners=False``.

    Args:
        before (int): Samples.
        after (int): Results.
        kept (int): Results that are not cut off behind it.
        factor (float, optional): Results a sample, where PyTorch is given
            this number and not ``after``. Defaults to ``after / before``.
    """
    before: int
    after: int
    kept: int
    factor: float | None = None

    @property
    def results_per_sample(self) -> float:
        """``factor``, or what the sizes say; 1 where PyTorch copies."""
        if self.does_nothing:
            return 1.
        return self.factor or self.after / self.before

    @property
    def does_nothing(self) -> bool:
        """Whether the results are the samples."""
        return self.before == self.after

    def reached(self, samples: range) -> range:
        """Results that some samples have a part in, or a few more."""
        return _reached(samples, self.results_per_sample, self.kept)

    def read(self, results: range) -> range:
        """Samples that some results are made of, or more."""
        return self.plan(results)[0]

    def plan(self, results: range) -> tuple[range, int, int, float | None]:
        """How PyTorch is asked for some results.

        PyTorch counts results from the start of what it is given, and rounds
        their places in single precision. Where the factor is a power of two
        nothing is rounded, and a part may start anywhere on a sample and a
        result; else it starts with the first of all.

        Returns:
            tuple: The samples, the number of the first result, how many, and
            the factor.
        """
        factor = self.results_per_sample
        first = max(math.floor((results.start + .5) / factor - .5) - 1, 0)
        stop = min(math.floor((results.stop - .5) / factor - .5) + 3,
                   self.before)
        exact = self.factor is not None or factor * self.before == self.after
        if exact and math.frexp(factor)[0] == .5:
            if factor < 1:  # any result lies at the start of a sample
                begin = results.start
                first = round(begin / factor)
            else:
                begin = round(first * factor)
        elif self.factor is None and (
                np.float32(1 / factor) !=
                np.float32(self.before) / np.float32(self.after)):
            return range(self.before), 0, self.after, None
        else:
            first = begin = 0
        count = results.stop - begin
        if count == stop - first and factor != 1:
            count += 1  # or PyTorch would copy
        return range(first, stop), begin, count, factor


@dataclass(frozen=True)
class Nearest:
    """The nearest sample along one axis, as PyTorch's ``nearest``.

    Args:
        before (int): Samples.
        after (int): Results.
    """
    before: int
    after: int

    @property
    def does_nothing(self) -> bool:
        """Whether the results are the samples."""
        return self.before == self.after

    def reached(self, samples: range) -> range:
        """Results that some samples are."""
        return range(*np.searchsorted(
            self.sources().numpy(), (samples.start, samples.stop)).tolist())

    def read(self, results: range) -> range:
        """Samples that some results are."""
        if not results:
            return range(0)
        first, last = self.sources()[[results[0], results[-1]]].tolist()
        return range(first, last + 1)

    def sources(self) -> Tensor:
        """The sample of each result, (after,) int64 on the CPU."""
        return _nearest_sources(self.before, self.after)


@lru_cache(maxsize=64)
def _nearest_sources(before: int, after: int) -> Tensor:
    ramp = torch.arange(before, dtype=torch.float)
    return F.interpolate(ramp[None, None], size=after)[0, 0].long()


@dataclass(frozen=True)
class Places:
    """Bilinear reading at places of their own along one axis.

    Args:
        before (int): Samples.
        after (int): Results.
        extent (float): Part of the samples that the results cover, from the
            first on; above 1 they go on with the last sample.
    """
    before: int
    after: int
    extent: float

    does_nothing = False

    def reached(self, samples: range) -> range:
        """Results that some samples have a part in, or a few more."""
        found = _reached(samples, self.after / (self.extent * self.before),
                         self.after)
        if samples.stop == self.before:
            return range(found.start, self.after)
        return found

    def read(self, results: range) -> range:
        """All samples: nothing is copied."""
        return range(self.before)

    def grid(self, results: range, device: torch.device) -> Tensor:
        """Places of some results, as ``grid_sample`` wants them."""
        pixel = torch.arange(results.start, results.stop, device=device) + 0.5
        return pixel / self.after * self.extent * 2 - 1


def _reached(samples: range, factor: float, limit: int) -> range:
    """Results between the samples before and behind some samples."""
    first = math.floor((samples.start - .5) * factor - .5)
    last = math.ceil((samples.stop + .5) * factor - .5)
    return range(min(max(first, 0), limit), min(last + 1, limit))


Step = Bilinear | Nearest | Places
#: A step along rows (y) and one of the same kind along columns (x).
Steps = tuple[Step, Step]


def run(values: Tensor, steps: Sequence[Steps],
        windows: tuple[range, range]) -> tuple[Tensor, tuple[range, range]]:
    """Results that some samples have a part in.

    Args:
        values (Tensor): Shape (n, h, w) float32.
        steps (Sequence[Steps]): One after the other.
        windows (tuple[range, range]): The samples, of rows and of columns.

    Returns:
        tuple: Values (n, a, b) of the last step, and which rows and columns
        of its results they are.
    """
    last = windows
    for y, x in steps:
        if last[0] and last[1]:
            last = y.reached(last[0]), x.reached(last[1])
    if not (last[0] and last[1]):
        return values[:, :0, :0], (range(0), range(0))
    wanted = [last]
    for y, x in reversed(steps):
        rows, columns = _made((y, x), wanted[-1])
        wanted.append((y.read(rows), x.read(columns)))
    held = wanted.pop()
    values = _cut(values, held, (0, 0))
    for pair in steps:
        results = wanted.pop()
        start = held[0].start, held[1].start
        if pair[0].does_nothing and pair[1].does_nothing:
            values = _cut(values, results, start)
        else:
            values = _apply(values, start, pair, results)
        held = results
    return values, last


def _apply(values: Tensor, start: tuple[int, int], pair: Steps,
           results: tuple[range, range]) -> Tensor:
    """Some results of one step, of samples from ``start`` on."""
    y, x = pair
    if isinstance(y, Bilinear) and isinstance(x, Bilinear):
        made = _made(pair, results)
        rows, columns = y.plan(made[0]), x.plan(made[1])
        values = torch.ops.aten.upsample_bilinear2d(
            _cut(values, (rows[0], columns[0]), start)[:, None],
            [rows[2], columns[2]], False, rows[3], columns[3])[:, 0]
        return _cut(values, results, (rows[1], columns[1]))
    if isinstance(y, Places) and isinstance(x, Places):
        grid = torch.stack(torch.meshgrid(
            x.grid(results[1], values.device),
            y.grid(results[0], values.device), indexing='xy'), -1)
        return F.grid_sample(values[None], grid[None], padding_mode='border',
                             align_corners=False)[0]
    assert isinstance(y, Nearest) and isinstance(x, Nearest)
    for axis, (step, place) in enumerate(zip((y, x), results, strict=True)):
        index = step.sources()[place.start:place.stop] - start[axis]
        values = values.index_select(
            axis + 1, index.to(values.device, non_blocking=True))
    return values


def _made(pair: Steps, results: tuple[range, range]) -> tuple[range, range]:
    """Results and those that PyTorch has to make beside them."""
    y, x = pair
    if not isinstance(y, Bilinear) or not isinstance(x, Bilinear) or (
            y.does_nothing and x.does_nothing):
        return results
    rows, columns = results
    columns = _grown(columns, _SMALL - len(rows), x.after)
    return _grown(rows, _SMALL - len(columns), y.after), columns


def _grown(results: range, count: int, limit: int) -> range:
    """Results and enough of those beside them, of ``limit`` in all."""
    start = max(min(results.start, limit - count), 0)
    return range(start, max(results.stop, min(start + count, limit)))


def _cut(values: Tensor, kept: tuple[range, range],
         start: tuple[int, int]) -> Tensor:
    """Rows and columns of a part that begins at ``start``."""
    y, x = (slice(r.start - at, r.stop - at)
            for r, at in zip(kept, start, strict=True))
    return values[:, y, x]
