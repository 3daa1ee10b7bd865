"""Ground truth of a batch of clips: one row an object, not a detection."""
from typing import NamedTuple

import torch
from mmdet.structures import TrackDataSample
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh, get_box_tensor
from torch import Tensor


class ClipTruth(NamedTuple):
    """Objects of B clips of T frames, padded to the same number G.

    Attributes:
        labels: (B, G) int64, from 0; 0 where padded.
        boxes: (B, G, T, 4) float, cx, cy, w, h as fractions of the un-padded
            frame; zeros where the object is absent or padded.
        masks: (B, G, T, h, w) bool, sampled from the padded input; empty
            where the object is absent or padded.
        valid: (B, G) bool, False where padded.
    """
    labels: Tensor
    boxes: Tensor
    masks: Tensor
    valid: Tensor

    @property
    def visible(self) -> Tensor:
        """(B, G, T) bool, frames in which an object has a box."""
        return self.boxes[..., 2:].amin(-1) > 0


def collect_clips(samples: list[TrackDataSample],
                  device: torch.device,
                  mask_stride: int = 4) -> ClipTruth:
    """The union of the objects over the frames of each clip.

    Args:
        samples: B clips of the same number of frames, whose ``gt_instances``
            hold ``bboxes``, ``labels``, ``instances_ids`` and ``masks``.
        device: where the tensors go.
        mask_stride: every so-manieth pixel of the masks is taken, from the
            middle of the first stride on.

    Returns:
        The padded objects, by ascending identity within each clip.

    Raises:
        ValueError: if the clips differ in length or the masks are not padded
            to the batch's size.
    """
    clips = [sample.video_data_samples for sample in samples]
    if len({len(clip) for clip in clips}) != 1:
        raise ValueError('The clips of a batch must have the same number of '
                         f'frames, got {[len(clip) for clip in clips]}.')
    identities = [
        torch.cat([
            torch.as_tensor(f.gt_instances.instances_ids).reshape(-1).cpu()
            for f in clip
        ]).unique(return_inverse=True) for clip in clips
    ]
    batch, frames = len(clips), len(clips[0])
    most = max(len(ids) for ids, _ in identities)
    size = tuple(clips[0][0].batch_input_shape)
    start = mask_stride // 2
    shape = [len(range(start, side, mask_stride)) for side in size]
    labels = torch.zeros(batch, most, dtype=torch.long)
    boxes = torch.zeros(batch, most, frames, 4)
    masks = torch.zeros(batch, most, frames, *shape, dtype=torch.bool)
    valid = torch.zeros(batch, most, dtype=torch.bool)
    for b, (clip, (ids, rows)) in enumerate(
            zip(clips, identities, strict=True)):
        valid[b, :len(ids)] = True
        lengths = [len(frame.gt_instances) for frame in clip]
        for t, (frame, row) in enumerate(
                zip(clip, rows.split(lengths), strict=True)):
            gt = frame.gt_instances
            if not len(gt):
                continue
            height, width = frame.img_shape[:2]
            labels[b, row] = torch.as_tensor(gt.labels).cpu()
            boxes[b, row, t] = bbox_xyxy_to_cxcywh(
                get_box_tensor(gt.bboxes).cpu().float()) / torch.tensor(
                    [width, height] * 2)
            own = torch.from_numpy(gt.masks.masks)
            if tuple(own.shape[1:]) != size:
                raise ValueError(
                    f'Masks of {tuple(own.shape[1:])} pixels came with inputs '
                    f'of {size}: set pad_mask=True in the data preprocessor.')
            masks[b, row, t] = own[:, start::mask_stride,
                                   start::mask_stride].bool()
    return ClipTruth(*(x.to(device) for x in (labels, boxes, masks, valid)))
