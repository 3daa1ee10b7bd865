"""YouTube-VIS 2019, 2021 and 2022."""
from mmdet.registry import DATASETS

from .classes import YOUTUBE_VIS_2019, YOUTUBE_VIS_2021
from .vis_dataset import VISDataset


@DATASETS.register_module()
class YouTubeVIS2019(VISDataset):
    """YouTube-VIS 2019: 40 classes, other ones than those of 2021."""

    METAINFO = dict(classes=YOUTUBE_VIS_2019)


@DATASETS.register_module()
class YouTubeVIS2021(VISDataset):
    """YouTube-VIS 2021: 40 classes."""

    METAINFO = dict(classes=YOUTUBE_VIS_2021)


@DATASETS.register_module()
class YouTubeVIS2022(VISDataset):
    """YouTube-VIS 2022: the classes and the training set of 2021, and a
    validation set with 71 long videos."""

    METAINFO = dict(classes=YOUTUBE_VIS_2021)
