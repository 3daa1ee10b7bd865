"""Multi-scale deformable encoder of single frames."""
from collections.abc import Sequence
from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet.models.layers import (
    DeformableDetrTransformerEncoder,
    DeformableDetrTransformerEncoderLayer,
)
from mmdet.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor, nn

from ....results.pixels import FrameMeta
from ....results.saved_values import saveable
from ...layers.activations import RELU
from ...layers.deformable_attention import (
    DeformableAttention,
    init_matrices,
)
from ...layers.sizes import size_tensor
from .positions import CellPositions


@saveable
class EncodedFrames(NamedTuple):
    """What a decoder attends to, of B frames and L levels.

    Attributes:
        memory: (B, N, C), all levels one after the other, N = sum(h * w).
        padding: (B, N) bool, True where the input is padded.
        shapes: height and width of each level, on the host.
        spatial_shapes: (L, 2) int64, the same on the device.
        level_start: (L,) int64, first row of each level.
        valid_ratios: (B, L, 2), share of the width and of the height of a
            level that is not padding.
    """
    memory: Tensor
    padding: Tensor
    shapes: Tuple[Tuple[int, int], ...]
    spatial_shapes: Tensor
    level_start: Tensor
    valid_ratios: Tensor

    def maps(self) -> Tuple[Tensor, ...]:
        """The memory as maps (B, C, h, w), in the order of the levels."""
        sizes = [h * w for h, w in self.shapes]
        return tuple(
            rows.transpose(1, 2).unflatten(2, shape)
            for rows, shape in zip(
                self.memory.split(sizes, dim=1), self.shapes, strict=True))

    def select(self, index) -> 'EncodedFrames':
        """Some of the frames.

        Args:
            index: anything that indexes the first axis of a tensor.
        """
        return self._replace(
            memory=self.memory[index],
            padding=self.padding[index],
            valid_ratios=self.valid_ratios[index])

    def cross_attention(self) -> dict:
        """The arguments that mmcv's deformable attention wants of these."""
        return dict(
            value=self.memory,
            key_padding_mask=self.padding,
            spatial_shapes=self.spatial_shapes,
            shapes=self.shapes,
            level_start_index=self.level_start)


def padding_mask(sizes: Sequence[Tuple[int, ...]] | Tensor,
                 input_hw: Tuple[int, int],
                 device: torch.device) -> Tensor:
    """Where padded frames hold no image.

    Args:
        sizes: height and width of each of B frames before padding.
        input_hw: height and width after padding.
        device: where the mask goes.

    Returns:
        (B, H, W) bool, True where padded.
    """
    size = sizes if isinstance(sizes, Tensor) else torch.tensor(
        [tuple(s[:2]) for s in sizes], device=device)
    rows = torch.arange(input_hw[0], device=device)
    columns = torch.arange(input_hw[1], device=device)
    return ((rows >= size[:, :1])[:, :, None] |
            (columns >= size[:, 1:])[:, None])


def cell_centres(shapes: Sequence[Tuple[int, int]],
                 valid_ratios: Tensor) -> Tensor:
    """Where the cells of all levels stand on each level.

    Args:
        shapes: height and width of each of L levels, on the host.
        valid_ratios: (B, L, 2), see :class:`EncodedFrames`.

    Returns:
        (B, N, L, 2), x and y as fractions of the padded level; N cells, those
        of all levels one after the other.
    """
    centres = []
    for level, shape in enumerate(shapes):
        y, x = ((torch.arange(side, device=valid_ratios.device) + 0.5) /
                (ratio[:, None] * side) for side, ratio in zip(
                    shape, valid_ratios[:, level].flip(1).unbind(1),
                    strict=True))
        centres.append(torch.stack(torch.broadcast_tensors(
            x[:, None], y[:, :, None]), -1).flatten(1, 2))
    return torch.cat(centres, 1)[:, :, None] * valid_ratios[:, None]


def input_hw(frames: Tensor) -> tuple[int, int]:
    """Height and width of frames (..., H, W)."""
    return frames.shape[-2], frames.shape[-1]


def sizes_wh(metas: Sequence[FrameMeta],
             device: torch.device) -> Tensor:
    """Widths and heights of frames before padding, (B, 2) float32."""
    return torch.tensor([tuple(m['img_shape'][1::-1]) for m in metas],
                        dtype=torch.float, device=device)


