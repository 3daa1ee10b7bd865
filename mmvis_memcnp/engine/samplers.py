"""A sampler that can start anywhere."""
from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized

import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from ..errors import UserError
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
        ratios: Shares of the members of a ``ConcatDataset`` in an epoch, such
            as (1, 0.75); its length stays the sum of theirs. Each member is
            gone through as a whole, in a new order each time, before any of
            its samples is drawn again, from one epoch on into the next. None:
            every sample once.

    Raises:
        UserError: The dataset is empty, or the ratios do not fit it.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: int | None = None,
                 infinite: bool = False,
                 ratios: Sequence[float] | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        if self.size == 0:
            raise UserError(
                'The training dataset is empty: no sample is left after '
                'reading and filtering; check its annotation file, its '
                'classes and its filter settings.')
        self.members = _shares(dataset, ratios) if ratios else []
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
        order = self._permutation(self.size, epoch)
        if not self.members:
            return order
        pool: list[int] = []
        for member, (start, size, share) in enumerate(self.members):
            # Draws [epoch * share, (epoch + 1) * share) of the member's own
            # endless stream of permutations.
            first, known = epoch * share, -1
            for draw in range(first, first + share):
                turn, place = divmod(draw, size)
                if turn != known:
                    own, known = self._permutation(size, turn, member), turn
                pool.append(start + own[place])
        return [pool[place] for place in order]

    def _permutation(self, size: int, *keys: int) -> list[int]:
        if not self.shuffle:
            return list(range(size))
        generator = torch.Generator()
        generator.manual_seed(derive_seed(self.seed, *keys))
        return torch.randperm(size, generator=generator).tolist()

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


def _shares(dataset: Sized,
            ratios: Sequence[float]) -> list[tuple[int, int, int]]:
    """First index, size and draws an epoch of each member of a dataset."""
    ends = list(getattr(dataset, 'cumulative_sizes', []))
    if len(ends) != len(ratios) or min(ratios) <= 0:
        raise UserError(
            f'The sampler has the ratios {tuple(ratios)}, but the training '
            f'dataset has {len(ends) or "no"} members: give a ConcatDataset '
            'and a positive number for each of its datasets.')
    # Rounding the running sum keeps the total.
    total, running = sum(ratios), 0.
    members, start, done = [], 0, 0
    for end, ratio in zip(ends, ratios, strict=True):
        running += ratio
        upto = round(ends[-1] * running / total)
        members.append((start, end - start, upto - done))
        start, done = end, upto
    return members
