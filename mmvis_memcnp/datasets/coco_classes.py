"""What a class of COCO is called in the video data sets, by name.

Only the same kind of object counts. What released maps add is left out or
corrected: bicycles are no motorbikes, skis no snowboards, a COCO mouse is a
computer's and a bird is an owl or eagle only perhaps; OVIS has bicycles,
motorcycles, airplanes and boats of its own, and all road vehicles are one
class there.
"""
from collections.abc import Mapping

from .classes import OVIS, YOUTUBE_VIS_2019, YOUTUBE_VIS_2021

COCO = ('person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train',
        'truck', 'boat', 'traffic light', 'fire hydrant', 'stop sign',
        'parking meter', 'bench', 'bird', 'cat', 'dog', 'horse', 'sheep',
        'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack', 'umbrella',
        'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard',
        'sports ball', 'kite', 'baseball bat', 'baseball glove', 'skateboard',
        'surfboard', 'tennis racket', 'bottle', 'wine glass', 'cup', 'fork',
        'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange',
        'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair',
        'couch', 'potted plant', 'bed', 'dining table', 'toilet', 'tv',
        'laptop', 'mouse', 'remote', 'keyboard', 'cell phone', 'microwave',
        'oven', 'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase',
        'scissors', 'teddy bear', 'hair drier', 'toothbrush')

_SHARED = {
    name: name
    for name in ('person', 'airplane', 'train', 'truck', 'boat', 'cat', 'dog',
                 'horse', 'cow', 'elephant', 'bear', 'zebra', 'giraffe',
                 'snowboard', 'skateboard', 'surfboard')
} | {'motorcycle': 'motorbike', 'tennis racket': 'tennis_racket'}

#: Label space of a ``class_map``.
TARGET_CLASSES: Mapping[str | None, tuple[str, ...]] = {
    None: COCO,
    'ytvis2019': YOUTUBE_VIS_2019,
    'ytvis2021': YOUTUBE_VIS_2021,
    'ovis': OVIS
}

#: COCO's name -> the data set's, of each ``class_map``.
CLASS_MAPS: Mapping[str | None, Mapping[str, str]] = {
    None: {name: name for name in COCO},
    'ytvis2019': _SHARED | {'car': 'sedan'},
    'ytvis2021': _SHARED | {
        'car': 'car', 'bird': 'bird', 'frisbee': 'flying_disc'},
    'ovis': {
        name: name.capitalize()
        for name in ('person', 'bird', 'cat', 'dog', 'horse', 'sheep', 'cow',
                     'elephant', 'bear', 'zebra', 'giraffe', 'bicycle',
                     'motorcycle', 'airplane', 'boat')
    } | {name: 'Vehical' for name in ('car', 'bus', 'truck')}
}
