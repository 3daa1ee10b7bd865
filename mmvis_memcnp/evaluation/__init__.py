"""Scores of predicted tracks.

``functional`` is NumPy alone; the metrics, which need mmdet, are looked up
when they are used.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import functional
    from .metrics import VISMetric


def __getattr__(name: str) -> Any:
    if name == 'functional':
        return import_module('.functional', __name__)
    if name == 'VISMetric':
        return import_module('.metrics', __name__).VISMetric
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


__all__ = ['VISMetric', 'functional']
