"""From the encoder's maps to eight mask features a cell."""
from typing import Sequence

import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule, kaiming_init
from torch import Tensor, nn


@MODELS.register_module()
class MaskBranch(BaseModule):
    """Top-down fusion of three levels, as IDOL, SeqFormer, InstanceFormer do.

    Five 3x3 convolutions without norms, a ReLU after each, the last one too.

    Args:
        in_channels (int): Channels of the maps. Defaults to 256.
        hidden_channels (int): Defaults to 64.
        out_channels (int): Defaults to 8.
    """

    def __init__(self,
                 in_channels: int = 256,
                 hidden_channels: int = 64,
                 out_channels: int = 8) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 3, padding=1)

        # One a level, coarsest first.
        self.fuse = nn.ModuleList(
            [conv(in_channels, in_channels) for _ in range(3)])
        self.reduce = nn.ModuleList([
            conv(in_channels, hidden_channels),
            conv(hidden_channels, out_channels)
        ])

    def init_weights(self) -> None:
        """Kaiming-uniform with a = 1 and zero bias."""
        for module in (*self.fuse, *self.reduce):
            kaiming_init(module, a=1, distribution='uniform', mode='fan_in',
                         nonlinearity='leaky_relu')

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Mask features.

        Args:
            maps (Sequence[Tensor]): At least three maps (B, C, h, w), finest
                first; further ones are not used.

        Returns:
            Tensor: Shape (B, out_channels, h, w) at the finest level.
        """
        finer = list(maps[:3])
        x = self.fuse[0](finer.pop()).relu()
        for conv in self.fuse[1:]:
            level = finer.pop()
            x = F.interpolate(x, size=level.shape[-2:])
            x = conv(level + x).relu()
        for conv in self.reduce:
            x = conv(x).relu()
        return x
