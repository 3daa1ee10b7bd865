"""Order and randomness are functions of (seed, place)."""
import pickle
import random
from itertools import islice

import numpy as np
import pytest
import torch

from mmvis_memcnp.engine import ResumableSampler, SampleIndex, SeededDataset
from mmvis_memcnp.engine.seeding import derive_seed, seed_generators
from mmvis_memcnp.errors import UserError


def as_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr('mmvis_memcnp.engine.samplers.get_dist_info',
                        lambda: (rank, world_size))


def test_derived_seeds_differ_with_keys_order_and_count():
    keys = [(0, ), (1, ), (0, 0), (0, 1), (1, 0), (0, 0, 0), (7, 1, 2),
            (7, 2, 1)]
    seeds = [derive_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert seeds == [derive_seed(*key) for key in keys]


def test_seeding_reaches_all_three_generators():
    def draw():
        return random.random(), np.random.rand(), torch.rand(()).item()

    seed_generators(2**63 + 5)
    first = draw()
    assert all(a != b for a, b in zip(first, draw(), strict=True))
    seed_generators(2**63 + 5)
    assert draw() == first


def test_finite_epoch_is_a_permutation_and_changes():
    sampler = ResumableSampler(range(10), seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert not {i.seed for i in first} & {i.seed for i in second}


@pytest.mark.parametrize('infinite', [False, True])
def test_seek_gives_the_rest(infinite):
    sampler = ResumableSampler(range(5), seed=3, infinite=infinite)
    # The infinite stream crosses two ends of an epoch here.
    whole = list(islice(sampler, 14))
    for start in (0, 3, 5):
        sampler.seek(start)
        rest = list(islice(sampler, 14 - start))
        assert rest == whole[start:]
        assert [i.seed for i in rest] == [i.seed for i in whole[start:]]
    assert list(islice(sampler, 14)) == whole


def test_ranks_share_one_stream(monkeypatch):
    alone = list(islice(ResumableSampler(range(5), seed=1, infinite=True), 12))
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        part = ResumableSampler(range(5), seed=1, infinite=True)
        got = list(islice(part, 4))
        assert got == alone[rank::3]
        assert [i.seed for i in got] == [i.seed for i in alone[rank::3]]


def test_finite_epoch_is_rounded_up(monkeypatch):
    parts = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        sampler = ResumableSampler(range(4), shuffle=False, seed=1)
        parts.append([int(i) for i in sampler])
        assert len(sampler) == 2
    assert parts == [[0, 3], [1, 0], [2, 1]]


def test_empty_dataset_is_refused():
    with pytest.raises(UserError, match='training dataset is empty'):
        ResumableSampler([], seed=0)


def test_index_keeps_its_seed_on_the_way_to_a_worker():
    index = pickle.loads(pickle.dumps(SampleIndex(4, 2**63)))
    assert (index, index.seed) == (4, 2**63)
    assert [10, 11, 12, 13, 14][index] == 14


class Noise:
    name = 'noise'

    def __getitem__(self, index):
        return index, np.random.rand(), random.random(), torch.rand(()).item()

    def __len__(self):
        return 3


def test_seeded_dataset_draws_by_the_index():
    dataset = SeededDataset(Noise())
    first = dataset[SampleIndex(1, 5)]
    dataset[SampleIndex(2, 6)]
    assert dataset[SampleIndex(1, 5)] == first
    assert dataset[SampleIndex(1, 6)] != first
    assert dataset[1] != first


def test_seeded_dataset_is_a_view():
    dataset = pickle.loads(pickle.dumps(SeededDataset(Noise())))
    assert (len(dataset), dataset.name) == (3, 'noise')
    dataset.name = 'quiet'
    assert dataset.dataset.name == 'quiet'
    with pytest.raises(AttributeError):
        _ = dataset.other
