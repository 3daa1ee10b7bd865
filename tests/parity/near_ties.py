"""Matches that the network's rounding decides.

The same network on another processor, or without gradients, gives costs that
differ in the fifth digit. Where two assignments of the Hungarian method are
nearer to each other than that, either may come out. The stored one is taken
if by our own costs it is as good; losses and gradients are then those of the
same pairs, and compared as strictly as all others.
"""
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmvis_memcnp.models.truth import GroundTruth, Matches

#: Of the cost of a frame's assignment. Between two ways to run one network on
#: one machine 3e-5 was seen.
NEAR = 1e-4


def take_stored(pairs: Matches, cost: Tensor, truth: GroundTruth,
                stored: Mapping[str, np.ndarray]) -> Matches:
    """Our matches, or stored ones that are as good.

    Args:
        pairs: of L layers and B frames.
        cost: (L, B, Q, G), what the matcher minimises.
        truth: the objects of the frames.
        stored: ``match_aux{i}`` of layer i, ``match_last`` of the last: (n, 3)
            frame, query and number of the object among those of the frame.
    """
    assert pairs.best is not None
    best, table = pairs.best.clone(), cost.detach().double()
    layers = len(best)
    for layer in range(layers):
        name = f'match_aux{layer}' if layer < layers - 1 else 'match_last'
        if name not in stored:
            continue
        official = stored[name].astype(np.int64)
        for frame, valid in enumerate(truth.valid):
            objects = valid.nonzero()[:, 0]
            rows = official[official[:, 0] == frame]
            rows = rows[np.argsort(rows[:, 2])]
            ours = best[layer, frame, objects]
            if rows[:, 2].tolist() != [*range(len(objects))] or \
                    rows[:, 1].max(initial=0) >= table.shape[2]:
                continue  # of other objects or queries
            theirs = torch.from_numpy(rows[:, 1])
            own, other = (table[layer, frame, queries, objects].sum()
                          for queries in (ours, theirs))
            if other - own <= NEAR * own.abs():
                best[layer, frame, objects] = theirs
    return Matches.of_objects(best, table.shape[2])
