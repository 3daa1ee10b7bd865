"""Sines that tell cells where they stand."""
import math

import torch
from torch import Tensor, nn


class CellPositions(nn.Module):
    """Row and column of each cell as sines, as fractions of what is no
    padding.

    mmdet's ``SinePositionalEncoding`` takes powers in each call for the
    periods; here they are numbers. In rows and columns that are padding alone
    the published formula divides by 1e-6 and takes sines of three million:
    the last digit of a period, in which the powers of two devices or of
    PyTorch and an exporter differ, changes these by 0.1. Source: Zhu et al.,
    Deformable DETR, ICLR 2021; its release.

    Args:
        num_feats (int): F, even: numbers for the row and for the column.
        offset (float): Added to a row and column, counted from 1.
    """
    periods: Tensor

    def __init__(self, num_feats: int, offset: float) -> None:
        super().__init__()
        self.offset = offset
        self.register_buffer(
            'periods', 10000**(torch.arange(0., num_feats, 2) / num_feats),
            persistent=False)

    def forward(self, padding: Tensor) -> Tensor:
        """Positions of all cells.

        Args:
            padding (Tensor): Shape (B, h, w) bool, True where padded.

        Returns:
            Tensor: Shape (B, 2F, h, w) float32, rows first; sine and cosine
            take turns.
        """
        inside = (~padding).int()
        waves = []
        for axis in (1, 2):
            at = inside.cumsum(axis, dtype=torch.float32)
            count = at.narrow(axis, -1, 1)
            angle = (at + self.offset) / (count + 1e-6) * (2 * math.pi)
            angle = angle[..., None] / self.periods
            waves.append(
                torch.stack((angle.sin(), angle.cos()), -1).flatten(-2))
        return torch.cat(waves, -1).permute(0, 3, 1, 2)
