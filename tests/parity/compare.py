"""Compare computed tensors with the arrays that a fixture stores.

Expected is ``full_tensor[index]``, then the statistic, then the packing; the
rules of kind, tolerance and order are explained in README.md here.
"""
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
from pycocotools import mask as mask_utils
from scipy.optimize import linear_sum_assignment

from tests.parity.entries import (
    Entry,
    ManifestError,
    apply_stat,
    check_dims,
    expand,
    parse_index,
)
from tests.parity.fixture import Fixture

_RELATIVE = ('float', 'count')
_EXACT = ('int', 'ids', 'bool', 'text')


class Mismatch(ValueError):
    """Shapes, sizes or names differ: there is nothing to measure."""


@dataclass(frozen=True)
class Outcome:
    """Result of one array.

    Attributes:
        entry: what was compared.
        error: max |difference| / max |expected| (float, count), share of
            differing elements or pixels (other kinds), None if the two
            could not be laid side by side.
        ok: within tolerance.
        note: what is wrong, or why it was skipped.
    """
    entry: Entry
    error: Optional[float]
    ok: bool
    note: str = ''

    def line(self) -> str:
        """One printable line."""
        name = f'{self.entry.file}:{self.entry.key}'
        error = '-' if self.error is None else f'{self.error:.2e}'
        words = 'ok  ' if self.ok else 'FAIL'
        return (f'{words} {name}  {measure(self.entry.spec["kind"])} {error}  '
                f'tolerance {self.entry.spec["tolerance"]:g}'
                + (f'  ({self.note})' if self.note else ''))


def measure(kind: str) -> str:
    """Name of the number that a kind is judged by."""
    return 'max relative difference' if kind in _RELATIVE else 'mismatch share'


