"""How alike detections and objects are, and which rows belong together."""
from .bisoftmax import BiSoftmaxAssociation
from .cues import CueAssociation
from .hungarian import HungarianAssociation

__all__ = ['BiSoftmaxAssociation', 'CueAssociation', 'HungarianAssociation']
