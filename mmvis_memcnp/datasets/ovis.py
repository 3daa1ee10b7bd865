"""OVIS: heavily occluded objects, long videos."""
from mmdet.registry import DATASETS

from .classes import OVIS as OVIS_CLASSES
from .vis_dataset import VISDataset


@DATASETS.register_module()
class OVIS(VISDataset):
    """OVIS: 25 classes. Its json spells 'Vehical'; 'Vehicle' is taken too."""

    METAINFO = dict(classes=OVIS_CLASSES)
    ALIASES = {'Vehicle': 'Vehical'}
