"""Programming interface for anyone's video.

The names are looked up when they are used: frames are read without torch.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import SourceError
    from .devices import choose_device
    from .inference_session import InferenceSession
    from .inferencer import VISInferencer
    from .loading import load_config
    from .scenes import CutDetector
    from .sources import FrameSource, open_source, read_frames

_HOMES = {
    '..errors': ('SourceError', ),
    '.devices': ('choose_device', ),
    '.inference_session': ('InferenceSession', ),
    '.inferencer': ('VISInferencer', ),
    '.loading': ('load_config', ),
    '.scenes': ('CutDetector', ),
    '.sources': ('FrameSource', 'open_source', 'read_frames'),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module, __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = [
    'CutDetector', 'FrameSource', 'InferenceSession', 'SourceError',
    'VISInferencer', 'choose_device', 'load_config', 'open_source',
    'read_frames'
]
