"""Pairs of queries and objects, and losses by layer."""
import numpy as np
import torch

from mmvis_memcnp.models.losses import QueryPairs, name_by_layer
from mmvis_memcnp.models.losses.query_pairs import sum_by_layer


def test_pairs_of_an_assignment():
    index = torch.full((2, 1, 3), -1)
    index[0, 0, 2], index[1, 0, 1] = 4, 0
    pairs = QueryPairs.of(index)
    assert [p.tolist() for p in pairs] == [[0, 1], [0, 0], [2, 1], [4, 0]]
    again = QueryPairs.from_host(np.stack(pairs), torch.device('cpu'))
    assert all(map(torch.equal, pairs, again))


def test_a_layer_without_pairs_sums_to_zero():
    found = sum_by_layer(torch.tensor([1., 2., 4.]),
                         torch.tensor([2, 0, 2]), 3)
    assert found.tolist() == [2, 0, 5]


def test_the_last_layer_has_the_plain_name():
    assert name_by_layer('loss_x', torch.tensor([3., 4., 5.])) == {
        'd0.loss_x': 3, 'd1.loss_x': 4, 'loss_x': 5}
    assert list(name_by_layer('loss_x', [1.])) == ['loss_x']
