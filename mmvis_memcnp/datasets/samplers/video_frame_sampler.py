"""Frames of whole videos, in order, for testing online systems."""
from collections.abc import Iterator
from typing import Any

from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler


@DATA_SAMPLERS.register_module()
class VideoFrameSampler(Sampler):
    """Serves (video, frame) pairs, video after video, frames in order.

    Each video belongs to one process as a whole, and every frame is served
    once: nothing is repeated to fill up. Videos go, the longest first, to
    the process that has the fewest frames; a process may get none.

    Args:
        dataset: A data set with ``videos``.
        seed: Taken because every sampler is given one; nothing is random
            here.
    """

    def __init__(self, dataset: Any, seed: int | None = None) -> None:
        rank, world_size = get_dist_info()
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        lengths = [video['length'] for video in dataset.videos]
        load = [0] * world_size
        mine: list[int] = []
        order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        for video in order:
            target = load.index(min(load))
            load[target] += lengths[video]
            if target == rank:
                mine.append(video)
        #: Positions of this process's videos, ascending.
        self.videos = sorted(mine)
        self._lengths = lengths

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for video in self.videos:
            for frame in range(self._lengths[video]):
                yield video, frame

    def __len__(self) -> int:
        return sum(self._lengths[video] for video in self.videos)
