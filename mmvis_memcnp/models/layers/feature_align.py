"""Feature alignment by predicted boxes."""
import torch
from mmcv.cnn import build_norm_layer
from mmcv.ops import DeformConv2d
from mmengine.model import BaseModule, normal_init
from torch import Tensor, nn

from ...compat.mmcv_ext import stand_in
from ...compat.mmcv_ext.deform_conv import deform_conv


class FeatureAlign(BaseModule):
    """Deformable convolution whose sampling follows the predicted box.

    Source: SipMask, "feature alignment"; the MemCNP head uses the same block
    with more input channels and another initialisation of the offsets.

    Args:
        in_channels: channels of the feature to align.
        out_channels: channels of the aligned feature.
        deform_groups: groups with offsets of their own.
        offset_std: standard deviation of the initial offset weights; 0 starts
            from an ordinary 3x3 convolution.
        norm_cfg: norm layer after the convolution.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 deform_groups: int = 4,
                 offset_std: float = 0.,
                 norm_cfg: dict | None = None) -> None:
        super().__init__()
        norm_cfg = norm_cfg or dict(type='GN', num_groups=32)
        self.offset_std = offset_std
        self.conv_offset = nn.Conv2d(
            4, deform_groups * 2 * 9, kernel_size=1, bias=False)
        self.conv_adaption = DeformConv2d(
            in_channels,
            out_channels,
            kernel_size=3,
            padding=1,
            deform_groups=deform_groups)
        self.norm = build_norm_layer(norm_cfg, out_channels)[1]

    def init_weights(self) -> None:
        """Offsets ~ N(0, offset_std), convolution ~ N(0, 0.01)."""
        nn.init.normal_(self.conv_offset.weight, std=self.offset_std)
        normal_init(self.conv_adaption, std=0.01)

    def forward(self, feat: Tensor, distances: Tensor) -> Tensor:
        """Align a feature map.

        Args:
            feat: (B, in_channels, H, W).
            distances: (B, 4, H, W) left, top, right, bottom distances to the
                predicted box in cells of this map. They are detached: boxes
                are not trained through the place where features are sampled.

        Returns:
            (B, out_channels, H, W), after norm and ReLU.
        """
        offset = self.conv_offset(distances.detach().to(feat.dtype))
        conv = self.conv_adaption
        # What is exported must not hold a compiled operator. Where there is
        # none, mmcv's function would sample once more in the backward pass.
        aligned = (
            deform_conv(feat, conv.weight, offset, conv.deform_groups)
            if torch.compiler.is_exporting() or stand_in()
            else conv(feat, offset))
        return torch.relu(self.norm(aligned))
