"""What a segmenter hands to the rest of a system, of frames or clips."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ....results.saved_values import saveable


@saveable
class FrameQueries(NamedTuple):
    """Queries of B frames after L decoder layers.

    In training L counts every layer and the learned queries before the
    first; at inference it is 1, the last layer.

    Attributes:
        hidden: (L, B, Q, C), as the layers leave them.
        queries: (L, B, Q, C), the same after the norm that the heads share.
        logits: (L, B, Q, K + 1), of the classes and, last, of no object.
        mask_embeds: (L, B, Q, D), weights of the mask features.
        embeds: (L, B, Q, E), vectors to tell instances apart, or None.
        mask_features: (B, D, h, w) at a quarter of the input's size.
    """
    hidden: Tensor
    queries: Tensor
    logits: Tensor
    mask_embeds: Tensor
    embeds: Tensor | None
    mask_features: Tensor

    def masks(self, layer: int = -1,
              rows: slice | Tensor = slice(None)) -> Tensor:
        """Mask logits (B, q, h, w) of some queries of a layer, by default all
        of the last, computed when asked for."""
        return torch.einsum('bqd,bdhw->bqhw', self.mask_embeds[layer][:, rows],
                            self.mask_features)

    def objects(self, whether: bool = False) -> dict[str, Tensor]:
        """How far each query of the last layer shows an object.

        Args:
            whether (bool): Also say whether, which needs the masks. Defaults
                to False.

        Returns:
            dict[str, Tensor]: ``weight`` (B, Q), the probability of any class;
            ``present`` (B, Q) bool, whether a class is the likeliest and the
            mask has a pixel.
        """
        probs = self.logits[-1].float().softmax(-1)
        told = dict(weight=1 - probs[..., -1])
        if whether:
            filled = (self.masks() > 0).flatten(2).any(2)
            told['present'] = filled & (
                probs.argmax(-1) != probs.shape[-1] - 1)
        return told

    def frames(self, index: slice | Tensor) -> 'FrameQueries':
        """Some of the frames.

        Args:
            index (slice | Tensor): Indexes the axis of B frames and keeps it.
        """
        return FrameQueries._make((
            *(None if x is None else x[:, index] for x in self[:-1]),
            self.mask_features[index]))

    def split(self, count: int = 1) -> 'list[FrameQueries]':
        """The frames in order, ``count`` at a time."""
        return [self.frames(slice(at, at + count))
                for at in range(0, len(self.mask_features), count)]

    @classmethod
    def join(cls, parts: 'Sequence[FrameQueries]') -> 'FrameQueries':
        """Frames of one input size, one after the other."""
        *by_layer, features = zip(*parts, strict=True)
        return cls._make((
            *(None if x[0] is None else torch.cat(x, 1) for x in by_layer),
            torch.cat(features)))


class ClipQueries(NamedTuple):
    """Queries of B clips of T frames after L decoder layers.

    Attributes:
        logits: (L, B, Q, K or K + 1), of the classes and, if the decoder has
            one, of no object.
        mask_embeds: (L, B, T, Q, D), weights of the mask features of a frame.
        mask_features: (B, T, D, h, w) at a quarter of the input's size.
        matched_as: of one layer, those whose objects the queries of all
            layers learn; by default their own.
    """
    logits: Tensor
    mask_embeds: Tensor
    mask_features: Tensor
    matched_as: 'ClipQueries | None' = None

    def masks(self, rows: slice | Tensor = slice(None),
              layer: int = -1) -> Tensor:
        """Mask logits (B, q, T, h, w) of some queries of a layer."""
        return torch.einsum(
            'btqd,btdhw->bqthw', self.mask_embeds[layer][:, :, rows],
            self.mask_features)
