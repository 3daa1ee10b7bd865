"""Results as those of the supervision package, which draws and counts."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.structures import InstanceData

from ..errors import UserError
from .codes import decode_masks

if TYPE_CHECKING:
    from supervision import Detections


def to_detections(result: InstanceData,
                  classes: Sequence[str] = ()) -> Detections:
    """A FrameResult as ``supervision.Detections``.

    Args:
        result (InstanceData): Of one frame, as a session, the inferencer or
            :meth:`~.store.VideoResult.iter_frames` gives it.
        classes (Sequence[str]): Class names by label; none: they are left
            out. Defaults to ().

    Returns:
        Detections: n rows: ``xyxy`` float32 in pixels of the frame, ``mask``
        bool (n, H, W), ``confidence`` float32, ``class_id`` and
        ``tracker_id`` int64, and ``data['class_name']`` if there are names.

    Raises:
        UserError: If supervision is not installed.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise UserError(
            f'supervision cannot be imported ({error}): install it with '
            'pip install "mmvis-memcnp[supervision]".') from error
    labels = result.labels.numpy()
    data: dict[str, Any] = {}
    if classes:
        data['class_name'] = np.array([classes[i] for i in labels], dtype=str)
    return Detections(
        xyxy=result.bboxes.numpy().astype(np.float32).reshape(-1, 4),
        mask=decode_masks(result.masks, result.ori_shape),
        confidence=result.scores.numpy().astype(np.float32),
        class_id=labels.astype(np.int64),
        tracker_id=result.instances_id.numpy().astype(np.int64), data=data)
