"""Box regression of a decoder layer: the hook of MemCNP in a query host."""
from typing import NamedTuple, Optional

import torch
from mmdet.models.layers import inverse_sigmoid
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


class BoxPrediction(NamedTuple):
    """What a box branch says about queries.

    Attributes:
        delta: (..., 4), added to the reference before the sigmoid.
        sigma: (..., 4), standard deviations of the edges x1, y1, x2, y2 as
            fractions of the image; None in a plain host.
        context: (..., C), what MemCNP read; None in a plain host.
    """
    delta: Tensor
    sigma: Optional[Tensor] = None
    context: Optional[Tensor] = None


@MODELS.register_module()
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


def build_box_branches(num_layers: int,
                       embed_dims: int = 256,
                       memcnp: Optional[dict] = None) -> nn.ModuleList:
    """One box branch a decoder layer.

    Args:
        num_layers (int): Decoder layers.
        embed_dims (int): C. Defaults to 256.
        memcnp (dict, optional): MemCNP of the branches. Defaults to None,
            plain branches.

    Returns:
        nn.ModuleList: Branches that are called with (..., C) and return a
        :class:`BoxPrediction`.

    Raises:
        ValueError: If ``memcnp`` is given.
    """
    if memcnp is not None:
        raise ValueError('This model has no MemCNP: leave memcnp at None.')
    return nn.ModuleList([
        PlainBoxBranch(embed_dims, wide_start=i == 0)
        for i in range(num_layers)
    ])
