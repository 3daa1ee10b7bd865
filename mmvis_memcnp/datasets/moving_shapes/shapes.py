"""Outlines of the shapes; the shape is the class."""
import cv2
import numpy as np

CLASSES = ('circle', 'square', 'triangle', 'star', 'cross', 'ring')

# Drawn this much larger and shrunk: anti-aliased edges without the extra
# half pixel that OpenCV's anti-aliased polygons add.
_SUPERSAMPLE = 4
_FIXED_POINT_BITS = 4


def _around(num: int, radii: tuple[float, ...], turn: float) -> np.ndarray:
    """``num`` points around the origin whose radii repeat ``radii``."""
    angle = 2 * np.pi * (np.arange(num) / num + turn)
    radius = np.resize(radii, num)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _cross(arm: float = 0.32) -> np.ndarray:
    quarter = np.array([[arm, arm], [arm, 1.], [-arm, 1.]])
    turns = [np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), k)
             for k in range(4)]
    return np.concatenate([quarter @ turn.T for turn in turns])


# Each outline: closed contours around the origin; a contour inside another
# one is a hole. Radii are such that the areas are alike.
OUTLINES: dict[str, list[np.ndarray]] = {
    'circle': [_around(48, (0.85, ), 0)],
    'square': [_around(4, (1.05, ), 0.125)],
    'triangle': [_around(3, (1.15, ), -0.25)],
    'star': [_around(10, (1.15, 0.48), -0.25)],
    'cross': [_cross()],
    'ring': [_around(48, (1., ), 0), _around(48, (0.55, ), 0)],
}


def coverage(shape: str, matrix: np.ndarray, centre: np.ndarray, left: int,
             top: int, width: int, height: int) -> np.ndarray:
    """Share of each pixel of a window that a shape covers.

    Args:
        shape: One of ``CLASSES``.
        matrix: (2, 2), takes the outline to pixels (scale and rotation).
        centre: (2,), x and y of the shape's centre in pixels.
        left: x of the window's first pixel.
        top: y of the window's first pixel.
        width: Width of the window in pixels.
        height: Height of the window in pixels.

    Returns:
        float32 (height, width) in [0, 1].
    """
    factor = _SUPERSAMPLE
    canvas = np.zeros((height * factor, width * factor), dtype=np.uint8)
    # Pixel centres are at whole numbers: shift by half a pixel each way.
    offset = centre - (left, top) + 0.5
    contours = [
        np.rint(((outline @ matrix.T + offset) * factor - 0.5) *
                (1 << _FIXED_POINT_BITS)).astype(np.int32)
        for outline in OUTLINES[shape]
    ]
    cv2.fillPoly(canvas, contours, 255, shift=_FIXED_POINT_BITS)
    small = cv2.resize(
        canvas, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255
