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
from .seqformer_decoder import DecodedClips, SeqFormerDecoder
from .seqformer_loss import SeqFormerLoss

__all__ = [
    'NUM_MASK_PARAMS', 'BoxPrediction', 'DecodedClips', 'DecodedQueries',
    'DeformableDecoder', 'DeformableEncoder', 'DynamicConvMaskHead',
    'EncodedFrames', 'MaskBranch', 'MemCNPBoxBranch', 'MemCNPBoxBranches',
    'PlainBoxBranch', 'SeqFormerDecoder', 'SeqFormerLoss',
    'build_box_branches', 'input_hw', 'padding_mask', 'refine_boxes',
    'sizes_wh'
]
