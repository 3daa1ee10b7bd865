"""Initial weights of what every query system puts on its decoder."""
from mmdet.models.layers import MLP
from mmengine.model import bias_init_with_prob
from torch import nn


def init_query_heads(reference_points: nn.Linear, cls_branches: nn.ModuleList,
                     mask_controller: MLP) -> None:
    """Start as the released IDOL, SeqFormer and InstanceFormer do.

    Args:
        reference_points (nn.Linear): C to 2, Xavier and zero bias.
        cls_branches (nn.ModuleList): Linear layers, C to K; every class
            starts at a probability of 1 %.
        mask_controller (MLP): Weights of the mask convolutions, Xavier and
            zero bias.
    """
    for layer in (reference_points, *mask_controller.layers):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    for name, parameter in cls_branches.named_parameters():
        if name.endswith('bias'):
            nn.init.constant_(parameter, bias_init_with_prob(0.01))
