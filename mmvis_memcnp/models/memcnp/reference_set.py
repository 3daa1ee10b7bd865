"""Context of a conventional conditional neural process (eq 2)."""
from typing import Optional

import torch
from torch import Tensor, nn

from .bank import ContextMLP
from .reduce import broadcast_from_first


class ReferenceSet(nn.Module):
    """Fixed reference entries whose encodings are averaged (Table 7, CNP).

    The entries are pairs [z; y] taken from the first valid training points,
    spread evenly over those of a call, and never change afterwards. They and
    their number are buffers, so a checkpoint holds them. In a distributed run
    all ranks hold the first rank's entries.

    Args:
        num_items (int): Number of entries. Defaults to 128.
        feat_dims (int): Channels of z. Defaults to 256.
        target_dims (int): Length of y. Defaults to 4.
        hidden_dims (int): Width of the encoder. Defaults to 256.
    """

    entries: Tensor
    filled: Tensor

    def __init__(self,
                 num_items: int = 128,
                 feat_dims: int = 256,
                 target_dims: int = 4,
                 hidden_dims: int = 256) -> None:
        super().__init__()
        self.num_items = num_items
        self.feat_dims = feat_dims
        self.out_dims = hidden_dims
        item_dims = feat_dims + target_dims
        self.register_buffer('entries', torch.zeros(num_items, item_dims))
        self.register_buffer('filled', torch.zeros((), dtype=torch.long))
        self.mlp = ContextMLP(item_dims, hidden_dims)
        # Known on the host, so that a step asks the device only until the
        # set is full.
        self._full = False

    def forward(self,
                z: Tensor,
                y: Optional[Tensor] = None,
                valid: Optional[Tensor] = None) -> Tensor:
        """Collect entries (training, with ``y``), then read the mean context.

        Args:
            z (Tensor): Shape (N, feat_dims).
            y (Tensor, optional): Shape (N, target_dims).
            valid (Tensor, optional): Shape (N,) bool, points that may become
                entries. Defaults to all.

        Returns:
            Tensor: Shape (N, out_dims), the same context for every point;
            zeros as long as there is no entry.
        """
        if self.training and y is not None and not self._full:
            self._collect(z, y, valid)
        held = torch.arange(self.num_items, device=z.device) < self.filled
        # The clone keeps what autograd saves apart from the buffer, which a
        # later call of the same iteration may go on filling.
        entries = self.entries if self._full else self.entries.clone()
        encoded = self.mlp(entries)
        context = (encoded * held[:, None]).sum(0) / self.filled.clamp(min=1)
        return context.to(encoded.dtype).expand(len(z), -1)

    @torch.no_grad()
    def _collect(self, z: Tensor, y: Tensor, valid: Optional[Tensor]) -> None:
        pairs = torch.cat((z, y), dim=1).to(self.entries.dtype)
        if valid is not None:
            pairs = pairs[valid]
        start = int(self.filled)
        taken = min(self.num_items - start, len(pairs))
        if taken:
            spread = torch.arange(taken, device=z.device) * len(pairs) // taken
            self.entries[start:start + taken] = pairs[spread]
            self.filled += taken
        broadcast_from_first(self.entries)
        broadcast_from_first(self.filled)
        self._full = int(self.filled) == self.num_items

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._full = int(self.filled) == self.num_items
