"""The PyTorch twin of the compiled ``crop_split``: same numbers, any device.
"""
import torch
from torch import Tensor


def _cells(length: int, low: Tensor, high: Tensor,
           c: int) -> tuple[Tensor, Tensor]:
    """Cell of every position along one axis.

    Args:
        length (int): Positions 0 .. length - 1.
        low (Tensor): (n,) where the boxes start.
        high (Tensor): (n,) where they end, exclusive.
        c (int): Cells an axis.

    Returns:
        tuple[Tensor, Tensor]: (length, n) int64 cell in [0, c), and whether
        the position is inside the box.
    """
    at = torch.arange(length, device=low.device, dtype=low.dtype)[:, None]
    inside = (at >= low) & (at < high)
    # 0.1 is added in double and the result rounded, as in the original
    # operator: the split lies slightly beyond the middle.
    size = (((high - low).double() + 0.1) / c).to(low.dtype)
    part = (at - low) / size
    # Boxes so long that 0.1 is lost, infinite or not a number: last cell.
    part = torch.where(part < c, part, c - 1).clamp(min=0)
    return part.long(), inside


def crop_split(data: Tensor, rois: Tensor, c: int) -> Tensor:
    """See :func:`mmvis_memcnp.ops.crop_split`.

    Needs an index and a bit an output element beside input and output,
    whatever ``c`` is.
    """
    _, height, width, _ = data.shape
    # Never in 16 bits: a column beyond 2048 is not representable there.
    rois = rois.detach().to(torch.promote_types(rois.dtype, torch.float32))
    x1, y1, x2, y2 = rois.unbind(1)
    col, in_cols = _cells(width, x1, x2, c)
    row, in_rows = _cells(height, y1, y2, c)
    inside = in_rows[:, None] & in_cols[None]
    if c == 1:
        chosen = data[0]
    else:
        cell = row[:, None] * c + col[None]
        chosen = data.gather(0, cell[None])[0]
    return torch.where(inside, chosen, 0)
