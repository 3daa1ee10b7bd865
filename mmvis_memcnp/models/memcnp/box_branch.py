"""Box branch of a query or row: a distribution, by what the memory returns."""
from typing import NamedTuple

import torch
from mmdet.models.layers import inverse_sigmoid
from mmengine.model import BaseModule
from torch import Tensor, nn

from .bank import ContextMLP
from .distribution import split_distribution


class BoxPrediction(NamedTuple):
    """What a box branch says about queries.

    Attributes:
        delta: (..., 4), added to the reference before the sigmoid.
        sigma: (..., 4), standard deviations of the edges x1, y1, x2, y2 as
            fractions of the image; None in a plain host.
    """
    delta: Tensor
    sigma: Tensor | None = None


class MemCNPBoxBranch(BaseModule):
    """Linear layers over a query and what the memory returns for it.

    [z ; r] -> C -> C -> 8: the host's four deltas, which the decoder refines
    its boxes with as before, and four raw uncertainties (paper section 3.2).

    Args:
        embed_dims (int): C. Defaults to 256.
        wide_start (bool): Start from a size logit of -2, as the first
            decoder layer does. Defaults to False.
        context_dims (int): Channels of what the memory returns. Defaults to
            260, an item.
        own_readout (bool): Encode that by an MLP of this branch first, for a
            memory that returns its items raw. Defaults to True.
        num_hidden (int): Layers of C channels before the last one. Defaults
            to 2.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 wide_start: bool = False,
                 context_dims: int = 260,
                 own_readout: bool = True,
                 num_hidden: int = 2) -> None:
        super().__init__()
        self.wide_start = wide_start
        self.readout = None
        if own_readout:
            self.readout = ContextMLP(context_dims, embed_dims)
            context_dims = embed_dims
        self.last = nn.Linear(embed_dims, 8)
        widths = [embed_dims + context_dims] + [embed_dims] * (num_hidden - 1)
        self.hidden = nn.ModuleList(
            [nn.Linear(width, embed_dims) for width in widths])

    def init_weights(self) -> None:
        """The last layer starts at zero: mu as in the host, sigma at 0.72."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        if self.wide_start:
            nn.init.constant_(self.last.bias[2:4], -2.)

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Widen the weights of a plain branch, of the host's checkpoint.

        The boxes stay what they were: the context starts with weight 0. The
        uncertainties keep their initial weights.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of this branch's names, with the dot.
        """
        first, last = f'{prefix}hidden.0.weight', f'{prefix}last.'
        weight = state.get(first)
        if weight is None or weight.shape[1] != weight.shape[0]:
            return
        own = self.state_dict()
        wide = weight.new_zeros(own['hidden.0.weight'].shape)
        wide[:, :weight.shape[1]] = weight
        state[first] = wide
        for name in ('weight', 'bias'):
            plain = state[last + name]
            state[last + name] = torch.cat(
                (plain, own[f'last.{name}'][4:].to(plain)))

    def forward(self, query: Tensor, context: Tensor) -> BoxPrediction:
        """Regress distributions of boxes.

        Args:
            query (Tensor): Shape (..., C), the vectors z.
            context (Tensor): Shape (..., context_dims), what the memory
                returns for them.

        Returns:
            BoxPrediction: Both fields; ``sigma`` in float32 at least.
        """
        if self.readout is not None:
            context = self.readout(context.flatten(0, -2)).view(
                *context.shape[:-1], -1)
        hidden = torch.cat((query, context.to(query.dtype)), dim=-1)
        for layer in self.hidden:
            hidden = layer(hidden).relu()
        return BoxPrediction(*split_distribution(self.last(hidden)))


def refine_boxes(delta: Tensor, reference: Tensor) -> Tensor:
    """Move references by what a box branch predicts.

    Args:
        delta (Tensor): Shape (..., 4).
        reference (Tensor): Shape (..., 2), points, or (..., 4), boxes
            cx, cy, w, h; both as fractions of the image.

    Returns:
        Tensor: Shape (..., 4), cx, cy, w, h in [0, 1], float32.
    """
    with torch.autocast(delta.device.type, enabled=False):
        start = inverse_sigmoid(reference.float())
        if start.shape[-1] == 2:
            start = torch.cat((start, torch.zeros_like(start)), dim=-1)
        return (delta.float() + start).sigmoid()
