"""The names of losses that every layer has."""
import torch

from mmvis_memcnp.models.losses import name_by_layer


def test_the_last_layer_has_the_plain_name():
    assert name_by_layer('loss_x', torch.tensor([3., 4., 5.])) == {
        'd0.loss_x': 3, 'd1.loss_x': 4, 'loss_x': 5}
    assert list(name_by_layer('loss_x', [1.])) == ['loss_x']
