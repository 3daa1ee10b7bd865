"""MemCNP and the video instance segmentation systems that it plugs into.

Importing this package registers every model, loss, assigner, tracker, data
set, transform, metric, hook and loop with mmdet's registries, so that a config
needs nothing but ``custom_imports = dict(imports=['mmvis_memcnp'])``.
"""
from . import compat

# Before anything imports mmcv.ops or mmdet.models: the shims patch those.
compat.apply()

from . import (apis, converters, datasets, engine, evaluation,  # noqa: E402
               models, ops, results, visualization)
from .version import __version__  # noqa: E402

__all__ = [
    'apis', 'compat', 'converters', 'datasets', 'engine', 'evaluation',
    'models', 'ops', 'results', 'visualization', '__version__'
]
