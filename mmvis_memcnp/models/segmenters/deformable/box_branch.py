"""Box regression of a decoder layer: the hook of MemCNP in a query host."""
from collections.abc import Callable, Sequence
from functools import partial

from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ...memcnp import BoxPrediction, ContextModule, MemCNPBoxBranch

#: Queries (..., C) to what is said about them.
BoxRegressor = Callable[[Tensor], BoxPrediction]


class PlainBoxBranch(BaseModule):
    """Three linear layers, as in Deformable DETR.

    Args:
        embed_dims (int): Defaults to 256.
        wide_start (bool): Start from a size logit of -2, as the first
            decoder layer does. Defaults to False.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 wide_start: bool = False) -> None:
        super().__init__()
        self.wide_start = wide_start
        self.last = nn.Linear(embed_dims, 4)
        self.hidden = nn.ModuleList(
            [nn.Linear(embed_dims, embed_dims) for _ in range(2)])

    def init_weights(self) -> None:
        """The last layer starts at zero: boxes start at their references."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        if self.wide_start:
            nn.init.constant_(self.last.bias[2:], -2.)

    def forward(self, query: Tensor) -> BoxPrediction:
        """Regress boxes.

        Args:
            query (Tensor): Shape (..., C).

        Returns:
            BoxPrediction: ``delta`` alone.
        """
        for layer in self.hidden:
            query = layer(query).relu()
        return BoxPrediction(self.last(query))


def build_box_branches(num_layers: int,
                       embed_dims: int = 256,
                       memcnp: ContextModule | None = None) -> ModuleList:
    """Box branches of a decoder, one a layer; the first starts wide.

    Args:
        num_layers (int): Number of decoder layers.
        embed_dims (int): Channels of a query. Defaults to 256.
        memcnp (ContextModule, optional): The memory that the branches are to
            read (:func:`reading`); with ``readout='raw'`` each encodes what
            it reads by an MLP of its own. Defaults to None: plain branches.

    Returns:
        ModuleList: Of :class:`PlainBoxBranch` or :class:`MemCNPBoxBranch`.
    """
    if memcnp is None:
        return ModuleList(
            PlainBoxBranch(embed_dims, wide_start=layer == 0)
            for layer in range(num_layers))
    return ModuleList(
        MemCNPBoxBranch(embed_dims, layer == 0, memcnp.out_dims,
                        memcnp.bank.mlp is None)
        for layer in range(num_layers))


def reading(branches: Sequence[nn.Module],
            memcnp: ContextModule | None) -> list[BoxRegressor]:
    """Branches as a decoder calls them: with the queries alone.

    Args:
        branches (Sequence[nn.Module]): Of :func:`build_box_branches`.
        memcnp (ContextModule, optional): Read at every call; None for plain
            branches.

    Returns:
        list[BoxRegressor]: One a layer.
    """
    if memcnp is None:
        return list(branches)
    return [partial(_read_and_regress, branch, memcnp) for branch in branches]


def _read_and_regress(branch: nn.Module, memcnp: ContextModule,
                      query: Tensor) -> BoxPrediction:
    return branch(query, memcnp.read(query))
