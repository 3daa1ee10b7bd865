"""Ground truth of whole clips: every object of a clip in every frame."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor

from .ground_truth import collect_ground_truth


class ClipTargets(NamedTuple):
    """Objects of B clips of T frames, padded to the same number G.

    Attributes:
        boxes: (B, T, G, 4) cx, cy, w, h as fractions of the frame without
            padding, at least 1e-6, which is what an absent object has.
        labels: (B, G) int64, from 0.
        present: (B, T, G) bool, whether the object is in the frame.
        valid: (B, G) bool, False where padded.
        masks: (B, T, G, h, w) bool, every fourth pixel of the input, from the
            third on; empty where the object is absent.
        sizes: (B, T, 2), width and height of the frames without padding.
    """
    boxes: Tensor
    labels: Tensor
    present: Tensor
    valid: Tensor
    masks: Tensor
    sizes: Tensor


def collect_clip_targets(samples: Sequence[TrackDataSample],
                         device: torch.device) -> ClipTargets:
    """Line the objects of the frames up by their identities.

    Args:
        samples: B clips of the same number of frames, whose frames hold
            ``bboxes``, ``labels``, ``instances_ids`` and ``masks``.
        device: where the tensors go.

    Raises:
        ValueError: if the clips differ in their number of frames.
    """
    lengths = {len(s.video_data_samples) for s in samples}
    if len(lengths) != 1:
        raise ValueError('The clips of a batch must have the same number of '
                         f'frames, got {sorted(lengths)}: set num_frames of '
                         'the clip sampler.')
    clip = [collect_ground_truth([s.video_data_samples[t] for s in samples],
                                 device) for t in range(lengths.pop())]
    ids = torch.cat([gt.ids for gt in clip], dim=1)
    tracks = [row[row >= 0].unique() for row in ids]
    table = torch.nn.utils.rnn.pad_sequence(
        tracks, batch_first=True, padding_value=-1)
    if table.shape[1] == 0:
        table = F.pad(table, (0, 1), value=-1)
    valid = table >= 0
    labels = torch.zeros_like(table)
    rows = torch.arange(len(table), device=device)[:, None]
    boxes, present, masks = [], [], []
    for gt in clip:
        same = (gt.ids[:, :, None] == table[:, None]) & gt.valid[:, :, None]
        here, own = same.any(1), same.long().argmax(1)
        boxes.append(gt.boxes[rows, own] * here[..., None])
        labels = torch.where(here, gt.labels[rows, own], labels)
        present.append(here)
        assert gt.masks is not None
        masks.append(_every_fourth(gt.masks)[rows, own] &
                     here[..., None, None])
    sizes = torch.tensor(
        [[f.img_shape[1::-1] for f in s.video_data_samples] for s in samples],
        dtype=torch.float32, device=device)
    pixels = torch.stack(boxes, 1)
    scale = torch.cat((sizes, sizes), -1)[:, :, None]
    return ClipTargets(
        (bbox_xyxy_to_cxcywh(pixels) / scale).clamp(min=1e-6), labels,
        torch.stack(present, 1), valid, torch.stack(masks, 1), sizes)


def _every_fourth(masks: Tensor) -> Tensor:
    """(..., H, W) to stride 4, over sides padded to a multiple of 8."""
    height, width = masks.shape[-2:]
    grown = F.pad(masks, (0, -width % 8, 0, -height % 8))
    return grown[..., 2::4, 2::4]
