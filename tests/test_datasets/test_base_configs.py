"""The shipped data configs say what the papers say."""
from pathlib import Path

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config

from mmvis_memcnp.datasets.classes import (
    OVIS,
    YOUTUBE_VIS_2019,
    YOUTUBE_VIS_2021,
    dataset_classes,
)
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from mmvis_memcnp.datasets.moving_shapes.shapes import CLASSES

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
LISTS = dict(
    youtube_vis_2019=YOUTUBE_VIS_2019,
    youtube_vis_2021=YOUTUBE_VIS_2021,
    youtube_vis_2022=YOUTUBE_VIS_2021,
    ovis=OVIS,
    moving_shapes=CLASSES)


@pytest.mark.parametrize('name', sorted(LISTS))
def test_every_config(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        dataset = loader.dataset
        assert dataset_classes(dataset) == LISTS[name]
        assert dataset.data_root and dataset.ann_file
        assert dataset.data_prefix.img_path
        # Pipelines and samplers are made of registered parts.
        DATASETS.build(dataset | dict(lazy_init=True))
    assert cfg.train_dataloader.dataset.clip_sampler == dict(
        type='KeyRefSampler', frame_range=5)
    for loader, evaluator in ((cfg.val_dataloader, cfg.val_evaluator),
                              (cfg.test_dataloader, cfg.test_evaluator)):
        assert loader.sampler.type == 'VideoFrameSampler'
        assert loader.dataset.test_mode and loader.batch_size == 1
        assert evaluator.ann_file == (
            loader.dataset.data_root + loader.dataset.ann_file)


@pytest.mark.parametrize('name', sorted(set(LISTS) - {'moving_shapes'}))
def test_sizes_of_memcnp(name):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    resize, flip = cfg.train_pipeline[0].transforms[2:]
    assert cfg.train_pipeline[0].share_random_params
    assert resize.scale == [(640, 360), (960, 480)] and resize.keep_ratio
    assert flip == dict(type='RandomFlip', prob=0.5)
    assert cfg.test_pipeline[0].transforms[1].scale == (960, 480)


def test_moving_shapes_run_through(tmp_path):
    cfg = Config.fromfile(FOLDER / 'moving_shapes.py')
    for split, seed in (('train', 0), ('val', 1)):
        generate(tmp_path / split, 1, 4, (128, 192), seed, 'easy')
    train = DATASETS.build(
        cfg.train_dataloader.dataset | dict(data_root=str(tmp_path)))
    item = train[0]
    assert item['inputs'].shape[:2] == (2, 3)
    assert 96 <= item['inputs'].shape[2] <= 128
    val = DATASETS.build(
        cfg.val_dataloader.dataset | dict(data_root=str(tmp_path)))
    assert len(val) == 4
    assert tuple(val[0, 3]['inputs'].shape) == (1, 3, 128, 192)
