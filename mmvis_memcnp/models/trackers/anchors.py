"""Tracker of DVIS-DAQ: rows that start from anchors of the frame."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.layers.transformer.utils import MLP
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.utils import ConfigType
from mmengine.model import BaseModule
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ...results.saved_values import saveable
from .anchor_layers import SlotLayer
from .memories.base import MemoryState, row_sources, take_rows
from .row_heads import RowHeads


@saveable
@dataclass(frozen=True)
class AnchorTracks:
    """The instances that are followed in each of B videos, a value.

    Attributes:
        queries: (B, M, C), their rows after the last frame.
        anchors: the memory of their anchors.
        valid: (B, M) bool, False where padded.
    """
    queries: Tensor
    anchors: MemoryState
    valid: Tensor

    def __len__(self) -> int:
        return self.queries.shape[1]


class AnchorRows(NamedTuple):
    """What a frame makes of R rows: the M tracks, then N new instances; in
    the first frame the queries of the frame alone.

    Attributes:
        hidden: (L + 1, B, R, C), before the first layer and after each.
        slots: (L, B, M + S, C) of the tracks and background slots, or None
            where they were not asked for.
        padded: (B, R) bool, rows that are none.
    """
    hidden: Tensor
    slots: Tensor | None
    padded: Tensor


@MODELS.register_module()
class AnchorTracker(RowHeads):
    """Dynamic anchor queries, with slots for emergence and disappearance.

    In each frame the rows of the instances so far and one new instance for
    each query of the frame read that frame. An anchor says where a row is:
    of an instance, what a memory holds of the places of its masks; of a new
    instance, the place of the mask of its query, so that it starts near what
    it may become. A second branch of slots tells instances that are there
    from those that have gone. Pure and differentiable; the state is a value.
    Source: Zhou et al., Improving Video Segmentation via Dynamic Anchor
    Queries, ECCV 2024.

    Args:
        num_classes (int): K.
        num_layers (int): L. Defaults to 6.
        embed_dims (int): C, of the frames' queries. Defaults to 256.
        mask_dims (int): D, channels of the mask features. Defaults to 256.
        num_slots (int): S, background slots. Defaults to 5.
        memory (dict, optional): Of the anchors (TASK_UTILS). Defaults to a
            :class:`~.memories.SimilarityMemory` of length 9.
        kwargs: See :class:`RowHeads`.
    """

    def __init__(self,
                 num_classes: int,
                 num_layers: int = 6,
                 embed_dims: int = 256,
                 mask_dims: int = 256,
                 num_slots: int = 5,
                 memory: ConfigType | None = None,
                 **kwargs: Any) -> None:
        super().__init__(num_classes, embed_dims, mask_dims=mask_dims,
                         mask_proj=True, **kwargs)
        self.layers = self.stack(num_layers)
        self.slot_layers = self.stack(num_layers, SlotLayer)
        self.anchor_embed = MLP(mask_dims, embed_dims, embed_dims, 3)
        # One vector: what tells new instances apart are their anchors.
        self.new_instance = nn.Embedding(1, embed_dims)
        self.background = nn.Embedding(num_slots, embed_dims)
        self.memory = TASK_UTILS.build(
            memory or dict(type='SimilarityMemory', length=9))
        #: What a host with MemCNP adds (``RowContext``).
        self.memcnp: BaseModule | None = None

    def init_weights(self) -> None:
        """As :class:`RowHeads`, and those of MemCNP."""
        super().init_weights()
        if self.memcnp is not None:
            self.memcnp.init_weights()

    # -- a frame --------------------------------------------------------------
    def forward(self,
                tracks: AnchorTracks | None,
                queries: Tensor,
                positions: Tensor | None = None,
                query_feat: Tensor | None = None,
                hidden: Tensor | None = None) -> AnchorRows:
        """Rows of the next frame of B videos.

        Args:
            tracks (AnchorTracks, optional): Of the frames before; None in
                the first one.
            queries (Tensor): Shape (B, N, C), of the frames.
            positions (Tensor, optional): Shape (B, N, C), anchors of their
                masks; the first frame needs none.
            query_feat (Tensor, optional): Shape (N, C), the queries that the
                segmenter learned; None = no slots.
            hidden (Tensor, optional): Shape (B, N) bool, queries of the frame
                that slots may not see.
        """
        padded = torch.zeros(queries.shape[:2], dtype=torch.bool,
                             device=queries.device)
        if tracks is None:
            return AnchorRows(
                self._decode(queries, None, queries, None, None), None, padded)
        assert positions is not None
        new = self.new_instance.weight.expand_as(positions)
        rows = torch.cat((tracks.queries.to(new), new), 1)
        anchors = torch.cat(
            (self.memory.read(tracks.anchors).to(new), positions), 1)
        padded = torch.cat((~tracks.valid, padded), 1)
        slots = None if query_feat is None else self._slots(
            tracks, queries, query_feat, hidden)
        return AnchorRows(
            self._decode(rows, anchors, queries, positions, padded), slots,
            padded)

    def _decode(self, rows: Tensor, anchors: Tensor | None, keys: Tensor,
                positions: Tensor | None, padded: Tensor | None) -> Tensor:
        states = [rows]
        for layer in self.layers:
            states.append(layer(states[-1], anchors, keys, positions, padded))
        return torch.stack(states)

    def _slots(self, tracks: AnchorTracks, keys: Tensor, query_feat: Tensor,
               hidden: Tensor | None) -> Tensor:
        """States (L, B, M + S, C) of the slots."""
        background = self.background.weight.expand(len(keys), -1, -1)
        known = torch.cat((tracks.queries.to(background), background), 1)
        slots = torch.cat((self.memory.read(tracks.anchors).to(background),
                           background), 1)
        padded = F.pad(~tracks.valid, (0, background.shape[1]))
        rows = query_feat[learned_queries(known, query_feat, padded)]
        states = []
        for layer in self.slot_layers:
            rows = layer(rows, known, slots, keys, padded, hidden)
            states.append(rows)
        return torch.stack(states)

    # -- heads ----------------------------------------------------------------
    def class_change(self, context: Tensor) -> Tensor:
        """What class logits (..., K + 1) change by where a context (..., C)
        is added to normed rows."""
        return F.linear(context, self.cls_embed.weight)

    def anchors(self, masks: Tensor, mask_features: Tensor) -> Tensor:
        """Anchors of masks.

        Args:
            masks (Tensor): Shape (B, R, h, w), logits.
            mask_features (Tensor): Shape (B, D, h, w), of the segmenter.

        Returns:
            Tensor: Shape (B, R, C). An empty mask has one as well.
        """
        inside = (masks.detach() > 0).flatten(2).float()
        with torch.autocast(masks.device.type, enabled=False):
            total = inside @ mask_features.float().flatten(2).transpose(1, 2)
        pooled = total / (inside.sum(-1, keepdim=True) + 1e-8)
        return self.anchor_embed(pooled.to(self.norm.weight.dtype))

    # -- the next state -------------------------------------------------------
    def carry(self,
              tracks: AnchorTracks | None,
              rows: AnchorRows,
              anchors: Tensor,
              keep: Tensor,
              seen: Tensor | None = None) -> tuple[AnchorTracks, Tensor]:
        """The instances that the next frame goes on with.

        Args:
            tracks (AnchorTracks, optional): Before the frame.
            rows (AnchorRows): Of the frame.
            anchors (Tensor): Shape (B, R, C), of the rows' masks.
            keep (Tensor): Shape (B, R) bool, rows to go on with.
            seen (Tensor, optional): Shape (B, R) bool, rows whose anchor
                moves; all by default.

        Returns:
            tuple[AnchorTracks, Tensor]: The M' instances, and the row
            (B, M') int64 of each, R where padded.
        """
        count = keep.shape[1]
        every = torch.arange(count, device=keep.device).expand_as(keep)
        memory = self.memory.write(
            self.memory.start() if tracks is None else tracks.anchors,
            anchors, every if seen is None else every.where(seen, -1),
            size=count)
        # Rows keep their order.
        most = int(keep.sum(1).max())
        place = (keep.cumsum(1) - 1).where(keep, -1)
        source, valid = row_sources(place, most)
        queries = take_rows(rows.hidden[-1], source)
        memory = replace(memory, **{
            name: take_rows(value, source)
            for name, value in memory.tensors().items()})
        return AnchorTracks(queries, memory, valid), source


@torch.no_grad()
def learned_queries(rows: Tensor, query_feat: Tensor,
                    padded: Tensor) -> Tensor:
    """The learned query that each row resembles, none twice if possible.

    Args:
        rows (Tensor): Shape (B, R, C).
        query_feat (Tensor): Shape (N, C).
        padded (Tensor): Shape (B, R) bool.

    Returns:
        Tensor: Shape (B, R) int64, by the largest sum of cosines; rows beyond
        N of them take the one that they are most like.
    """
    with torch.autocast(rows.device.type, enabled=False):
        cosine = F.normalize(rows.float(), dim=-1) @ F.normalize(
            query_feat.float(), dim=-1).T
    numbers = torch.cat(
        (cosine.nan_to_num(0.), padded[..., None].to(cosine)), -1).cpu()
    cosine, padded = numbers[..., :-1], numbers[..., -1] > 0
    best = cosine.argmax(-1)
    for b, (alike, there) in enumerate(zip(
            cosine.numpy(), ~padded, strict=True)):
        at = there.nonzero()[:, 0]
        row, column = linear_sum_assignment(alike[at.numpy()], maximize=True)
        best[b, at[torch.from_numpy(row)]] = torch.from_numpy(column)
    return best.to(rows.device, non_blocking=True)
