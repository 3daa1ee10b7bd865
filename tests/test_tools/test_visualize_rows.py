"""tools/analysis_tools/visualize_rows.py and what it draws with."""
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS, TASK_UTILS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.probes.rows import follow_rows
from mmvis_memcnp.visualization.rows import memory_contents
from tests.fakes import tiny_o2vis
from tests.fakes.colour_blobs import clip, write_model
from tests.fakes.programs import run_program
from tests.fakes.tiny_mask2former_vis import frames_of

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/visualize_rows.py'
CONFIGS = {name: ROOT / f'configs/{name}/{name}_r18_movingshapes.py'
           for name in ('o2vis', 'minvis')}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Frames, and weights of a model each."""
    folder = tmp_path_factory.mktemp('rows')
    (folder / 'frames').mkdir()
    for t, frame in enumerate(clip()):
        cv2.imwrite(str(folder / 'frames' / f'{t}.png'), frame)
    init_default_scope('mmdet')
    for name, config in CONFIGS.items():
        model = MODELS.build(Config.fromfile(config).model)
        torch.save(dict(state_dict=model.state_dict()), folder / f'{name}.pth')
    return folder


def draw(folder, figure, name, *options, out='out.png'):
    return run_program(
        TOOL, figure, CONFIGS[name], f'{name}.pth', 'frames', '--device',
        'cpu', '--objects', 3, '--out', out, '--overwrite', *options,
        cwd=folder)


@pytest.mark.parametrize('figure, name, options', [
    ('memory', 'o2vis', []), ('memory', 'minvis', []),
    ('attention', 'o2vis', ['--tracker', 'existing', '--frame', 2]),
    ('attention', 'o2vis', [])])
def test_figures(folder, figure, name, options):
    result = draw(folder, figure, name, *options)
    assert result.returncode == 0, result.stderr
    assert len(np.unique(cv2.imread(str(folder / 'out.png')))) > 20


@pytest.mark.parametrize('figure, name, options, message', [
    ('attention', 'o2vis', ['--frame', 6], '--frame must lie in 0..5'),
    ('attention', 'minvis', [], "has no layers 'aligning'"),
    ('memory', 'minvis', ['--objects', 0], '--objects must be at least 1')])
def test_bad_options_are_said(folder, figure, name, options, message):
    result = draw(folder, figure, name, *options)
    assert result.returncode == 1 and message in result.stderr


def test_other_models_are_refused(folder):
    result = run_program(TOOL, 'memory', *write_model(folder), 'frames',
                         '--device', 'cpu', cwd=folder)
    assert result.returncode == 1 and 'configs/o2vis' in result.stderr


def following(model, count=3):
    """What follows a model, and frames as it prepares them."""
    frames, metas = frames_of(model, count)
    return SimpleNamespace(model=model, prepare=lambda images: (
        images[0][None], metas[:1])), frames


@pytest.mark.parametrize('make, name', [
    (tiny_o2vis.tiny_model, 'existing'), (tiny_o2vis.tiny_model, 'aligning'),
    (tiny_o2vis.alone, 'existing')])  # asks for the frame itself after that
def test_attention_is_that_of_what_is_remembered(make, name, monkeypatch):
    """Of the pass that asks with the memory, or with the anchors made of it;
    in the first frame of that which asks with the frame."""
    model = make().eval()
    real, maps = model.tracker.read, {True: [], False: []}

    def read(layers, frame, rows=None, start=None):
        if layers is not getattr(model.tracker, name):
            return real(layers, frame, rows, start)
        attention = layers[-1].cross_attn.attn
        with attention.register_forward_hook(
                lambda _m, _i, out: maps[rows is not None].append(out[1])):
            return real(layers, frame, rows, start)

    monkeypatch.setattr(model.tracker, 'read', read)
    found = follow_rows(*following(model)).attention[name]
    assert len(maps[True]) == 2
    np.testing.assert_array_equal(
        found, torch.cat((maps[False][0], *maps[True])).numpy())
    assert abs(found[1] - maps[False][-1][0].numpy()).max() > 1e-3


def test_no_frame_to_follow():
    model = tiny_o2vis.tiny_model().eval()
    with pytest.raises(ValueError, match='no frames to follow: give at least'):
        follow_rows(following(model)[0], [])


@pytest.mark.parametrize('memory, expected', [
    # The last frame alone.
    (dict(type='LatestMemory'), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    (dict(type='MomentumMemory', momentum=.75),
     [[1, 0, 0], [.75, .25, 0], [.5625, .1875, .25]]),
    # As far as a frame shows an object: 0 and then 0.5.
    (dict(type='OccupancyMemory'), [[1, 0, 0], [1, 0, 0], [.5, 0, .5]])])
def test_contents_of_memories(memory, expected):
    memory = TASK_UTILS.build(memory)
    written = torch.randn(3, 1, 2, 8, generator=torch.manual_seed(0))
    weights = torch.tensor([[[1., 1.]], [[0., 0.]], [[.5, .5]]])
    state, held = memory.start(), []
    for frame, weight in zip(written, weights, strict=True):
        state = memory.write(state, frame, weight=weight)
        held.append(state.embeds)
    found = memory_contents(torch.cat(held).numpy(),
                            written[:, 0].numpy())
    for row in range(2):
        np.testing.assert_allclose(found[:, row], expected, atol=1e-5)
