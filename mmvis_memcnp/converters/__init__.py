"""Official checkpoints to the key names of this package."""
from collections.abc import Iterable

from .base import KeyMap, check_against
from .instanceformer import INSTANCEFORMER
from .sipmask import MEMCNP_SIPMASK, SIPMASK

#: Key map of each official code base, by the name of its system.
KEY_MAPS: dict[str, KeyMap] = dict(
    sipmask=SIPMASK,
    memcnp_sipmask=MEMCNP_SIPMASK,
    instanceformer=INSTANCEFORMER)


def guess_system(names: Iterable[str]) -> str | None:
    """The system whose checkpoints hold tensors of these names, if known."""
    names = set(names)
    return next((system for system, key_map in KEY_MAPS.items()
                 if key_map.marker in names), None)


__all__ = ['KEY_MAPS', 'KeyMap', 'check_against', 'guess_system']
