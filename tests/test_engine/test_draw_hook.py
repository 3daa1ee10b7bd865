"""Pictures of a test run."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from toy_vis import clip

from mmvis_memcnp.engine import DrawResultsHook
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results import encode_masks
from mmvis_memcnp.results.frame import frame_result


def batch_of(path, video_id):
    batch = clip(video_id, [0], torch.zeros(1, 3, 40, 60))
    frame = batch['data_samples'].video_data_samples[0]
    frame.set_metainfo(dict(img_path=str(path)))
    return dict(inputs=[batch['inputs']], data_samples=[batch['data_samples']])


def one_instance(score):
    mask = np.zeros((1, 40, 60), dtype=bool)
    mask[:, 20:35, 20:50] = True
    return frame_result(
        instances_id=torch.tensor([3]),
        bboxes=torch.tensor([[20., 20., 50., 35.]]),
        scores=torch.tensor([score]),
        labels=torch.tensor([0]),
        masks=encode_masks(mask),
        frame_id=0,
        ori_shape=(40, 60))


def draw(hook, path, score):
    runner = SimpleNamespace(
        visualizer=SimpleNamespace(dataset_meta=dict(classes=('cat', ))))
    hook.after_test_iter(
        runner, 0, data_batch=batch_of(path, 7),
        outputs=[one_instance(score)])


def test_picture_has_its_place_and_its_instance(tmp_path):
    path = tmp_path / 'frames' / '00005.png'
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((40, 60, 3), 128, dtype=np.uint8))
    hook = DrawResultsHook(str(tmp_path / 'out'), score_thr=0.3)

    draw(hook, path, 0.2)
    picture = cv2.imread(str(tmp_path / 'out' / '7' / '00005.jpg'))
    assert picture.shape == (40, 60, 3)
    assert np.abs(picture.astype(int) - 128).max() <= 2

    draw(hook, path, 0.9)
    picture = cv2.imread(str(tmp_path / 'out' / '7' / '00005.jpg'))
    # Inside the mask, and far from it.
    assert np.abs(picture[30, 40].astype(int) - 128).max() > 30
    assert np.abs(picture[38, 5].astype(int) - 128).max() <= 2


def test_missing_frame_is_named(tmp_path):
    with pytest.raises(UserError, match='no.jpg cannot be read'):
        draw(DrawResultsHook(str(tmp_path)), tmp_path / 'no.jpg', 0.9)
