"""Motion for clips that show one still image in every frame.

Each transform takes the frames of a clip after their annotations are loaded,
between two of ``TransformBroadcaster``. Source: Ying et al., CTVIS, ICCV 2023,
3.4; the ranges are those of its released code, where it has them.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks

#: What a frame says of its objects, but for boxes and masks.
_COLUMNS = ('gt_bboxes_labels', 'gt_instances_ids', 'gt_ignore_flags')


def moments(count: int) -> np.ndarray:
    """Places on a way from 0 to 1, (count,): sorted, half of the time from
    its end to its start."""
    times = np.sort(np.random.uniform(size=count))
    return times[::-1] if np.random.uniform() < 0.5 else times


def set_objects(results: dict, frame: int, masks: np.ndarray) -> None:
    """Give a frame its masks, with tight boxes; objects without a pixel are
    gone.

    Args:
        results (dict): Of a clip; changed.
        frame (int): Which.
        masks (np.ndarray): Shape (n, H, W) uint8, of the frame's objects.
    """
    kept = masks.any((1, 2))
    masks = masks[kept]
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        ys, xs = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        box[:] = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
    for name in _COLUMNS:
        results[name][frame] = results[name][frame][kept]
    results['gt_bboxes'][frame] = boxes
    results['gt_masks'][frame] = BitmapMasks(masks, *masks.shape[1:])
    results['img_shape'][frame] = results['img'][frame].shape[:2]


class ClipMotion(BaseTransform):
    """Base: an affine map of each frame."""

    def transform(self, results: dict) -> dict:
        """Move image and objects of every frame; what comes in from outside
        is black."""
        height, width = results['img'][0].shape[:2]
        matrices, size = self.maps(len(results['img']), height, width)
        for t, matrix in enumerate(matrices):
            results['img'][t] = cv2.warpAffine(
                results['img'][t], matrix, size, flags=cv2.INTER_LINEAR)
            masks = [cv2.warpAffine(mask, matrix, size,
                                    flags=cv2.INTER_NEAREST)
                     for mask in results['gt_masks'][t].masks]
            set_objects(results, t, np.array(masks, np.uint8).reshape(
                -1, size[1], size[0]))
        return results

    def maps(self, count: int, height: int, width: int
             ) -> tuple[Sequence[np.ndarray], tuple[int, int]]:
        """Draw the motion of a clip.

        Args:
            count (int): Frames.
            height (int): Pixels of each.
            width (int): The same.

        Returns:
            tuple: From pixels before to pixels after, (2, 3) float a frame;
            width and height after.
        """
        raise NotImplementedError


@TRANSFORMS.register_module()
class ClipRotation(ClipMotion):
    """Turn about one centre, further from frame to frame.

    Args:
        max_angle (float): Degrees to either side; more = larger motion.
            Defaults to 15.
        centre (tuple[float, float]): The centre is drawn between these
            fractions of the sides. Defaults to (0.4, 0.6).
    """

    def __init__(self, max_angle: float = 15.,
                 centre: tuple[float, float] = (0.4, 0.6)) -> None:
        self.max_angle = max_angle
        self.centre = centre

    def maps(self, count: int, height: int, width: int
             ) -> tuple[Sequence[np.ndarray], tuple[int, int]]:
        """See :meth:`ClipMotion.maps`: angles on one way, of one centre."""
        low, high = self.centre
        x, y = np.random.uniform(low, high, size=2) * (width, height)
        angles = self.max_angle * (2 * moments(count) - 1)
        return [cv2.getRotationMatrix2D((x, y), float(angle), 1.)
                for angle in angles], (width, height)


@TRANSFORMS.register_module()
class ClipCrop(ClipMotion):
    """A window that moves over the image, or zooms in or out as well.

    Args:
        crop_size (tuple[int, int]): Height and width are drawn between these
            numbers of pixels, each for itself, at most those of the frame.
            Defaults to (384, 600).
        zoom_prob (float): How often the window changes its size (crop-zoom),
            in [0, 1]; else it moves alone (crop-shift). Defaults to 0.5.
        max_zoom (float): Largest change of the size, at least 1; higher =
            objects grow and shrink more. Defaults to 2.
    """

    def __init__(self, crop_size: tuple[int, int] = (384, 600),
                 zoom_prob: float = 0.5, max_zoom: float = 2.) -> None:
        if max_zoom < 1:
            raise ValueError(f'max_zoom must be at least 1, got {max_zoom}.')
        self.crop_size = crop_size
        self.zoom_prob = zoom_prob
        self.max_zoom = max_zoom

    def maps(self, count: int, height: int, width: int
             ) -> tuple[Sequence[np.ndarray], tuple[int, int]]:
        """See :meth:`ClipMotion.maps`: windows between a first and a last."""
        low, high = self.crop_size
        sides = np.array((width, height))
        size = np.array([np.random.randint(min(low, side),
                                           min(high, side) + 1)
                         for side in (height, width)])[::-1]
        zoom = np.random.uniform() < self.zoom_prob
        shrunk = np.random.uniform(1 / self.max_zoom, 1.) if zoom else 1.
        first = np.random.uniform(size=2) * (sides - size)
        last = np.random.uniform(size=2) * (sides - size * shrunk)
        maps = []
        for time in moments(count):
            scale = 1 / (1 - time + time * shrunk)
            corner = (1 - time) * first + time * last
            if not zoom:  # pixel by pixel
                corner = corner.round()
            shift = scale * (0.5 - corner) - 0.5
            maps.append(np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]))
        return maps, (int(size[0]), int(size[1]))


@TRANSFORMS.register_module()
class ClipPaste(BaseTransform):
    """Objects of another image, each on a way of its own over the clip.

    Takes ``paste``, which ``CocoPseudoVideo(paste=True)`` gives. A random
    part of its objects, at least one, is pasted; what they cover is taken
    from the masks below, and identities follow those of the image. To be used
    before any motion, on frames that are the same.

    Args:
        prob (float): How often anything is pasted, in [0, 1]. Defaults to
            0.5.
        scale (tuple[float, float]): The other image is first made to fit into
            the frame, times a number drawn between these two. Defaults to
            (0.5, 1).
    """

    def __init__(self, prob: float = 0.5,
                 scale: tuple[float, float] = (0.5, 1.)) -> None:
        self.prob = prob
        self.scale = scale
        self.load = Compose([dict(type='mmdet.LoadFrame'),
                             dict(type='mmdet.LoadVISAnnotations')])

    def transform(self, results: dict) -> dict:
        """Paste into every frame of a clip."""
        if 'paste' not in results:
            raise ValueError('ClipPaste needs a second image: set paste=True '
                             'of CocoPseudoVideo.')
        source = results.pop('paste')[0]
        if np.random.uniform() >= self.prob:
            return results
        height, width = results['img'][0].shape[:2]
        other: Any = self._resized(self.load(dict(source)), height, width)
        masks = other['gt_masks']
        if not masks:
            return results
        chosen = np.flatnonzero(np.random.uniform(size=len(masks)) < 0.5)
        if not len(chosen):
            chosen = np.random.randint(len(masks), size=1)
        next_id = max((ids.max() for ids in results['gt_instances_ids']
                       if len(ids)), default=-1) + 1
        for number, row in enumerate(chosen):
            self._paste(results, other['img'], masks[row],
                        other['gt_bboxes_labels'][row], next_id + number)
        for t, own in enumerate(results['gt_masks']):
            set_objects(results, t, own.masks)
        return results

    def _resized(self, other: dict, height: int, width: int) -> dict:
        """The other image at its new size, with objects of a pixel."""
        h, w = other['img'].shape[:2]
        scale = min(height / h, width / w) * np.random.uniform(
            self.scale[0], self.scale[1])
        size = max(1, round(w * scale)), max(1, round(h * scale))
        masks = [cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
                 for mask in other['gt_masks'].masks]
        kept = [i for i, mask in enumerate(masks) if mask.any()]
        return dict(img=cv2.resize(other['img'], size),
                    gt_masks=[masks[i] for i in kept],
                    gt_bboxes_labels=other['gt_bboxes_labels'][kept])

    def _paste(self, results: dict, img: np.ndarray, mask: np.ndarray,
               label: int, identity: int) -> None:
        """One object into every frame, between a first and a last place."""
        height, width = results['img'][0].shape[:2]
        ys, xs = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        inner = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
        patch, shape = img[inner], mask[inner].astype(bool)
        room = np.array((height, width)) - shape.shape
        first, last = (np.random.uniform(size=2) * room for _ in range(2))
        for t, time in enumerate(moments(len(results['img']))):
            top, left = (first + time * (last - first)).round().astype(int)
            where = (slice(top, top + shape.shape[0]),
                     slice(left, left + shape.shape[1]))
            frame = results['img'][t] = results['img'][t].copy()
            frame[where][shape] = patch[shape]
            masks = results['gt_masks'][t].masks.copy()
            masks[(slice(None), *where)][:, shape] = 0
            added = np.zeros((1, height, width), np.uint8)
            added[0][where][shape] = 1
            results['gt_masks'][t] = BitmapMasks(
                np.concatenate((masks, added)), height, width)
            for name, value in zip(_COLUMNS, (label, identity, False),
                                   strict=True):
                column = results[name][t]
                results[name][t] = np.append(column, column.dtype.type(value))
