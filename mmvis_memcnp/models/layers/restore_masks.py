"""From mask logits of the padded input to masks of the original frame."""
import torch
import torch.nn.functional as F
from torch import Tensor


def restore_masks(logits: Tensor,
                  input_hw: tuple[int, int],
                  image_hw: tuple[int, int],
                  ori_hw: tuple[int, int]) -> Tensor:
    """Upsample to the input, cut the padding off, resize to the original.

    The first step is bilinear, the last one takes the nearest pixel, as IDOL
    and SeqFormer do.

    Args:
        logits: (n, h, w) mask logits over the padded network input.
        input_hw: height and width of the padded network input.
        image_hw: height and width of the frame in it.
        ori_hw: height and width of the original frame.

    Returns:
        (n, *ori_hw) bool.
    """
    if len(logits) == 0:
        return logits.new_zeros((0, *ori_hw), dtype=torch.bool)
    full = F.interpolate(logits[:, None].float(), size=tuple(input_hw),
                         mode='bilinear', align_corners=False) > 0
    image = full[:, :, :image_hw[0], :image_hw[1]].to(torch.uint8)
    return F.interpolate(image, size=tuple(ori_hw))[:, 0].bool()
