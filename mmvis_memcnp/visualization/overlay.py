"""Results drawn on frames."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..results.codes import decode_masks
from ..results.frame_arrays import FrameArrays
from .colors import color_of, text_color_on
from .files import write_image
from .text import chip_shape, put_chip, text_size

if TYPE_CHECKING:  # pictures of files are drawn without torch
    from mmengine.structures import InstanceData

    from ..results import VideoResult

# Standard deviations are a tenth of the frame and more; drawn at a tenth of
# their length, ellipses can be told apart and still be compared.
ELLIPSE_SCALE = 0.1

Rect = tuple[int, int, int, int]


def draw_frame(image: np.ndarray,
               result: InstanceData | FrameArrays,
               classes: Sequence[str] = (),
               score_thr: float = 0.,
               alpha: float = 0.45,
               boxes: bool = True,
               labels: bool = True,
               ellipses: bool = True,
               ellipse_scale: float | None = None) -> np.ndarray:
    """Draw the instances of a frame.

    Each has the colour of its identity: mask with outline, box, a chip with
    identity, class and score, and, where the model predicts standard
    deviations, an ellipse at the top left and the bottom right corner whose
    half axes are proportional to those of the corner's x and y.

    Args:
        image (np.ndarray): (H, W, 3), uint8, BGR; not changed.
        result (InstanceData | FrameArrays): FrameResult of the image, or its
            arrays.
        classes (Sequence[str]): Names of the labels; numbers without.
        score_thr (float): Leave out what scores less. Defaults to 0.
        alpha (float): Opacity of masks in [0, 1]. Defaults to 0.45.
        boxes (bool): Draw boxes. Defaults to True.
        labels (bool): Draw chips. Defaults to True.
        ellipses (bool): Draw ellipses. Defaults to True.
        ellipse_scale (float | None): Drawn length of a standard deviation.
            Defaults to 1, its true size, if they are mapped, else to 0.1.

    Returns:
        np.ndarray: The picture, of the same shape.
    """
    shown = result if isinstance(result, FrameArrays) else \
        FrameArrays.of(result)
    if ellipse_scale is None:
        ellipse_scale = 1. if shown.sigmas_mapped else ELLIPSE_SCALE
    out = image.copy()
    # Best last, so that it lies on top where instances overlap.
    kept = shown.scores.argsort(kind='stable')
    kept = kept[shown.scores[kept] >= np.float32(score_thr)]
    if not len(kept):
        return out
    masks = None
    if shown.masks is not None:
        masks = decode_masks([shown.masks[i] for i in kept], image.shape[:2])
        # Clip systems list an object in frames where it is absent, too.
        seen = np.flatnonzero(masks.any((1, 2)))
        masks, kept = masks[seen], kept[seen]
    ids = shown.ids[kept].tolist()
    colors = [color_of(identity) for identity in ids]
    if masks is not None:
        _paint_masks(out, masks, colors, alpha)
    line = max(1, round(min(image.shape[:2]) / 360))
    corners = shown.boxes[kept]
    for box, color in zip(corners, colors, strict=True):
        if boxes:
            _draw_box(out, box, color, line)
    if ellipses and shown.sigmas is not None:
        for box, sigmas, color in zip(corners, shown.sigmas[kept], colors,
                                      strict=True):
            for centre, axes in corner_ellipses(box, sigmas, image.shape[:2],
                                                ellipse_scale):
                _draw_ellipse(out, centre, axes, color, line)
    if labels:
        texts = [
            _chip_text(identity, label, score, classes)
            for identity, label, score in zip(
                ids, shown.labels[kept].tolist(), shown.scores[kept].tolist(),
                strict=True)
        ]
        _draw_chips(out, corners, texts, colors)
    return out


def corner_ellipses(
    box: np.ndarray,
    sigmas: np.ndarray,
    shape: tuple[int, int],
    scale: float = ELLIPSE_SCALE
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Ellipses of the top left and the bottom right corner of a box.

    Args:
        box (np.ndarray): x1, y1, x2, y2 in pixels.
        sigmas (np.ndarray): Their standard deviations, as fractions of the
            frame's width (x) and height (y).
        shape (tuple[int, int]): (H, W) of the frame.
        scale (float): Drawn length of a standard deviation.

    Returns:
        list[tuple]: Twice a centre (x, y) and half axes (x, y), in pixels.
    """
    height, width = shape
    return [((float(box[i]), float(box[i + 1])),
             (float(sigmas[i]) * width * scale,
              float(sigmas[i + 1]) * height * scale)) for i in (0, 2)]


