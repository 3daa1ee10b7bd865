"""What a tracker of rows remembers and reads in a video."""
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..apis.inferencer import VISInferencer
from ..models.trackers import reorder
from ..models.vis import MinVIS
from ..models.vis.session import VideoMeta

#: Of several calls of a stack in a frame, the one that is drawn: T_E asks for
#: what is remembered, then, if it has to, for the frame itself; T_A the other
#: way round.
CALLS = dict(existing=0, aligning=-1)


class RowHistory(NamedTuple):
    """N rows of a video of T frames.

    Attributes:
        memory: (T, N, C), what is remembered after each frame.
        written: (T, N, C), what each frame gave it.
        logits: (T, N, K + 1), of the results.
        occupied: (T, N) bool, after each frame.
        order: (T, N) int64, query of each row.
        attention: by the name of a stack of layers (T, N, N), of its last
            layer: rows by queries.
    """
    memory: np.ndarray
    written: np.ndarray
    logits: np.ndarray
    occupied: np.ndarray
    order: np.ndarray
    attention: dict[str, np.ndarray]


@torch.no_grad()
def follow_rows(inferencer: VISInferencer,
                images: Iterable[np.ndarray]) -> RowHistory:
    """Follow a video by its rows.

    Args:
        inferencer (VISInferencer): Of MinVIS or what builds on it, with a
            tracker whose state is a :class:`RowState`.
        images (Iterable[ndarray]): Frames (H, W, 3), uint8, BGR.

    Raises:
        ValueError: If the model is another, or there is no frame.
    """
    model = inferencer.model
    state = model.begin(VideoMeta()).rows if isinstance(
        model, MinVIS) else None
    if not hasattr(state, 'memory'):
        raise ValueError(f'{type(model).__name__} of this config has no '
                         'memory of rows: use a config of configs/o2vis or '
                         'configs/minvis.')
    seen: dict[str, list[Tensor]] = {}
    frames: list[tuple[Tensor, ...]] = []
    maps: dict[str, list[Tensor]] = {}
    with ExitStack() as hooks:
        for name in CALLS:
            for layer in getattr(model.tracker, name, [])[-1:]:
                hooks.callback(layer.cross_attn.attn.register_forward_hook(
                    lambda _m, _i, out, name=name: seen.setdefault(
                        name, []).append(out[1])).remove)
        for image in images:
            seen.clear()
            inputs, metas = inferencer.prepare([image])
            item, = model.encode(inputs, metas)
            tracked, state = model.track(state, item)
            rows = tracked.rows
            written, logits = (rows.hidden[-1], rows.logits[-1]) if rows \
                else (reorder(x[-1], tracked.order)
                      for x in (item.queries, item.logits))
            occupied = torch.ones_like(tracked.order) > 0 \
                if state.occupied is None else state.occupied
            frames.append((state.memory.embeds, written, logits.float(),
                           occupied, tracked.order))
            for name, calls in seen.items():
                maps.setdefault(name, []).append(calls[CALLS[name]])
    if not frames:
        raise ValueError('There are no frames to follow: give at least one '
                         'image.')
    return RowHistory._make((
        *(torch.cat(x).cpu().numpy() for x in zip(*frames, strict=True)),
        {name: torch.cat(x).cpu().numpy() for name, x in maps.items()}))
