"""What the released Deformable-DETR systems name alike."""
from collections.abc import Mapping

import torch
from torch import Tensor

from .base import KeyMap

#: (pattern, replacement) of the parts that such a system shares.
DEFORMABLE_RULES: tuple[tuple[str, str], ...] = (
    # torchvision's ResNet, whose names mmdet keeps.
    (r'detr\.backbone\.0\.body\.', 'backbone.'),
    (r'detr\.input_proj\.([0-2])\.0\.', r'neck.convs.\1.conv.'),
    (r'detr\.input_proj\.([0-2])\.1\.', r'neck.convs.\1.gn.'),
    (r'detr\.input_proj\.3\.0\.', 'neck.extra_convs.0.conv.'),
    (r'detr\.input_proj\.3\.1\.', 'neck.extra_convs.0.gn.'),
    (r'detr\.transformer\.level_embed$', 'encoder.level_embed'),
    (r'detr\.transformer\.encoder\.layers\.(\d+)\.linear1\.',
     r'encoder.layers.\1.ffn.layers.0.0.'),
    (r'detr\.transformer\.encoder\.layers\.(\d+)\.linear2\.',
     r'encoder.layers.\1.ffn.layers.1.'),
    (r'detr\.transformer\.encoder\.layers\.(\d+)\.norm1\.',
     r'encoder.layers.\1.norms.0.'),
    (r'detr\.transformer\.encoder\.layers\.(\d+)\.norm2\.',
     r'encoder.layers.\1.norms.1.'),
    (r'detr\.transformer\.encoder\.', 'encoder.'),
    (r'detr\.transformer\.reference_points\.', 'reference_points.'),
    (r'detr\.query_embed\.', 'query_embed.'),
    (r'detr\.class_embed\.', 'cls_branches.'),
    (r'detr\.bbox_embed\.(\d+)\.layers\.([01])\.',
     r'box_branches.\1.hidden.\2.'),
    (r'detr\.bbox_embed\.(\d+)\.layers\.2\.', r'box_branches.\1.last.'),
    (r'controller\.', 'mask_controller.'),
    (r'mask_head\.lay3\.', 'mask_branch.fuse.0.'),
    (r'mask_head\.lay4\.', 'mask_branch.fuse.1.'),
    # Not deformable, whatever its name says.
    (r'mask_head\.dcn\.', 'mask_branch.fuse.2.'),
    (r'mask_head\.lay1\.', 'mask_branch.reduce.0.'),
    (r'mask_head\.lay2\.', 'mask_branch.reduce.1.'),
)


class FrozenNormKeyMap(KeyMap):
    """Of codes whose batch norm has no counter, which mmdet's does."""

    def convert(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :meth:`KeyMap.convert`; adds ``num_batches_tracked`` of 0."""
        out = super().convert(state_dict)
        stem = 'running_mean'
        for name in [n for n in out if n.endswith(stem)]:
            counter = name[:-len(stem)] + 'num_batches_tracked'
            out.setdefault(counter, torch.zeros((), dtype=torch.long))
        return out
