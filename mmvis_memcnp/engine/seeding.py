"""Randomness as a pure function of (seed, what is being done).

A generator whose state depends on all that was drawn before cannot be
restored from a checkpoint when workers have read ahead, when a validation
came between, or when an epoch began. Here every sample and every training
iteration starts its generators from a number derived from the seed of the run
and its own place, so the state is known without having been saved: a resumed
run draws what the uninterrupted one would have drawn, whatever the number of
workers.
"""
from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmdet.registry import DATASETS


def derive_seed(*keys: int) -> int:
    """Hash non-negative integers into an unsigned 64-bit seed.

    Args:
        keys: For instance seed, rank and iteration; order matters.

    Returns:
        A seed in [0, 2**64); different keys give unrelated seeds.
    """
    # The count keeps (a, b) and (a, b, 0) apart: missing entropy reads as 0.
    sequence = np.random.SeedSequence([len(keys), *keys])
    return int(sequence.generate_state(1, np.uint64)[0])


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch.

    Args:
        seed: In [0, 2**64). CUDA generators, where there are any, are seeded
            as well; this does not synchronise the device.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class SampleIndex(int):
    """An index of a dataset that carries the seed of its draw.

    It is an ``int`` to every dataset; :class:`SeededDataset` looks for
    ``seed``.

    Args:
        index: Position in the dataset.
        seed: Seed of this draw of the sample, in [0, 2**64).
    """

    seed: int

    def __new__(cls, index: int, seed: int) -> SampleIndex:
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self) -> tuple:  # type: ignore[override]
        # The index goes to the workers by pickle.
        return int(self), self.seed


class SeededDataset:
    """A view of a dataset that seeds the generators for every draw.

    The random part of a sample (frames picked, flips, crops) then depends on
    the sample's seed alone, not on the worker that happens to read it nor on
    what this worker read before.

    Args:
        dataset: Any map-style dataset or its config; everything but indexing
            is its own.
    """

    def __init__(self, dataset: Any) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        self.dataset = dataset

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, SampleIndex):
            seed_generators(index.seed)
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        # Copies and unpickled objects ask for attributes before `dataset` is
        # there; without this line they would ask for it for ever.
        if name == 'dataset' or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Hooks replace, for instance, the dataset's pipeline.
        if name == 'dataset':
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)
