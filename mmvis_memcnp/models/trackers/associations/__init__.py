"""How alike detections and remembered objects are."""
from .bisoftmax import BiSoftmaxAssociation
from .cues import CueAssociation

__all__ = ['BiSoftmaxAssociation', 'CueAssociation']
