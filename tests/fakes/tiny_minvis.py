"""MinVIS small enough for a test, and one whose frames are given."""
import torch
from mmengine.config import Config
from torch import nn

from mmvis_memcnp.models.segmenters.mask2former import FrameQueries
from tests.fakes.tiny_mask2former import CONFIGS, build, tiny_config


def tiny_minvis_config(**model):
    """Model config of 3 classes and 7 queries; settings are replaced."""
    own = Config.fromfile(CONFIGS / 'minvis.py').minvis
    return Config(dict(tiny_config(), **own)).to_dict() | model


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    return build(tiny_minvis_config(**model), seed)


class GivenFrames(nn.Module):
    """A segmenter that gives what it was told, whatever the frames are.

    Args:
        queries: (T, N, C).
        logits: (T, N, K + 1).
        masks: (T, N, h, w) logits.
    """

    def __init__(self, queries, logits, masks):
        super().__init__()
        self.given, self.next = (queries, logits, masks), 0

    def forward(self, frames):
        """The next frames' queries; each has a mask feature of its own."""
        rows = slice(self.next, self.next + len(frames))
        self.next += len(frames)
        queries, logits, masks = (x[None, rows] for x in self.given)
        own = torch.eye(queries.shape[2]).expand(1, len(frames), -1, -1)
        return FrameQueries(queries, queries, logits, own, None, masks[0])
