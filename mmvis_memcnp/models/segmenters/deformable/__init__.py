"""What IDOL, SeqFormer and InstanceFormer share of Deformable DETR."""
from .box_branch import (
    BoxRegressor,
    PlainBoxBranch,
    build_box_branches,
    reading,
)
from .decoder import DecodedQueries, DeformableDecoder
from .dynamic_mask_head import DynamicConvMaskHead
from .encoder import (
    DeformableEncoder,
    EncodedFrames,
    input_hw,
    padding_mask,
    sizes_wh,
)
from .instanceformer_decoder import DecodedFrames, InstanceFormerDecoder
from .mask_branch import MaskBranch
from .prior_propagation import ClassHistory, ClassPrior, ReferencePrior
from .segmenter import DeformableSegmenter
from .seqformer_decoder import DecodedClips, SeqFormerDecoder
from .start_points import start_points
from .token_memory import MemoryTokens, TokenMemory

__all__ = [
    'BoxRegressor', 'ClassHistory',
    'ClassPrior', 'DecodedClips', 'DecodedFrames', 'DecodedQueries',
    'DeformableDecoder', 'DeformableEncoder', 'DeformableSegmenter',
    'DynamicConvMaskHead', 'EncodedFrames', 'InstanceFormerDecoder',
    'MaskBranch', 'MemoryTokens', 'PlainBoxBranch',
    'ReferencePrior', 'SeqFormerDecoder', 'TokenMemory', 'build_box_branches',
    'input_hw', 'padding_mask', 'reading', 'sizes_wh',
    'start_points'
]
