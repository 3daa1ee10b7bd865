"""Masks by convolutions whose weights an instance brings along (CondInst)."""
import torch
from mmdet.models.utils import aligned_bilinear
from mmdet.registry import MODELS
from torch import Tensor, nn

# Weights (10 x 8, 8 x 8, 8 x 1), then biases (8, 8, 1), of one instance.
_WEIGHTS = ((8, 10), (8, 8), (1, 8))


@MODELS.register_module()
class DynamicConvMaskHead(nn.Module):
    """Three 1x1 convolutions of an instance's own weights.

    Their input is the vector from a cell to the instance's reference point,
    in pixels of the network input and not scaled (mmdet's CondInst head
    scales it), and the mask features. The result is upsampled twice.

    Args:
        stride (int): Input pixels a cell of the mask features. Defaults
            to 8.
    """

    #: Numbers that an instance brings along.
    num_params = (
        sum(o * i for o, i in _WEIGHTS) + sum(o for o, _ in _WEIGHTS))

    def __init__(self, stride: int = 8) -> None:
        super().__init__()
        self.stride = stride

    @property
    def out_stride(self) -> int:
        """Input pixels a pixel of the logits."""
        return self.stride // 2

    def forward(self, features: Tensor, params: Tensor, references: Tensor,
                frame_index: Tensor) -> Tensor:
        """Mask logits of P instances.

        In single precision under autocast as well: the vectors are in
        pixels.

        Args:
            features (Tensor): Shape (B, 8, h, w), of B frames.
            params (Tensor): Shape (P, ``num_params``): all weights,
                (out, in) each, then all biases.
            references (Tensor): Shape (P, 2), x and y in input pixels.
            frame_index (Tensor): Shape (P,) int64, frame of each instance.

        Returns:
            Tensor: Shape (P, 2h, 2w) float32, stride 4 for stride 8.
        """
        height, width = features.shape[-2:]
        half = self.stride // 2
        x = torch.arange(width, device=features.device) * self.stride + half
        y = torch.arange(height, device=features.device) * self.stride + half
        with torch.autocast(features.device.type, enabled=False):
            references = references.float()
            dx = references[:, 0, None, None] - x
            dy = references[:, 1, None, None] - y[:, None]
            shape = (len(params), height, width)
            hidden = torch.cat((torch.stack(
                (dx.expand(shape), dy.expand(shape)), dim=1),
                                features[frame_index].float()), 1).flatten(2)
            sizes = [o * i for o, i in _WEIGHTS] + [o for o, _ in _WEIGHTS]
            parts = params.float().split(sizes, dim=1)
            for layer, (outs, ins) in enumerate(_WEIGHTS):
                weight = parts[layer].view(-1, outs, ins)
                bias = parts[len(_WEIGHTS) + layer][:, :, None]
                hidden = torch.baddbmm(bias, weight, hidden)
                if layer < len(_WEIGHTS) - 1:
                    hidden = hidden.relu()
            logits = hidden.view(len(params), 1, height, width)
            return aligned_bilinear(logits, 2)[:, 0]
