"""A model that works untrained: objects are bright."""
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModel
from torch import nn

import mmvis_memcnp  # noqa: F401
from mmvis_memcnp.results import TrackStore, encode_masks
from mmvis_memcnp.results.frame_result import frame_result


class ThresholdSession:

    def __init__(self, threshold):
        self.threshold = threshold
        self.store = TrackStore()

    def step(self, frames, metas):
        results = []
        for frame, meta in zip(frames, metas, strict=True):
            height, width = meta['img_shape']
            mask = frame[:, :height, :width].mean(0) > self.threshold
            rows, columns = mask.nonzero().T
            box = torch.stack([
                columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            ])
            result = frame_result(
                instances_id=torch.tensor([0]),
                bboxes=box[None].float(),
                scores=torch.tensor([0.75]),
                labels=torch.tensor([0]),
                masks=encode_masks(mask[None]),
                frame_id=meta['frame_id'],
                ori_shape=meta['ori_shape'])
            self.store.append(result)
            results.append(result)
        return results

    def flush(self):
        return []

    def finish(self):
        return self.store.finish()


@MODELS.register_module()
class ThresholdVIS(BaseModel):

    def __init__(self, data_preprocessor):
        super().__init__(data_preprocessor)
        self.threshold = nn.Parameter(torch.tensor(128.))

    def start(self, video_meta=None):
        return ThresholdSession(self.threshold)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        raise NotImplementedError
