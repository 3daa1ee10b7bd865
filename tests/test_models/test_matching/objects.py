"""Objects without pictures, for tests of matchers."""
import torch
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh

from mmvis_memcnp.models.truth import ClipTruth, GroundTruth


def frames_of(xyxy, valid, labels=None):
    """Objects of frames whose boxes (..., G, 4) are fractions."""
    if labels is None:
        labels = torch.zeros_like(valid, dtype=torch.long)
    return GroundTruth(xyxy, bbox_xyxy_to_cxcywh(xyxy), xyxy, labels, labels,
                       valid, None)


def clips_of(xyxy, present, labels=None):
    """Objects of clips: boxes (..., G, T, 4) and where they are seen."""
    valid = present.any(-1)
    if labels is None:
        labels = torch.zeros_like(valid, dtype=torch.long)
    return ClipTruth(labels, bbox_xyxy_to_cxcywh(xyxy), xyxy,
                     torch.zeros(*present.shape, 1, 1, dtype=torch.bool),
                     present, valid,
                     torch.ones(len(present), present.shape[-1], 2))
