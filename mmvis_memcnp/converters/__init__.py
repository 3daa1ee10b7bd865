"""Official checkpoints to the key names of this package."""
from .base import KeyMap, check_against
from .sipmask import MEMCNP_SIPMASK, SIPMASK

#: Key map of each official code base, by the name of its system.
KEY_MAPS: dict[str, KeyMap] = dict(
    sipmask=SIPMASK, memcnp_sipmask=MEMCNP_SIPMASK)

__all__ = ['KEY_MAPS', 'KeyMap', 'check_against']
