"""The tool that scores a results file without a model."""
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/eval_results.py'
FIXTURE = ROOT / 'tests/data/ytvis_eval_2_crowd_area'


@pytest.fixture
def score(monkeypatch, capsys):
    """Run the tool in this process; returns the lines it prints."""
    spec = importlib.util.spec_from_file_location('eval_results', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(*options):
        arguments = [FIXTURE / 'results.json', FIXTURE / 'gt.json', *options]
        monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
        assert tool.main() is None
        return capsys.readouterr().out.splitlines()

    return run


def test_all_numbers(score):
    expected = json.loads((FIXTURE / 'expected.json').read_text())
    lines = score('--classwise', '--tracking', '--json')
    numbers = json.loads(lines[-1])
    for name, value in expected['stats'].items():
        assert numbers[name] == pytest.approx(value, rel=1e-12)
    assert lines[1].split() == ['all', '39.2', '61.6', '38.9', '40.6', '56.0']
    assert numbers['classes']['cat_26']['AP'] == pytest.approx(
        expected['per_category']['26']['AP'], rel=1e-12)
    assert numbers['tracking']['num_switches'] == 1


def test_video_subset(score, tmp_path):
    expected = json.loads((FIXTURE / 'expected_long.json').read_text())
    ids = tmp_path / 'ids.txt'
    ids.write_text('\n'.join(map(str, expected['vid_ids'])))
    numbers = json.loads(score('--videos', ids, '--json')[-1])
    assert numbers == pytest.approx(expected['stats'], rel=1e-12)


def test_one_sentence_for_bad_input():
    other = ROOT / 'tests/data/ytvis_eval_1_basic/gt.json'
    done = subprocess.run(
        [sys.executable, TOOL, FIXTURE / 'results.json', other],
        env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True,
        text=True, check=False)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.splitlines()[-1].startswith(
        f'error: {FIXTURE / "results.json"}, entry 0 has')
