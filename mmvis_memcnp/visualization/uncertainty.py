"""Where and when a model is unsure (Fig. 6 of the MemCNP paper)."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from ..results import Track, VideoResult
from ..results.files import replacing
from .colors import rgb_of
from .panels import BLACK, WHITE, fit, grid
from .selection import draw_dot
from .text import chip_shape, put_chip

# A plot with more lines than this cannot be read.
_MAX_LINES = 12


def warm(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colour numbers: blue is ``low``, red is ``high``.

    Args:
        values (np.ndarray): (H, W) numbers.
        low (float): What is coldest, and all below it.
        high (float): What is warmest, and all above it.

    Returns:
        np.ndarray: (H, W, 3), uint8, BGR.
    """
    share = (values - low) / max(high - low, 1e-12)
    levels = np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_JET)


def spread_map(values: np.ndarray, input_shape: tuple[int, int],
               img_shape: tuple[int, int],
               ori_shape: tuple[int, int]) -> np.ndarray:
    """Bring a map of a pyramid level to the size of the original frame.

    Args:
        values (np.ndarray): (h, w), a value a cell of the padded input.
        input_shape (tuple[int, int]): (H, W) of the padded network input.
        img_shape (tuple[int, int]): (H, W) of the frame inside it.
        ori_shape (tuple[int, int]): (H, W) of the original frame.

    Returns:
        np.ndarray: (H, W) of the original frame, float32.
    """
    full = cv2.resize(values.astype(np.float32), tuple(input_shape[::-1]),
                      interpolation=cv2.INTER_LINEAR)
    inside = full[:img_shape[0], :img_shape[1]]
    return cv2.resize(inside, tuple(ori_shape[::-1]),
                      interpolation=cv2.INTER_LINEAR)


def draw_uncertainty_maps(images: Sequence[np.ndarray],
                          maps: Sequence[Sequence[np.ndarray]],
                          titles: Sequence[str],
                          height: int = 240) -> np.ndarray:
    """Frames beside their uncertainty at every level; warm is uncertain.

    Args:
        images (Sequence[ndarray]): n frames (H, W, 3), uint8, BGR.
        maps (Sequence[Sequence[ndarray]]): For each frame a map a level, each
            (H, W) as :func:`spread_map` gives it.
        titles (Sequence[str]): Names of the levels.
        height (int): Height of a frame in the figure.

    Returns:
        np.ndarray: A row a frame; all maps share the scale of the bar.
    """
    low, high = _ends(maps)
    rows = [[image] + [warm(m, low, high) for m in levels]
            for image, levels in zip(images, maps, strict=True)]
    return _with_bar(rows, titles, low, high, height)


def draw_query_uncertainty(images: Sequence[np.ndarray],
                           points: Sequence[Sequence[np.ndarray]],
                           values: Sequence[Sequence[np.ndarray]],
                           titles: Sequence[str],
                           height: int = 240) -> np.ndarray:
    """Frames beside their queries in every layer; warm is uncertain.

    Args:
        images (Sequence[ndarray]): n frames (H, W, 3), uint8, BGR.
        points (Sequence[Sequence[ndarray]]): For each frame and layer, where
            the queries are: (Q, 2) x, y in pixels.
        values (Sequence[Sequence[ndarray]]): For each frame and layer a
            number a query (Q, ).
        titles (Sequence[str]): Names of the layers.
        height (int): Height of a frame in the figure.

    Returns:
        np.ndarray: A row a frame; all dots share the scale of the bar. The
        most certain ones lie on top.
    """
    low, high = _ends(values)
    rows = []
    for image, where, numbers in zip(images, points, values, strict=True):
        # Dots a few pixels wide must survive: draw at the size that is shown.
        small = fit(image, height)
        scale = height / image.shape[0]
        cells = [small]
        for dots, layer in zip(where, numbers, strict=True):
            cell = (small * .6).astype(np.uint8)
            colors = warm(layer[None], low, high)[0].tolist()
            for i in np.argsort(-layer, kind='stable'):
                draw_dot(cell, dots[i] * scale, max(2., height / 90),
                         tuple(colors[i]))
            cells.append(cell)
        rows.append(cells)
    return _with_bar(rows, titles, low, high, height)


