"""tools/analysis_tools/preview_clips.py, and a training on what it shows."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from tests.fakes.programs import forget_runs, run_program

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


def dataset(folder, ann_file='a.json'):
    """The data set of the config on other images, with small frames."""
    data = Config.fromfile(CONFIG).train_dataloader.dataset
    data.update(data_root='', ann_file=str(folder / ann_file), num_frames=3)
    data.data_prefix.img_path = str(
        folder if ann_file == 'a.json' else folder / 'input_images')
    data.pipeline[1].prob = data.pipeline[2].prob = 1.
    data.pipeline[2].transforms[0].transforms[0].scales = [(96, 64)]
    data.pipeline[2].transforms[1].crop_size = (40, 60)
    data.pipeline[3].transforms[0].scales = [(96, 64)]
    return data


def train(data, folder):
    """Two steps of tools/train.py with a config that has only stills; what
    it logs of them."""
    cfg = Config.fromfile(ROOT / 'configs/ctvis/ctvis_r18_movingshapes.py')
    cfg.merge_from_dict(dict(
        load_from=None, val_dataloader=None, val_evaluator=None, val_cfg=None,
        test_dataloader=None, test_evaluator=None, test_cfg=None,
        train_dataloader=dict(num_workers=0, persistent_workers=False),
        train_cfg=dict(max_iters=2), log_level='WARNING',
        default_hooks=dict(logger=dict(interval=1))))
    cfg.train_cfg.pop('val_interval', None)
    cfg.train_dataloader.dataset = data
    cfg.dump(folder / 'stills.py')
    forget_runs()
    done = run_program(ROOT / 'tools/train.py', 'stills.py', '--seed', 0,
                       cwd=folder)
    assert done.returncode == 0, done.stderr
    run = folder / 'work_dirs/stills'
    weights = load_checkpoint_file(run / 'iter_2.pth')['state_dict']
    assert all(v.isfinite().all() for v in weights.values())
    # The class map says how many classes the model has, and none.
    assert weights['segmenter.decoder.cls_embed.weight'].shape[0] == 25 + 1
    log, = run.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text().splitlines()]


def frames_with_objects(data):
    """Of the first and the last clip."""
    init_default_scope('mmdet')
    np.random.seed(0)
    built = DATASETS.build(data)
    return sum(len(frame.gt_instances) > 0 for index in (0, len(built) - 1)
               for frame in built[index]['data_samples'].video_data_samples)


@pytest.mark.parametrize('images', ['made here', 'photographs'])
def test_training_on_stills_alone(images, stills, request):
    """By the tool, with the pseudo-videos of CTVIS."""
    folder, ann_file = stills, 'a.json'
    if images == 'photographs':  # of which no clip is stored here
        folder = request.getfixturevalue('shared_dir') / SHARED
        ann_file = 'panoptic_coco_detection_format.json'
        if not folder.is_dir():
            pytest.skip(f'needs {SHARED}')
    data = dataset(folder, ann_file)
    assert frames_with_objects(data) == 6
    first, second = train(data, stills)
    assert [first['step'], second['step']] == [1, 2]
    for losses in (first, second):
        assert all(np.isfinite(v) for v in losses.values())
        # Objects are there, and found again in other frames of their clip.
        assert losses['loss_mask'] > 0 and losses['loss_embed'] > 0
    assert first['loss'] != second['loss']
