"""Deformable DETR with dynamic masks as the frame network of a system."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.layers import MLP
from mmdet.registry import MODELS
from mmengine.model import BaseModule, bias_init_with_prob
from torch import Tensor, nn

from ....results.pixels import FrameMeta
from ...memcnp import ContextModule
from .box_branch import BoxRegressor, build_box_branches, reading
from .encoder import EncodedFrames, input_hw, padding_mask
from .start_points import start_points


@MODELS.register_module()
class DeformableSegmenter(BaseModule):
    """What IDOL, SeqFormer and InstanceFormer make of frames.

    Keeps nothing of a video. The systems decode in ways of their own, with
    the parts that stand here: their tensors have the same names wherever
    this is a system's ``segmenter``, so that one stage of training can start
    the next.

    Args:
        backbone (dict): Feature extractor.
        neck (dict): Gives the levels of the encoder.
        encoder (dict): A :class:`DeformableEncoder`.
        decoder (dict): A decoder of L layers with C channels, which the
            system calls.
        mask_branch (dict): A :class:`MaskBranch`.
        num_classes (int): K.
        num_queries (int): Q. Defaults to 300.
        class_offset (int): Channels before the first class and after the last
            one that stand for no class; 1 in the released InstanceFormer,
            whose channels are category ids. Defaults to 0.
        mask_head (dict, optional): Defaults to a
            :class:`DynamicConvMaskHead`.
        embed_dims (int, optional): E, of the vectors that tell instances
            apart (IDOL). Defaults to None, no such head.
        init_cfg (dict, optional): Initial weights.
    """

    def __init__(self,
                 backbone: dict,
                 neck: dict,
                 encoder: dict,
                 decoder: dict,
                 mask_branch: dict,
                 num_classes: int,
                 num_queries: int = 300,
                 class_offset: int = 0,
                 mask_head: dict | None = None,
                 embed_dims: int | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.class_offset = class_offset
        #: Channels of a class branch, which a change of classes changes.
        self.class_channels = num_classes + 2 * class_offset
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.encoder = MODELS.build(encoder)
        self.decoder = MODELS.build(decoder)
        layers, dims = len(self.decoder.layers), self.encoder.embed_dims
        self.num_layers, self.dims = layers, dims
        self.query_embed = nn.Embedding(num_queries, 2 * dims)
        self.reference_points = nn.Linear(dims, 2)
        self.cls_branches = nn.ModuleList(
            [nn.Linear(dims, self.class_channels) for _ in range(layers)])
        self.box_branches = build_box_branches(layers, dims)
        self.mask_branch = MODELS.build(mask_branch)
        head = MODELS.build(mask_head or dict(type='DynamicConvMaskHead'))
        self.mask_controller = MLP(dims, dims, head.num_params, 3)
        self.mask_head = head
        self.embed_head = (
            None if embed_dims is None else MLP(dims, dims, embed_dims, 3))

    def use_memory(self, memcnp: ContextModule) -> None:
        """Take box branches that read a memory and predict distributions.

        Args:
            memcnp (ContextModule): The system's, which stays the system's;
                see :meth:`boxes_by`.
        """
        self.box_branches = build_box_branches(self.num_layers, self.dims,
                                               memcnp)

    @property
    def mask_stride(self) -> int:
        """Distance in pixels between mask logits."""
        return self.mask_head.out_stride

    def init_weights(self) -> None:
        """As released: Xavier, and every class at a probability of 1 %."""
        super().init_weights()
        for layer in (self.reference_points, *self.mask_controller.layers):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for name, parameter in self.cls_branches.named_parameters():
            if name.endswith('bias'):
                nn.init.constant_(parameter, bias_init_with_prob(0.01))

    # -- frames -----------------------------------------------------------
    def encode_frames(self, frames: Tensor,
                      sizes: Sequence[tuple[int, ...]] | Tensor
                      ) -> EncodedFrames:
        """What decoder and masks look at, of frames that know nothing of
        each other.

        Args:
            frames (Tensor): Shape (B, 3, H, W), normalised and padded.
            sizes (Sequence[tuple[int, ...]] | Tensor): Height and width of
                each before padding, first.
        """
        padding = padding_mask(sizes, input_hw(frames), frames.device)
        return self.encoder(self.neck(self.backbone(frames)), padding)

    def mask_features(self, encoded: EncodedFrames) -> Tensor:
        """Of B frames: (B, 8, h, w), which the mask convolutions read."""
        return self.mask_branch(encoded.maps())

    def items(self, frames: Tensor, metas: Sequence[FrameMeta]
              ) -> list[tuple[EncodedFrames, Tensor]]:
        """Both of each frame, for systems that decode later.

        Args:
            frames (Tensor): Shape (T, 3, H, W), normalised and padded.
            metas (Sequence[FrameMeta]): ``img_shape`` of each.
        """
        encoded = self.encode_frames(frames, [m['img_shape'] for m in metas])
        features = self.mask_features(encoded)
        rows = [slice(t, t + 1) for t in range(len(frames))]
        return [(encoded.select(row), features[row]) for row in rows]

    # -- queries ----------------------------------------------------------
    def query_start(self) -> tuple[Tensor, Tensor]:
        """Content (Q, C) and position (Q, C) of the learnt queries."""
        position, content = self.query_embed.weight.chunk(2, dim=1)
        return content, position

    def start_queries(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the points (Q, 2) that the queries look at first, x
        and y as fractions of the frame."""
        content, position = self.query_start()
        return content, position, start_points(self.reference_points, position)

    def boxes_by(self, memcnp: ContextModule | None) -> list[BoxRegressor]:
        """The box branches as a decoder calls them.

        Args:
            memcnp (ContextModule, optional): As for :meth:`use_memory`; None
                of plain branches.
        """
        return reading(self.box_branches, memcnp)

    def class_logits(self, queries: Sequence[Tensor] | Tensor) -> Tensor:
        """Class logits of the last decoder layers.

        Args:
            queries (Sequence[Tensor] | Tensor): (..., Q, C) of each of the
                last n layers; one layer is that of the results.

        Returns:
            Tensor: Shape (n, ..., Q, class_channels) float32.
        """
        branches = list(self.cls_branches)[-len(queries):]
        return torch.stack([
            branch(query).float()
            for branch, query in zip(branches, queries, strict=True)
        ])

    def embeds(self, queries: Tensor) -> Tensor:
        """Vectors (..., E) of queries (..., C) that tell instances apart; the
        segmenter was given ``embed_dims``."""
        assert self.embed_head is not None
        return self.embed_head(queries)

    def of_classes(self, channels: Tensor) -> Tensor:
        """Of channels (..., class_channels), those of the K classes."""
        return channels.narrow(-1, self.class_offset, self.num_classes)

    def mask_logits(self, features: Tensor, queries: Tensor, points: Tensor,
                    frames: Tensor) -> Tensor:
        """Masks of P queries.

        Args:
            features (Tensor): Shape (B, 8, h, w), of :meth:`mask_features`.
            queries (Tensor): Shape (P, C), of any decoder layer.
            points (Tensor): Shape (P, [T,] 2), what each of them looks at, x
                and y in pixels.
            frames (Tensor): Shape (P, [T]) int64, frame of each; with an
                axis T the same query is seen in several.

        Returns:
            Tensor: Shape (P, [T,] 2h, 2w) float32, logits at
            ``mask_stride``.
        """
        params = self.mask_controller(queries)
        if frames.dim() == 1:
            return self.mask_head(features, params, points, frames)
        return self.mask_head(
            features, params.repeat_interleave(frames.shape[1], dim=0),
            points.flatten(0, 1), frames.flatten()).unflatten(
                0, frames.shape)
