"""mmengine metrics around the functional scores."""
from .vis_metric import VISMetric

__all__ = ['VISMetric']
