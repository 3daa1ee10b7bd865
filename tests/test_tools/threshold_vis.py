"""A model that works untrained: objects are bright."""
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import nn

import mmvis_memcnp  # noqa: F401
from mmvis_memcnp.models.vis import VIS
from mmvis_memcnp.results import FrameInstances, MaskSource


@MODELS.register_module()
class ThresholdVIS(VIS):
    """One instance: all pixels whose mean over the channels is large."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.threshold = nn.Parameter(torch.tensor(128.))

    def begin(self, video_meta):
        return None

    def encode(self, frames, metas):
        return [InstanceData(values=frame.mean(0, keepdim=True))
                for frame in frames]

    def advance(self, state, item, meta):
        return [FrameInstances(
            torch.tensor([0]),
            MaskSource(item.values, meta, 'bilinear', 1,
                       float(self.threshold)),
            meta, scores=torch.tensor([0.75]), labels=torch.tensor([0]))]
