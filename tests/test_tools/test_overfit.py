"""tools/benchmark/overfit_shapes.py: its options, and the whole of it."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction

from mmvis_memcnp.datasets.moving_shapes.generate import generate

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    path.parent.name: path
    for system in ('sipmask', 'idol', 'seqformer', 'instanceformer',
                   'minvis', 'ctvis', 'dvis_daq', 'mask2former_vis',
                   'ifr', 'o2vis')
    for path in [ROOT / f'configs/{system}' / (
        f'{system.replace("_", "-")}_r18_movingshapes.py')]
}


@pytest.fixture(scope='module')
def tool():
    """The part that the over-fitting tools share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'tools/benchmark'))
        import overfitting
        yield overfitting


def merged(system, options):
    """A small config with ``--cfg-options``."""
    cfg = Config.fromfile(SMALL[system])
    cfg.merge_from_dict({
        key: DictAction._parse_iterable(value)
        for key, value in (option.split('=', 1) for option in options)})
    return cfg


@pytest.mark.parametrize('iters, warm', [(2, 1), (20, 4), (1500, 200)])
@pytest.mark.parametrize('system', SMALL)
def test_schedule(tool, system, iters, warm):
    cfg = merged(system, tool.schedule_options(iters))
    first, second = cfg.param_scheduler
    assert (first.begin, first.end) == (0, warm)
    assert (second.begin, second.end) == (warm, iters)
    assert cfg.train_cfg.max_iters == iters < cfg.train_cfg.val_interval


def test_full_length_is_that_of_the_config(tool):
    cfg = merged('idol', [])
    again = merged('idol', tool.schedule_options(cfg.train_cfg.max_iters))
    assert again.param_scheduler == cfg.param_scheduler


def test_no_training_at_all(tool):
    with pytest.raises(ValueError, match='take 2 at least'):
        tool.schedule_options(1)


@pytest.mark.parametrize('system', SMALL)
def test_train_is_val(tool, system, tmp_path):
    path = generate(tmp_path / 'clips', 1, 2, (64, 96), 0, 'easy')
    cfg = merged(system, tool.data_options(path, path.parent / 'JPEGImages'))
    names = tuple(c['name'] for c in sorted(
        json.loads(path.read_text())['categories'], key=lambda c: c['id']))
    for loader in ('train', 'val', 'test'):
        data = cfg[f'{loader}_dataloader'].dataset
        assert (data.data_root, data.ann_file) == ('', str(path))
        assert data.data_prefix.img_path == str(path.parent / 'JPEGImages')
        assert tuple(data.metainfo.classes) == names
    for name in ('val', 'test'):
        assert cfg[f'{name}_evaluator'].ann_file == str(path)


@pytest.mark.slow
@pytest.mark.parametrize('system', SMALL)
def test_end_to_end(system, tmp_path):
    """Two iterations teach nothing, which is what is said."""
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/benchmark/overfit_shapes.py',
         SMALL[system], '--iters', '2', '--work-dir', tmp_path],
        capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1, done.stderr[-3000:]
    assert 'wanted: AP50 0.9' in done.stdout.splitlines()[-1]
