"""What IDOL, SeqFormer and InstanceFormer share of Deformable DETR."""
from .box_branch import (
    BoxPrediction,
    PlainBoxBranch,
    build_box_branches,
    refine_boxes,
)
from .dynamic_mask_head import NUM_MASK_PARAMS, DynamicConvMaskHead
from .encoder import DeformableEncoder, EncodedFrames, padding_mask
from .instanceformer_decoder import DecodedQueries, InstanceFormerDecoder
from .mask_branch import MaskBranch
from .prior_propagation import ClassHistory, ClassPrior, ReferencePrior
from .token_memory import MemoryTokens, TokenMemory

__all__ = [
    'NUM_MASK_PARAMS', 'BoxPrediction', 'ClassHistory', 'ClassPrior',
    'DecodedQueries', 'DeformableEncoder', 'DynamicConvMaskHead',
    'EncodedFrames', 'InstanceFormerDecoder', 'MaskBranch', 'MemoryTokens',
    'PlainBoxBranch', 'ReferencePrior', 'TokenMemory', 'build_box_branches',
    'padding_mask', 'refine_boxes'
]
