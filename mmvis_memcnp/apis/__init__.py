"""Programming interface for anyone's video."""
from .inferencer import InferenceSession, VISInferencer, load_config
from .sources import FrameSource, SourceError, open_source

__all__ = [
    'FrameSource', 'InferenceSession', 'SourceError', 'VISInferencer',
    'load_config', 'open_source'
]
