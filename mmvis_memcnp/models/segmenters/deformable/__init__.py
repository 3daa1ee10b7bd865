"""What IDOL, SeqFormer and InstanceFormer share of Deformable DETR."""
from .box_branch import (
    BoxPrediction,
    PlainBoxBranch,
    build_box_branches,
    refine_boxes,
)
from .dynamic_mask_head import NUM_MASK_PARAMS, DynamicConvMaskHead
from .encoder import DeformableEncoder, EncodedFrames, padding_mask
from .mask_branch import MaskBranch
from .seqformer_decoder import DecodedClips, SeqFormerDecoder
from .seqformer_loss import SeqFormerLoss

__all__ = [
    'NUM_MASK_PARAMS', 'BoxPrediction', 'DecodedClips', 'DeformableEncoder',
    'DynamicConvMaskHead', 'EncodedFrames', 'MaskBranch', 'PlainBoxBranch',
    'SeqFormerDecoder', 'SeqFormerLoss', 'build_box_branches', 'padding_mask',
    'refine_boxes'
]
