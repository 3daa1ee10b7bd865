"""ViT-Adapter in the memory-saving form of DVIS++ and DVIS-DAQ.

Chen et al., Vision Transformer Adapter for Dense Predictions, ICLR 2023,
without the injectors: nothing flows from the adapter into the ViT.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import (
    BaseModule,
    ModuleList,
    kaiming_init,
    trunc_normal_init,
)
from torch import Tensor, nn

from ..layers.deformable_attention import DeformableAttention
from .vit_block import PatchEmbed, ViTBlock, resample_positions, run_layer

# The maps of the adapter have the strides 4 to 32; patches are cells of the
# third.
_PATCH = 16
_DIVISOR = 32


class FrozenViT(BaseModule):
    """Patches, positions and blocks of a DINOv2 that never learns.

    Args:
        embed_dims (int): C.
        depth (int): Number of blocks.
        num_heads (int): Attention heads.
        mlp_ratio (float): Hidden size of the MLPs by C.
        pos_grid (tuple[int, int]): Rows and columns of the position
            embedding as stored.
        norm_eps (float): Epsilon of the layer norms.
        layer_scale (float, optional): See :class:`ViTBlock`.
        init_cfg (dict, optional): ``dict(type='Pretrained',
            checkpoint=path)`` loads a file of DINOv2. Its patches of 14
            pixels are resampled to 16.
    """

    def __init__(self, embed_dims: int, depth: int, num_heads: int,
                 mlp_ratio: float, pos_grid: tuple[int, int],
                 norm_eps: float, layer_scale: float | None,
                 init_cfg: dict | None) -> None:
        super().__init__(init_cfg)
        self.pos_grid = (pos_grid[0], pos_grid[1])
        self.patch_embed = PatchEmbed(embed_dims, _PATCH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.pos_embed = nn.Parameter(
            torch.zeros(1, 1 + pos_grid[0] * pos_grid[1], embed_dims))
        self.blocks = ModuleList(
            ViTBlock(embed_dims, num_heads, norm_eps, mlp_ratio, layer_scale)
            for _ in range(depth))
        self.requires_grad_(False)
        self.register_load_state_dict_pre_hook(_resample_patches)

    def init_weights(self) -> None:
        """Truncated normal values; then ``init_cfg``."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
        super().init_weights()

    def positions(self, rows: int, cols: int) -> Tensor:
        """Position embedding (1, 1 + rows * cols, C), the class token's
        first."""
        if (rows, cols) == self.pos_grid and rows == cols:
            return self.pos_embed
        cls, pos = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        # DINOv2 reads at coordinates by these factors, not by the sizes.
        factors = tuple((count + 0.1) / own for count, own in zip(
            (rows, cols), self.pos_grid, strict=True))
        return torch.cat((cls, resample_positions(
            pos, self.pos_grid, scale_factor=factors)), 1)

    def embed(self, frames: Tensor) -> Tensor:
        """Tokens (B, 1 + h * w, C) of frames whose sides are multiples of
        16."""
        patches = self.patch_embed(frames)
        tokens = torch.cat((self.cls_token.expand(len(frames), -1, -1).to(
            patches), patches.flatten(2).transpose(1, 2)), 1)
        return tokens + self.positions(*patches.shape[-2:])


def _resample_patches(module: nn.Module, state_dict: dict, prefix: str,
                      *_: object) -> None:
    """Give the patches of a checkpoint the size of the model's."""
    name = f'{prefix}patch_embed.proj.weight'
    kernel = state_dict.get(name)
    if kernel is not None and kernel.shape[-1] != _PATCH:
        state_dict[name] = F.interpolate(
            kernel.float(), size=(_PATCH, _PATCH), mode='bilinear',
            align_corners=True).to(kernel.dtype)


