"""The instances of a frame as NumPy arrays, which pictures are drawn from."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as coco_mask

from .rle import RLE

if TYPE_CHECKING:
    from mmengine.structures import InstanceData


@dataclass(frozen=True)
class FrameArrays:
    """What a FrameResult says, without torch.

    Attributes:
        ids (np.ndarray): (n,) int64, identities.
        boxes (np.ndarray): (n, 4) float32, xyxy in pixels of the frame.
        scores (np.ndarray): (n,) float32.
        labels (np.ndarray): (n,) int64, 0-based class indices.
        masks (Sequence[dict] | None): n COCO run-length codes of the frame's
            size; None without masks.
        sigmas (np.ndarray | None): (n, 4) float32, standard deviations of
            the boxes' sides as fractions of the frame's width and height;
            None of models without.
        sigmas_mapped (bool): Whether they are calibrated. Defaults to False.
    """
    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: Sequence[RLE] | None
    sigmas: np.ndarray | None = None
    sigmas_mapped: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, result: InstanceData) -> FrameArrays:
        """Those of a FrameResult."""
        sigmas = result.get('box_sigmas')
        return cls(result.instances_id.numpy(), result.bboxes.numpy(),
                   result.scores.numpy(), result.labels.numpy(),
                   result.get('masks'),
                   None if sigmas is None else sigmas.numpy(),
                   result.metainfo.get('sigmas_mapped', False))

    @classmethod
    def of_masks(cls, ids: Sequence[int], labels: Sequence[int],
                 scores: Sequence[float],
                 masks: Sequence[RLE]) -> FrameArrays:
        """Those of objects that have the tight boxes of their masks.

        Args:
            ids (Sequence[int]): n identities.
            labels (Sequence[int]): n 0-based class indices.
            scores (Sequence[float]): n scores.
            masks (Sequence[dict]): n COCO run-length codes.
        """
        boxes = np.array(coco_mask.toBbox(list(masks))).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return cls(np.array(ids, np.int64), boxes.astype(np.float32),
                   np.array(scores, np.float32), np.array(labels, np.int64),
                   list(masks))
