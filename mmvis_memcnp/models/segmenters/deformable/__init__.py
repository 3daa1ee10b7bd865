"""What IDOL, SeqFormer and InstanceFormer share of Deformable DETR."""
from .box_branch import (
    BoxPrediction,
    MemCNPBoxBranch,
    MemCNPBoxBranches,
    PlainBoxBranch,
    build_box_branches,
    refine_boxes,
)
from .decoder import DecodedQueries, DeformableDecoder
from .dynamic_mask_head import NUM_MASK_PARAMS, DynamicConvMaskHead
from .encoder import (
    DeformableEncoder,
    EncodedFrames,
    input_hw,
    padding_mask,
    sizes_wh,
)
from .mask_branch import MaskBranch

__all__ = [
    'NUM_MASK_PARAMS', 'BoxPrediction', 'DecodedQueries',
    'DeformableDecoder', 'DeformableEncoder', 'DynamicConvMaskHead',
    'EncodedFrames', 'MaskBranch', 'MemCNPBoxBranch', 'MemCNPBoxBranches',
    'PlainBoxBranch', 'build_box_branches', 'input_hw', 'padding_mask',
    'refine_boxes', 'sizes_wh'
]
