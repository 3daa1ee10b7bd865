"""tools/analysis_tools/preview_clips.py, and a training on what it shows."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from tests.fakes.programs import run_program
from tests.fakes.tiny_ctvis import tiny_model

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/preview_clips.py'
CONFIG = ROOT / 'configs/ctvis/ablations/ctvis_swin-l_table5-all_ovis.py'
#: Category id and box x, y, w, h of the objects of two images.
IMAGES = [[(1, 8, 10, 30, 40), (3, 50, 20, 36, 24)], [(1, 20, 6, 40, 50)]]
SHARED = 'data/coco_panoptic_sample'


@pytest.fixture
def stills(tmp_path):
    """A folder with images and their json."""
    annotations = []
    for image, objects in enumerate(IMAGES, 1):
        picture = np.full((64, 96, 3), 90, np.uint8)
        for category, x, y, w, h in objects:
            picture[y:y + h, x:x + w] = 40 * category, 200, 60 * category
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image, iscrowd=0,
                category_id=category, bbox=[x, y, w, h], area=w * h,
                segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]]))
        cv2.imwrite(str(tmp_path / f'{image}.png'), picture)
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{i}.png', height=64, width=96)
                for i in (1, 2)],
        categories=[dict(id=1, name='person'), dict(id=3, name='dog')],
        annotations=annotations)))
    return tmp_path


def options(folder, ann_file='a.json'):
    data = 'train_dataloader.dataset.'
    return [f'{data}data_root=', f'{data}ann_file={folder / ann_file}',
            f'{data}data_prefix.img_path={folder}', f'{data}num_frames=3']


def test_a_row_a_clip(stills):
    """Seeded: the same picture twice, another one by another seed."""
    pictures = []
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        done = run_program(
            TOOL, CONFIG, '--clips', 2, '--height', 40, '--seed', seed,
            '--out', f'{name}.png', '--cfg-options', *options(stills),
            cwd=stills)
        assert done.returncode == 0, done.stderr
        pictures.append(cv2.imread(str(stills / f'{name}.png')))
    assert 2 * 40 <= pictures[0].shape[0] < 3 * 40 < pictures[0].shape[1]
    assert np.array_equal(pictures[0], pictures[1])
    assert pictures[0].shape != pictures[2].shape or (
        pictures[0] != pictures[2]).any()


@pytest.mark.parametrize('extra, message', [
    (['--clips', 0], '--clips must be at least 1'),
    (['--cfg-options', 'train_dataloader.dataset.ann_file=no.json'],
     'There is no annotation file at'),
])
def test_bad_input_is_said(extra, message, stills):
    done = run_program(TOOL, CONFIG, *extra, cwd=stills)
    assert done.returncode == 1 and message in done.stderr


def train_on(dataset):
    """A step of a small CTVIS on two clips of a data set; how many frames
    have an object."""
    clips = pseudo_collate([dataset[0], dataset[len(dataset) - 1]])
    model = tiny_model(segmenter=dict(decoder=dict(
        num_classes=len(dataset.metainfo['classes']))))
    data = model.data_preprocessor(clips, True)
    losses = model(**data, mode='loss')
    sum(losses.values()).backward()
    assert all(v.isfinite() for v in losses.values())
    assert losses['loss_embed'] > 0
    return sum(len(f.gt_instances) > 0 for s in data['data_samples']
               for f in s.video_data_samples)


def small(folder, ann_file='a.json', **settings):
    """The data set of the config on other images, with small frames."""
    init_default_scope('mmdet')
    np.random.seed(0)
    cfg = Config.fromfile(CONFIG).train_dataloader.dataset
    cfg.update(data_root='', ann_file=str(folder / ann_file), num_frames=3,
               **settings)
    cfg.data_prefix.img_path = str(
        folder if ann_file == 'a.json' else folder / 'input_images')
    cfg.pipeline[1].prob = cfg.pipeline[2].prob = 1.
    cfg.pipeline[2].transforms[0].transforms[0].scales = [(96, 64)]
    cfg.pipeline[2].transforms[1].crop_size = (40, 60)
    cfg.pipeline[3].transforms[0].scales = [(96, 64)]
    return DATASETS.build(cfg)


def test_a_training_step_on_stills(stills):
    assert train_on(small(stills)) == 6


def test_a_training_step_on_photographs(shared_dir):
    """Of which no clip is stored here."""
    folder = shared_dir / SHARED
    if not folder.is_dir():
        pytest.skip(f'needs {SHARED}')
    torch.manual_seed(0)
    dataset = small(folder, 'panoptic_coco_detection_format.json')
    assert train_on(dataset) == 6
