"""Importing this module registers every part with mmdet's registries."""
from . import compat

# Before anything imports mmcv.ops or mmdet.models: the shims patch those.
compat.apply()

from . import apis, converters, datasets, engine, models, ops, visualization
from .evaluation import metrics
from .results import filters, ranking

__all__ = [
    'apis', 'compat', 'converters', 'datasets', 'engine', 'filters',
    'metrics', 'models', 'ops', 'ranking', 'visualization'
]
