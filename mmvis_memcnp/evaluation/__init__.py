"""Scores of predicted tracks."""
from . import functional
from .metrics import VISMetric

__all__ = ['VISMetric', 'functional']
