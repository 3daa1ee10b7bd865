"""SipMask-VIS, and SipMask with MemCNP: the head decides which."""
import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from ..truth.ground_truth import clip_frames, collect_ground_truth
from .base import OnlineVIS


@MODELS.register_module()
class SipMaskVIS(OnlineVIS):
    """One-stage VIS: a dense head on a pyramid, and matching of its vectors.

    Training takes a key frame, on which everything is learnt, and a reference
    frame of the same video, whose objects the key frame's are matched with.

    Args:
        bbox_head: a :class:`SipMaskHead` or :class:`MemCNPSipMaskHead`.
        mask_thr: pixels with a larger probability belong to a mask.
        kwargs: see :class:`OnlineVIS`.

    Raises:
        ValueError: if the threshold is no probability.
    """

    def __init__(self, *, bbox_head: dict, mask_thr: float = 0.5,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 < mask_thr < 1:
            raise ValueError('mask_thr must be between 0 and 1, got '
                             f'{mask_thr}.')
        self.mask_thr = mask_thr
        self.bbox_head = MODELS.build(bbox_head)
        self.mask_stride = self.bbox_head.mask_stride

    def loss(self, inputs: Tensor,
             data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of key and reference frames.

        Args:
            inputs: (N, T, 3, H, W).
            data_samples: with ``key_frames_inds`` and ``ref_frames_inds``.
        """
        rows = torch.arange(len(inputs), device=inputs.device)
        key_at, key_frames = clip_frames(data_samples, 'key')
        ref_at, ref_frames = clip_frames(data_samples, 'ref')
        # One pass for both halves: twice the batch, half the launches.
        feats = self.extract_feat(
            torch.cat([inputs[rows, key_at], inputs[rows, ref_at]]))
        split = len(inputs)
        return self.bbox_head.loss(
            tuple(f[:split] for f in feats), tuple(f[split:] for f in feats),
            collect_ground_truth(key_frames, inputs.device),
            collect_ground_truth(ref_frames, inputs.device, with_masks=False))

    def segment(self, frames: Tensor, metas: list[dict]) -> list[InstanceData]:
        """See :meth:`OnlineVIS.segment`."""
        return self.bbox_head.predict(self.extract_feat(frames), metas)

    def render(self, tracked: InstanceData, meta: dict) -> InstanceData:
        """See :meth:`OnlineVIS.render`.

        The head's standard deviations are fractions of the padded input, a
        FrameResult's of the frame.
        """
        out = super().render(tracked, meta)
        if 'box_sigmas' in out:
            padded = tracked.mask_probs.shape[-2:]
            y, x = (side * self.mask_stride / inside for side, inside in zip(
                padded, meta['img_shape'][:2], strict=True))
            out.box_sigmas = out.box_sigmas * out.box_sigmas.new_tensor(
                [x, y, x, y])
        return out

    def _forward(self, inputs: Tensor):
        """Maps of every frame: (N, T, ...) is taken as N * T frames."""
        return self.bbox_head(self.extract_feat(inputs.flatten(0, 1)))
