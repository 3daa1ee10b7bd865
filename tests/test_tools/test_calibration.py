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
    generate(folder / 'data/moving_shapes/easy/val', 3, 6, (128, 192), 1000,
             'easy')
    return folder


def judge(folder, kind, out, *options, checkpoint=None):
    """Run the tool; what it printed and what it wrote."""
    name = f'{kind}_r18_movingshapes'
    done = run_program(
        TOOL, ROOT / f'configs/sipmask/{name}.py',
        checkpoint or ROOT / f'demo/weights/{name}.pth', '--out-dir', out,
        '--score-thr', '.03', *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / out / 'calibration.json').read_text())
    return done.stdout, found


@pytest.mark.parametrize('kind', ['sipmask-memcnp', 'sipmask'])
def test_shipped_models(folder, kind):
    out, found = judge(folder, kind, kind)
    lines = found['sparsification']
    assert found['num_pairs'] > 15
    printed = dict(line.split() for line in out.splitlines()
                   if line.startswith(('num_pairs ', 'ause_score ')))
    assert printed == {name: f'{found[name]:.4g}' for name in printed}
    assert len(printed) == 2
    assert cv2.imread(str(folder / kind / 'calibration.png')).shape[0] > 400
    # Dropping by the error itself is the bound of all others.
    assert all(a >= b - 1e-9 for line in lines.values() for a, b in zip(
        line, lines['largest error first'], strict=True))
    # The score is the product of these, and so known to the tool.
    assert None not in (found['auroc_class_prob'], found['auroc_centerness'])
    if kind == 'sipmask':
        assert 'largest uncertainty first' not in lines
        assert 'levels' not in found
        assert found['auroc_sigma'] is found['z_std'] is None
    else:
        assert 0 <= found['auroc_sigma'] <= 1
        assert -1 <= found['partial_sigma'] <= 1
        assert found['sigma_map'] is not None  # fitted before it was shipped
        assert len(found['levels']) == len(found['coverage']) == 19
        assert all(len(row) == 4 for row in found['coverage'])


def test_a_map_goes_from_the_errors_into_the_results(folder):
    """Fitted by the tool, carried by the checkpoint, applied by the model:
    the same numbers both ways, on the data that it was fitted to."""
    data = folder / 'data/moving_shapes/easy/val'
    fitted = judge(
        folder, 'sipmask-memcnp', 'fitted', '--fit', 'map.pth', '--ann-file',
        data / 'instances.json', '--img-prefix', data / 'JPEGImages')[1]
    mapped = judge(folder, 'sipmask-memcnp', 'mapped',
                   checkpoint=folder / 'map.pth')[1]
    assert mapped['sigma_map'] == fitted['sigma_map']
    for name, value in fitted.items():
        if isinstance(value, float):
            assert mapped[name] == pytest.approx(value, rel=1e-4), name
    assert mapped['z_std'] == pytest.approx(1, abs=.02)
    # A map is not mapped again.
    twice = judge(folder, 'sipmask-memcnp', 'twice', '--fit', 'twice.pth',
                  checkpoint=folder / 'map.pth')[1]
    assert twice['sigma_map'] == fitted['sigma_map']


@pytest.mark.parametrize('options, sentence', [
    (['--score-thr', '2'], '--score-thr must lie in [0, 1), got 2.0'),
    (['--cfg-options', 'test_evaluator.format_only=True'],
     'have no annotations, so no prediction has a truth'),
    # the plain SipMask
    (['--fit', 'none.pth'], 'Only 0 predictions with standard deviations'),
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
    assert not (folder / 'none.pth').exists()
