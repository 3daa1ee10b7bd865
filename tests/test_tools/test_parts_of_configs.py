"""A config that is a part of others is refused with a sentence, whichever
tool is given it."""
import runpy
import sys
from pathlib import Path

import pytest

from mmvis_memcnp.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PART = str(ROOT / 'configs/_base_/datasets/ctvis_pipelines.py')


@pytest.mark.parametrize('tool, options, missing', [
    ('train.py', [], 'model, train_dataloader'),
    ('test.py', ['none.pth'], 'model, test_dataloader'),
    ('analysis_tools/preview_clips.py', ['--out', 'x.png'],
     'train_dataloader'),
    ('analysis_tools/calibration.py', ['none.pth', '--out', 'x.json'],
     'model, test_dataloader'),
    ('analysis_tools/benchmark.py', ['--device', 'cpu'], 'model'),
    ('analysis_tools/memcnp_report.py', ['none.pth', '--device', 'cpu'],
     'model'),
    ('analysis_tools/model_complexity.py', [], 'model'),
    ('benchmark/soak_session.py', ['--frames', '1', '--device', 'cpu'],
     'model'),
])
def test_is_refused(tool, options, missing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', [tool, PART, *options])
    named = runpy.run_path(str(ROOT / 'tools' / tool))
    with pytest.raises(UserError, match='ctvis_pipelines.py has no '
                       f'{missing}.*: give a config of a folder'):
        named['main']()
    assert not list(tmp_path.iterdir())
