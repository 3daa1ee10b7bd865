"""What a host holds: a bank, behind one interface for maps and queries."""
from typing import Optional

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from .bank import MemoryBank
from .reference_set import ReferenceSet


class ContextModule(BaseModule):
    """Gives every location or query its context from a bank.

    Args:
        bank (nn.Module): Maps z (N, C), y (N, 4), valid (N,) to (N, out).
    """
    out_dims: int

    def __init__(self, bank: nn.Module) -> None:
        super().__init__()
        self.bank = bank
        self.out_dims = int(bank.out_dims)  # type: ignore[arg-type]

    def forward(self,
                z: Tensor,
                y: Optional[Tensor] = None,
                valid: Optional[Tensor] = None) -> Tensor:
        """Context of every location of a map, or of every query.

        In training, a call with ``y`` also writes. Every rank of a
        distributed run must make the same calls with ``y``; a rank without
        ground truth passes ``valid`` all False.

        Args:
            z (Tensor): A map (B, C, H, W), queries (B, Q, C) or points
                (N, C).
            y (Tensor, optional): Encoded targets in the same layout:
                (B, 4, H, W), (B, Q, 4) or (N, 4). Defaults to None.
            valid (Tensor, optional): Bool, what may be written: (B, H, W),
                (B, Q) or (N,). Defaults to everything.

        Returns:
            Tensor: Context in the layout of ``z``, ``out_dims`` channels.
        """
        if z.dim() == 4:
            z = z.permute(0, 2, 3, 1)
            y = None if y is None else y.permute(0, 2, 3, 1)
            return self._forward_last(z, y, valid).permute(0, 3, 1, 2)
        return self._forward_last(z, y, valid)

    def _forward_last(self, z: Tensor, y: Optional[Tensor],
                      valid: Optional[Tensor]) -> Tensor:
        context = self.bank(
            z.reshape(-1, z.size(-1)),
            None if y is None else y.reshape(-1, y.size(-1)),
            None if valid is None else valid.reshape(-1))
        return context.view(*z.shape[:-1], self.out_dims)


@MODELS.register_module()
class MemCNP(ContextModule):
    """Memory-based conditional neural process: contexts from a memory bank.

    Args:
        num_items, feat_dims, target_dims, rate, readout, hidden_dims,
            decay_unused, learnable: See :class:`MemoryBank`.
    """
    bank: MemoryBank

    def __init__(self,
                 num_items: int = 128,
                 feat_dims: int = 256,
                 target_dims: int = 4,
                 rate: float = 0.999,
                 readout: str = 'mlp',
                 hidden_dims: int = 256,
                 decay_unused: bool = False,
                 learnable: bool = True) -> None:
        super().__init__(
            MemoryBank(num_items, feat_dims, target_dims, rate, readout,
                       hidden_dims, decay_unused, learnable))


@MODELS.register_module()
class CNP(ContextModule):
    """Conventional conditional neural process with fixed reference entries.

    The counterpart of :class:`MemCNP` in the paper's Table 7.

    Args:
        num_items, feat_dims, target_dims, hidden_dims: See
            :class:`ReferenceSet`.
    """

    def __init__(self,
                 num_items: int = 128,
                 feat_dims: int = 256,
                 target_dims: int = 4,
                 hidden_dims: int = 256) -> None:
        super().__init__(
            ReferenceSet(num_items, feat_dims, target_dims, hidden_dims))
