"""Mask logits of a network input straight to the original frame."""
import torch
import torch.nn.functional as F
from torch import Tensor


def resample_masks(logits: Tensor,
                   stride: int,
                   image_hw: tuple[int, int],
                   ori_hw: tuple[int, int],
                   chunk: int = 16) -> Tensor:
    """Bilinear in one step, without what is padding.

    Where nothing is padded this is the plain resizing of the released
    InstanceFormer.

    Args:
        logits: (n, h, w) mask logits over the padded network input.
        stride: input pixels a pixel of the logits.
        image_hw: height and width of the frame in the input.
        ori_hw: height and width of the original frame.
        chunk: masks at a time, which bounds the memory.

    Returns:
        (n, *ori_hw) bool, where the probability exceeds one half.
    """
    if len(logits) == 0:
        return torch.zeros((0, *ori_hw), dtype=torch.bool,
                           device=logits.device)
    axes = []
    for cells, image, ori in zip(logits.shape[-2:], image_hw, ori_hw,
                                 strict=True):
        pixel = torch.arange(ori, device=logits.device) + 0.5
        axes.append(pixel / ori * (image / (stride * cells)) * 2 - 1)
    grid = torch.stack((axes[1].expand(ori_hw),
                        axes[0][:, None].expand(ori_hw)), -1)[None]
    return torch.cat([
        F.grid_sample(part[None].float(), grid, padding_mode='border',
                      align_corners=False)[0] > 0
        for part in logits.split(chunk)
    ])
