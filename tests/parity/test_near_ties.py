"""Stored matches are taken only if our costs find them as good."""
import numpy as np
import pytest
import torch

from mmvis_memcnp.models.matching import hungarian
from mmvis_memcnp.models.truth import GroundTruth, Matches
from tests.parity.near_ties import take_stored


def stored(*pairs):
    """The one layer: query of each of two objects of frame 0."""
    return dict(match_last=np.array([(0, q, g) for g, q in enumerate(pairs)]))


@pytest.mark.parametrize('more, official, taken', [
    (1e-6, stored(0, 2), [0, 2]),  # as good, by our own costs
    (1e-6, stored(2, 0), [0, 1]),  # the same queries, other objects
    (.01, stored(0, 2), [0, 1]),  # worse: the difference is seen
    (1e-6, stored(0, 7), [0, 1]),  # of other queries
    (1e-6, dict(match_last=np.array([(0, 0, 0)])), [0, 1]),  # of other objects
    (1e-6, {}, [0, 1]),
])
def test_only_what_is_as_good_is_taken(more, official, taken):
    cost = torch.tensor([[[[1., 9], [9, 2], [9, 2 + more]]]])
    truth = GroundTruth.of(
        torch.zeros(1, 2, 4), torch.ones(1, 2), torch.zeros(1, 2).long(),
        torch.arange(2)[None], torch.ones(1, 2).bool(),
        torch.zeros(1, 2, 1, 1).bool())
    pairs = Matches.of_objects(hungarian(cost, truth.valid), 3)
    assert pairs.best.tolist() == [[[0, 1]]]
    found = take_stored(pairs, cost, truth, official)
    assert found.best.tolist() == [[taken]]
    assert found.gt_index.shape == (1, 1, 3)
