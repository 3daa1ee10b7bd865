"""What is in a video: objects, textures, paths, light."""
from dataclasses import dataclass

import numpy as np

from .levels import Level
from .motion import STEP, leave, meet, num_points, smooth, wander
from .shapes import CLASSES
from .textures import (
    Texture,
    distinct_texture,
    random_texture,
    similar_texture,
)


@dataclass
class Actor:
    """An object of a video, T frames long.

    Attributes:
        label: Position of its shape in ``CLASSES``.
        texture: What it wears.
        stretch: Width over height.
        centres: (T, 2), x and y in pixels.
        radii: (T,) in pixels.
        angles: (T,) in radians.
    """
    label: int
    texture: Texture
    stretch: float
    centres: np.ndarray
    radii: np.ndarray
    angles: np.ndarray


@dataclass
class Scene:
    """A video before it is drawn.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        actors: The objects, the farthest first: each hides those before it.
        background: Texture of the background.
        pan: (T, 2), shift of the background in pixels.
        gain: (T,), brightness.
        tint: (T, 3), brightness of each channel on top.
        slope: (T, 2), relative change of brightness across the frame.
        shutter: Share of a frame's time that the shutter is open.
        noise: Standard deviation of the sensor noise, of 255.
        seed: Seed of the noise.
    """
    height: int
    width: int
    actors: list[Actor]
    background: Texture
    pan: np.ndarray
    gain: np.ndarray
    tint: np.ndarray
    slope: np.ndarray
    shutter: float
    noise: float
    seed: int


def make_scene(rng: np.random.Generator, level: Level, num_frames: int,
               height: int, width: int) -> Scene:
    """Draw the contents of a video.

    Args:
        rng: Generator; decides everything.
        level: Ranges to draw from.
        num_frames: T.
        height: Height in pixels.
        width: Width in pixels.
    """
    short, size = min(height, width), np.array([width, height], dtype=float)
    period = (0.05 * short, 0.15 * short)
    background = random_texture(rng, (0.1 * short, 0.3 * short),
                                level.background_contrast)
    count = int(rng.integers(level.num_objects[0], level.num_objects[1] + 1))
    labels = rng.integers(len(CLASSES), size=count)
    radii = short * rng.uniform(*level.radius, size=count)
    stretches = np.exp(
        rng.uniform(-1, 1, size=count) * np.log(level.stretch))
    wear: list[Texture] = []
    for _ in range(count):
        if rng.random() < level.camouflage:
            wear.append(similar_texture(rng, background, 12.))
        else:
            wear.append(
                distinct_texture(rng, period, level.contrast,
                                 [background, *wear], level.distance))
    pairs = [(2 * k, 2 * k + 1) for k in range(count // 2)]
    twins = pairs[:level.look_alikes]
    for a, b in twins:
        labels[b], radii[b], stretches[b] = labels[a], radii[a], stretches[a]
        wear[b] = wear[a]
    points = _paths(rng, level, pairs, twins, radii, num_points(num_frames),
                    size)
    actors = [
        Actor(
            label=int(labels[i]),
            texture=wear[i],
            stretch=float(stretches[i]),
            centres=smooth(points[i], num_frames),
            radii=radii[i] * _drift(rng, num_frames, level.growth)[:, 0],
            angles=_turn(rng, num_frames, level.spin)) for i in range(count)
    ]
    steps = num_points(num_frames)
    return Scene(
        height=height,
        width=width,
        actors=[actors[i] for i in rng.permutation(count)],
        background=background,
        pan=_walk(rng, num_frames, level.pan * short),
        # Rather darker than brighter: what is overexposed is lost.
        gain=_drift(rng, num_frames, 1 + level.light)[:, 0] /
        np.sqrt(1 + level.light),
        tint=smooth(
            1 + level.light / 4 * rng.uniform(-1, 1, (steps, 3)), num_frames),
        slope=smooth(
            level.light * rng.uniform(-1, 1, (steps, 2)), num_frames),
        shutter=level.shutter,
        noise=level.noise,
        seed=int(rng.integers(2**31)))


def _paths(rng: np.random.Generator, level: Level,
           pairs: list[tuple[int, int]], twins: list[tuple[int, int]],
           radii: np.ndarray, count: int, size: np.ndarray) -> np.ndarray:
    """Points of every object's path, (n, count, 2)."""
    stride = level.speed * size.min() * STEP
    points = np.stack([
        wander(rng, count, size, 0.6 * radius, stride) for radius in radii
    ])
    gone = set()
    for i, radius in enumerate(radii):
        if rng.random() < level.exit_chance:
            leave(points[i], int(rng.integers(1, count - 1)), size, radius)
            gone.add(i)
    crossing = [] if level.absence else twins
    if level.absence:
        # The first point and two at the end are inside.
        away = min(-(-level.absence // STEP) + 1, count - 3)
        for _, i in twins:
            leave(points[i], int(rng.integers(1, count - away - 1)), size,
                  radii[i], away)
            gone.add(i)
    for pair in pairs:
        a, b = pair
        if pair in crossing or rng.random() < level.meeting_chance:
            # A path that leaves keeps its exit: the other one adapts.
            if b in gone and a not in gone:
                a, b = b, a
            inside = [
                k for k in range(1, count - 1)
                if ((points[a, k] > 0) & (points[a, k] < size)).all()
            ]
            if not inside:
                continue
            meet(points[a], points[b], int(rng.choice(inside)),
                 rng.normal(0, 0.3, 2) * radii[a], pair in crossing, size)
    return points


def _drift(rng: np.random.Generator, num_frames: int,
           factor: float) -> np.ndarray:
    """(T, 1), a slowly changing factor in about [1 / factor, factor]."""
    knots = rng.uniform(-1, 1, (num_points(num_frames), 1))
    return np.exp(smooth(knots * np.log(factor), num_frames))


def _turn(rng: np.random.Generator, num_frames: int,
          degrees: float) -> np.ndarray:
    """(T,), an angle in radians that changes by at most ``degrees``."""
    knots = rng.uniform(-1, 1, (num_points(num_frames), 1))
    rate = np.clip(smooth(knots, num_frames)[:, 0], -1, 1)
    start = rng.uniform(0, 2 * np.pi)
    return start + np.cumsum(rate) * np.deg2rad(degrees)


def _walk(rng: np.random.Generator, num_frames: int,
          stride: float) -> np.ndarray:
    """(T, 2), a smooth shift of about ``stride`` pixels a frame."""
    knots = rng.uniform(-1, 1, (num_points(num_frames), 2))
    return np.cumsum(smooth(knots, num_frames) * stride, axis=0)
