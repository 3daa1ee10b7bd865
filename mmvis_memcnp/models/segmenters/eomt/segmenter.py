"""A plain ViT that segments by queries among its tokens.

Kerssies et al., Your ViT is Secretly an Image Segmentation Model, CVPR 2025
(EoMT); Norouzi et al., VidEoMT: Your ViT is Secretly Also a Video Segmentation
Model, CVPR 2026.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule, ModuleList, trunc_normal_init
from torch import Tensor, nn

from ...backbones.dinov2 import DINOv2
from ...memcnp.hosts.rows import RowBoxes, RowContext
from ..mask2former.queries import FrameQueries

#: Pixels between the values of masks.
STRIDE = 4


class FrameTokens(NamedTuple):
    """Tokens of B frames in front of the blocks with queries.

    Attributes:
        tokens: (B, P + rows * columns, C), P prefix tokens first.
        grid: rows and columns of the patches.
        mask_hw: height and width of the masks.
    """
    tokens: Tensor
    grid: tuple[int, int]
    mask_hw: tuple[int, int]

    def frames(self, index: slice | Tensor) -> FrameTokens:
        """Some of the frames; the index keeps their axis."""
        return self._replace(tokens=self.tokens[index])


class FrameRows(NamedTuple):
    """What a frame's network says of Q queries, of B frames.

    Attributes:
        logits: (B, Q, K + 1), with MemCNP those that know its context.
        mask_embeds: (B, Q, C), weights of the mask features.
        mask_features: (B, C, h, w) at a quarter of the input's size.
        carried: (B, Q, C), queries as the last block leaves them.
        boxes: of MemCNP; None in a plain host.
    """
    logits: Tensor
    mask_embeds: Tensor
    mask_features: Tensor
    carried: Tensor
    boxes: RowBoxes | None

    @classmethod
    def of(cls, found: FrameQueries, boxes: RowBoxes | None) -> FrameRows:
        """Those of the last layer."""
        return cls(found.logits[-1], found.mask_embeds[-1],
                   found.mask_features, found.hidden[-1], boxes)

    def masks(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """Mask logits (B, q, h, w) of some queries."""
        return torch.einsum('bqd,bdhw->bqhw', self.mask_embeds[:, rows],
                            self.mask_features)


class UpScale(nn.Module):
    """Twice the rows and columns of a map.

    Args:
        dim (int): Channels C.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(dim, dim, 2, 2)
        self.conv2 = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim, bias=False)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, C, 2 h, 2 w) of one of (B, C, h, w)."""
        x = self.conv2(F.gelu(self.conv1(x)))
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@MODELS.register_module()
class EoMTSegmenter(BaseModule):
    """Frames to queries with classes and masks, without a decoder.

    The queries are put in front of the tokens before the last blocks of the
    ViT. What they are after the last block says classes and masks; what the
    patches are there, enlarged to a quarter of the input's size, are the mask
    features. Keeps nothing of a video.

    Args:
        backbone (dict): A :class:`DINOv2`, with patches of 8, 16, 32, ...
            pixels.
        num_classes (int): K.
        num_queries (int): Q; more find more objects, and cost time. Defaults
            to 200.
        num_blocks (int): Blocks with queries, the last ones. More give
            queries more time to look around, and leave fewer blocks that
            several frames pass at once. Defaults to 4.
        masked (bool): Let queries look within their masks at the beginning of
            the training, block by block less and less (EoMT). Defaults to
            False, they look everywhere as at inference.
        norm_early (bool): Predictions before the last block, which only
            training asks for, are read behind the norm. Defaults to True, as
            EoMT does; VidEoMT on DINOv2 reads them from tokens as they are.
        init_cfg (dict, optional): Initial weights.

    Raises:
        ValueError: If the sizes do not fit each other.
    """

    #: For systems that ask for embeddings: there are none.
    embed_head = None

    def __init__(self,
                 backbone: dict,
                 num_classes: int,
                 num_queries: int = 200,
                 num_blocks: int = 4,
                 masked: bool = False,
                 norm_early: bool = True,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.backbone: DINOv2 = MODELS.build(backbone)
        dims, depth = self.backbone.embed_dims, len(self.backbone.blocks)
        if not 1 <= num_blocks <= depth:
            raise ValueError(f'num_blocks must be 1 to {depth}, the blocks of '
                             f'the ViT, got {num_blocks}.')
        patch = self.backbone.patch_size
        steps = (patch // STRIDE).bit_length() - 1
        if steps < 1 or STRIDE << steps != patch:
            raise ValueError(
                'Masks have a value for every 4 pixels: patch_size of the '
                f'backbone must be 8, 16, 32, ..., got {patch}.')
        self.embed_dims = dims
        self.num_blocks = num_blocks
        self.masked = masked
        self.norm_early = norm_early
        #: Share of the queries that look within their masks, by block.
        self.mask_shares = [1.0] * num_blocks
        self.query = nn.Embedding(num_queries, dims)
        self.cls_embed = nn.Linear(dims, num_classes + 1)
        self.mask_embed = nn.Sequential(
            nn.Linear(dims, dims), nn.GELU(), nn.Linear(dims, dims),
            nn.GELU(), nn.Linear(dims, dims))
        self.upscale = nn.Sequential(*(UpScale(dims) for _ in range(steps)))
        # Given by a system with MemCNP.
        self.memcnp: RowContext | None = None

    def init_weights(self) -> None:
        """Truncated normal values for the heads; then ``init_cfg``."""
        for module in (self.cls_embed, *self.mask_embed):
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
        super().init_weights()

    @property
    def blocks(self) -> tuple[ModuleList, ModuleList]:
        """Blocks of the ViT without and with queries."""
        first = len(self.backbone.blocks) - self.num_blocks
        return self.backbone.blocks[:first], self.backbone.blocks[first:]

    # -- training -----------------------------------------------------------
    def set_progress(self, iteration: int, max_iters: int) -> None:
        """Set the shares of queries that look within their masks; see
        :class:`ProgressHook`.

        Of n blocks, block i, from 0 on, loses its masks from the part (i + 1)
        / (n + 2) of the training on to the part (i + 2) / (n + 2).
        """
        step = max_iters / (self.num_blocks + 2)
        self.mask_shares = [
            (1 - min(max(iteration / step - 1 - i, 0.), 1.))**0.9
            for i in range(self.num_blocks)]

    def layers(self, frames: Tensor) -> list[FrameQueries]:
        """Predictions of frames (B, 3, H, W) before each block with queries
        and behind the last, for training."""
        return self.decode(self.encode(frames))

    # -- the network ----------------------------------------------------------
    def encode(self, frames: Tensor) -> FrameTokens:
        """The blocks without queries, of frames (B, 3, H, W) of any size."""
        tokens, grid = self.backbone.embed(frames)
        for block in self.blocks[0]:
            tokens = self.backbone.run(block, tokens)
        return FrameTokens(tokens, grid, (
            -(-frames.shape[2] // STRIDE), -(-frames.shape[3] // STRIDE)))

    def decode(self, frames: FrameTokens,
               queries: Tensor | None = None) -> list[FrameQueries]:
        """The blocks with queries.

        Args:
            frames (FrameTokens): Of B frames.
            queries (Tensor, optional): Shape (B, Q, C), to start from.
                Defaults to None, the learned ones.

        Returns:
            list[FrameQueries]: One layer each: in training those before each
            block, and always the one behind the last block.
        """
        if queries is None:
            queries = self.query.weight.expand(len(frames.tokens), -1, -1)
        tokens = torch.cat((queries.to(frames.tokens), frames.tokens), 1)
        found = []
        for block, share in zip(self.blocks[1], self.mask_shares,
                                strict=True):
            seen = None
            if self.training:
                found.append(self.predict(tokens, frames, self.norm_early))
                if self.masked and share > 0:
                    seen = self._seen(found[-1], frames, share)
            tokens = self.backbone.run(block, tokens, seen)
        found.append(self.predict(tokens, frames))
        return found

    def forward(self, frames: Tensor) -> FrameQueries:
        """Queries of frames that know nothing of each other.

        Args:
            frames (Tensor): Shape (B, 3, H, W), normalised; any size.
        """
        return self.decode(self.encode(frames))[-1]

    def predict(self, tokens: Tensor, frames: FrameTokens,
                norm: bool = True) -> FrameQueries:
        """What tokens say.

        Args:
            tokens (Tensor): Shape (B, Q + P + n, C), behind a block.
            frames (FrameTokens): Of the same frames.
            norm (bool): Read them behind the norm. Defaults to True.
        """
        count = len(self.query.weight)
        normed = self.backbone.norm(tokens) if norm else tokens
        queries = normed[:, :count]
        patches = normed[:, count + self.backbone.num_prefix:]
        features = self.upscale(
            patches.unflatten(1, frames.grid).permute(0, 3, 1, 2))
        height, width = frames.mask_hw
        return FrameQueries(
            hidden=tokens[None, :, :count],
            queries=queries[None],
            logits=self.cls_embed(queries)[None],
            mask_embeds=self.mask_embed(queries)[None],
            embeds=None,
            mask_features=features[..., :height, :width])

    def with_context(self, found: FrameQueries, sizes: Tensor
                     ) -> tuple[FrameQueries, RowBoxes | None]:
        """Classes that know the memory, and boxes; unchanged without one.

        Args:
            found (FrameQueries): Of B frames.
            sizes (Tensor): Shape (B, 2), width and height of the frames
                without padding, in pixels.
        """
        if self.memcnp is None:
            return found, None
        rows = found.queries[-1]
        with torch.no_grad():
            masks = found.masks()
        context, boxes = self.memcnp(
            rows, masks, sizes, rows.new_zeros(rows.shape[:2]).bool())
        change = F.linear(context, self.cls_embed.weight)
        return found._replace(logits=found.logits + change), boxes

    @torch.no_grad()
    def _seen(self, found: FrameQueries, frames: FrameTokens,
              share: float) -> Tensor:
        """Which tokens each token may look at, (B, 1, N, N) bool.

        Some queries look at the patches of their masks alone, beside queries
        and prefix tokens; everything else looks everywhere.
        """
        embeds, tokens = found.mask_embeds[0], frames.tokens
        batch, count = embeds.shape[:2]
        start = count + self.backbone.num_prefix
        total = count + tokens.shape[1]
        # A mask is linear in the features, so is its value between them.
        features = F.interpolate(
            found.mask_features, size=frames.grid, mode='bilinear',
            align_corners=False)
        inside = embeds @ features.flatten(2) > 0
        free = torch.rand(batch, count, 1, device=embeds.device) > share
        seen = torch.ones(batch, 1, total, total, dtype=torch.bool,
                          device=embeds.device)
        seen[:, 0, :count, start:] = inside | free
        return seen
