"""Video data sets, transforms and samplers.

The names are looked up when they are used: class lists and generated videos
need neither torch nor mmdet.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .class_counts import sync_classes
    from .coco_pseudo_video import CocoPseudoVideo
    from .moving_shapes.dataset import MovingShapes
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

_HOMES = {
    'class_counts': ('sync_classes', ),
    'coco_pseudo_video': ('CocoPseudoVideo', ),
    'moving_shapes.dataset': ('MovingShapes', ),
    'ovis': ('OVIS', ),
    'samplers': ('ClipSampler', 'KeyRefSampler', 'NearFarClipSampler',
                 'VideoFrameSampler'),
    'transforms': ('LoadFrame', 'LoadVISAnnotations'),
    'vis_dataset': ('VISDataset', ),
    'youtube_vis': ('YouTubeVIS2019', 'YouTubeVIS2021', 'YouTubeVIS2022'),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f'.{module}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = [
    'OVIS', 'ClipSampler', 'CocoPseudoVideo', 'KeyRefSampler', 'LoadFrame',
    'LoadVISAnnotations', 'MovingShapes', 'NearFarClipSampler', 'VISDataset',
    'VideoFrameSampler',
    'YouTubeVIS2019', 'YouTubeVIS2021', 'YouTubeVIS2022', 'sync_classes'
]
