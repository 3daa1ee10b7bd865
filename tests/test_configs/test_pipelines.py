"""IDOL's pipelines: frames of a clip that are cropped, each for itself."""
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from mmvis_memcnp.datasets.moving_shapes.generate import generate
from tests.fakes.tiny_idol import tiny_model

from .trees import config_of


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Large enough for a crop."""
    folder = tmp_path_factory.mktemp('videos')
    generate(folder / 'train', 1, 2, (420, 640), 0, 'easy')
    return folder


@pytest.mark.parametrize('stage', ['8xb4-12k_youtubevis2019',
                                   '8xb2-12k_ovis', '8xb4-59k_coco-pairs'])
def test_pipelines(stage, videos):
    """Frames of a clip that are cropped differently make a batch."""
    init_default_scope('mmdet')
    small = config_of('idol/idol_r18_movingshapes').train_dataloader.dataset
    cfg = config_of(f'idol/idol_r50_{stage}').train_dataloader.dataset
    Compose(cfg.pipeline)
    data = DATASETS.build(small | dict(
        data_root=str(videos), pipeline=cfg.pipeline))
    np.random.seed(0)
    shapes, items = set(), []
    for _ in range(6):
        items.append(data[0])
        frames = items[-1]['data_samples'].video_data_samples
        shapes |= {f.img_shape for f in frames}
        size = items[-1]['inputs'].shape[-2:]
        assert size == tuple(max(f.img_shape[i] for f in frames)
                             for i in (0, 1))
        for f in frames:
            assert len(f.gt_instances) == len(f.gt_instances.instances_ids)
    assert len(shapes) > 3
    model = tiny_model(segmenter=dict(num_classes=6))
    batch = model.data_preprocessor(pseudo_collate(items[:2]), True)
    with torch.no_grad():
        losses = model(**batch, mode='loss')
    assert all(v.isfinite() for v in losses.values())
