"""tools/analysis_tools/visualize_queries.py and what it draws with."""
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.visualization import draw_reference_points, embed_in_plane
from tests.fakes.colour_blobs import clip, write_model
from tests.fakes.programs import run_program

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/visualize_queries.py'
CONFIG = ROOT / 'configs/instanceformer/instanceformer_r18_movingshapes.py'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'frames').mkdir()
    for t, frame in enumerate(clip()):
        cv2.imwrite(str(tmp_path / 'frames' / f'{t}.png'), frame)
    return tmp_path


@pytest.fixture
def model(folder):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    built = MODELS.build(Config.fromfile(CONFIG).model)
    # No mask is empty, whatever the weights.
    built.segmenter.mask_controller.layers[-1].bias.data[-1] = 9.
    torch.save(dict(state_dict=built.state_dict()), folder / 'w.pth')
    return CONFIG, 'w.pth'


def test_figures(folder, model):
    options = ['--height', 48, '--device', 'cpu', '--score-thr', 0]
    result = run_program(TOOL, 'points', *model, 'frames', '--frames', 4, 1,
                         *options, '--out', 'a.png', cwd=folder)
    assert result.returncode == 0, result.stderr
    figure = cv2.imread(str(folder / 'a.png'))
    assert 52 <= figure.shape[0] < 104 and 136 <= figure.shape[1] < 204
    result = run_program(TOOL, 'embedding', *model, 'frames', '--method',
                         'pca', *options, '--out', 'b.png', cwd=folder)
    assert result.returncode == 0, result.stderr
    assert len(np.unique(cv2.imread(str(folder / 'b.png')))) > 20


@pytest.mark.parametrize('options, message', [
    (['--score-thr', 2], 'lower --score-thr'),
    (['--score-thr', 0, '--frames', 9], '--frames must lie in 0..5'),
])
def test_bad_options_are_said(folder, model, options, message):
    result = run_program(TOOL, 'points', *model, 'frames', '--device', 'cpu',
                         *options, cwd=folder)
    assert result.returncode == 1 and message in result.stderr


def test_other_models_are_refused(folder):
    result = run_program(TOOL, 'points', *write_model(folder), 'frames',
                         cwd=folder)
    assert result.returncode == 1
    assert 'configs/instanceformer' in result.stderr


def test_points_are_where_they_belong():
    image = np.zeros((40, 80, 3), np.uint8)
    figure = draw_reference_points(
        [image, image], np.array([[[.25, .5]], [[.75, .5]]]), [0], height=40)
    first, second = figure[4:44, 4:84], figure[4:44, 88:168]
    assert first[20, 20].any() and not first[20, 60].any()
    assert second[20, 20].any() and second[20, 60].any()  # the trail


def test_plane_of_pca():
    line = np.outer(np.arange(5.), [3., 4., 0.])
    plane = embed_in_plane(line, 'pca')
    assert np.allclose(np.abs(np.diff(plane[:, 0])), 5)
    assert np.allclose(plane[:, 1], 0)
    with pytest.raises(ValueError, match='at least 3'):
        embed_in_plane(line[:2], 'pca')
    with pytest.raises(ValueError, match="'umap'"):
        embed_in_plane(line, 'umap')


def test_missing_scikit_learn_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    monkeypatch.setitem(sys.modules, 'sklearn.manifold', None)
    with pytest.raises(ValueError, match='pip install scikit-learn'):
        embed_in_plane(np.eye(4))
