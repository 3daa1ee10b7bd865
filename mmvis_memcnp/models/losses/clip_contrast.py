"""Contrastive items of clips: what each object of a frame is compared with.

Both classes take the embeddings of all queries of a clip and the query of each
object in each frame, and build from them what
:class:`ContrastiveEmbeddingLoss` compares.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from mmdet.registry import MODELS, TASK_UTILS
from torch import Tensor, nn


class Items(NamedTuple):
    """Contrastive items of P frames; see ``ContrastiveEmbeddingLoss``.

    Attributes:
        anchors: (P, G, C), embeddings of the objects.
        others: (P, R, C), what they are compared with.
        positives: (P, G, R) bool.
        negatives: (P, G, R) bool.
        valid: (P, G) bool, objects that make an item.
    """
    anchors: Tensor
    others: Tensor
    positives: Tensor
    negatives: Tensor
    valid: Tensor


class ClipContrast(nn.Module):
    """Base: items of all frames to one mean loss.

    Args:
        loss (dict): A :class:`ContrastiveEmbeddingLoss`.
    """

    #: Takes all frames of clips.
    whole_clips = True

    def __init__(self, loss: dict) -> None:
        super().__init__()
        self.contrast = MODELS.build(loss)

    def forward(self, embeds: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Losses of B clips of T frames with up to G objects.

        Args:
            embeds (Tensor): Shape (B, T, Q, C), of all queries.
            rows (Tensor): Shape (B, T, G) int64, the query of each object;
                -1 where it is absent.

        Returns:
            dict[str, Tensor]: ``loss_embed`` and ``loss_embed_aux``, means
            over the items of the batch; 0 without any.

        Raises:
            ValueError: If the clips have one frame.
        """
        if rows.shape[1] < 2:
            raise ValueError('Embeddings are contrasted between frames: set '
                             'num_frames of the clip sampler to 2 at least.')
        return self.contrast(*self.items(embeds.float(), rows))

    def items(self, embeds: Tensor, rows: Tensor) -> Items:
        """Items of all frames; arguments as in :meth:`forward`."""
        raise NotImplementedError


@MODELS.register_module()
class MemoryContrast(ClipContrast):
    """Objects against what a tracker's memory holds of the frames before.

    Frame by frame, as at inference: the anchor is the embedding of an object,
    the positive what the memory remembers of it, negatives are what it
    remembers of the others and queries without an object. Then the frame is
    written into the memory, at times with a noise: an object that has
    disappeared receives the embedding of another one. Source: Ying et al.,
    CTVIS, ICCV 2023, 3.3.

    Args:
        memory (dict): The memory of the tracker, such as
            :class:`SimilarityMemory` (TASK_UTILS).
        loss (dict): A :class:`ContrastiveEmbeddingLoss`.
        major (str, optional): Negatives that are other objects: 'memory' are
            their embeddings in the memory; 'frame' their queries in the frame
            before, as released; None leaves them out. Defaults to 'memory'.
        supplementary (str, optional): Negatives without an object: 'local'
            are all of the frame before, 'global' as many, drawn from all
            frames before; None leaves them out. Defaults to 'local'.
        noise_prob (float): How often an absent object is written with the
            embedding of one that is present, in [0, 1]; higher = the memory
            bears more wrong matches, and is less clean. Defaults to 0.001.
        latest_prob (float): How often the positive is the latest embedding
            and not that of the memory, in [0, 1]. Defaults to 0, never; 0.5
            as released.
        look_ahead (bool): Whether an object that appears has its next
            embedding as positive, as released. Defaults to False: it makes
            no item, since nothing is remembered of it.

    Raises:
        ValueError: If an option is unknown or nothing is left as negative.
    """

    def __init__(self,
                 memory: dict,
                 loss: dict,
                 major: str | None = 'memory',
                 supplementary: str | None = 'local',
                 noise_prob: float = 0.001,
                 latest_prob: float = 0.,
                 look_ahead: bool = False) -> None:
        super().__init__(loss)
        for name, value, known in (
                ('major', major, ('memory', 'frame', None)),
                ('supplementary', supplementary, ('local', 'global', None))):
            if value not in known:
                raise ValueError(
                    f'{name} must be one of {known}, got {value!r}.')
        if major is None and supplementary is None:
            raise ValueError('major and supplementary are both None: without '
                             'negatives there is nothing to learn.')
        self.memory = TASK_UTILS.build(memory)
        self.latest = TASK_UTILS.build(dict(type='LatestMemory'))
        self.major = major
        self.supplementary = supplementary
        self.noise_prob = noise_prob
        self.latest_prob = latest_prob
        self.look_ahead = look_ahead

    def items(self, embeds: Tensor, rows: Tensor) -> Items:
        """See :meth:`ClipContrast.items`: of all frames but the first."""
        return self.build(embeds, rows, rows, self.noisy(rows))

    def noisy(self, rows: Tensor) -> Tensor:
        """What is written: ``rows``, at times another object's for one that
        has disappeared."""
        if not self.noise_prob:
            return rows
        present = rows >= 0
        gone = ~present & (present.cumsum(1) > 0)
        wrong = torch.rand(rows.shape, device=rows.device) < self.noise_prob
        lots = torch.rand((*rows.shape, rows.shape[2]), device=rows.device)
        drawn = lots.masked_fill(~present[:, :, None], -1).argmax(-1)
        return torch.where(gone & wrong, rows.gather(2, drawn), rows)

    def build(self, embeds: Tensor, rows: Tensor, anchors: Tensor,
              written: Tensor) -> Items:
        """Items of all frames but the first.

        Args:
            embeds (Tensor): Shape (B, T, Q, C).
            rows (Tensor): Shape (B, T, G), queries that are objects.
            anchors (Tensor): Shape (B, T, G), queries that are anchors.
            written (Tensor): Shape (B, T, G), queries that the memory gets.
        """
        queries = torch.arange(embeds.shape[2], device=rows.device)
        own = rows[..., None] == queries  # (B, T, G, Q)
        objects = torch.arange(rows.shape[2], device=rows.device)
        where = objects.where(written >= 0, -1)
        values, anchor = (of_objects(embeds, x) for x in (written, anchors))
        state, latest = self.memory.start(), self.latest.start()
        found = []
        for t in range(1, rows.shape[1]):
            state = self.memory.write(state, values[:, t - 1],
                                      where[:, t - 1])
            latest = self.latest.write(latest, values[:, t - 1],
                                       where[:, t - 1])
            near, known = self.memory.read(state), state.count > 0
            if self.latest_prob:
                coin = torch.rand(known.shape, device=near.device)
                near = torch.where((coin < self.latest_prob)[..., None],
                                   self.latest.read(latest), near)
            if self.look_ahead and t + 1 < rows.shape[1]:
                later = written[:, t + 1:] >= 0
                ahead = values[:, t + 1:].transpose(1, 2)
                first = later.long().argmax(1, keepdim=True).transpose(1, 2)
                near = torch.where(known[..., None], near,
                                   of_objects(ahead, first)[:, :, 0])
                known = known | later.any(1)
            found.append(self._frame(
                anchor[:, t], near, known, embeds[:, :t], own[:, :t],
                (anchors[:, t] >= 0) & known))
        return Items(*map(torch.cat, zip(*found, strict=True)))

    def _frame(self, anchor: Tensor, near: Tensor, known: Tensor,
               embeds: Tensor, own: Tensor, valid: Tensor) -> Items:
        """Items of a frame: anchors and positives (B, G, C), who has one;
        queries of the frames before (B, t, Q, C) and whose they are (B, t, G,
        Q); who makes an item."""
        same = torch.eye(known.shape[1], dtype=torch.bool,
                         device=known.device).expand(len(known), -1, -1)
        others, negatives = [near], [
            ~same & known[:, None] & (self.major == 'memory')]
        taken = own.any(2, keepdim=True)
        if self.major == 'frame' or self.supplementary == 'local':
            others.append(embeds[:, -1])
            negatives.append(
                ~own[:, -1] & taken[:, -1] & (self.major == 'frame') |
                ~taken[:, -1] & (self.supplementary == 'local'))
        if self.supplementary == 'global':
            free = ~taken.flatten(1)  # (B, t * Q)
            lots = torch.rand(free.shape, device=free.device)
            drawn = lots.masked_fill(~free, -1).topk(embeds.shape[2]).indices
            others.append(of_objects(embeds.flatten(1, 2), drawn))
            negatives.append(free.gather(1, drawn)[:, None].expand(
                -1, known.shape[1], -1))
        bank, away = torch.cat(others, 1), torch.cat(negatives, 2)
        positives = torch.zeros_like(away)
        positives[..., :known.shape[1]] = same
        return Items(anchor, bank, positives, away, valid)


