"""What IDOL, SeqFormer and InstanceFormer share of Deformable DETR."""
from .box_branch import (
    BoxPrediction,
    MemCNPBoxBranch,
    MemCNPBoxBranches,
    PlainBoxBranch,
    build_box_branches,
    refine_boxes,
)
from .dynamic_mask_head import NUM_MASK_PARAMS, DynamicConvMaskHead
from .encoder import DeformableEncoder, EncodedFrames, padding_mask
from .mask_branch import MaskBranch

__all__ = [
    'NUM_MASK_PARAMS', 'BoxPrediction', 'DeformableEncoder',
    'DynamicConvMaskHead', 'EncodedFrames', 'MaskBranch', 'MemCNPBoxBranch',
    'MemCNPBoxBranches', 'PlainBoxBranch', 'build_box_branches',
    'padding_mask', 'refine_boxes'
]
