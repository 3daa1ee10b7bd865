"""Shapes of CVAT: what they say, between keyframes, and as masks."""
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..results.rle import RLE
from .videos import pixels_code, polygon_code


@dataclass
class Shape:
    """A shape of a track at one frame.

    Attributes:
        kind: 'polygon', 'box' or 'mask'.
        where: Its file and line.
        outside: Whether its object is out of sight from here on.
        points: Polygon: (N, 2), x and y; box: (2, 2), upper left and lower
            right corner.
        rotation: Of a box, clockwise, in degrees.
        code: Of a mask.
    """
    kind: str
    where: str
    outside: bool
    points: np.ndarray
    rotation: float = 0.
    code: RLE | None = None


def read_shape(kind: str, fields: Mapping[str, str], size: tuple[int, int],
               where: str) -> Shape:
    """Read the element of a shape.

    Args:
        kind: Its tag: 'polygon', 'box' or 'mask'.
        fields: Its attributes.
        size: Height and width of the frame.
        where: Its file and line, which begin the message.

    Raises:
        ValueError: If an attribute is missing or no number.
    """
    outside = _field(fields, 'outside', where)
    if outside not in ('0', '1'):
        raise ValueError(f'{where}: outside is {outside!r}, not 0 or 1.')
    shape = Shape(kind, where, outside == '1', np.empty((0, 2)))
    if kind == 'polygon':
        pairs = [pair.split(',') for pair
                 in _field(fields, 'points', where).split(';')]
        if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f'{where}: a polygon has three points "x,y" or '
                             'more, separated by ";".')
        shape.points = np.array([[_number(v, 'points', where) for v in pair]
                                 for pair in pairs])
    elif kind == 'box':
        shape.points = np.array(
            [[_number(_field(fields, name, where), name, where)
              for name in corner]
             for corner in (('xtl', 'ytl'), ('xbr', 'ybr'))])
        shape.rotation = _number(fields.get('rotation', '0'), 'rotation',
                                 where)
    elif not shape.outside:
        shape.code = _mask(fields, size, where)
    return shape


def to_code(shape: Shape, size: tuple[int, int]) -> RLE:
    """Mask of a shape.

    Raises:
        ValueError: If it is not near the frame.
    """
    if shape.code is not None:
        return shape.code
    points = shape.points
    if shape.kind == 'box':
        (x1, y1), (x2, y2) = points
        points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
        if shape.rotation:
            angle = np.deg2rad(shape.rotation)
            turn = np.array([[np.cos(angle), np.sin(angle)],
                             [-np.sin(angle), np.cos(angle)]])
            points = (points - points.mean(0)) @ turn + points.mean(0)
    return polygon_code(points, size, shape.where)


def between(first: Shape, second: Shape, offset: float) -> Shape | None:
    """A shape between two keyframes, as CVAT makes it.

    Corners of boxes move on straight lines, and boxes turn the short way.
    Points of polygons belong together that lie at about the same part of
    the outline, measured from the first point, so that their numbers may
    differ. Of masks there is none.

    Args:
        first: Of the keyframe before.
        second: Of the keyframe after, of the same kind.
        offset: Time since the first, as a part of that between them.
    """
    if first.kind == 'mask':
        return None
    rotation = first.rotation
    if first.kind == 'box':
        points = first.points + (second.points - first.points) * offset
        turn = (second.rotation - first.rotation + 180) % 360 - 180
        rotation += turn * offset
    else:
        left = np.vstack([first.points, first.points[:1]])
        right = np.vstack([second.points, second.points[:1]])
        i, j = _matches(_positions(left), _positions(right))
        # The last pair closes the outline.
        points = (left[i] + (right[j] - left[i]) * offset)[:-1]
    return Shape(first.kind, first.where, False, points, rotation)


def _positions(points: np.ndarray) -> np.ndarray:
    """Part of the outline that lies before each point, from 0 to 1."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    total = lengths.sum()
    return np.concatenate([[0.], lengths.cumsum() / (total or 1.)])


def _matches(left: np.ndarray,
             right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points of two outlines, along both.

    Every point of the first has the nearest of the second; a point of the
    second that none has is added to the nearest of the first.
    """
    nearest = _nearest(left, right)
    alone = np.setdiff1d(np.arange(len(right)), nearest)
    i = np.concatenate([np.arange(len(left)), _nearest(right[alone], left)])
    j = np.concatenate([nearest, alone])
    order = np.lexsort((j, i))
    return i[order], j[order]


def _nearest(values: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Index of the nearest entry of an ascending curve, the first of equal
    ones."""
    after = np.searchsorted(curve, values).clip(max=len(curve) - 1)
    before = np.searchsorted(curve, curve[(after - 1).clip(min=0)])
    nearer = np.abs(values - curve[before]) <= np.abs(curve[after] - values)
    return np.where(nearer, before, after)


def _mask(fields: Mapping[str, str], size: tuple[int, int],
          where: str) -> RLE:
    """Mask of run lengths, row by row in a box, the first of background."""
    left, top, width, height = (
        whole_number(_field(fields, name, where), name, where)
        for name in ('left', 'top', 'width', 'height'))
    if (min(left, top) < 0 or min(width, height) < 1
            or left + width > size[1] or top + height > size[0]):
        raise ValueError(
            f'{where}: the mask reaches from column {left} to '
            f'{left + width - 1} and from row {top} to {top + height - 1}, '
            f'out of its frame of {size[1]}x{size[0]}.')
    runs = [whole_number(run, 'rle', where)
            for run in _field(fields, 'rle', where).split(',')]
    if min(runs) < 0 or sum(runs) != width * height:
        raise ValueError(
            f'{where}: the runs of the mask make {sum(runs)} pixels, but its '
            f'box has {width}x{height}; it is cut short or of another size.')
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return pixels_code(pixels.reshape(height, width), left, top, size)


def _field(fields: Mapping[str, str], name: str, where: str) -> str:
    if name not in fields:
        raise ValueError(f'{where}: it has no {name}.')
    return fields[name]


def _number(text: str, name: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f'{where}: {name} is {text[:40]!r}, not a number.'
                         ) from error


def whole_number(text: str, name: str, where: str) -> int:
    """Read a whole number.

    Raises:
        ValueError: If it is none; the message begins with ``where``.
    """
    try:
        if len(text) > 20:
            raise ValueError('too long')
        return int(text)
    except ValueError as error:
        raise ValueError(f'{where}: {name} is {text[:40]!r}, not a whole '
                         'number.') from error
