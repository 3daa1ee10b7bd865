"""Inter-frame recurrent decoder: the queries of a frame from those before.

You et al., Consistent Video Instance Segmentation with Inter-Frame Recurrent
Attention, arXiv 2206.07011, section 3.1.
"""
import math
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor, nn

from .masked_decoder import MaskedDecoder
from .pixel_decoder import PixelMaps
from .queries import ClipQueries


@MODELS.register_module()
class RecurrentDecoder(MaskedDecoder):
    """Clip queries say classes, frame queries say masks.

    In every layer the frame queries go through the clip. Those of the frame
    before (the clip queries before the first frame) and the clip queries read
    the pixels of a frame, then each other, and what became of the former are
    the queries of the frame (eqs 2 and 3). Then the clip queries read the
    frame queries of all frames, which have no order there, and each other.
    The scales of the memory take turns. A query reads a frame within its mask
    there, as the layer before gave it.

    Either step is a layer of Mask2Former, with the feed-forward network at
    its end, which the paper does not mention. What Mask2Former has too has
    its names here, so that a checkpoint of it starts all but the layers and
    the classes, which are sigmoids.

    Args:
        prior (float): Class probability that training starts from, in
            (0, 1); with a lower one the many queries without an object weigh
            less at first. Defaults to 0.01.
        kwargs: See :class:`MaskedDecoder`.
    """

    stacks = ('frame_layers', 'clip_layers')
    no_object = False
    frame_layers: ModuleList
    clip_layers: ModuleList

    def __init__(self, *, prior: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prior = prior

    def init_weights(self) -> None:
        """As Mask2Former's; classes start from their prior."""
        super().init_weights()
        nn.init.constant_(self.cls_embed.bias,
                          -math.log((1 - self.prior) / self.prior))

    def forward(self, maps: PixelMaps, num_frames: int,
                all_layers: bool) -> ClipQueries:
        """See :meth:`Mask2FormerVideoDecoder.forward`."""
        clips = (-1, num_frames)
        keys, small = (
            [x.unflatten(0, clips) for x in scales] for scales in (
                self._keys(maps.memories), self._small_features(maps)))
        positions = self._positions(maps.memories)
        pos, hidden = (x.weight.expand(len(keys[0]), -1, -1)
                       for x in (self.query_embed, self.query_feat))
        pairs = pos.repeat(1, 2, 1)

        def step(number: int, hidden: Tensor,
                 mask_embeds: Tensor) -> tuple[Tensor, Tensor]:
            level = number % len(keys)
            rows, last = [], hidden
            for t in range(num_frames):
                blocked = self._blocked(mask_embeds[:, t], small[level][:, t])
                last, _ = self.frame_layers[number](
                    query=torch.cat((last, hidden), 1),
                    key=keys[level][:, t],
                    value=keys[level][:, t],
                    query_pos=pairs,
                    key_pos=positions[level],
                    cross_attn_mask=blocked.repeat(1, 2, 1)).chunk(2, 1)
                rows.append(last)
            found = torch.cat(rows, 1)
            hidden = self.clip_layers[number](
                query=hidden,
                key=found,
                value=found,
                query_pos=pos,
                key_pos=pos.repeat(1, num_frames, 1))
            return hidden, torch.stack(rows, 1)

        _, queries, embeds = self._decode(
            hidden, hidden[:, None].expand(-1, num_frames, -1, -1), step,
            all_layers)
        return ClipQueries(self.cls_embed(queries), embeds,
                           maps.mask_features.unflatten(0, clips))
