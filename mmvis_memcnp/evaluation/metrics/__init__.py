"""mmengine metrics around the functional scores."""
from .results_writer import (
                             ResultsSpool,
                             result_entry,
                             write_results,
                             write_submission,
)
from .vis_metric import VISMetric

__all__ = [
    'ResultsSpool', 'VISMetric', 'result_entry', 'write_results',
    'write_submission'
]
