"""Importing this module registers every part with mmdet's registries."""
from . import compat

# Before anything imports mmcv.ops or mmdet.models: the shims patch those.
compat.apply()

from . import apis, converters, engine, models, ops, visualization
from .datasets import (
    coco_pseudo_video,
    ovis,
    samplers,
    transforms,
    vis_dataset,
    youtube_vis,
)
from .datasets.moving_shapes import dataset as moving_shapes
from .evaluation import metrics
from .results import filters, ranking

__all__ = [
    'apis', 'coco_pseudo_video', 'compat', 'converters', 'engine', 'filters',
    'metrics', 'models', 'moving_shapes', 'ops', 'ovis', 'ranking',
    'samplers', 'transforms', 'vis_dataset', 'visualization', 'youtube_vis'
]
