"""Random textures. They are independent of the class of what wears them."""
from dataclasses import dataclass

import cv2
import numpy as np

KINDS = ('stripes', 'checks', 'dots', 'blobs', 'weave')


@dataclass(frozen=True)
class Texture:
    """What a texture looks like.

    Attributes:
        kind: One of ``KINDS``.
        colours: (2, 3), the two BGR colours that it blends, 0 to 255.
        period: Size of its pattern in pixels.
        angle: Direction of its pattern in radians.
        seed: Seed of its random part.
    """
    kind: str
    colours: np.ndarray
    period: float
    angle: float
    seed: int


def draw(texture: Texture, height: int, width: int) -> np.ndarray:
    """Paint a texture.

    Returns:
        float32 (height, width, 3), BGR in 0 to 255.
    """
    rng = np.random.default_rng(texture.seed)
    blend = _pattern(texture, height, width, rng)[..., None]
    # Fine grain over the pattern, so that no two patches are equal.
    grain = cv2.resize(
        rng.random((height // 2 + 1, width // 2 + 1), dtype=np.float32),
        (width, height))[..., None]
    low, high = texture.colours.astype(np.float32)
    image = low + (high - low) * blend + 24 * (grain - 0.5)
    return np.clip(image, 0, 255).astype(np.float32)


def _pattern(texture: Texture, height: int, width: int,
             rng: np.random.Generator) -> np.ndarray:
    """Blend weight of every pixel, float32 (height, width) in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cos, sin = np.cos(texture.angle), np.sin(texture.angle)
    u = (cos * x + sin * y) / texture.period
    v = (cos * y - sin * x) / texture.period
    if texture.kind == 'blobs':
        blend = np.zeros((height, width), dtype=np.float32)
        for octave in range(3):
            cell = max(texture.period * 2.0**-octave, 1.)
            grid = rng.random((int(height / cell) + 2, int(width / cell) + 2),
                              dtype=np.float32)
            blend += cv2.resize(
                grid, (width, height),
                interpolation=cv2.INTER_CUBIC) * 0.5**octave
        blend = (blend - blend.min()) / max(float(np.ptp(blend)), 1e-6)
        return _soft_step(blend, 0.5, 3.)
    waves_u, waves_v = np.sin(2 * np.pi * u), np.sin(2 * np.pi * v)
    if texture.kind == 'stripes':
        return _soft_step(waves_u, 0., 3.)
    if texture.kind == 'checks':
        return _soft_step(waves_u * waves_v, 0., 6.)
    if texture.kind == 'dots':
        return _soft_step(np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v), 0.9,
                          4.)
    return np.clip(0.5 + 0.25 * (waves_u + waves_v), 0, 1)


def _soft_step(values: np.ndarray, at: float, slope: float) -> np.ndarray:
    return np.clip(0.5 + slope * (values - at), 0, 1)


def random_texture(rng: np.random.Generator, period: tuple[float, float],
                   contrast: float) -> Texture:
    """Draw a texture.

    Args:
        rng: Generator.
        period: Range of the pattern's size in pixels.
        contrast: How far its two colours differ, mean absolute difference
            of the channels.
    """
    first = rng.uniform(30, 225, 3)
    step = rng.normal(size=3)
    step *= contrast / np.abs(step).mean()
    # Away from the border of the colour cube, so that the step fits.
    step = np.where((first + step < 5) | (first + step > 250), -step, step)
    second = np.clip(first + step, 5, 250)
    return Texture(
        kind=str(rng.choice(KINDS)),
        colours=np.stack([first, second]),
        period=float(rng.uniform(*period)),
        angle=float(rng.uniform(0, np.pi)),
        seed=int(rng.integers(2**31)))


def distance(a: Texture, b: Texture) -> float:
    """Smallest distance between a colour of one and a colour of the other,
    in CIE Lab (about 2 is just noticeable)."""
    gaps = _lab(a.colours)[:, None] - _lab(b.colours)[None]
    return float(np.linalg.norm(gaps, axis=-1).min())


def _lab(colours: np.ndarray) -> np.ndarray:
    image = (colours[None] / 255).astype(np.float32)
    return cv2.cvtColor(image, cv2.COLOR_BGR2Lab)[0]


def distinct_texture(rng: np.random.Generator, period: tuple[float, float],
                     contrast: float, others: list[Texture],
                     least: float) -> Texture:
    """Draw a texture whose colours stand out from those of others.

    Args:
        rng: Generator.
        period: As in :func:`random_texture`.
        contrast: As in :func:`random_texture`.
        others: The other textures, such as the background.
        least: Wanted :func:`distance` from the nearest; the best of 64 draws
            is taken where none reaches it.
    """
    best, texture = -1., None
    for _ in range(64):
        candidate = random_texture(rng, period, contrast)
        far = min(distance(candidate, other) for other in others)
        if far > best:
            best, texture = far, candidate
        if far >= least:
            break
    assert texture is not None
    return texture


def similar_texture(rng: np.random.Generator, to: Texture,
                    spread: float) -> Texture:
    """Draw a texture of nearly the colours of another, in another pattern.

    Args:
        rng: Generator.
        to: The other texture, such as the background.
        spread: Standard deviation of the colours' difference, 0 to 255.
    """
    colours = to.colours + rng.normal(0, spread, (1, 3))
    return Texture(
        kind=str(rng.choice(KINDS)),
        colours=np.clip(colours, 5, 250),
        period=float(to.period * rng.uniform(0.6, 1.4)),
        angle=float(to.angle + rng.uniform(0.3, np.pi - 0.3)),
        seed=int(rng.integers(2**31)))
