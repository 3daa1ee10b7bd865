"""MovingShapes: a generated VIS data set, and the class that reads it."""
from .dataset import MovingShapes

__all__ = ['MovingShapes']
