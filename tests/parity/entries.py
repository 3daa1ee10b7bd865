"""The small language of a fixture's ``run`` block: names, indices, statistics.

An entry of the manifest stands for one or more stored arrays.  Nothing here
evaluates text: an index is parsed by a grammar of integers and slices.
"""
import itertools
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

_AXIS = re.compile(r'-?\d+|\.\.\.|-?\d*:-?\d*(:-?\d+)?')

# statistic -> f(array, axes, ddof); ``shape`` is not a reduction and is
# answered by :func:`apply_stat` itself.
_STATS = {
    'mean': lambda x, axes, ddof: x.mean(axes),
    'std': lambda x, axes, ddof: x.std(axes, ddof=ddof),
    'min': lambda x, axes, ddof: x.min(axes),
    'max': lambda x, axes, ddof: x.max(axes),
    'sum': lambda x, axes, ddof: x.sum(axes),
    'abs_sum': lambda x, axes, ddof: np.abs(x).sum(axes),
    'l2': lambda x, axes, ddof: np.sqrt(np.square(x).sum(axes)),
    'pos_frac': lambda x, axes, ddof: (x > 0).mean(axes),
}


class ManifestError(ValueError):
    """The manifest says something that this harness cannot read."""


@dataclass(frozen=True)
class Entry:
    """One stored array, all placeholders filled.

    Attributes:
        part: item of ``run.inputs`` that the array comes from.
        file: file of the fixture's folder.
        key: array name, or path of dictionary keys in a ``.json`` file.
        values: the placeholders' values.
        spec: the manifest's entry.
    """
    part: str
    file: str
    key: str
    values: Dict[str, Any]
    spec: Dict[str, Any]

    @property
    def id(self) -> Tuple[str, str, str]:
        """Key of this array in what ``compute()`` returns."""
        return self.part, self.file, self.key

    def fill(self, text: str) -> str:
        """``text`` with this entry's placeholders filled."""
        return text.format(**self.values)


def combinations(spec: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """Values of the placeholders for every array that a spec stands for.

    ``for`` maps a name to its values, or joint names to lists of values:
    ``{"t": [0, 3]}``, ``{"b,i": [[0, 0], [0, 2]]}``.
    """
    groups: List[List[Dict[str, Any]]] = []
    for names, values in spec.get('for', {}).items():
        keys = names.split(',')
        groups.append([
            dict(zip(keys, v if isinstance(v, list) else [v], strict=True))
            for v in values
        ])
    for chosen in itertools.product(*groups):
        yield {k: v for group in chosen for k, v in group.items()}


def expand(spec: Dict[str, Any], part: str = '') -> Iterator[Entry]:
    """Every :class:`Entry` that a spec of the manifest stands for."""
    for values in combinations(spec):
        yield Entry(
            spec.get('part', part), spec['file'],
            spec['key'].format(**values), values, spec)


def parse_index(text: str) -> Tuple[Any, ...]:
    """``'[:, -1, ::4]'`` as a tuple of slices, integers and Ellipsis.

    Raises:
        ManifestError: if the text is anything but such an index.
    """
    if not text:
        return (Ellipsis, )
    if not (text.startswith('[') and text.endswith(']')):
        raise ManifestError(f'index {text!r} is not of the form [..., ...]')
    index: List[Any] = []
    for axis in text[1:-1].split(','):
        axis = axis.strip()
        if not _AXIS.fullmatch(axis):
            raise ManifestError(f'index {text!r}: cannot read {axis!r}')
        if axis == '...':
            index.append(Ellipsis)
        elif ':' in axis:
            index.append(
                slice(*(int(p) if p else None for p in axis.split(':'))))
        else:
            index.append(int(axis))
    return tuple(index)


def apply_stat(array: np.ndarray, stat: Dict[str, Any],
               full_shape: Tuple[int, ...]) -> np.ndarray:
    """Statistics of ``array``, stacked on a new last axis if several.

    Args:
        array: the tensor after its index.
        stat: ``{of, axes, ddof}``.
        full_shape: shape before the index, the answer of ``shape``.

    Raises:
        ManifestError: for a statistic that is not known.
    """
    if stat['of'] == ['shape']:
        return np.asarray(full_shape, np.int64)
    unknown = set(stat['of']) - set(_STATS)
    if unknown:
        raise ManifestError(f'unknown statistic {sorted(unknown)}')
    values = np.asarray(array, np.float64)
    axes = tuple(stat['axes'])
    results = [_STATS[name](values, axes, stat['ddof']) for name in stat['of']]
    return results[0] if len(results) == 1 else np.stack(results, -1)


def check_dims(shape: Tuple[int, ...], entry: Entry, table: Dict[str, int],
               skip_first: bool = False) -> None:
    """Compare a full tensor's shape with the sizes that ``dims`` names.

    Args:
        shape: the full tensor's shape.
        entry: its entry; a name in ``dims`` that ``table`` lacks is an axis
            of any size.
        table: ``run.dims``.
        skip_first: leave the first axis out (stored rows are shared).

    Raises:
        ValueError: naming the axis that differs.
    """
    names = [n for n in entry.fill(entry.spec['dims']).split(',') if n]
    if len(names) != len(shape):
        raise ValueError(f'shape {tuple(shape)} has not the axes {names}')
    for axis, (name, size) in enumerate(zip(names, shape, strict=False)):
        wanted = int(name) if name.isdigit() else table.get(name)
        if wanted not in (None, size) and not (axis == 0 and skip_first):
            raise ValueError(f'axis {axis} ({name}) has size {size}, '
                             f'expected {wanted}')
