"""Programming interface for anyone's video."""
from ..errors import SourceError
from .devices import choose_device
from .inferencer import InferenceSession, VISInferencer, load_config
from .sources import FrameSource, open_source, read_frames

__all__ = [
    'FrameSource', 'InferenceSession', 'SourceError', 'VISInferencer',
    'choose_device', 'load_config', 'open_source', 'read_frames'
]