class SpatialPrior(nn.Module):
    """Maps of strides 4 to 32 from a few convolutions.

    Args:
        channels (int): Of the first ones.
        embed_dims (int): C, of the maps.
    """

    def __init__(self, channels: int, embed_dims: int) -> None:
        super().__init__()

        def layer(dim_in: int, dim_out: int, stride: int) -> list[nn.Module]:
            return [nn.Conv2d(dim_in, dim_out, 3, stride, 1, bias=False),
                    nn.BatchNorm2d(dim_out), nn.ReLU(inplace=True)]

        self.stem = nn.Sequential(
            *layer(3, channels, 2), *layer(channels, channels, 1),
            *layer(channels, channels, 1), nn.MaxPool2d(3, 2, 1))
        widths = [channels * n for n in (1, 2, 4, 4)]
        self.steps = ModuleList(
            nn.Sequential(*layer(a, b, 2))
            for a, b in zip(widths, widths[1:], strict=False))
        self.projections = ModuleList(
            nn.Conv2d(width, embed_dims, 1) for width in widths)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Four maps (B, C, h, w), finest first."""
        x = self.stem(frames)
        maps = [self.projections[0](x)]
        for step, project in zip(
                self.steps, self.projections[1:], strict=True):
            x = step(x)
            maps.append(project(x))
        return maps


class ConvFFN(nn.Module):
    """MLP with a depthwise convolution on each of the maps.

    Args:
        dim (int): C.
        hidden (int): Channels between the two layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
        """Tokens (B, N, C) of maps of these shapes, one after the other."""
        parts = self.fc1(tokens).split([h * w for h, w in shapes], 1)
        mixed = [
            self.dwconv(x.transpose(1, 2).unflatten(2, shape)).flatten(2)
            for x, shape in zip(parts, shapes, strict=True)]
        return self.fc2(F.gelu(torch.cat(mixed, 2).transpose(1, 2)))


class Extractor(nn.Module):
    """The adapter's tokens read those of the ViT.

    Args:
        dim (int): C.
        num_heads (int): Of the deformable attention.
        num_points (int): Points a head.
        hidden (int): Channels inside the FFN.
        eps (float): Epsilon of the layer norms.
    """

    def __init__(self, dim: int, num_heads: int, num_points: int, hidden: int,
                 eps: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=eps)
        self.feat_norm = nn.LayerNorm(dim, eps=eps)
        self.attn = DeformableAttention(
            embed_dims=dim, num_levels=1, num_heads=num_heads,
            num_points=num_points, dropout=0.)
        self.ffn = ConvFFN(dim, hidden)
        self.ffn_norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, tokens: Tensor, patches: Tensor,
                shapes: list[tuple[int, int]]) -> Tensor:
        """The adapter's tokens after the layer.

        Args:
            tokens (Tensor): Shape (B, N, C), of maps of strides 8, 16, 32.
            patches (Tensor): Shape (B, n, C), of the ViT, stride 16.
            shapes (list[tuple[int, int]]): Height and width of the maps.
        """
        tokens = self.attn(
            self.query_norm(tokens), value=self.feat_norm(patches),
            identity=tokens,
            reference_points=cell_centres(shapes, tokens.device),
            spatial_shapes=torch.tensor([shapes[1]], device=tokens.device),
            level_start_index=torch.zeros(
                1, dtype=torch.long, device=tokens.device))
        return tokens + self.ffn(self.ffn_norm(tokens), shapes)


def cell_centres(shapes: list[tuple[int, int]],
                 device: torch.device) -> Tensor:
    """Centres (1, N, 1, 2) of the cells of maps, x and y in [0, 1]."""
    centres = []
    for height, width in shapes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        centres.append(torch.stack((
            x.expand(height, -1), y[:, None].expand(-1, width)), -1).view(
                1, -1, 1, 2))
    return torch.cat(centres, 1)


