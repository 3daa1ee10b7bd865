"""Drawing a scene: frames and the masks of what is visible."""
from collections.abc import Iterator

import cv2
import numpy as np

from .scene import Actor, Scene
from .shapes import CLASSES, OUTLINES, coverage
from .textures import draw

# Less than this many visible pixels count as not visible.
MIN_PIXELS = 12


def render(scene: Scene) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw a scene frame by frame.

    A mask holds the pixels that an object covers by at least one half in the
    middle of the exposure and that no nearer object covers so; an object
    with fewer than ``MIN_PIXELS`` of them has an empty mask.

    Yields:
        Frame uint8 (H, W, 3), BGR, and masks uint8 (H, W, n), 0 or 1, in the
        order of ``scene.actors`` and in Fortran order, as COCO's encoder
        takes them. No pixel is in two masks.
    """
    height, width = scene.height, scene.width
    rng = np.random.default_rng(scene.seed)
    reach = np.ceil(np.abs(scene.pan).max(axis=0)).astype(int) + 2
    backdrop = draw(scene.background, height + 2 * int(reach[1]),
                    width + 2 * int(reach[0]))
    patches = [_patch(actor) for actor in scene.actors]
    noise = rng.normal(0, scene.noise, (height + 32, width + 32, 1))
    noise = noise.astype(np.float32)
    for t in range(len(scene.gain)):
        shift = np.float32([[1, 0, scene.pan[t, 0] - reach[0]],
                            [0, 1, scene.pan[t, 1] - reach[1]]])
        frame = cv2.warpAffine(backdrop, shift, (width, height))
        masks = np.zeros((len(scene.actors), width, height), dtype=np.uint8)
        for i, actor in enumerate(scene.actors):
            solid, place = _paste(frame, actor, patches[i], t, scene.shutter)
            if solid is None:
                continue
            # Nearer objects come later and take their pixels away.
            masks[(slice(None), *place[::-1])][:i, solid.T] = 0
            masks[(i, *place[::-1])][solid.T] = 1
        masks[masks.sum(axis=(1, 2)) < MIN_PIXELS] = 0
        dy, dx = rng.integers(32, size=2)
        frame = frame * _light(scene, t)
        frame += noise[dy:dy + height, dx:dx + width]
        frame = np.clip(np.rint(frame), 0, 255).astype(np.uint8)
        yield frame, masks.transpose(2, 1, 0)


def _light(scene: Scene, t: int) -> np.ndarray:
    """Brightness factor, float32 (H, W, 3)."""
    x = np.linspace(-0.5, 0.5, scene.width, dtype=np.float32)[None, :, None]
    y = np.linspace(-0.5, 0.5, scene.height, dtype=np.float32)[:, None, None]
    slope = 1 + np.float32(scene.slope[t, 0]) * x
    slope = slope + np.float32(scene.slope[t, 1]) * y
    return slope * np.float32(scene.gain[t] * scene.tint[t])


def _patch(actor: Actor) -> np.ndarray:
    """The texture of an object at its largest size, float32 (s, s, 3),
    shaded towards its rim like something round."""
    side = 2 * int(np.ceil(1.25 * actor.radii.max())) + 1
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    shade = 1.1 - 0.3 * (ramp[:, None]**2 + ramp[None]**2)
    return draw(actor.texture, side, side) * shade[..., None]


def _matrix(actor: Actor, t: int) -> np.ndarray:
    """(2, 2), from the unit outline to pixels at time ``t``."""
    cos, sin = np.cos(actor.angles[t]), np.sin(actor.angles[t])
    stretch = np.sqrt(actor.stretch)
    return actor.radii[t] * np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [stretch, 1 / stretch])


def _paste(
    frame: np.ndarray, actor: Actor, patch: np.ndarray, t: int,
    shutter: float
) -> tuple[np.ndarray | None, tuple[slice, slice]]:
    """Draw an object into a frame, in place.

    Returns:
        Where the object is solid in the middle of the exposure, bool (h, w)
        (None if it is outside the frame), and the window (rows, columns)
        that this is about.
    """
    height, width = frame.shape[:2]
    matrix, centre = _matrix(actor, t), actor.centres[t]
    outline = OUTLINES[CLASSES[actor.label]][0] @ matrix.T + centre
    before, after = actor.centres[max(t - 1, 0)], actor.centres[min(
        t + 1,
        len(actor.centres) - 1)]
    path = (after - before) / 2 * shutter
    pad = int(np.ceil(np.abs(path).max() / 2)) + 2
    low = np.floor(outline.min(axis=0)).astype(int) - pad
    high = np.ceil(outline.max(axis=0)).astype(int) + pad + 1
    left, top = np.maximum(low, 0).tolist()
    right, bottom = np.minimum(high, (width, height)).tolist()
    place = (slice(top, bottom), slice(left, right))
    if right <= left or bottom <= top:
        return None, place
    # The blur looks beyond the frame: draw the whole window, then cut.
    w, h = (high - low).tolist()
    alpha = coverage(CLASSES[actor.label], matrix, centre, int(low[0]),
                     int(low[1]), w, h)
    half = (patch.shape[0] - 1) / 2
    to_patch = np.linalg.inv(matrix) * actor.radii.max()
    offset = half - to_patch @ (centre - low)
    colour = cv2.warpAffine(
        patch,
        np.concatenate([to_patch, offset[:, None]], axis=1), (w, h),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE)
    cut = (slice(top - int(low[1]), bottom - int(low[1])),
           slice(left - int(low[0]), right - int(low[0])))
    solid = alpha[cut] >= 0.5
    layer = np.concatenate([colour * alpha[..., None], alpha[..., None]],
                           axis=2)
    layer = _blur(layer, path)[cut]
    window = frame[place]
    window *= 1 - layer[..., 3:]
    window += layer[..., :3]
    return solid, place


def _blur(layer: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Smear a layer along the path that its object goes in the exposure."""
    length = float(np.linalg.norm(path))
    if length < 1:
        return layer
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), dtype=np.float32)
    steps = np.linspace(-0.5, 0.5, 4 * side)[:, None] * path
    columns, rows = np.rint(steps + side // 2).astype(int).T
    np.add.at(kernel, (rows, columns), 1)
    return cv2.filter2D(
        layer, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT)