class Comparer:
    """Compare everything that one fixture describes.

    Args:
        fixture: the fixture.
        computed: ``{(part, file, key): full tensor}``.  Arrays whose stored
            rows are shared (``packed.rows``) have one row a result here; an
            entry with ``names`` may be a dict by name; kind ``rle`` is a list
            of results with ``category_id`` and ``segmentations``.
        slack: How many times its tolerance an array may be off; more than 1
            where sums have another order than the official code's, on a GPU.
    """

    def __init__(self, fixture: Fixture, computed: Mapping[Tuple, Any],
                 slack: float = 1.):
        self.fixture = fixture
        self.slack = slack
        self.computed = computed
        self.entries = fixture.entries()
        self.by_id = {e.id: e for e in self.entries}
        self.quirks = {
            (q['file'], e.key)
            for q in fixture.run['quirk_arrays'] for e in expand(q)
        }
        self._orders: Dict[Tuple[str, str, str], Tuple] = {}

    def outcomes(self) -> List[Outcome]:
        """One :class:`Outcome` an array, in the manifest's order."""
        return [self.outcome(entry) for entry in self.entries]

    def outcome(self, entry: Entry) -> Outcome:
        """Compare one array; every problem becomes a failed outcome."""
        if entry.id not in self.computed:
            if (entry.file, entry.key) in self.quirks:
                return Outcome(entry, None, True, 'skipped: copies a bug')
            return Outcome(entry, None, False, 'compute() does not return it')
        try:
            error = self._error(entry)
        except (ValueError, TypeError, LookupError, OSError) as problem:
            return Outcome(entry, None, False,
                           f'{type(problem).__name__}: {problem}')
        return Outcome(
            entry, error,
            bool(error <= self.slack * entry.spec['tolerance']))

    def _error(self, entry: Entry) -> float:
        ours, theirs = self._pair(entry)
        order = entry.spec['order']
        if order == 'sort_by_score':
            rows_ours, rows_theirs = self._order(entry)
            if not len(ours) == len(rows_ours) == len(rows_theirs) == len(
                    theirs):
                raise Mismatch(f'{len(ours)} results, expected {len(theirs)}')
            ours, theirs = ours[rows_ours], theirs[rows_theirs]
        elif order == 'set':
            ours, theirs = _match_rows(ours, theirs)
        elif order == 'set_last_axis':
            ours, theirs = np.sort(ours, -1), np.sort(theirs, -1)
        elif order != 'as_is':
            raise ManifestError(f'unknown order {order!r}')
        return difference(ours, theirs, entry.spec['kind'])

    def _pair(self, entry: Entry) -> Tuple[np.ndarray, np.ndarray]:
        """Computed and stored array in the stored form, first axis kept."""
        spec = entry.spec
        stored = self.fixture.value(entry.file, entry.key)
        value = self.computed[entry.id]
        if spec['kind'] == 'rle':
            ours, theirs = _decode_results(value, stored)
            return ours, theirs
        if 'names' in spec and isinstance(value, Mapping):
            names = self.fixture.manifest[spec['names']]
            absent = [n for n in names if n not in value]
            if absent:
                raise Mismatch(f'no value for {absent[:3]}')
            value = [value[n] for n in names]
        full = np.asarray(value)
        packed = spec.get('packed') or {}
        shared = bool(packed.get('rows'))
        try:
            check_dims(full.shape, entry, self.fixture.run['dims'], shared)
        except ValueError as problem:
            raise Mismatch(str(problem)) from problem
        ours = full[parse_index(spec['index'])]
        if spec['stat']:
            ours = apply_stat(ours, spec['stat'], full.shape)
        if spec['kind'] == 'bool_packed':
            theirs, ours = self._unpack(entry, full, ours)
        else:
            theirs = np.asarray(stored)
            if theirs.dtype == object:  # null in a .json file
                theirs = theirs.astype(np.float64)
        if ours.shape != theirs.shape:
            raise Mismatch(f'shape {ours.shape}, expected {theirs.shape}')
        return ours, theirs

    def _unpack(self, entry: Entry, full: np.ndarray,
                ours: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        packed, arrays = entry.spec['packed'], self.fixture.npz(entry.file)
        bits = arrays[entry.key]
        rows = packed.get('rows')
        if rows:
            bits = bits[arrays[entry.fill(rows)]]
        if packed['shape']:
            shape = arrays[entry.fill(packed['shape'])].tolist()
            if shape[bool(rows):] != list(full.shape)[bool(rows):]:
                raise Mismatch(f'shape {full.shape}, expected {shape}')
        start = packed['from']
        ours = ours.reshape(*ours.shape[:start],
                            int(np.prod(ours.shape[start:])))
        if bits.shape[-1] != -(-ours.shape[-1] // 8):
            raise Mismatch(f'{bits.shape[-1]} bytes a row cannot hold '
                           f'{ours.shape[-1]} elements')
        theirs = np.unpackbits(bits, axis=-1)
        if theirs[..., ours.shape[-1]:].any():
            raise Mismatch('stored padding bits are not zero')
        return theirs[..., :ours.shape[-1]].astype(bool), ours.astype(bool)

    # -- sort_by_score ----------------------------------------------------
    def _scores(self, entry: Entry) -> Entry:
        key = entry.fill(entry.spec['score_key'])
        near = self.by_id.get((entry.part, entry.file, key))
        found = [near] if near else [
            e for e in self.entries if (e.part, e.key) == (entry.part, key)
        ]
        if not found or found[0].id not in self.computed:
            raise Mismatch(f'no scores under {key!r} to sort by')
        return found[0]

    def _order(self, entry: Entry) -> Tuple[np.ndarray, np.ndarray]:
        """Rows of both sides, by descending score, one pairing for all.

        Among results whose scores tie, that pairing is taken in which the
        arrays sorted by these scores agree best, all together: a label
        cannot move without its mask.
        """
        scores = self._scores(entry)
        if scores.id in self._orders:
            return self._orders[scores.id]
        ours = np.asarray(self.computed[scores.id], np.float64)
        theirs = np.asarray(
            self.fixture.value(scores.file, scores.key), np.float64)
        if ours.shape != theirs.shape:
            raise Mismatch(f'{len(ours)} results, expected {len(theirs)}')
        rows_ours = np.argsort(-ours, kind='stable')
        rows_theirs = np.argsort(-theirs, kind='stable')
        tie = scores.spec['tolerance'] * np.abs(theirs).max(initial=0)
        steps = -np.diff(theirs[rows_theirs]) >= max(tie, 1e-300)
        groups = np.split(np.arange(len(theirs)), np.flatnonzero(steps) + 1)
        groups = [g for g in groups if len(g) > 1]
        if groups:
            pairs = list(self._sharing(scores))
            for group in groups:
                rows_ours[group] = _pair_ties(pairs, rows_ours[group],
                                              rows_theirs[group])
        self._orders[scores.id] = rows_ours, rows_theirs
        return rows_ours, rows_theirs

    def _sharing(self, scores: Entry):
        for entry in self.entries:
            if (entry.spec['order'] != 'sort_by_score'
                    or entry.id not in self.computed
                    or self._scores(entry).id != scores.id):
                continue
            try:
                yield (*self._pair(entry), entry.spec)
            except Mismatch:
                continue  # its own outcome will say so


def _pair_ties(pairs, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Order of ``ours`` (rows) that agrees best with ``theirs`` (rows)."""
    cost = np.zeros((len(ours), len(theirs)))
    for mine, expected, spec in pairs:
        scale = _scale(expected) if spec['kind'] in _RELATIVE else 1.
        for i, row in enumerate(ours):
            for j, other in enumerate(theirs):
                error = difference(mine[row], expected[other], spec['kind'],
                                   scale)
                cost[i, j] += error + 1e3 * (error > spec['tolerance'])
    rows, columns = linear_sum_assignment(np.minimum(cost, 1e9))
    return ours[rows[np.argsort(columns)]]


def _scale(expected: np.ndarray) -> float:
    """max |expected| over finite values; 1 where all are zero."""
    values = np.asarray(expected, np.float64)
    values = np.abs(values[np.isfinite(values)])
    return float(values.max(initial=0)) or 1.


def difference(ours: Any, theirs: Any, kind: str,
               scale: Optional[float] = None) -> float:
    """How far two arrays of equal shape are apart.

    Args:
        ours: computed array.
        theirs: expected array.
        kind: kind of the entry; ``rle`` on decoded results.
        scale: denominator of the relative difference; max |expected| if
            None (1 where all expected values are zero).

    Returns:
        max |difference| / scale for float and count, inf if the two differ
        in where they are not finite; else the share of differing elements
        (for rle the larger of pixels and score, inf if an id differs).
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if theirs.size == 0:
        return 0.
    if kind == 'rle':
        if any((ours[k] != theirs[k]).any()
               for k in ('video_id', 'category_id')):
            return float('inf')
        return max(
            difference(ours['pixels'], theirs['pixels'], 'bool_packed'),
            difference(ours['score'], theirs['score'], 'float', scale))
    if kind in (*_EXACT, 'bool_packed'):
        return float(np.mean(ours != theirs))
    if kind not in _RELATIVE:
        raise ManifestError(f'unknown kind {kind!r}')
    x, y = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(y)
    if not np.array_equal(np.where(finite, 0, y),
                          np.where(np.isfinite(x), 0, x), equal_nan=True):
        return float('inf')
    x, y = x[finite], y[finite]
    return float(np.abs(x - y).max(initial=0) / (scale or _scale(y)))


def _match_rows(ours: np.ndarray,
                theirs: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Bring two sets of rows into one order.

    Whole numbers and text are sorted; floats are paired one to one with the
    smallest sum of the rows' largest differences.
    """
    if theirs.dtype.kind != 'f':
        return _sorted_rows(ours), _sorted_rows(theirs)
    x = np.float64(ours).reshape(len(ours), -1)
    y = np.float64(theirs).reshape(len(theirs), -1)
    cost = np.zeros((len(x), len(y)))
    for i, row in enumerate(x):  # (m, n, D) at once could be large
        apart = np.nan_to_num(np.abs(row - y), nan=1e30, posinf=1e30)
        cost[i] = apart.max(-1, initial=0)
    rows, columns = linear_sum_assignment(cost)
    return ours[rows], theirs[columns]


def _sorted_rows(array: np.ndarray) -> np.ndarray:
    if array.ndim == 1:
        return np.sort(array)
    flat = array.reshape(len(array), -1)
    return flat[np.lexsort(flat.T[::-1])]


def _decode_results(ours: List[Dict[str, Any]],
                    theirs: List[Dict[str, Any]]) -> List[np.ndarray]:
    """Two results lists as structured arrays (n,) of ids, score, pixels."""
    masks = [m for r in [*ours, *theirs] for m in r['segmentations'] if m]
    sizes = {tuple(m['size']) for m in masks}
    lengths = {len(r['segmentations']) for r in [*ours, *theirs]}
    if len(sizes) > 1 or len(lengths) > 1:
        raise Mismatch(f'mask sizes {sorted(sizes)}, frames {sorted(lengths)}')
    height, width = sizes.pop() if sizes else (0, 0)
    frames = lengths.pop() if lengths else 0
    dtype = np.dtype([('video_id', np.int64), ('category_id', np.int64),
                      ('score', np.float64),
                      ('pixels', bool, (frames, height * width))])
    found = []
    for results in (ours, theirs):
        table = np.zeros(len(results), dtype)
        for row, result in zip(table, results, strict=False):
            for name in ('video_id', 'category_id', 'score'):
                row[name] = result[name]
            for t, rle in enumerate(result['segmentations']):
                if rle:  # null and an empty mask are the same
                    row['pixels'][t] = mask_utils.decode(rle).ravel()
        found.append(table)
    return found