@MODELS.register_module()
class ViTAdapter(BaseModule):
    """A frozen ViT and a light network that makes a pyramid of it.

    The adapter reads the ViT and the ViT never reads the adapter, so that the
    blocks keep no activations for the backward pass: the gradients are those
    of the whole network all the same. Batch norms are those of one process;
    ``sync_bn='torch'`` in a config joins those of several.

    Args:
        embed_dims (int): C, token size and channels of all maps. Defaults to
            1024, ViT-L.
        stage_depths (Sequence[int]): Blocks of the ViT in front of each of
            the four times that the adapter reads it. Defaults to
            (6, 6, 6, 6), ViT-L.
        num_heads (int): Attention heads of the ViT. Defaults to 16.
        mlp_ratio (float): Hidden size of the ViT's MLPs by C. Defaults to 4.
        pos_grid (tuple[int, int]): Rows and columns of the position
            embedding as stored. Defaults to (37, 37), of DINOv2.
        layer_scale (float, optional): See :class:`ViTBlock`. Defaults to
            1e-5.
        conv_channels (int): Of the first convolutions of the adapter.
            Defaults to 64.
        deform_heads (int): Heads of its deformable attention. Defaults to 16.
        deform_points (int): Points a head. Defaults to 4.
        ffn_ratio (float): Hidden size of its FFNs by C. Defaults to 0.25.
        extra_extractors (int): Further layers behind the last block.
            Defaults to 2.
        norm_eps (float): Epsilon of all layer norms. Defaults to 1e-6.
        with_cp (bool): Recompute the adapter's layers in the backward pass,
            which takes time and saves memory. Defaults to False.
        init_cfg (dict, optional): Weights of the ViT, see
            :class:`FrozenViT`.
    """

    def __init__(self,
                 embed_dims: int = 1024,
                 stage_depths: Sequence[int] = (6, 6, 6, 6),
                 num_heads: int = 16,
                 mlp_ratio: float = 4.,
                 pos_grid: tuple[int, int] = (37, 37),
                 layer_scale: float | None = 1e-5,
                 conv_channels: int = 64,
                 deform_heads: int = 16,
                 deform_points: int = 4,
                 ffn_ratio: float = 0.25,
                 extra_extractors: int = 2,
                 norm_eps: float = 1e-6,
                 with_cp: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__()
        if len(stage_depths) != 4:
            raise ValueError(
                f'stage_depths is {tuple(stage_depths)}: give four numbers, '
                'one for each map that the ViT adds to.')
        self.stage_depths = tuple(stage_depths)
        self.with_cp = with_cp
        self.vit = FrozenViT(
            embed_dims, sum(stage_depths), num_heads, mlp_ratio, pos_grid,
            norm_eps, layer_scale, init_cfg)
        self.prior = SpatialPrior(conv_channels, embed_dims)
        self.level_embed = nn.Parameter(torch.zeros(3, embed_dims))
        # One behind each stage; the extra ones behind the last.
        self.extractors = ModuleList(
            Extractor(embed_dims, deform_heads, deform_points,
                      int(embed_dims * ffn_ratio), norm_eps)
            for _ in range(4 + extra_extractors))
        self.up = nn.ConvTranspose2d(embed_dims, embed_dims, 2, 2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (
            nn.BatchNorm2d(embed_dims) for _ in range(4))

    def init_weights(self) -> None:
        """As released."""
        nn.init.normal_(self.level_embed)
        for part in (self.prior, self.extractors, self.up):
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    trunc_normal_init(module, std=0.02)
                elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                    kaiming_init(module)
        for module in self.extractors.modules():
            if isinstance(module, DeformableAttention):
                module.init_weights()
        self.vit.init_weights()

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Maps of frames.

        Args:
            frames (Tensor): Shape (B, 3, H, W), any size; what is missing to
                a multiple of 32 is padded with zeros at the right and below.

        Returns:
            tuple[Tensor, ...]: Shape (B, C, h, w) at the strides 4, 8, 16 and
            32, h and w rounded up.
        """
        height, width = frames.shape[-2:]
        frames = F.pad(frames, (0, -width % _DIVISOR, 0, -height % _DIVISOR))
        finest, *priors = self.prior(frames)
        shapes = [(x.shape[2], x.shape[3]) for x in priors]
        tokens = torch.cat([
            x.flatten(2).transpose(1, 2) + level
            for x, level in zip(priors, self.level_embed, strict=True)], 1)
        with torch.no_grad():
            patches = self.vit.embed(frames)
        reads, first = [], 0
        for stage, depth in enumerate(self.stage_depths):
            with torch.no_grad():
                for block in self.vit.blocks[first:first + depth]:
                    patches = block(patches)
            first += depth
            seen = patches[:, 1:]  # without the class token
            for layer in self.extractors[
                    stage:stage + 1 if stage < 3 else None]:
                tokens = run_layer(layer, tokens, seen, shapes,
                                   with_cp=self.with_cp)
            reads.append(seen.transpose(1, 2).unflatten(2, shapes[1]))
        maps = [x.transpose(1, 2).unflatten(2, shape) for x, shape in zip(
            tokens.split([h * w for h, w in shapes], 1), shapes, strict=True)]
        maps.insert(0, finest + self.up(maps[0]))
        norms = self.norm1, self.norm2, self.norm3, self.norm4
        return tuple(
            norm(x + F.interpolate(
                read, size=x.shape[-2:], mode='bilinear', align_corners=False)
            )[..., :-(-height // stride), :-(-width // stride)]
            for norm, x, read, stride in zip(
                norms, maps, reads, (4, 8, 16, 32), strict=True))