@MODELS.register_module()
class ReferenceContrast(ClipContrast):
    """Objects against all queries of single other frames, without a memory.

    The positive is the object's query in the reference frame, all others are
    negatives. Source: the baselines of CTVIS, Table 3 and Fig. 4, which are
    IDOL's way on Mask2Former.

    Args:
        loss (dict): A :class:`ContrastiveEmbeddingLoss`.
        reference (str): 'previous', each frame against the one before, or
            'all', a frame drawn at random against all others (with two frames
            as IDOL, with more the multiple references of Fig. 4).

    Raises:
        ValueError: If there is no such reference.
    """

    def __init__(self, loss: dict, reference: str) -> None:
        super().__init__(loss)
        if reference not in ('previous', 'all'):
            raise ValueError("reference must be 'previous' or 'all', got "
                             f'{reference!r}.')
        self.reference = reference

    def items(self, embeds: Tensor, rows: Tensor) -> Items:
        """See :meth:`ClipContrast.items`."""
        batch, frames = rows.shape[:2]
        key = torch.arange(1, frames, device=rows.device).expand(batch, -1)
        ref = key - 1
        if self.reference == 'all':
            drawn = torch.rand((batch, 1), device=rows.device) * frames
            ref = (drawn.long() + key) % frames
            key = drawn.long().expand_as(ref)
        clip = torch.arange(batch, device=rows.device)[:, None]
        wanted, there = rows[clip, key], rows[clip, ref]
        queries = torch.arange(embeds.shape[2], device=rows.device)
        own = there[..., None] == queries
        return Items(*(x.flatten(0, 1) for x in (
            of_objects(embeds, rows)[clip, key], embeds[clip, ref], own, ~own,
            (wanted >= 0) & (there >= 0))))


def of_objects(embeds: Tensor, rows: Tensor) -> Tensor:
    """Embeddings of objects.

    Args:
        embeds: (..., Q, C).
        rows: (..., G) int64; any embedding stands for -1.

    Returns:
        (..., G, C).
    """
    index = rows.clamp(min=0)[..., None]
    return embeds.gather(-2, index.expand(*rows.shape, embeds.shape[-1]))
