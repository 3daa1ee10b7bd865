"""Plain vision transformer (MAE) as a feature pyramid."""
import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule, xavier_init
from torch import Tensor, nn

from .vit_block import PatchEmbed, ViTBlock, resample_positions, run_layer


def sincos_position(dim: int, grid: tuple[int, int]) -> Tensor:
    """Two-dimensional sine-cosine position embedding (MAE).

    Args:
        dim: embedding size, a multiple of 4; the first half encodes x.
        grid: (rows, columns).

    Returns:
        (rows * columns, dim) float32.
    """
    omega = 1. / 10000**(np.arange(dim // 4, dtype=np.float64) / (dim / 4))
    rows, cols = np.meshgrid(
        np.arange(grid[0]), np.arange(grid[1]), indexing='ij')
    parts = []
    for axis in (cols, rows):
        angle = axis.reshape(-1, 1) * omega
        parts += [np.sin(angle), np.cos(angle)]
    return torch.from_numpy(np.concatenate(parts, 1)).float()


@MODELS.register_module()
class MAEViT(BaseModule):
    """Plain ViT with MAE's layout, read out at several blocks.

    Source: the released MemCNP code (ViT-b of the paper's tables). It departs
    from MAE in three ways that a checkpoint trained with it depends on: layer
    norms with eps 1e-5, the class token re-initialised after some blocks, and
    no final norm on the outputs.

    Args:
        patch_size: pixels of a patch side.
        embed_dims: token size.
        depth: number of blocks.
        num_heads: attention heads.
        out_blocks: blocks (from 0) after which the tokens become a map.
        out_scales: bilinear scale of each of those maps; with patches of 16
            pixels, 2, 1 and 0.5 give strides 8, 16 and 32.
        reset_cls_after: blocks after which the class token starts anew.
        pos_grid: (rows, columns) of the position embedding as stored.
        norm_eps: epsilon of the layer norms.
        with_cp: recompute the blocks in the backward pass to save memory.
        init_cfg: ``dict(type='Pretrained', checkpoint=path)`` loads an MAE
            file.
    """

    def __init__(self,
                 patch_size: int = 16,
                 embed_dims: int = 768,
                 depth: int = 12,
                 num_heads: int = 12,
                 out_blocks: tuple[int, ...] = (5, 8, 11),
                 out_scales: tuple[float, ...] = (2., 1., 0.5),
                 reset_cls_after: tuple[int, ...] = (2, 5, 8, 11),
                 pos_grid: tuple[int, int] = (14, 14),
                 norm_eps: float = 1e-5,
                 with_cp: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if len(out_blocks) != len(out_scales):
            raise ValueError(
                f'out_blocks has {len(out_blocks)} entries and out_scales '
                f'{len(out_scales)}: give one scale for each block.')
        self.patch_size = patch_size
        self.pos_grid = (pos_grid[0], pos_grid[1])
        self.out_scales = dict(zip(out_blocks, out_scales, strict=True))
        self.reset_cls_after = set(reset_cls_after)
        self.with_cp = with_cp
        self.patch_embed = PatchEmbed(embed_dims, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        # Fixed by construction, yet a parameter: checkpoints hold it.
        self.pos_embed = nn.Parameter(
            torch.zeros(1, 1 + pos_grid[0] * pos_grid[1], embed_dims),
            requires_grad=False)
        self.blocks = nn.ModuleList(
            ViTBlock(embed_dims, num_heads, norm_eps) for _ in range(depth))
        # Part of every MAE checkpoint, applied to none of the outputs.
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)

    def init_weights(self) -> None:
        """Sine-cosine positions, Xavier patches; then ``init_cfg``."""
        self.pos_embed.data[0, 1:] = sincos_position(
            self.pos_embed.shape[-1], self.pos_grid)
        nn.init.xavier_uniform_(
            self.patch_embed.proj.weight.data.flatten(1))
        nn.init.normal_(self.cls_token, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                xavier_init(module, distribution='uniform')
        super().init_weights()

    def _positions(self, rows: int, cols: int) -> Tensor:
        """Position embedding (1, rows * cols, C) of the patches."""
        pos = self.pos_embed[:, 1:]
        if (rows, cols) == self.pos_grid:
            return pos
        return resample_positions(pos, self.pos_grid, size=(rows, cols))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of an image batch.

        Args:
            x: (B, 3, H, W), H and W multiples of the patch size.

        Returns:
            One (B, embed_dims, h, w) map for each of ``out_blocks``.

        Raises:
            ValueError: if H or W is not a multiple of the patch size.
        """
        if x.shape[2] % self.patch_size or x.shape[3] % self.patch_size:
            raise ValueError(
                f'MAEViT needs sides that are multiples of {self.patch_size}, '
                f'got {tuple(x.shape[2:])}: set pad_size_divisor=32 in the '
                'data preprocessor.')
        x = self.patch_embed(x)
        rows, cols = x.shape[2:]
        x = x.flatten(2).transpose(1, 2) + self._positions(rows, cols)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        x = torch.cat([cls, x], 1)
        outs = []
        for i, block in enumerate(self.blocks):
            x = run_layer(block, x, with_cp=self.with_cp)
            if i in self.out_scales:
                fmap = x[:, 1:].transpose(1, 2).unflatten(2, (rows, cols))
                scale = self.out_scales[i]
                outs.append(fmap if scale == 1 else F.interpolate(
                    fmap, scale_factor=scale, mode='bilinear',
                    align_corners=False))
            if i in self.reset_cls_after:
                x = torch.cat([cls.to(x.dtype), x[:, 1:]], 1)
        return tuple(outs)
