"""What a system says about one frame, and what of it leaves a session."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from torch import Tensor

from .masks import RLE
from .pixels import FrameMeta, MaskSource
from .sigma_map import SigmaMap


@dataclass
class FrameInstances:
    """The instances of one frame, on the device where they were found.

    Attributes:
        ids (Tensor): Shape (n,) int64, identities, each at most once.
        masks (MaskSource): How their masks are made.
        meta (FrameMeta): ``ori_shape`` and ``frame_id`` of the frame.
        class_scores (Tensor, optional): Shape (n, K), in [0, 1].
        logits (Tensor, optional): Shape (n, K + 1), class logits with "no
            object" last, for rankings that average them.
        scores (Tensor, optional): Shape (n,); by default the best of
            ``class_scores``, else of the softmax of ``logits``.
        labels (Tensor, optional): Shape (n,) int64, of ``scores``.
        boxes (Tensor, optional): Shape (n, 4), xyxy in pixels of the original
            frame. Without them, boxes are those of the masks.
        sigmas (Tensor, optional): Shape (n, 4), standard deviations of x1,
            y1, x2, y2 as fractions of the un-padded frame's width and height;
            the same in all systems, never cut, and not mapped (see
            :class:`~mmvis_memcnp.results.sigma_map.SigmaMap`).
        class_probs (Tensor, optional): Shape (n,), probability of the label
            in [0, 1], where ``scores`` are more than that; by default the
            scores, where these are made of classes alone.
        centernesses (Tensor, optional): Shape (n,), predicted centre-ness in
            [0, 1], of systems that predict it.
        uncertainties (Tensor, optional): Shape (n,), what orders the boxes by
            how unsure the network is of them, in any unit; by default the
            mean of the four ``sigmas``.
        shown (Tensor, optional): Shape (n,) bool, whose masks are made and
            are results of this frame; by default all. Rankings see the others
            too.
        keep_empty (bool): Whether instances without a pixel are results of
            this frame. Rankings see them anyway. Defaults to True.
        rated (bool): Whether :meth:`render` also sets ``quality``. Defaults
            to False.
        quality (Tensor, optional): Shape (n, 2), for rankings that weigh by
            the masks: the sum of the probabilities of a mask's pixels and
            their number, zeros for who is not shown.
    """
    ids: Tensor
    masks: MaskSource
    meta: FrameMeta
    class_scores: Tensor | None = None
    logits: Tensor | None = None
    scores: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None
    sigmas: Tensor | None = None
    class_probs: Tensor | None = None
    centernesses: Tensor | None = None
    uncertainties: Tensor | None = None
    shown: Tensor | None = None
    keep_empty: bool = True
    rated: bool = False
    quality: Tensor | None = None

    def __post_init__(self) -> None:
        if self.uncertainties is None and self.sigmas is not None:
            self.uncertainties = self.sigmas.mean(1)
        if self.scores is not None:
            return
        if self.class_scores is not None:
            self.scores, self.labels = self.class_scores.max(1)
        elif self.logits is not None:
            self.scores, self.labels = self.logits.softmax(1)[:, :-1].max(1)
        else:
            raise ValueError('The instances of a frame need scores, '
                             'class_scores or logits.')
        if self.class_probs is None:
            self.class_probs = self.scores

    def __len__(self) -> int:
        return len(self.ids)

    @torch.no_grad()
    def render(self, sigma_map: SigmaMap | None = None) -> InstanceData:
        """Masks as run-length codes, all on the CPU.

        Args:
            sigma_map (SigmaMap, optional): Maps the standard deviations.

        Returns:
            InstanceData: A FrameResult; see :func:`frame_result`.
        """
        device = self.ids.device
        self._to_cpu()
        rows = torch.arange(len(self))
        if self.shown is not None:
            rows = rows[self.shown]
        wanted = rows.to(device, non_blocking=True)
        if self.rated:
            codes, sums = self.masks.rate(wanted)
            self.quality = torch.zeros(len(self), 2)
            self.quality[rows] = sums.cpu()
        else:
            codes = self.masks.encode(wanted)
        if not self.keep_empty:
            filled = np.flatnonzero(coco_mask.area(codes))
            rows, codes = rows[filled], [codes[i] for i in filled]
        assert self.scores is not None and self.labels is not None
        boxes = code_boxes(codes) if self.boxes is None else self.boxes[rows]
        height, width = self.meta['ori_shape'][:2]
        known = dict(
            box_sigmas=self.sigmas, class_probs=self.class_probs,
            centernesses=self.centernesses,
            uncertainties=self.uncertainties)
        result = frame_result(
            self.ids[rows], boxes, self.scores[rows], self.labels[rows],
            codes, ori_shape=(height, width),
            frame_id=int(self.meta.get('frame_id', 0)),
            **{name: None if value is None else value[rows]
               for name, value in known.items()})
        if sigma_map is not None and 'box_sigmas' in result:
            result.box_sigmas = torch.from_numpy(sigma_map(
                result.box_sigmas.numpy(), result.bboxes.numpy(),
                result.ori_shape)).float()
            result.set_metainfo(dict(sigmas_mapped=True))
        return result


    def _to_cpu(self) -> None:
        """Bring all numbers to the CPU, in one transfer."""
        if self.ids.device.type == 'cpu':
            return
        known = {name: value for name, value in vars(self).items()
                 if isinstance(value, Tensor)}
        # Integers up to 2^53 and single precision are exact in double.
        columns = [value.double() if value.dim() > 1 else
                   value.double()[:, None] for value in known.values()]
        numbers = torch.cat(columns, 1).cpu().split(
            [part.shape[1] for part in columns], 1)
        for (name, value), part in zip(known.items(), numbers, strict=True):
            setattr(self, name, part.reshape(value.shape).to(value.dtype))


def code_boxes(codes: Sequence[RLE]) -> Tensor:
    """The tight boxes of run-length codes.

    Args:
        codes (Sequence[dict]): n compressed codes.

    Returns:
        Tensor: Shape (n, 4) float32; see :func:`mask_boxes`.
    """
    boxes = torch.from_numpy(np.array(
        coco_mask.toBbox(list(codes)), np.float32)).reshape(-1, 4)
    return torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1)


def mask_boxes(masks: Tensor) -> Tensor:
    """The tight boxes of masks.

    Args:
        masks (Tensor): Shape (n, H, W) bool.

    Returns:
        Tensor: Shape (n, 4) float32, x1, y1, x2, y2 in pixels, the right and
        lower sides outside of the last pixel; zeros for an empty mask.
    """
    sides = []
    # As whole numbers: a CPU finds the largest ten times as fast as any().
    values = masks.view(torch.uint8)
    for axis in (1, 2):  # rows are folded away first: columns, that is x
        line = values.amax(axis) > 0
        length = line.shape[1]
        place = torch.arange(length, device=masks.device)
        sides.append((place.where(line, length).amin(1),
                      (place + 1).where(line, 0).amax(1)))
    (x1, x2), (y1, y2) = sides
    boxes = torch.stack((x1, y1, x2, y2), 1).float()
    return boxes * (x2 > 0)[:, None]


def frame_result(instances_id: Tensor,
                 bboxes: Tensor,
                 scores: Tensor,
                 labels: Tensor,
                 masks: Sequence[RLE],
                 *,
                 ori_shape: tuple[int, int],
                 frame_id: int = 0,
                 box_sigmas: Tensor | None = None,
                 class_probs: Tensor | None = None,
                 centernesses: Tensor | None = None,
                 uncertainties: Tensor | None = None) -> InstanceData:
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
        class_probs (Tensor, optional): Probabilities of the labels of shape
            (n, ).
        centernesses (Tensor, optional): Predicted centre-ness of shape
            (n, ).
        uncertainties (Tensor, optional): Of shape (n, ), what orders the
            boxes by how unsure the network is of them: the mean of the four
            numbers that it predicts, whatever they are mapped to.

    Returns:
        InstanceData: The *FrameResult*: ``instances_id`` and ``labels``
        int64, all that was given beside float32, ``masks`` a list; metainfo
        ``frame_id`` and ``ori_shape``; ``sigmas_mapped`` (True) is set by
        :meth:`FrameInstances.render` if a map was applied.

    Raises:
        ValueError: If the lengths differ.
    """
    count = len(instances_id)
    fields: dict[str, Any] = dict(
        instances_id=_cpu(instances_id, torch.int64, (count, )),
        bboxes=_cpu(bboxes, torch.float32, (count, 4)),
        scores=_cpu(scores, torch.float32, (count, )),
        labels=_cpu(labels, torch.int64, (count, )),
        masks=list(masks))
    if box_sigmas is not None:
        fields['box_sigmas'] = _cpu(box_sigmas, torch.float32, (count, 4))
    for name, value in (('class_probs', class_probs),
                        ('centernesses', centernesses),
                        ('uncertainties', uncertainties)):
        if value is not None:
            fields[name] = _cpu(value, torch.float32, (count, ))
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
