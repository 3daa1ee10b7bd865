"""Small hand-made VIS data: a json, frames, and what is expected of them."""
import json

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from .rectangles import HEIGHT, WIDTH, track, uncompressed


@pytest.fixture(autouse=True)
def _default_scope():
    init_default_scope('mmdet')


@pytest.fixture
def tiny():
    """Videos 7 (3 frames) and 3 (1 frame), categories 20 'b' and 5 'a'."""
    return dict(
        videos=[
            dict(
                id=7,
                height=HEIGHT,
                width=WIDTH,
                length=3,
                file_names=[f'x/{i:05d}.jpg' for i in (0, 5, 10)]),
            dict(
                id=3,
                height=HEIGHT,
                width=WIDTH,
                length=1,
                file_names=['y/00000.jpg'])
        ],
        categories=[dict(id=20, name='b'),
                    dict(id=5, name='a')],
        annotations=[
            track(11, 7, 20, [(1, 2, 3, 4), None, (2, 2, 3, 4)]),
            track(42, 7, 5, [(5, 1, 2, 2), None, None], uncompressed),
            track(43, 3, 5, [(0, 0, 4, 4)])
        ])


@pytest.fixture
def write(tmp_path):
    """Write a json and its frames; returns the arguments of a data set."""

    def _write(data):
        (tmp_path / 'ann.json').write_text(json.dumps(data))
        videos = data.get('videos', []) if isinstance(data, dict) else []
        for video in videos:
            for name in video.get('file_names') or []:
                path = tmp_path / 'img' / name
                path.parent.mkdir(parents=True, exist_ok=True)
                image = np.full((video['height'], video['width'], 3), 90,
                                np.uint8)
                cv2.imwrite(str(path), image)
        return dict(
            data_root=str(tmp_path),
            ann_file='ann.json',
            data_prefix=dict(img_path='img'),
            metainfo=dict(classes=('a', 'b')))

    return _write
