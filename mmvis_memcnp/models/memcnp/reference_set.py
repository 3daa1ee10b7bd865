"""Context of a conventional conditional neural process (eq 2)."""
import torch
from mmengine.dist import broadcast
from torch import Tensor, nn

from .bank import BOX_DIMS, ContextMLP


class ReferenceSet(nn.Module):
    """Fixed reference entries whose encodings are averaged (Table 7, CNP).

    The entries are pairs [z; y] of valid training points, spread evenly over
    those of a write. They are taken anew as long as the network has only begun
    to learn, and never change afterwards. They and their number are buffers,
    so that a checkpoint holds all there is to resume from. In a distributed
    run all ranks hold the first rank's entries.

    Args:
        num_items (int): Number of entries. Defaults to 128.
        feat_dims (int): Channels of z. Defaults to 256.
        hidden_dims (int, optional): Width of the encoder. Defaults to
            ``feat_dims``.
        settle (int): Writes after which the entries are fixed; a dense head
            writes once a level and iteration. With 0 they are features of an
            untrained network. Defaults to 1000.
    """

    entries: Tensor
    filled: Tensor
    writes: Tensor

    def __init__(self,
                 num_items: int = 128,
                 feat_dims: int = 256,
                 hidden_dims: int | None = None,
                 settle: int = 1000) -> None:
        super().__init__()
        self.num_items = num_items
        self.settle = settle
        self.feat_dims = feat_dims
        self.out_dims = hidden_dims or feat_dims
        item_dims = feat_dims + BOX_DIMS
        self.register_buffer('entries', torch.zeros(num_items, item_dims))
        self.register_buffer('filled', torch.zeros((), dtype=torch.long))
        self.register_buffer('writes', torch.zeros((), dtype=torch.long))
        self.mlp = ContextMLP(item_dims, self.out_dims)

    def read(self, z: Tensor, scores: Tensor | None = None) -> Tensor:
        """The mean context, the same for every point.

        Args:
            z (Tensor): Shape (N, feat_dims); only N counts.
            scores: Not used; there is nothing to weigh by.

        Returns:
            Tensor: Shape (N, out_dims); zeros as long as there is no entry.
        """
        held = torch.arange(self.num_items, device=z.device) < self.filled
        # The clone keeps what autograd saves apart from the buffer, which a
        # later write of the same iteration may go on filling.
        encoded = self.mlp(self.entries.clone())
        context = (encoded * held[:, None]).sum(0) / self.filled.clamp(min=1)
        return context.to(encoded.dtype).expand(len(z), -1)

    @torch.no_grad()
    def write(self, z: Tensor, y: Tensor, valid: Tensor) -> None:
        """Take entries as long as there is room.

        Without a wait for the device: a full set takes none by the same
        arithmetic.

        Args:
            z (Tensor): Shape (N, feat_dims).
            y (Tensor): Shape (N, 4), :func:`memory_target` of their boxes.
            valid (Tensor): Shape (N,) bool, points that may become entries.
        """
        if len(z):
            count = valid.sum()
            again = (self.writes < self.settle) & (count > 0)
            self.filled.mul_(~again)
            taken = torch.minimum(self.num_items - self.filled, count)
            # The slot that takes the i-th of the new entries, and the valid
            # point that it takes.
            new = torch.arange(self.num_items, device=z.device) - self.filled
            rank = new * count // taken.clamp(min=1)
            point = torch.searchsorted(valid.cumsum(0), rank + 1)
            point = point.clamp(max=len(z) - 1)
            pairs = torch.cat((z[point], y[point]), dim=1)
            self.entries.copy_(
                torch.where(((new >= 0) & (new < taken))[:, None],
                            pairs.to(self.entries.dtype), self.entries))
            self.filled += taken
        self.writes += 1
        broadcast(self.entries)
        broadcast(self.filled)
