"""What IDOL, SeqFormer and InstanceFormer share of Deformable DETR."""
from .box_branch import BoxPrediction, PlainBoxBranch, refine_boxes
from .dynamic_mask_head import NUM_MASK_PARAMS, DynamicConvMaskHead
from .encoder import DeformableEncoder, EncodedFrames, padding_mask
from .mask_branch import MaskBranch

__all__ = [
    'NUM_MASK_PARAMS', 'BoxPrediction', 'DeformableEncoder',
    'DynamicConvMaskHead', 'EncodedFrames', 'MaskBranch', 'PlainBoxBranch',
    'padding_mask', 'refine_boxes'
]