def plot_uncertainty(video: VideoResult,
                     path: str | Path,
                     classes: Sequence[str] = (),
                     fps: float | None = None) -> bool:
    """Plot the uncertainty of every track over time.

    The value of a frame is the mean standard deviation of the four sides of
    the box, in pixels if they are mapped, else a fraction of the frame's
    size. Where a track is absent
    its line is interrupted. Of many tracks, the longest ones are shown.

    Args:
        video (VideoResult): Tracks of a video.
        path (str | Path): Picture to write (png, pdf or svg).
        classes (Sequence[str]): Names of the labels.
        fps (float, optional): Makes the axis seconds instead of frames.

    Returns:
        bool: Whether there was anything to plot: False, and no file, for
        models without standard deviations.
    """
    longest = sorted(video.tracks, key=lambda t: -t.num_detections)
    shown = sorted(longest[:_MAX_LINES], key=lambda t: t.id)
    scale = np.ones(4)
    if video.sigma_map is not None and video.ori_shape is not None:
        scale = np.tile(video.ori_shape[::-1], 2)
    lines = [(track, _series(track, scale)) for track in shown]
    if all(np.isnan(values).all() for _, values in lines):
        return False
    figure = Figure(figsize=(9, 4.2), layout='constrained')
    axes = figure.subplots()
    time = np.arange(video.num_frames) / (fps or 1)
    for track, values in lines:
        # A lone frame between gaps is no line; the dot shows it.
        alone = ~np.isnan(values) & np.isnan(
            np.r_[np.nan, values[:-1]]) & np.isnan(np.r_[values[1:], np.nan])
        color = rgb_of(track.id)
        name = classes[track.label] if track.label < len(
            classes) else f'class {track.label}'
        axes.plot(time, values, color=color, linewidth=1.6,
                  label=f'{track.id} {name}')
        axes.plot(time[alone], values[alone], '.', color=color)
    axes.set_xlabel('time in s' if fps else 'frame')
    unit = ('fraction of the frame size, not mapped'
            if video.sigma_map is None else 'pixels')
    axes.set_ylabel(f'mean standard deviation of the box sides\n({unit})')
    axes.grid(alpha=.3)
    axes.margins(x=.01)
    rest = len(video.tracks) - len(lines)
    axes.legend(title=f'the {len(lines)} longest of {len(video.tracks)} '
                'tracks' if rest else 'track', loc='upper left',
                bbox_to_anchor=(1, 1), frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return True


def _ends(values: Sequence[Sequence[np.ndarray]]) -> tuple[float, float]:
    """The smallest and the largest of all numbers."""
    return (min(float(v.min()) for row in values for v in row),
            max(float(v.max()) for row in values for v in row))


def _with_bar(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str],
              low: float, high: float, height: int) -> np.ndarray:
    """A table of frames and what was drawn for them, beside the scale."""
    table = grid(rows, column_titles=['frame', *titles], height=height)
    return np.hstack([table, _bar(table.shape[0], low, high, height)])


def _series(track: Track, scale: np.ndarray) -> np.ndarray:
    """A value a frame, NaN where there is none."""
    values = np.full(track.num_frames, np.nan)
    for record in track.records():
        if record.sigmas is not None:
            values[record.frame] = np.dot(record.sigmas, scale) / 4
    return values


def _bar(total: int, low: float, high: float, height: int) -> np.ndarray:
    """The colour scale with its ends, ``total`` pixels high."""
    size = max(11, height // 15)
    length = min(height, total)
    ramp = np.linspace(high, low, length)[:, None].repeat(height // 16, 1)
    texts = [f'{high:.2f}', f'{low:.2f}']
    chip = chip_shape(texts[0], size)
    width = ramp.shape[1] + max(chip_shape(t, size)[1] for t in texts)
    out = np.full((total, width, 3), 255, np.uint8)
    top = total - length
    bar = fit(warm(ramp, low, high), length)
    out[top:, :bar.shape[1]] = bar
    put_chip(out, texts[0], top, bar.shape[1], size, BLACK, WHITE)
    put_chip(out, texts[1], total - chip[0], bar.shape[1], size, BLACK, WHITE)
    return out
