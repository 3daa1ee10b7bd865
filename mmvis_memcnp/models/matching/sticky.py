"""One query an object for a whole clip."""
import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ..truth.clip_truth import ClipTruth
from ..truth.ground_truth import GroundTruth
from ..truth.matches import Matches
from .costs import Queries, Truth
from .one_to_one import OneToOneMatcher, hungarian

_RULES = ('appearance', 'first_frame')


@TASK_UTILS.register_module()
class StickyMatcher(OneToOneMatcher):
    """Hungarian matching that lasts for the clip (InstanceFormer, 3.2, 3.4).

    An object keeps its query; only objects that are new are matched, with
    the queries that are free.

    Args:
        costs (dict[str, dict]): See :class:`CostSum`.
        rule (str): 'appearance' matches an object in the frame in which it is
            first seen, as the paper says. 'first_frame' matches all objects
            of the clip in its first frame, those that come later too, with a
            box of next to no size, as the released code does. Defaults to
            'appearance'.
    """

    def __init__(self, costs: dict[str, dict],
                 rule: str = 'appearance') -> None:
        super().__init__(costs)
        if rule not in _RULES:
            raise ValueError(
                f'rule of the matcher must be one of {_RULES}, got {rule!r}.')
        self.rule = rule

    def taught(self, truth: ClipTruth) -> Tensor:
        """Objects that each frame teaches.

        Args:
            truth (ClipTruth): Of B clips of T frames.

        Returns:
            Tensor: Shape (T, B, G) bool, on the host: read once a clip.
        """
        objects = truth.present if self.rule == 'appearance' else (
            truth.valid[..., None].expand_as(truth.present))
        return objects.permute(2, 0, 1).cpu()

    @torch.no_grad()
    def match(  # type: ignore[override]
            self, queries: Queries, truth: Truth, taught: Tensor,
            held: Matches | None = None) -> Matches:
        """Match the objects that are new in a frame.

        Args:
            queries (Queries): Fields (L, B, Q, ...), of this frame.
            truth (GroundTruth | ClipTruth): Of this frame; see
                :meth:`ClipTruth.frame`.
            taught (Tensor): Shape (B, G) bool, on the host; see
                :meth:`taught`.
            held (Matches, optional): What the frame before returned; None in
                the first one.

        Returns:
            Matches: Of all objects so far, (L, B, ...), on the host: most
            frames bring nothing new, and then no device is waited for.
        """
        layers, _, num_queries = queries.logits.shape[:3]
        if held is None:
            best = torch.full((layers, *taught.shape), -1)
            held = Matches.of_objects(best, num_queries)
        assert held.best is not None
        new = taught & (held.best < 0)
        if not new.any():
            return held
        found = hungarian(self.cost(queries, truth), new, held.neg)
        return Matches.of_objects(
            torch.where(new, found, held.best), num_queries)

    def match_clips(self, queries: Queries, truth: ClipTruth,
                    frames: GroundTruth) -> Tensor:
        """The query of each object, matched in the frame of its appearance.

        Args:
            queries (Queries): Of T * N frames, those of one time together,
                with masks alone.
            truth (ClipTruth): Of the N clips.
            frames (GroundTruth): Of the frames, as the costs read it.

        Returns:
            Tensor: Shape (L, N, G) int64, -1 for none.
        """
        assert queries.mask_embeds is not None
        assert queries.mask_features is not None
        clips = len(truth.valid)
        held: Matches | None = None
        for t, taught in enumerate(self.taught(truth)):
            part = slice(t * clips, (t + 1) * clips)
            held = self.match(
                Queries(queries.logits[:, part],
                        mask_embeds=queries.mask_embeds[:, part],
                        mask_features=queries.mask_features[part]),
                frames.take(part), taught, held)
        assert held is not None and held.best is not None
        return held.best.to(queries.logits.device)
