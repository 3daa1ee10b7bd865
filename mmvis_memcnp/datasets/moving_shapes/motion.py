"""Paths, sizes and turns of the objects over time."""
import numpy as np

# Frames between two points that a path goes through.
STEP = 6


def smooth(points: np.ndarray, num_frames: int) -> np.ndarray:
    """Catmull-Rom curve through points ``STEP`` frames apart.

    Args:
        points: (m, d) with (m - 1) * STEP >= num_frames - 1.
        num_frames: Frames of the video.

    Returns:
        (num_frames, d).
    """
    # Mirror the ends, so that they have neighbours.
    padded = np.concatenate([
        2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]
    ])
    time = np.arange(num_frames) / STEP
    left = np.minimum(time.astype(int), len(points) - 2)
    t = (time - left)[:, None]
    p0, p1, p2, p3 = (padded[left + k] for k in range(4))
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) *
                  t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)


def num_points(num_frames: int) -> int:
    """Number of points of a path that lasts ``num_frames``."""
    return max(3, -(-(num_frames - 1) // STEP) + 1)


def wander(rng: np.random.Generator, count: int, size: np.ndarray,
           margin: float, stride: float) -> np.ndarray:
    """Points of a random walk inside the frame.

    Args:
        rng: Generator.
        count: Number of points.
        size: (2,), width and height of the frame.
        margin: Least distance of a point from the frame's border.
        stride: Mean distance between two points.

    Returns:
        (count, 2), x and y.
    """
    low = np.minimum(margin, size / 2)
    room = np.maximum(size - 2 * low, 1e-6)
    start = rng.uniform(0, 1, 2) * room
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5, count))
    length = stride * rng.uniform(0.6, 1.4, count)
    steps = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    steps[0] = 0
    free = start + np.cumsum(steps, axis=0)
    # Fold the free walk back into the frame: it bounces off the border.
    folded = room - np.abs(np.mod(free, 2 * room) - room)
    return low + folded


def leave(points: np.ndarray, at: int, size: np.ndarray,
          radius: float, count: int = 1) -> None:
    """Move points of a path out of the frame, over the edge nearest to the
    first of them.

    Args:
        points: (m, 2), changed in place.
        at: The first of them.
        size: (2,), width and height of the frame.
        radius: Radius of the object, which is hidden as a whole there.
        count: How many. The object is away for (count - 1) * STEP frames and
            more. Defaults to 1.
    """
    x, y = points[at]
    gaps = np.array([x, size[0] - x, y, size[1] - y])
    edge = int(gaps.argmin())
    axis, far = edge // 2, edge % 2
    outside = 1.6 * radius
    points[at:at + count, axis] = size[axis] + outside if far else -outside


def meet(first: np.ndarray, second: np.ndarray, at: int, offset: np.ndarray,
         cross: bool, size: np.ndarray) -> None:
    """Bend a path so that it meets another one at point ``at``.

    Args:
        first: (m, 2), the other path.
        second: (m, 2), changed in place.
        at: Which point.
        offset: (2,), distance of the two there.
        cross: Whether the second comes and goes opposite to the first.
        size: (2,), width and height of the frame.
    """
    second[at] = first[at] + offset
    if cross:
        around = [at - 1, at + 1]
        mirrored = 2 * first[at] - first[around]
        second[around] = np.clip(mirrored, 0.05 * size, 0.95 * size)
