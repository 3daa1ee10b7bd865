"""Ground truth of a batch of clips: one row an object, not a detection."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from .ground_truth import GroundTruth, collect_ground_truth


class ClipTruth(NamedTuple):
    """Objects of B clips of T frames, padded to the same number G >= 1.

    Attributes:
        labels: (B, G) int64, from 0; 0 where padded.
        cxcywh: (B, G, T, 4) float, cx, cy, w, h as fractions of the
            un-padded frame.
        xyxy: (B, G, T, 4) float, the same boxes as x1, y1, x2, y2.
        masks: (B, G, T, h, w) bool, sampled from the padded input; empty
            where the object is absent or padded.
        present: (B, G, T) bool, whether the object is in the frame.
        valid: (B, G) bool, False where padded.
        sizes: (B, T, 2), width and height in pixels of the frames without
            padding.
    """
    labels: Tensor
    cxcywh: Tensor
    xyxy: Tensor
    masks: Tensor
    present: Tensor
    valid: Tensor
    sizes: Tensor

    def frame(self, t: int) -> 'ClipTruth':
        """Of one frame of each clip: no axis T any more."""
        return ClipTruth(
            self.labels, self.cxcywh[:, :, t], self.xyxy[:, :, t],
            self.masks[:, :, t], self.present[:, :, t], self.valid,
            self.sizes[:, t])

    def by_frame(self) -> tuple[Tensor, Tensor]:
        """Boxes (B, T, G, 4), xyxy, and (B, T, G) bool, in which frames the
        objects are seen."""
        return self.xyxy.transpose(1, 2), self.present.transpose(1, 2)

    def frames(self, absent: bool = False,
               by_time: bool = False) -> GroundTruth:
        """Of all B * T frames; an object has the same row in all frames of
        its clip.

        Args:
            absent: whether it is valid, with an empty mask, where it is
                absent.
            by_time: whether the frames of one time stand together, those of
                the first time first; else those of a clip.
        """
        place, frames = 0 if by_time else 1, self.sizes.shape[1]
        objects = torch.arange(self.valid.numel(), device=self.valid.device)
        ids = objects.view_as(self.valid).where(self.valid, -1)
        xyxy, cxcywh, present, masks, labels, ids, valid = (
            x.movedim(2, place).flatten(0, 1) for x in (
                self.xyxy, self.cxcywh, self.present, self.masks, *(
                    x[..., None].expand(-1, -1, frames)
                    for x in (self.labels, ids, self.valid))))
        sides = self.sizes.movedim(1, place).flatten(0, 1).repeat(
            1, 2)[:, None]
        return GroundTruth(xyxy * sides, cxcywh, xyxy, labels, ids,
                           valid if absent else present, masks)


def collect_clips(samples: Sequence[TrackDataSample],
                  device: torch.device,
                  mask_stride: int = 4,
                  absent_box: float = 0.) -> ClipTruth:
    """The union of the objects over the frames of each clip.

    An object is absent where its box has no area, as where it has no box; one
    that is absent in all frames is left out.

    Args:
        samples: B clips of the same number of frames, whose ``gt_instances``
            hold ``bboxes``, ``labels``, ``instances_ids`` and ``masks``.
        device: where the tensors go.
        mask_stride: see :func:`collect_ground_truth`.
        absent_box: each of the four numbers of the box of an object that is
            absent or padded.

    Returns:
        The padded objects, by ascending identity within each clip.

    Raises:
        ValueError: if the clips differ in length or the masks are not padded
            to the batch's size.
    """
    clips = [sample.video_data_samples for sample in samples]
    if len({len(clip) for clip in clips}) != 1:
        raise ValueError('The clips of a batch must have the same number of '
                         f'frames, got {[len(clip) for clip in clips]}: set '
                         'num_frames of the clip sampler.')
    sizes = torch.tensor(
        [[frame.img_shape[1::-1] for frame in clip] for clip in clips],
        dtype=torch.float32, device=device)
    frames = [collect_ground_truth(list(batch), device,
                                   mask_stride=mask_stride)
              for batch in zip(*clips, strict=True)]
    ids = torch.cat([gt.ids.where(gt.valid, -1) for gt in frames], dim=1)
    table = torch.nn.utils.rnn.pad_sequence(
        [row[row >= 0].unique() for row in ids], batch_first=True,
        padding_value=-1)
    if table.shape[1] == 0:
        table = ids.new_full((len(ids), 1), -1)
    labels = torch.zeros_like(table)
    rows = torch.arange(len(table), device=device)[:, None]
    boxes, masks, present = [], [], []
    for gt in frames:
        same = (gt.ids[:, :, None] == table[:, None]) & gt.valid[:, :, None]
        here, own = same.any(1), same.long().argmax(1)
        labels = gt.labels[rows, own].where(here, labels)
        boxes.append(gt.cxcywh[rows, own].where(
            here[..., None], absent_box))
        assert gt.masks is not None
        masks.append(gt.masks[rows, own] & here[..., None, None])
        present.append(here)
    cxcywh = torch.stack(boxes, 2)
    return ClipTruth(labels, cxcywh, bbox_cxcywh_to_xyxy(cxcywh),
                     torch.stack(masks, 2), torch.stack(present, 2),
                     table >= 0, sizes)
