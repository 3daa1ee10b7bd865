"""tools/analysis_tools/calibration.py on the shipped weights."""
import json
from pathlib import Path

import cv2
import pytest

from mmvis_memcnp.datasets.moving_shapes.generate import generate
from tests.fakes.programs import run_program

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/calibration.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Validation data where the config of the shipped model looks for it."""
    folder = tmp_path_factory.mktemp('calibration')
    generate(folder / 'data/moving_shapes/easy/val', 2, 5, (128, 192), 1000,
             'easy')
    return folder


@pytest.mark.parametrize('kind', ['sipmask-memcnp', 'sipmask'])
def test_shipped_models(folder, kind):
    name = f'{kind}_r18_movingshapes'
    done = run_program(
        TOOL, ROOT / f'configs/sipmask/{name}.py',
        ROOT / f'demo/weights/{name}.pth', '--out-dir', kind, '--score-thr',
        '.1', cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / kind / 'calibration.json').read_text())
    lines = found['sparsification']
    assert found['num_pairs'] > 15
    printed = dict(line.split() for line in done.stdout.splitlines()
                   if line.startswith(('num_pairs ', 'ause_score ')))
    assert printed == {name: f'{found[name]:.4g}' for name in printed}
    assert len(printed) == 2
    assert cv2.imread(str(folder / kind / 'calibration.png')).shape[0] > 400
    # Dropping by the error itself is the bound of all others.
    assert all(a >= b - 1e-9 for line in lines.values() for a, b in zip(
        line, lines['largest error first'], strict=True))
    if kind == 'sipmask':
        assert 'largest sigma first' not in lines and 'levels' not in found
        assert found['auroc_sigma'] is found['z_std'] is None
    else:
        assert 0 <= found['auroc_sigma'] <= 1
        # sigma > .1 of the frame by construction: far above the errors.
        assert found['z_std'] < .5 and found['sharpness'] > 12.8
        assert len(found['levels']) == len(found['coverage']) == 19
        assert all(len(row) == 4 for row in found['coverage'])


@pytest.mark.parametrize('options, sentence', [
    (['--score-thr', '2'], '--score-thr must lie in [0, 1), got 2.0'),
    (['--cfg-options', 'test_evaluator.format_only=True'],
     'have no annotations, so no prediction has a truth'),
])
def test_nothing_to_judge(folder, options, sentence):
    name = 'sipmask_r18_movingshapes'
    done = run_program(
        TOOL, ROOT / f'configs/sipmask/{name}.py',
        ROOT / f'demo/weights/{name}.pth', *options, '--out-dir', 'none',
        cwd=folder)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
    assert not (folder / 'none').exists()
