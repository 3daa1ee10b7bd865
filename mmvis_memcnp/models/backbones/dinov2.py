"""Plain vision transformer with register tokens, as DINOv2 has it.

Oquab et al., DINOv2, TMLR 2024; Darcet et al., Vision Transformers Need
Registers, ICLR 2024.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule, ModuleList, trunc_normal_init
from torch import Tensor, nn

from .vit_block import PatchEmbed, ViTBlock, resample_positions, run_layer


@MODELS.register_module()
class DINOv2(BaseModule):
    """Tokens of frames: a class token, registers, then the patches.

    Whoever uses it runs the blocks, with :meth:`run`.

    Args:
        embed_dims (int): C, token size. Defaults to 384, ViT-S.
        depth (int): Number of blocks. Defaults to 12.
        num_heads (int): Attention heads. Defaults to 6.
        mlp_ratio (float): Hidden size of the MLPs by C. Defaults to 4.
        patch_size (int): Pixels of a patch side; less sees finer things and
            costs time. Defaults to 16.
        pos_grid (tuple[int, int]): Rows and columns of the position embedding
            as stored; frames of another size read it in between. Defaults to
            (40, 40).
        num_registers (int): Tokens that belong to no patch. Defaults to 4.
        layer_scale (float): First value of the factors of each branch; see
            :class:`ViTBlock`. Defaults to 1e-5.
        norm_eps (float): Epsilon of the layer norms. Defaults to 1e-6.
        with_cp (bool): Recompute the blocks in the backward pass, which takes
            time and saves memory. Defaults to False.
        init_cfg (dict, optional): ``dict(type='Pretrained',
            checkpoint=path)`` loads a file of DINOv2 with registers, with
            patches and positions of any size.
    """

    def __init__(self,
                 embed_dims: int = 384,
                 depth: int = 12,
                 num_heads: int = 6,
                 mlp_ratio: float = 4.,
                 patch_size: int = 16,
                 pos_grid: tuple[int, int] = (40, 40),
                 num_registers: int = 4,
                 layer_scale: float = 1e-5,
                 norm_eps: float = 1e-6,
                 with_cp: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.patch_size = patch_size
        self.with_cp = with_cp
        self.pos_grid = (pos_grid[0], pos_grid[1])
        self.patch_embed = PatchEmbed(embed_dims, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.reg_token = nn.Parameter(
            torch.zeros(1, num_registers, embed_dims))
        self.pos_embed = nn.Parameter(
            torch.zeros(1, pos_grid[0] * pos_grid[1], embed_dims))
        self.blocks = ModuleList(
            ViTBlock(embed_dims, num_heads, norm_eps, mlp_ratio, layer_scale)
            for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.register_load_state_dict_pre_hook(_from_dinov2)

    def init_weights(self) -> None:
        """Truncated normal values; then ``init_cfg``."""
        for token in (self.pos_embed, self.cls_token, self.reg_token):
            nn.init.trunc_normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
        super().init_weights()

    @property
    def num_prefix(self) -> int:
        """Tokens in front of those of the patches."""
        return 1 + self.reg_token.shape[1]

    def embed(self, frames: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Tokens before the first block.

        Args:
            frames (Tensor): Shape (B, 3, H, W), any size; what is missing to
                a whole patch is padded with zeros at the right and below.

        Returns:
            tuple[Tensor, tuple[int, int]]: Shape (B, P + rows * columns, C),
            P prefix tokens first; and rows and columns of the patches.
        """
        height, width = frames.shape[-2:]
        patches = self.patch_embed(F.pad(
            frames, (0, -width % self.patch_size,
                     0, -height % self.patch_size)))
        grid = patches.shape[2], patches.shape[3]
        prefix = torch.cat((self.cls_token, self.reg_token), 1)
        return torch.cat((
            prefix.to(patches).expand(len(frames), -1, -1),
            patches.flatten(2).transpose(1, 2) + self.positions(*grid)
        ), 1), grid

    def run(self, block: nn.Module, tokens: Tensor,
            seen: Tensor | None = None) -> Tensor:
        """Tokens behind one of ``blocks``; see :class:`ViTBlock`."""
        return run_layer(block, tokens, seen, with_cp=self.with_cp)

    def compile(self, *args: object, **kwargs: object) -> None:
        """As ``nn.Module.compile``, block by block: a ViT is not called as a
        whole, and a graph serves all blocks."""
        for block in self.blocks:
            block.compile(*args, **kwargs)

    def positions(self, rows: int, cols: int) -> Tensor:
        """Position embedding (1, rows * cols, C) of the patches."""
        # What is exported takes other sizes than the one that it is traced at.
        if not torch.compiler.is_exporting() and \
                (rows, cols) == self.pos_grid:
            return self.pos_embed
        return resample_positions(self.pos_embed, self.pos_grid,
                                  size=(rows, cols), antialias=True)


def _from_dinov2(module: DINOv2, state_dict: dict, prefix: str,
                 *_: object) -> None:
    """Read a file of DINOv2: its names, and patches and positions of another
    size."""
    def take(name: str) -> Tensor | None:
        return state_dict.pop(prefix + name, None)

    registers = take('register_tokens')
    if registers is not None:  # their layout: the class token has a position
        take('mask_token')
        positions = state_dict[f'{prefix}pos_embed']
        state_dict.update({
            f'{prefix}reg_token': registers,
            f'{prefix}cls_token':
                state_dict[f'{prefix}cls_token'] + positions[:, :1],
            f'{prefix}pos_embed': positions[:, 1:]})
    kernel = state_dict.get(f'{prefix}patch_embed.proj.weight')
    side = module.patch_size
    if kernel is not None and kernel.shape[-1] != side:
        state_dict[f'{prefix}patch_embed.proj.weight'] = resample_kernel(
            kernel, side)
    positions = state_dict.get(f'{prefix}pos_embed')
    if positions is not None and positions.shape[1] != \
            module.pos_embed.shape[1]:
        own = round(positions.shape[1]**.5)
        state_dict[f'{prefix}pos_embed'] = resample_positions(
            positions, (own, own), size=module.pos_grid, antialias=True)


def resample_kernel(kernel: Tensor, side: int) -> Tensor:
    """A patch kernel (C, 3, h, w) that gives patches enlarged to another side
    the tokens that it gives them as they were (Beyer et al., FlexiViT, CVPR
    2023, with a pseudo-inverse)."""
    old = kernel.shape[-1]
    basis = torch.eye(old * old).view(-1, 1, old, old)
    enlarge = F.interpolate(
        basis, size=(side, side), mode='bicubic', align_corners=False,
        antialias=True).flatten(1)  # (old * old, side * side)
    resized = kernel.float().flatten(2) @ torch.linalg.pinv(
        enlarge.to(kernel.device)).T
    return resized.unflatten(2, (side, side)).to(kernel.dtype)
