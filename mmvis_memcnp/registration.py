"""Importing this module registers every part with mmdet's registries."""
from . import compat

# Before anything imports mmcv.ops or mmdet.models: the shims patch those.
compat.apply()

from . import (apis, converters, datasets, engine, evaluation, models, ops,
               visualization)
from .results import filters, ranking

__all__ = [
    'apis', 'compat', 'converters', 'datasets', 'engine', 'evaluation',
    'filters', 'models', 'ops', 'ranking', 'visualization'
]
