"""O2VIS, offline: the rows of its tracker are refined over all frames."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS

from ..segmenters.mask2former import FrameQueries
from .minvis import MinVIS
from .offline import OfflineVIS, VideoRows


@MODELS.register_module()
class O2VISOffline(OfflineVIS):
    """O2VIS with a :class:`TemporalRefiner` behind it, as DVIS++ has it.

    Args:
        segmenter (dict): :class:`Mask2FormerSegmenter`, frozen.
        tracker (dict): :class:`OccupancyTracker` with T_A.
        with_online_scores (bool): See :class:`OfflineVIS`. Defaults to True.
        kwargs: See there.
    """
    online: MinVIS

    def __init__(self,
                 *,
                 segmenter: dict,
                 tracker: dict,
                 with_online_scores: bool = True,
                 **kwargs: Any) -> None:
        super().__init__(
            online=MinVIS(segmenter=segmenter, tracker=tracker),
            with_online_scores=with_online_scores, **kwargs)

    def track(self, frames: Sequence[FrameQueries]) -> VideoRows:
        """See :meth:`OfflineVIS.track`."""
        tracker = self.online.tracker
        state, tracked = tracker.start(), []
        for frame in frames:
            found, state = self.online.track(state, frame)
            tracked.append(found.rows)
        rows, logits, embeds = (
            torch.cat([x[-1] for x in values])
            for values in zip(*tracked, strict=True))
        features = torch.cat([
            tracker.mask_proj(f.mask_features)[:, :, self.kept]
            for f in frames])
        return VideoRows(
            tracker.norm(rows), torch.cat([f.hidden[-1] for f in frames]),
            logits.float().mean(0),
            torch.einsum('tnd,tdhw->tnhw', embeds, features))
