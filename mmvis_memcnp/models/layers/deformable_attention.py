"""Multi-scale deformable attention for batches of any size and precision."""
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from torch import Tensor, nn

from ...compat.mmcv_ext.ms_deform_attn import read_out, read_out_for_training

# The compiled operator takes that many frames at once, and refuses a larger
# number of them that is no multiple.
_FRAMES_AT_ONCE = 2**20


class DeformableAttention(MultiScaleDeformableAttention):
    """mmcv's module with a forward pass of its own.

    The linear layers run in the precision of autocast, sampling in float32
    at least: half precision cannot tell neighbouring pixels of a large frame
    apart, and the compiled operator does not know bfloat16. The host is not
    made to wait for the device. Source: Zhu et al., Deformable DETR, ICLR
    2021, eq 3.

    Args:
        kwargs: Of mmcv's class, but for ``batch_first``, which is True, and
            ``im2col_step``, which covers any batch.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{
            **kwargs, 'batch_first': True, 'im2col_step': _FRAMES_AT_ONCE})

    def forward(self,
                query: Tensor,
                value: Tensor | None = None,
                identity: Tensor | None = None,
                query_pos: Tensor | None = None,
                key_padding_mask: Tensor | None = None,
                *,
                reference_points: Tensor,
                spatial_shapes: Tensor,
                level_start_index: Tensor,
                shapes: Sequence[tuple[int, int]] | None = None,
                **kwargs: Any) -> Tensor:
        """Attend to the maps of L levels.

        Args:
            query (Tensor): Shape (B, Q, C).
            value (Tensor, optional): Shape (B, N, C), all levels one after
                the other. Defaults to ``query``.
            identity (Tensor, optional): Shape (B, Q, C), added in the end.
                Defaults to ``query``.
            query_pos (Tensor, optional): Shape (B, Q, C) or broadcast to it.
            key_padding_mask (Tensor, optional): Shape (B, N) bool, True where
                padded.
            reference_points (Tensor): Shape (B, Q, L, 2), x and y, or
                (B, Q, L, 4), cx, cy, w, h, as fractions of the padded levels.
            spatial_shapes (Tensor): Shape (L, 2) int64, height and width.
            level_start_index (Tensor): Shape (L,) int64, first of the N rows
                of each level.
            shapes (Sequence[tuple[int, int]], optional): The same as
                ``spatial_shapes``, on the host. Defaults to None: they are
                read from there.
            kwargs: What mmdet's layers pass on besides; not used.

        Returns:
            Tensor: Shape (B, Q, C).
        """
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        value = self.value_proj(value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0.)
        value = value.unflatten(-1, (self.num_heads, -1))
        offsets = self.sampling_offsets(query)
        weights = self.attention_weights(query)
        in_turn = torch.is_grad_enabled() and not (
            value.is_cuda or torch.jit.is_tracing()
            or torch.compiler.is_compiling())
        with torch.autocast(query.device.type, enabled=False):
            sample = self._sample_by_points if in_turn else self._sample
            read = sample(
                _float(value), _float(offsets), _float(weights),
                reference_points, spatial_shapes, level_start_index, shapes)
        read = read.to(value.dtype)  # of the layers, autocast or not
        return self.dropout(self.output_proj(read)) + identity

    def _sample(self, value: Tensor, offsets: Tensor, weights: Tensor,
                reference: Tensor, spatial_shapes: Tensor,
                level_start_index: Tensor,
                shapes: Sequence[tuple[int, int]] | None) -> Tensor:
        """Weighted sums of what lies at the sampling points, (B, Q, C)."""
        shape = self.num_heads, self.num_levels, self.num_points
        offsets = offsets.unflatten(-1, (*shape, 2))
        weights = weights.unflatten(
            -1, (self.num_heads, -1)).softmax(-1).unflatten(-1, shape[1:])
        centre = reference[:, :, None, :, None, :2]
        if reference.shape[-1] == 2:
            unit = spatial_shapes.flip(-1).to(offsets)[
                None, None, None, :, None]
            points = centre + offsets / unit
        else:
            # Points stay within half of the box for offsets as they start.
            size = reference[:, :, None, :, None, 2:]
            points = centre + offsets / self.num_points * size * 0.5
        if value.is_cuda:
            return MultiScaleDeformableAttnFunction.apply(
                value, spatial_shapes, level_start_index, points, weights,
                self.im2col_step)
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            return multi_scale_deformable_attn_pytorch(
                value, spatial_shapes if shapes is None else shapes, points,
                weights)
        return read_out(value, spatial_shapes.tolist() if shapes is None
                        else shapes, points, weights)

    def _sample_by_points(self, value: Tensor, offsets: Tensor,
                          weights: Tensor, reference: Tensor,
                          spatial_shapes: Tensor, level_start_index: Tensor,
                          shapes: Sequence[tuple[int, int]] | None
                          ) -> Tensor:
        """The same numbers for training without the compiled operator.

        What lies next to each other in memory are queries: a softmax over
        eight numbers, or sums with two, are several times as fast over whole
        rows of queries as one query after the other.
        """
        shape = self.num_heads, self.num_levels, self.num_points
        offsets = offsets.transpose(1, 2).contiguous().unflatten(
            1, (*shape, 2))
        weights = weights.transpose(1, 2).contiguous().unflatten(
            1, (self.num_heads, -1)).softmax(2).unflatten(2, shape[1:])
        reference = reference.permute(0, 2, 3, 1).contiguous()[
            :, None, :, None]  # (B, 1, L, 1, 2 or 4, Q)
        centre, size = reference[..., :2, :], reference[..., 2:, :]
        if size.shape[-2] == 0:
            unit = spatial_shapes.flip(-1).to(offsets)
            points = centre + offsets / unit[:, None, :, None]
        else:
            points = centre + offsets / self.num_points * size * 0.5
        return read_out_for_training(
            value, spatial_shapes.tolist() if shapes is None else shapes,
            points, weights)


def _float(x: Tensor) -> Tensor:
    """In single precision, or as it is if it has more."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def init_matrices(layers: nn.Module) -> None:
    """Xavier-uniform for all matrices; deformable attention has its own start.

    Args:
        layers (nn.Module): Of a transformer; changed.
    """
    for parameter in layers.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
    for module in layers.modules():
        if isinstance(module, DeformableAttention):
            module.init_weights()
