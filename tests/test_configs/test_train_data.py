"""The training data of every config loads, on a few frames of its format."""
import json
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmdet.structures.bbox import get_box_tensor
from mmengine.registry import init_default_scope
from pycocotools import mask as mask_utils

from mmvis_memcnp.datasets.coco_classes import (
    CLASS_MAPS,
    COCO,
    TARGET_CLASSES,
)

from .trees import NAMES, config_of

HEIGHT, WIDTH, LENGTH = 150, 260, 8
#: What images are labelled for beside the videos of a type.
MAPS = dict(YouTubeVIS2019='ytvis2019', YouTubeVIS2021='ytvis2021',
            YouTubeVIS2022='ytvis2021', OVIS='ovis')


@cache
def data_sets() -> dict[str, tuple[str, dict]]:
    """Every different data set of all configs, by its text; clips of other
    lengths, files and class maps make no other data set: all files are
    replaced below, and the maps have a test of their own."""
    found = {}
    for name in NAMES:
        whole = config_of(name).train_dataloader.dataset.to_dict()
        for one in whole.get('datasets', [whole]):
            text = re.sub(r"'num_frames': \d+", '', repr({
                key: value for key, value in one.items()
                if key not in ('data_root', 'ann_file', 'data_prefix',
                               'class_map', 'frame_share')}))
            found.setdefault(text, (name, one))
    return found


def members() -> list:
    return [pytest.param(one, id=f'{name}-{one["type"]}')
            for name, one in data_sets().values()]


def corner(shift: int) -> np.ndarray:
    """A mask with much of its box empty, so that crops leave boxes alone."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:140, 5 + shift:12 + shift] = 1
    mask[133:140, 5 + shift:200 + shift] = 1
    return mask


def rle(mask: np.ndarray) -> dict:
    found = mask_utils.encode(np.asfortranarray(mask))
    return dict(size=list(found['size']), counts=found['counts'].decode())


def box(mask: np.ndarray) -> list[float]:
    ys, xs = mask.nonzero()
    return [float(x) for x in (xs.min(), ys.min(), np.ptp(xs) + 1,
                               np.ptp(ys) + 1)]


def write(folder: Path, classes: tuple[str, ...], images: bool) -> None:
    """A video, or an image, with an object of the first class."""
    categories = [dict(id=i, name=n) for i, n in enumerate(classes, 1)]
    masks = [corner(4 * t) for t in range(LENGTH)]
    names = [f'{t:05d}.jpg' for t in range(LENGTH)]
    size = dict(height=HEIGHT, width=WIDTH)
    for name in names:
        noise = np.random.default_rng(0).integers(
            0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(folder / name), noise)
    if images:
        data = dict(
            images=[dict(id=1, file_name=names[0], **size)],
            annotations=[
                dict(id=1, image_id=1, category_id=1, iscrowd=0,
                     bbox=box(masks[0]), area=float(masks[0].sum()),
                     segmentation=rle(masks[0]))
            ])
    else:
        data = dict(
            videos=[dict(id=1, file_names=names, length=LENGTH, **size)],
            annotations=[
                dict(id=1, video_id=1, category_id=1, iscrowd=0, **size,
                     bboxes=[box(m) for m in masks],
                     areas=[float(m.sum()) for m in masks],
                     segmentations=[rle(m) for m in masks])
            ])
    (folder / 'data.json').write_text(
        json.dumps(data | dict(categories=categories)))


@pytest.mark.parametrize('dataset', members())
def test_training_data_loads(dataset, tmp_path):
    """Clips are of one size, and what has a box has a mask."""
    init_default_scope('mmdet')
    images = dataset['type'] == 'CocoPseudoVideo'
    own = dict(dataset.get('metainfo') or {}).get('classes')
    write(tmp_path, COCO if images else
          own or DATASETS.get(dataset['type']).METAINFO['classes'], images)
    data = DATASETS.build({
        **dataset, 'data_root': str(tmp_path), 'ann_file': 'data.json',
        'data_prefix': dict(img_path='')})
    np.random.seed(0)
    shown = 0
    for draw in range(8):
        # Random crops may leave the object out; most do not.
        if draw > 1 and shown:
            break
        clip = data[0]
        assert clip['inputs'].dim() == 4
        for frame in clip['data_samples'].video_data_samples:
            gt = frame.gt_instances
            corners = get_box_tensor(gt.bboxes)
            here = (corners[:, 2:] > corners[:, :2]).all(1).numpy()
            filled = gt.masks.to_ndarray().any((1, 2))
            assert (filled == here).all()
            shown += here.sum()
    assert shown


def test_images_beside_videos_have_the_labels_of_these():
    """Same classes, and only those that mean the same; never by chance."""
    joint = 0
    for name in NAMES:
        cfg = config_of(name)
        for one in cfg.train_dataloader.dataset.get('datasets', []):
            if one.type == 'CocoPseudoVideo':
                video, = (o.type for o in cfg.train_dataloader.dataset.datasets
                          if o.type != 'CocoPseudoVideo')
                assert one.class_map == MAPS[video]
                joint += 1
                assert TARGET_CLASSES[one.class_map] == tuple(
                    DATASETS.get(video).METAINFO['classes'])
                assert 'mouse' not in CLASS_MAPS[one.class_map]
    assert joint > 10