class _EncoderLayer(DeformableDetrTransformerEncoderLayer):
    """mmdet's layer around our attention."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = DeformableAttention(**self.self_attn_cfg)


@MODELS.register_module()
class DeformableEncoder(DeformableDetrTransformerEncoder):
    """Encoder of Deformable DETR with its positions and level embedding.

    mmdet keeps these apart from the encoder, in the detector; every video
    system here needs all of them together.

    Args:
        num_layers (int): Defaults to 6.
        embed_dims (int): C. Defaults to 256.
        num_levels (int): L. Defaults to 4.
        num_heads (int): Defaults to 8.
        num_points (int): Sampling points a head and level. Defaults to 4.
        feedforward_channels (int): Defaults to 1024.
        dropout (float): Defaults to 0.1.
        extra_level_mask (str): Where the padding of levels from the fourth
            on comes from: 'input' takes the full-resolution mask as for the
            others, 'finest' shrinks the finest level's, as the released IDOL
            does; where sides are odd they may differ by a cell. Defaults to
            'input'.
        position_offset (float): Added to the row and column of a cell,
            counted from 1, in the sine encoding: -0.5 is its middle, as in
            Deformable DETR; Mask2Former takes 0. Defaults to -0.5.
    """

    def __init__(self,
                 num_layers: int = 6,
                 embed_dims: int = 256,
                 num_levels: int = 4,
                 num_heads: int = 8,
                 num_points: int = 4,
                 feedforward_channels: int = 1024,
                 dropout: float = 0.1,
                 extra_level_mask: str = 'input',
                 position_offset: float = -0.5) -> None:
        if extra_level_mask not in ('input', 'finest'):
            raise ValueError("extra_level_mask must be 'input' or 'finest', "
                             f'got {extra_level_mask!r}.')
        super().__init__(
            num_layers=num_layers,
            layer_cfg=dict(
                self_attn_cfg=dict(
                    embed_dims=embed_dims,
                    num_levels=num_levels,
                    num_heads=num_heads,
                    num_points=num_points,
                    dropout=dropout,
                    batch_first=True),
                ffn_cfg=dict(
                    embed_dims=embed_dims,
                    feedforward_channels=feedforward_channels,
                    ffn_drop=dropout,
                    act_cfg=RELU)))
        self.extra_level_mask = extra_level_mask
        self.position = CellPositions(embed_dims // 2, position_offset)
        self.level_embed = nn.Parameter(torch.empty(num_levels, embed_dims))
        nn.init.normal_(self.level_embed)

    def _init_layers(self) -> None:
        self.layers = ModuleList(
            [_EncoderLayer(**self.layer_cfg) for _ in range(self.num_layers)])
        self.embed_dims = self.layers[0].embed_dims

    def init_weights(self) -> None:
        """See :func:`init_matrices`."""
        init_matrices(self.layers)
        nn.init.normal_(self.level_embed)

    def forward(self, feats: Sequence[Tensor],
                padding: Optional[Tensor] = None) -> EncodedFrames:
        """Encode frames.

        Args:
            feats (Sequence[Tensor]): L maps (B, C, h, w), in the order of the
                level embedding.
            padding (Tensor, optional): Shape (B, H, W) bool on the network
                input, True where padded. Defaults to no padding.

        Returns:
            EncodedFrames: See there.
        """
        shapes = tuple((f.shape[2], f.shape[3]) for f in feats)
        if padding is None:
            padding = feats[0].new_zeros((len(feats[0]), 1, 1),
                                         dtype=torch.bool)
        masks = self._level_masks(padding, shapes)
        positions = [
            self.position(mask).flatten(2).transpose(1, 2) + embed
            for mask, embed in zip(masks, self.level_embed, strict=True)
        ]
        spatial_shapes = size_tensor(
            [side for shape in shapes for side in shape], torch.int64,
            feats[0].device).view(-1, 2)
        areas = spatial_shapes.prod(1)
        encoded = EncodedFrames(
            memory=torch.cat([f.flatten(2).transpose(1, 2) for f in feats], 1),
            padding=torch.cat([mask.flatten(1) for mask in masks], 1),
            shapes=shapes,
            spatial_shapes=spatial_shapes,
            level_start=areas.cumsum(0) - areas,
            valid_ratios=torch.stack([valid_ratio(m) for m in masks], dim=1))
        memory = encoded.memory
        options = dict(
            query_pos=torch.cat(positions, 1).to(memory.dtype),
            key_padding_mask=encoded.padding,
            reference_points=cell_centres(shapes, encoded.valid_ratios),
            spatial_shapes=spatial_shapes,
            shapes=shapes,
            level_start_index=encoded.level_start)
        for layer in self.layers:
            memory = layer(memory, **options)
        return encoded._replace(memory=memory)

    def _level_masks(self, padding: Tensor, shapes) -> list[Tensor]:
        """Padding of each level, (B, h, w) bool."""
        source = padding[:, None].float()
        masks: list[Tensor] = []
        for level, shape in enumerate(shapes):
            if level == 3 and self.extra_level_mask == 'finest':
                source = masks[0][:, None].float()
            masks.append(F.interpolate(source, size=shape)[:, 0] > 0)
        return masks


def valid_ratio(mask: Tensor) -> Tensor:
    """Share of the width and of the height that is not padding.

    Args:
        mask (Tensor): Shape (B, h, w) bool, True where padded; the first row
            and column of a frame are never padded.

    Returns:
        Tensor: Shape (B, 2), width first.
    """
    return torch.stack(
        ((~mask[:, 0]).float().mean(1), (~mask[:, :, 0]).float().mean(1)), -1)
