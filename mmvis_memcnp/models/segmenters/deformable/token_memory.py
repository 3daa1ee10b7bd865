"""Queue of instance tokens of the last frames (InstanceFormer, 3.3)."""
from typing import NamedTuple, Optional

import torch
from mmdet.models.layers import SinePositionalEncoding
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ....results.saved_values import saveable


@saveable
class MemoryTokens(NamedTuple):
    """Tokens of F frames, oldest first, of B videos.

    Attributes:
        tokens: (B, F, k, C), projected.
        sources: (B, F, k) int64, the query that each token came from.
    """
    tokens: Tensor
    sources: Tensor


@MODELS.register_module()
class TokenMemory(BaseModule):
    """Turns queries into tokens, keeps some of the last frames, places them.

    The state is a :class:`MemoryTokens` that the caller holds. Every video
    of a batch has its own tokens; the released code mixes those of a batch.

    Args:
        num_classes (int): K, of the class branches.
        embed_dims (int): C. Defaults to 256.
        num_tokens (int): k, tokens a frame. Defaults to 10.
        num_frames (int): d, frames kept. Defaults to 4.
        temporal_index (str): Where a frame stands in the temporal embedding:
            'age', relative to the current frame, as the paper says, or
            'slot', from the oldest frame in store on, as released. Defaults
            to 'age'.
    """

    def __init__(self,
                 num_classes: int,
                 embed_dims: int = 256,
                 num_tokens: int = 10,
                 num_frames: int = 4,
                 temporal_index: str = 'age') -> None:
        super().__init__()
        if num_tokens < 1 or num_frames < 1:
            raise ValueError(
                'The memory needs at least 1 token and 1 frame, got '
                f'num_tokens={num_tokens} and num_frames={num_frames}; to '
                'have none, set memory=None.')
        if temporal_index not in ('age', 'slot'):
            raise ValueError("temporal_index must be 'age' or 'slot', got "
                             f'{temporal_index!r}.')
        self.num_tokens = num_tokens
        self.num_frames = num_frames
        self.temporal_index = temporal_index
        self.project = nn.Linear(embed_dims + num_classes + 4, embed_dims)
        self.sine = SinePositionalEncoding(
            num_feats=embed_dims // 2, normalize=True, offset=-0.5)

    def init_weights(self) -> None:
        """Xavier, zero bias."""
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Change the weights of a model with other classes into this one's.

        The columns for the query and for its box stay, those for its classes
        keep their initial values.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of this module's names, with the dot.
        """
        name, own = f'{prefix}project.weight', self.project.weight
        old = state.get(name)
        if old is None or old.shape == own.shape or len(old) != len(own):
            return
        queries = len(own)  # as many as the rows: C, then K, then 4
        state[name] = torch.cat(
            (old[:, :queries], own.detach()[:, queries:-4].to(old),
             old[:, -4:]), 1)

    @torch.no_grad()
    def select(self, logits: Tensor,
               matched: Optional[Tensor] = None) -> Tensor:
        """Queries of a frame that are worth a token.

        Args:
            logits (Tensor): Shape (B, Q, K).
            matched (Tensor, optional): Shape (B, Q) bool, queries of ground
                truths, which come first in training. Defaults to None.

        Returns:
            Tensor: Shape (B, k) int64, best class score first; k is less
            than ``num_tokens`` where there are fewer queries.
        """
        score = logits.float().max(-1).values.sigmoid()
        if matched is not None:
            score = score + 2 * matched
        count = min(self.num_tokens, score.shape[1])
        return score.topk(count, dim=1).indices

    def push(self, state: Optional[MemoryTokens], index: Tensor,
             queries: Tensor, logits: Tensor, boxes: Tensor) -> MemoryTokens:
        """Store a frame; eq 3. Gradients end here, save for the projection's.

        Args:
            state (MemoryTokens, optional): Before this frame.
            index (Tensor): Shape (B, k) int64, from :meth:`select`.
            queries (Tensor): Shape (B, Q, C), of the last layer.
            logits (Tensor): Shape (B, Q, K).
            boxes (Tensor): Shape (B, Q, 4), cx, cy, w, h as fractions.

        Returns:
            MemoryTokens: At most ``num_frames`` frames.
        """
        raw = torch.cat(
            (queries.float(), logits.float().sigmoid(), boxes.float()), -1)
        chosen = raw.detach().gather(
            1, index[..., None].expand(-1, -1, raw.shape[-1]))
        tokens = self.project(
            chosen.to(self.project.weight.dtype))[:, None]
        index = index[:, None]
        if state is not None:
            tokens = torch.cat((state.tokens.to(tokens.dtype), tokens), 1)
            index = torch.cat((state.sources, index), 1)
        return MemoryTokens(tokens[:, -self.num_frames:],
                            index[:, -self.num_frames:])

    def read(self, state: MemoryTokens, position: Tensor,
             span: Optional[int] = None) -> tuple[Tensor, Tensor]:
        """Values and positions for attention.

        Args:
            state (MemoryTokens): What is stored.
            position (Tensor): Shape (Q, C), of the queries.
            span (int, optional): Frames that the temporal embedding of
                'slot' covers; as released, those of the clip in training.
                That of 'age' always covers ``num_frames``, so that an age
                means the same in training and in inference. Defaults to
                ``num_frames``.

        Returns:
            tuple[Tensor, Tensor]: Tokens and their temporal-index embedding,
            both (B, F * k, C).
        """
        stored = state.tokens.shape[1]
        if self.temporal_index == 'age' or span is None:
            span = self.num_frames
        span = max(span, stored)
        blank = torch.zeros((1, span, 1), dtype=torch.bool,
                            device=position.device)
        table = self.sine(blank)[0, :, :, 0].t().to(position)
        table = (table[-stored:] if self.temporal_index == 'age' else
                 table[:stored])
        place = position[state.sources] + table[None, :, None]
        return state.tokens.flatten(1, 2), place.flatten(1, 2)
