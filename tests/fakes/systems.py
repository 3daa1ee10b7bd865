"""Every system, small enough for a test, with 3 classes."""
from collections.abc import Callable
from typing import Any

from mmvis_memcnp.models.vis import VIS
from tests.fakes import (
    tiny_ctvis,
    tiny_dvis_daq,
    tiny_idol,
    tiny_ifr,
    tiny_instanceformer,
    tiny_mask2former_vis,
    tiny_minvis,
    tiny_o2vis,
    tiny_seqformer,
    tiny_sipmask,
    tiny_videomt,
)

_WINDOW = dict(type='ClipMatching', length=3, stride=2)

#: Makes the model, in training mode, always with the same weights.
SYSTEMS: dict[str, Callable[[], Any]] = {
    'sipmask': lambda: tiny_sipmask.tiny_model('sipmask'),
    'sipmask-memcnp': tiny_sipmask.tiny_model,
    'idol': tiny_idol.tiny_model,
    'idol-memcnp': lambda: tiny_idol.tiny_model(file=tiny_idol.MEMCNP),
    'seqformer': tiny_seqformer.tiny_model,
    'seqformer-memcnp': lambda: tiny_seqformer.tiny_model(
        file=tiny_seqformer.MEMCNP),
    'seqformer in windows': lambda: tiny_seqformer.tiny_model(window=_WINDOW),
    'instanceformer': tiny_instanceformer.tiny_model,
    'minvis': tiny_minvis.tiny_model,
    'ctvis': tiny_ctvis.tiny_model,
    'ctvis on Deformable DETR': tiny_ctvis.tiny_deformable,
    'dvis-daq': tiny_dvis_daq.tiny_model,
    'ifr': tiny_ifr.tiny_model,
    'ifr in windows': lambda: tiny_ifr.tiny_model(window=_WINDOW),
    'ifr, augmented': lambda: tiny_ifr.tiny_model(scales=(1., .5)),
    'mask2former-vis': tiny_mask2former_vis.tiny_model,
    'mask2former-vis in windows': lambda: tiny_mask2former_vis.tiny_model(
        window=_WINDOW),
    'o2vis': tiny_o2vis.tiny_model,
    'o2vis with T_E alone': tiny_o2vis.alone,
    'o2vis offline': tiny_o2vis.offline,
    'tracker of DVIS++': tiny_o2vis.referring,
    'dvis-daq-memcnp': tiny_dvis_daq.tiny_memcnp,
    'dvis-daq offline': tiny_dvis_daq.tiny_offline,
    'dvis-daq offline in windows': lambda: tiny_dvis_daq.tiny_offline(
        window=_WINDOW),
    'videomt': tiny_videomt.tiny_model,
    'videomt-memcnp': tiny_videomt.tiny_memcnp,
    'eomt': tiny_videomt.tiny_frames,
}


def build(name: str) -> VIS:
    """A system in eval mode."""
    return SYSTEMS[name]().eval()


def clip_of(name: str) -> tuple:
    """A clip with its annotations that trains a system."""
    fake = tiny_seqformer if name.startswith('seqformer') else tiny_sipmask
    return fake.clip()
