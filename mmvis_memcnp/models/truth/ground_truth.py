"""Ground truth of a batch of frames as padded tensors."""
from typing import NamedTuple

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import (
    bbox_cxcywh_to_xyxy,
    bbox_xyxy_to_cxcywh,
    get_box_tensor,
)
from torch import Tensor


class GroundTruth(NamedTuple):
    """Objects of B frames, padded to the same number G (at least 1).

    Attributes:
        boxes: (B, G, 4) float, x1, y1, x2, y2 in pixels of the input.
        cxcywh: (B, G, 4) float, the same as cx, cy, w, h, fractions of the
            frame without padding.
        xyxy: (B, G, 4) float, the same as x1, y1, x2, y2, fractions of the
            frame without padding.
        labels: (B, G) int64, from 0; 0 where padded.
        ids: (B, G) int64 track identities, unique over the batch; -1 where
            padded.
        valid: (B, G) bool, False where padded and for boxes without area.
        masks: (B, G, h, w) bool, samples of the padded input, or None.
    """
    boxes: Tensor
    cxcywh: Tensor
    xyxy: Tensor
    labels: Tensor
    ids: Tensor
    valid: Tensor
    masks: Tensor | None

    def known_masks(self) -> Tensor:
        """The masks.

        Raises:
            ValueError: if none were collected.
        """
        if self.masks is None:
            raise ValueError('The losses need masks: load the annotations '
                             'with masks.')
        return self.masks

    def take(self, index: slice | Tensor) -> 'GroundTruth':
        """Some of the frames; the index keeps their axis."""
        return GroundTruth._make(
            None if x is None else x[index] for x in self)

    def by_frame(self) -> tuple[Tensor, Tensor]:
        """Boxes (B, 1, G, 4), xyxy as fractions, and (B, 1, G) bool, which
        are there: frames as clips of one."""
        return self.xyxy[:, None], self.valid[:, None]

    @classmethod
    def of(cls, boxes: Tensor, image_wh: Tensor, labels: Tensor, ids: Tensor,
           valid: Tensor, masks: Tensor | None = None) -> 'GroundTruth':
        """With the boxes in all their forms.

        Args:
            boxes, labels, ids, valid, masks: See the class.
            image_wh: (B, 2), width and height without padding, in pixels.
        """
        cxcywh = bbox_xyxy_to_cxcywh(boxes) / image_wh.repeat(1, 2)[:, None]
        return cls(boxes, cxcywh, bbox_cxcywh_to_xyxy(cxcywh), labels, ids,
                   valid, masks)


def collect_ground_truth(samples: list[DetDataSample],
                         device: torch.device,
                         with_masks: bool = True,
                         mask_stride: int = 1) -> GroundTruth:
    """Pad the ground truth of one frame a video into tensors.

    Args:
        samples: one frame of each of B different videos, with
            ``img_shape``, and ``gt_instances`` holding ``bboxes``,
            ``labels``, ``instances_ids`` and, if wanted, ``masks``.
        device: where the tensors go.
        with_masks: also stack the masks.
        mask_stride: distance in pixels between the mask samples, the first of
            which is in the middle of the first stride; a higher value gives
            coarser masks. Above 1 the samples fit mask logits whose features
            had twice this stride.

    Returns:
        The padded ground truth.

    Raises:
        ValueError: if the masks are not padded to the batch's size.
    """
    counts = [len(s.gt_instances) for s in samples]
    batch, most = len(samples), max(1, *counts)
    # On the device from the start: annotations may be there already, and
    # fetching them would make the host wait for it.
    boxes = torch.zeros(batch, most, 4, device=device)
    labels = torch.zeros(batch, most, dtype=torch.long, device=device)
    ids = torch.full((batch, most), -1, dtype=torch.long, device=device)
    valid = torch.zeros(batch, most, dtype=torch.bool, device=device)
    masks = None
    if with_masks:
        size = tuple(samples[0].batch_input_shape)
        masks = torch.zeros(
            batch, most, *(_sampled(side, mask_stride) for side in size),
            dtype=torch.bool)
    for b, (sample, n) in enumerate(zip(samples, counts, strict=True)):
        gt = sample.gt_instances
        if n == 0:
            continue
        own_boxes = get_box_tensor(gt.bboxes)
        boxes[b, :n] = own_boxes
        labels[b, :n] = torch.as_tensor(gt.labels)
        # An id is unique within its video only.
        ids[b, :n] = torch.as_tensor(gt.instances_ids) * batch + b
        # Nothing is left of objects that were cropped away.
        valid[b, :n] = (own_boxes[:, 2:] > own_boxes[:, :2]).all(1)
        if masks is not None:
            own = torch.from_numpy(gt.masks.to_ndarray())
            if own.shape[1:] != size:
                raise ValueError(
                    f'Masks of {tuple(own.shape[1:])} pixels came with inputs '
                    f'of {size}: set pad_mask=True in the data preprocessor.')
            start = mask_stride // 2
            own = own[:, start::mask_stride, start::mask_stride]
            masks[b, :n, :own.shape[1], :own.shape[2]] = own
    image_wh = torch.tensor([s.img_shape[1::-1] for s in samples],
                            dtype=torch.float32, device=device)
    return GroundTruth.of(boxes, image_wh, labels, ids, valid,
                          None if masks is None else masks.to(device))


def _sampled(side: int, stride: int) -> int:
    """Pixels of a side that is sampled with a stride."""
    return side if stride == 1 else -(-side // (2 * stride)) * 2


def clip_frames(samples: list[TrackDataSample],
                which: str) -> tuple[list[int], list[DetDataSample]]:
    """The key or the reference frame of every clip of a batch.

    Args:
        samples: packed clips.
        which: ``'key'`` or ``'ref'``.

    Returns:
        Position of the frame in each clip, and the frames' samples.

    Raises:
        ValueError: if a clip names no such frame.
    """
    positions, frames = [], []
    for sample in samples:
        inds = list(getattr(sample, f'{which}_frames_inds', []))
        if not inds:
            raise ValueError(
                f'A training clip has no {which} frame: sample clips of two '
                'frames (KeyRefSampler) for this model.')
        positions.append(int(inds[0]))
        frames.append(sample.video_data_samples[int(inds[0])])
    return positions, frames


def same_objects(key_gt: GroundTruth,
                 ref_gt: GroundTruth) -> tuple[Tensor, Tensor]:
    """Where the objects of key frames are in the reference frames.

    Args:
        key_gt: Of N frames, G objects.
        ref_gt: Of N frames of the same videos.

    Returns:
        (N, G) bool, whether an object is there, and (N, G) int64, its row
        there (0 where it is not).
    """
    same = ((key_gt.ids[:, :, None] == ref_gt.ids[:, None]) &
            key_gt.valid[:, :, None] & ref_gt.valid[:, None])
    return same.any(2), same.long().argmax(2)
