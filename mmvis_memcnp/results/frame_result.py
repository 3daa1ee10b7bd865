"""What a system says about one frame."""
from typing import Optional, Sequence

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from .masks import RLE


def frame_result(instances_id: Tensor,
                 bboxes: Tensor,
                 scores: Tensor,
                 labels: Tensor,
                 masks: Sequence[RLE],
                 *,
                 ori_shape: tuple[int, int],
                 frame_id: int = 0,
                 box_sigmas: Optional[Tensor] = None,
                 class_scores: Optional[Tensor] = None) -> InstanceData:
    """Pack the instances of a frame, on the CPU and with fixed dtypes.

    Args:
        instances_id (Tensor): Identities of shape (n, ).
        bboxes (Tensor): Boxes of shape (n, 4), xyxy in pixels of the
            original frame.
        scores (Tensor): Confidences in [0, 1] of shape (n, ).
        labels (Tensor): 0-based class indices of shape (n, ).
        masks (Sequence[dict]): n COCO run-length codes at the original
            resolution.
        ori_shape (tuple[int, int]): (H, W) of the original frame.
        frame_id (int): Number of the frame in its video. Defaults to 0.
        box_sigmas (Tensor, optional): Standard deviations of x1, y1, x2, y2
            of shape (n, 4), as fractions of the frame's width and height
            (without the padding of the network input). Models without
            MemCNP have none.
        class_scores (Tensor, optional): Confidences of all K classes of
            shape (n, K), where the system decides the class at the end.

    Returns:
        InstanceData: The *FrameResult*: ``instances_id`` and ``labels``
        int64, ``bboxes``, ``scores`` and ``box_sigmas`` float32, ``masks`` a
        list; metainfo ``frame_id`` and ``ori_shape``.

    Raises:
        ValueError: If the lengths differ.
    """
    count = len(instances_id)
    fields: dict = dict(
        instances_id=_cpu(instances_id, torch.int64, (count, )),
        bboxes=_cpu(bboxes, torch.float32, (count, 4)),
        scores=_cpu(scores, torch.float32, (count, )),
        labels=_cpu(labels, torch.int64, (count, )),
        masks=list(masks))
    if box_sigmas is not None:
        fields['box_sigmas'] = _cpu(box_sigmas, torch.float32, (count, 4))
    if class_scores is not None:
        fields['class_scores'] = _cpu(class_scores, torch.float32,
                                      tuple(class_scores.shape))
    lengths = {name: len(value) for name, value in fields.items()}
    if set(lengths.values()) != {count}:
        raise ValueError('Every field of a frame needs one entry an instance, '
                         f'got {lengths}.')
    meta = dict(frame_id=int(frame_id),
                ori_shape=(int(ori_shape[0]), int(ori_shape[1])))
    return InstanceData(metainfo=meta, **fields)


def empty_frame_result(ori_shape: tuple[int, int],
                       frame_id: int = 0,
                       with_sigmas: bool = False) -> InstanceData:
    """The FrameResult of a frame in which nothing was found."""
    none = torch.zeros(0)
    return frame_result(none, none, none, none, [], ori_shape=ori_shape,
                        frame_id=frame_id,
                        box_sigmas=none if with_sigmas else None)


def _cpu(value: Tensor, dtype: torch.dtype, shape: tuple) -> Tensor:
    """Detached copy of ``value`` on the CPU; an empty one gets ``shape``."""
    value = torch.as_tensor(value).detach().to('cpu', dtype)
    return value.reshape(shape) if value.numel() == 0 else value
