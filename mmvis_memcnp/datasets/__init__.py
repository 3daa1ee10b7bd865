"""Video data sets, transforms and samplers."""
from .class_counts import sync_classes
from .coco_pseudo_video import CocoPseudoVideo
from .moving_shapes import MovingShapes
from .ovis import OVIS
from .samplers import (
    ClipSampler,
    KeyRefSampler,
    NearFarClipSampler,
    VideoFrameSampler,
)
from .transforms import LoadFrame, LoadVISAnnotations
from .vis_dataset import VISDataset
from .youtube_vis import YouTubeVIS2019, YouTubeVIS2021, YouTubeVIS2022

__all__ = [
    'OVIS', 'ClipSampler', 'CocoPseudoVideo', 'KeyRefSampler', 'LoadFrame',
    'LoadVISAnnotations', 'MovingShapes', 'NearFarClipSampler', 'VISDataset',
    'VideoFrameSampler',
    'YouTubeVIS2019', 'YouTubeVIS2021', 'YouTubeVIS2022', 'sync_classes'
]
