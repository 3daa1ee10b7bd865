"""What released checkpoints of the deformable-DETR family have in common.

IDOL and SeqFormer put detectron2's ResNet and Deformable DETR into wrappers,
InstanceFormer torchvision's; their names differ in these prefixes alone. All
three take the same Swin Transformer instead.
"""
from .resnet import resnet_rules
from .swin import swin_rules, swin_values

_PREFIX = r'(?:detr\.)+'
# InstanceFormer's mask heads stand outside of the wrapper.
_WRAPPER = r'(?:detr\.)*'
_BODY = _PREFIX + r'backbone\.0\.(?:backbone|body)\.'
_TRANSFORMER = _PREFIX + r'transformer\.'

Rules = tuple[tuple[str, str], ...]


def in_segmenter(rules: Rules) -> Rules:
    """Rules whose names here stand in the ``segmenter`` of a system."""
    return tuple((pattern, f'segmenter.{name}') for pattern, name in rules)


#: Backbone, input projection, transformer, branches and mask branch.
DEFORMABLE_RULES = in_segmenter((
    *resnet_rules(_BODY, 'backbone.'),
    *swin_rules(_BODY, 'backbone.'),
    (_PREFIX + r'input_proj\.3\.0\.', 'neck.extra_convs.0.conv.'),
    (_PREFIX + r'input_proj\.3\.1\.', 'neck.extra_convs.0.gn.'),
    (_PREFIX + r'input_proj\.(\d)\.0\.', r'neck.convs.\1.conv.'),
    (_PREFIX + r'input_proj\.(\d)\.1\.', r'neck.convs.\1.gn.'),
    (_TRANSFORMER + r'level_embed$', 'encoder.level_embed'),
    (_TRANSFORMER + r'reference_points\.', 'reference_points.'),
    (_TRANSFORMER + r'(encoder|decoder)\.layers\.(\d+)\.linear1\.',
     r'\1.layers.\2.ffn.layers.0.0.'),
    (_TRANSFORMER + r'(encoder|decoder)\.layers\.(\d+)\.linear2\.',
     r'\1.layers.\2.ffn.layers.1.'),
    (_TRANSFORMER + r'encoder\.layers\.(\d+)\.norm1\.',
     r'encoder.layers.\1.norms.0.'),
    (_TRANSFORMER + r'encoder\.layers\.(\d+)\.norm2\.',
     r'encoder.layers.\1.norms.1.'),
    # Numbered in the order of their use here: the self-attention comes first.
    (_TRANSFORMER + r'decoder\.layers\.(\d+)\.norm2\.',
     r'decoder.layers.\1.norms.0.'),
    (_TRANSFORMER + r'decoder\.layers\.(\d+)\.norm1\.',
     r'decoder.layers.\1.norms.1.'),
    (_TRANSFORMER + r'decoder\.layers\.(\d+)\.norm3\.',
     r'decoder.layers.\1.norms.2.'),
    (_TRANSFORMER + r'decoder\.layers\.(\d+)\.self_attn\.',
     r'decoder.layers.\1.self_attn.attn.'),
    (_TRANSFORMER + r'(encoder|decoder)\.layers\.', r'\1.layers.'),
    (_PREFIX + r'query_embed\.', 'query_embed.'),
    (_PREFIX + r'class_embed\.', 'cls_branches.'),
    (_PREFIX + r'bbox_embed\.(\d+)\.layers\.2\.', r'box_branches.\1.last.'),
    (_PREFIX + r'bbox_embed\.(\d+)\.layers\.', r'box_branches.\1.hidden.'),
    (_WRAPPER + r'controller\.', 'mask_controller.'),
    (_WRAPPER + r'mask_head\.lay3\.', 'mask_branch.fuse.0.'),
    (_WRAPPER + r'mask_head\.lay4\.', 'mask_branch.fuse.1.'),
    (_WRAPPER + r'mask_head\.dcn\.', 'mask_branch.fuse.2.'),
    (_WRAPPER + r'mask_head\.lay1\.', 'mask_branch.reduce.0.'),
    (_WRAPPER + r'mask_head\.lay2\.', 'mask_branch.reduce.1.'),
))

#: Tensors that Swin lays out differently.
DEFORMABLE_VALUES = swin_values(_BODY)

#: The decoder holds the box branches once more, the same tensors; Swin a norm
#: of the finest map.
DEFORMABLE_IGNORED: Rules = (
    (_TRANSFORMER + r'decoder\.bbox_embed\.',
     'shared copies of the box branches'),
    (_BODY + r'norm0\.',
     'norm of the finest map of Swin, which nothing reads'),
)