def place_chips(boxes: np.ndarray, sizes: Sequence[tuple[int, int]],
                shape: tuple[int, int]) -> list[Rect]:
    """Where labels go: inside the frame and, if there is room, apart.

    Args:
        boxes (np.ndarray): (n, 4) xyxy boxes to be labelled, in pixels.
        sizes (Sequence[tuple[int, int]]): (height, width) of the labels.
        shape (tuple[int, int]): (H, W) of the frame.

    Returns:
        list[tuple]: Top, left, bottom, right of each. A label goes above its
        box, else inside it, else below it, else to the next free row.
    """
    placed: list[Rect] = []
    for box, (height, width) in zip(boxes, sizes, strict=True):
        left = int(np.clip(round(float(box[0])), 0, max(shape[1] - width, 0)))
        last = max(shape[0] - height, 0)
        top, bottom = round(float(box[1])), round(float(box[3]))
        wanted = [top - height, top, bottom - height, bottom]
        tops = [t for t in wanted if 0 <= t <= last]
        steps = np.arange(0, last + 1, max(1, height // 2))
        tops += steps[np.abs(steps - top).argsort(kind='stable')].tolist()
        rects = [(t, left, t + height, left + width) for t in tops]
        free = (r for r in rects if not any(_meet(r, p) for p in placed))
        placed.append(next(free, rects[0]))
    return placed


def draw_video(out_dir: str | Path,
               image_files: Sequence[str | Path],
               video: VideoResult,
               classes: Sequence[str] = (),
               score_thr: float = 0.) -> Iterator[Path]:
    """Draw the tracks of a finished video on its frames, file by file.

    Args:
        out_dir (str | Path): Folder for the pictures, made if needed; they
            have the names of the frames, as JPEG.
        image_files (Sequence[str | Path]): The frames, in order.
        video (VideoResult): Tracks of the video.
        classes (Sequence[str]): Names of the labels.
        score_thr (float): Leave out what scores less in a frame.

    Yields:
        Path: A picture, once it is written.

    Raises:
        FileNotFoundError: If a frame cannot be read.
    """
    for path, result in zip(image_files, video.iter_frames(), strict=True):
        image = cv2.imread(str(path))
        if image is None:
            raise FileNotFoundError(f'The frame {path} cannot be read: check '
                                    'that the folder is still there.')
        target = Path(out_dir) / f'{Path(path).stem}.jpg'
        write_image(target, draw_frame(image, result, classes, score_thr))
        yield target


def _chip_text(identity: int, label: int, score: float,
               classes: Sequence[str]) -> str:
    name = classes[label] if label < len(classes) else f'class {label}'
    return f'{identity} {name} {score:.2f}'


def _paint_masks(image: np.ndarray, masks: np.ndarray, colors: list,
                 alpha: float) -> None:
    """Blend masks in place; later ones lie on top."""
    table = np.array([(0, 0, 0)] + colors, dtype=np.float32)
    owner = np.zeros(image.shape[:2], dtype=np.int64)
    for number, mask in enumerate(masks, 1):
        owner[mask] = number
    inside = owner > 0
    image[inside] = ((1 - alpha) * image[inside] +
                     alpha * table[owner[inside]]).astype(np.uint8)
    for mask, color in zip(masks, colors, strict=True):
        outline = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL,
                                   cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(image, outline, -1, color, 1, cv2.LINE_AA)


def _draw_box(image: np.ndarray, box: np.ndarray, color: tuple,
              line: int) -> None:
    limit = np.array([image.shape[1], image.shape[0]] * 2) - 1
    x1, y1, x2, y2 = np.clip(np.round(box), 0, limit).astype(int).tolist()
    cv2.rectangle(image, (x1, y1), (x2, y2), color, line, cv2.LINE_AA)


def _draw_ellipse(image: np.ndarray, centre: tuple, axes: tuple,
                  color: tuple, line: int) -> None:
    """A ring with a dark rim, which shows on any ground."""
    # Four fractional bits keep small ellipses true to size.
    where = tuple(round(c * 16) for c in centre)
    size = tuple(round(a * 16) for a in axes)
    for width, shade in ((2 * line, (0, 0, 0)), (line, color)):
        cv2.ellipse(image, where, size, 0, 0, 360, shade, width, cv2.LINE_AA,
                    shift=4)


def _draw_chips(image: np.ndarray, boxes: np.ndarray, texts: list[str],
                colors: list) -> None:
    size = text_size(image)
    sizes = [chip_shape(text, size) for text in texts]
    # The best instance chooses its place first.
    order = range(len(texts) - 1, -1, -1)
    rects = place_chips(boxes[::-1], sizes[::-1], image.shape[:2])
    for i, (top, left, _, _) in zip(order, rects, strict=True):
        put_chip(image, texts[i], top, left, size, text_color_on(colors[i]),
                 colors[i])


def _meet(one: Rect, other: Rect) -> bool:
    return (one[0] < other[2] and other[0] < one[2] and one[1] < other[3]
            and other[1] < one[3])
