"""Every system, small, with a clip that trains it."""
from collections.abc import Callable
from typing import Any

from torch import nn

from tests.fakes import (
    tiny_idol,
    tiny_instanceformer,
    tiny_minvis,
    tiny_seqformer,
    tiny_sipmask,
)

_WINDOW = dict(type='ClipMatching', length=3, stride=2)


def _idol_memcnp() -> nn.Module:
    model = tiny_idol.tiny_model(
        memcnp=dict(type='MemCNP', num_items=8, rate=.9))
    for branch in model.box_branches:  # means apart, sigmas not
        branch.last.weight.data[4:] *= .1
    return model


#: Makes the model, in training mode, always with the same weights; makes a
#: clip with its annotations.
SYSTEMS: dict[str, tuple[Callable[[], Any], Callable[[], tuple]]] = {
    'sipmask': (lambda: tiny_sipmask.tiny_model('sipmask'),
                tiny_sipmask.clip),
    'sipmask-memcnp': (tiny_sipmask.tiny_model, tiny_sipmask.clip),
    'idol': (tiny_idol.tiny_model, tiny_sipmask.clip),
    'idol-memcnp': (_idol_memcnp, tiny_sipmask.clip),
    'seqformer': (tiny_seqformer.tiny_model, tiny_seqformer.clip),
    'seqformer-memcnp': (
        lambda: tiny_seqformer.tiny_model(
            window=_WINDOW,
            memcnp=dict(type='MemCNP', num_items=8, rate=.5)),
        tiny_seqformer.clip),
    'instanceformer': (tiny_instanceformer.tiny_model,
                       tiny_instanceformer.clip),
    'minvis': (tiny_minvis.tiny_model, tiny_sipmask.clip),
}
