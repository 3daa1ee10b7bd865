"""tools/analysis_tools/plot_training.py: what it reads, and that it draws."""
import json
import runpy
from pathlib import Path

import cv2
import pytest

from mmvis_memcnp.errors import UserError
from tests.fakes.programs import run_program

TOOL = (Path(__file__).resolve().parents[2] /
        'tools/analysis_tools/plot_training.py')


def log(work_dir, run, records):
    """What one run of a training leaves."""
    folder = work_dir / run / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text(
        '\n'.join(json.dumps(r) for r in records) + '\n')


@pytest.fixture
def resumed(tmp_path):
    """Stopped after iteration 20, resumed from 10."""
    work_dir = tmp_path / 'run'
    log(work_dir, '20260101_000000', [
        dict(loss=4., step=10), dict(AP=.1, step=10), dict(loss=3., step=20)])
    log(work_dir, '20260101_010000', [
        dict(loss=2., step=20), dict(AP=.3, step=0)])  # of epoch 0
    return work_dir


def test_resumed_training_is_one_curve(resumed):
    tool = runpy.run_path(str(TOOL))
    records = tool['read_log'](resumed)
    assert tool['curve'](records, 'loss') == ([10, 20], [4., 2.])
    assert tool['curve'](records, 'AP') == ([10, 20], [.1, .3])


def test_picture(resumed, tmp_path):
    out = tmp_path / 'new' / 'curves.png'
    result = run_program(TOOL, resumed, '--out', out, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert cv2.imread(str(out)).std() > 5


@pytest.mark.parametrize('line', [
    b'{"loss": 2.',  # cut off, as by a full disk
    b'\xff\xfe', b'[1]', b'{"loss": 2.0}', b'{"step": "7"}'])
def test_a_damaged_log_is_named(line, resumed):
    path = sorted(resumed.glob('*/vis_data/scalars.json'))[0]
    path.write_bytes(path.read_bytes() + line)
    tool = runpy.run_path(str(TOOL))
    with pytest.raises(UserError, match=f'{path}: line 4 is no record'):
        tool['read_log'](resumed)


@pytest.mark.parametrize('args, said', [
    (['nothing'], 'nothing holds no'),
    (['nothing', '--names', 'a', 'b'], '2 names for 1 directories')])
def test_bad_input(args, said, tmp_path):
    result = run_program(TOOL, *args, cwd=tmp_path)
    assert said in str(result.returncode)
    assert not (tmp_path / 'training.png').exists()
