"""A sampler that can start anywhere."""
from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from .errors import UserError
from .seeding import SampleIndex, derive_seed


@DATA_SAMPLERS.register_module()
class ResumableSampler(Sampler):
    """Shuffled indices whose order is a pure function of (seed, epoch).

    All ranks walk one stream of draws, rank ``r`` of ``w`` takes the draws
    ``r, r + w, r + 2w, ...``. Draw ``g`` belongs to epoch ``g // L`` with
    ``L`` the length of an epoch: the dataset's for an infinite stream; rounded
    up to a multiple of ``w`` (the first draws are used again) for a finite
    one, so that every rank has as many samples. Any draw can be reached
    without passing over those before it.

    Args:
        dataset: The dataset; must not be empty.
        shuffle: Draw a new permutation each epoch.
        seed: Seed of the order and of the samples' own randomness, the same
            on all ranks. Drawn and shared if None.
        infinite: Never end (iteration-based training) or end after an epoch
            (epoch-based training). The resumable training loops set it.

    Raises:
        UserError: The dataset is empty.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: int | None = None,
                 infinite: bool = False) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        if self.size == 0:
            raise UserError(
                'The training dataset is empty: no sample is left after '
                'reading and filtering; check its annotation file, its '
                'classes and its filter settings.')
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.infinite = infinite
        self.epoch = 0
        self._start = 0
        self._epoch_length = self.size
        if not infinite:
            self._epoch_length += -self.size % self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to draw; an infinite stream has its own count."""
        self.epoch = 0 if self.infinite else epoch

    def seek(self, start: int) -> None:
        """Set where the next iteration starts; later ones start at 0 again.

        Args:
            start: Number of this rank's samples to leave out: of the current
                epoch, or of the whole stream if it is infinite.
        """
        self._start = start

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        generator = torch.Generator()
        generator.manual_seed(derive_seed(self.seed, epoch))
        return torch.randperm(self.size, generator=generator).tolist()

    def __iter__(self) -> Iterator[SampleIndex]:
        start, self._start = self._start, 0
        draw = (
            self.epoch * self._epoch_length + self.rank +
            start * self.world_size)
        end = (self.epoch + 1) * self._epoch_length
        known = -1
        while self.infinite or draw < end:
            epoch, place = divmod(draw, self._epoch_length)
            if epoch != known:
                order, known = self._order(epoch), epoch
            yield SampleIndex(order[place % self.size],
                              derive_seed(self.seed, epoch, place))
            draw += self.world_size

    def __len__(self) -> int:
        """Samples of this rank in an epoch (of all ranks if infinite)."""
        if self.infinite:
            return self.size
        return self._epoch_length // self.world_size
