"""Pixel decoder of Mask2Former: three scales of memory, one of mask features.

Cheng et al., Masked-attention Mask Transformer for Universal Image
Segmentation, CVPR 2022.
"""
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.model import (
    BaseModule,
    ModuleList,
    caffe2_xavier_init,
    xavier_init,
)
from torch import Tensor, nn

from ....results.saved_values import saveable


@saveable
class PixelMaps(NamedTuple):
    """What a mask decoder reads, of B frames.

    Attributes:
        memories: maps (B, C, h, w), coarsest first.
        mask_features: (B, D, h, w), at the size of the finest input.
    """
    memories: tuple[Tensor, ...]
    mask_features: Tensor

    def split(self) -> 'list[PixelMaps]':
        """The frames in order, one at a time."""
        return list(map(PixelMaps, zip(*(
            x.split(1) for x in self.memories), strict=True),
            self.mask_features.split(1)))

    @classmethod
    def join(cls, parts: 'Sequence[PixelMaps]') -> 'PixelMaps':
        """Frames of one input size, one after the other."""
        memories, features = zip(*parts, strict=True)
        return cls(tuple(map(torch.cat, zip(*memories, strict=True))),
                   torch.cat(features))


@MODELS.register_module()
class Mask2FormerPixelDecoder(BaseModule):
    """Deformable encoder over the coarse maps, a top-down step to the finest.

    Nothing is masked where a frame is padded, as released: a frame that is
    padded more has other features.

    Args:
        encoder (dict): Of all maps but the finest; see
            :class:`DeformableEncoder`, whose levels are coarsest first here.
        in_channels (Sequence[int]): Channels of the backbone's maps, finest
            first. Defaults to those of a ResNet-50.
        mask_dims (int): D. Defaults to 256.
        num_groups (int): Of the group norms. Defaults to 32.
    """

    def __init__(self,
                 encoder: dict,
                 in_channels: Sequence[int] = (256, 512, 1024, 2048),
                 mask_dims: int = 256,
                 num_groups: int = 32) -> None:
        super().__init__()
        self.encoder = MODELS.build(encoder)
        dims = self.encoder.embed_dims
        norm = dict(type='GN', num_groups=num_groups)
        finest, *coarse = in_channels
        if len(coarse) != len(self.encoder.level_embed):
            raise ValueError(
                f'{len(in_channels)} maps leave {len(coarse)} for the encoder '
                f'and num_levels is {len(self.encoder.level_embed)}: give the '
                'encoder one level a map but for the finest.')
        self.input_convs = ModuleList([
            ConvModule(n, dims, 1, norm_cfg=norm, act_cfg=None, bias=True)
            for n in reversed(coarse)
        ])
        self.lateral_conv = ConvModule(
            finest, dims, 1, norm_cfg=norm, act_cfg=None)
        self.output_conv = ConvModule(
            dims, dims, 3, padding=1, norm_cfg=norm)
        self.mask_features = nn.Conv2d(dims, mask_dims, 1)

    def init_weights(self) -> None:
        """As released."""
        self.encoder.init_weights()
        for module in self.input_convs:
            xavier_init(module.conv, distribution='uniform')
        for conv in (self.lateral_conv.conv, self.output_conv.conv,
                     self.mask_features):
            caffe2_xavier_init(conv)

    def forward(self, feats: Sequence[Tensor]) -> PixelMaps:
        """Maps of B frames.

        Args:
            feats (Sequence[Tensor]): Maps (B, c, h, w), finest first.
        """
        finest, *coarse = feats
        memories = self.encoder([
            conv(x) for conv, x in zip(
                self.input_convs, reversed(coarse), strict=True)
        ]).maps()
        up = F.interpolate(
            memories[-1], size=finest.shape[-2:], mode='bilinear',
            align_corners=False)
        fine = self.output_conv(self.lateral_conv(finest) + up)
        return PixelMaps(memories, self.mask_features(fine))
