"""Data set class of MovingShapes."""
from mmdet.registry import DATASETS

from ..vis_dataset import VISDataset
from .shapes import CLASSES


@DATASETS.register_module()
class MovingShapes(VISDataset):
    """Generated videos of textured shapes; the class is the shape.

    Made by ``tools/dataset_converters/moving_shapes.py``.
    """

    METAINFO = dict(classes=CLASSES)
