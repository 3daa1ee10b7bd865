"""tools/benchmark/gpu_check.py: what it lists, what it writes, what it
survives; and some of its checks, small, on the CPU."""
import argparse
import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/benchmark/gpu_check.py'


@pytest.fixture
def modules(monkeypatch):
    """The two files, imported as the tool does."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    monkeypatch.setattr(sys, 'path', list(sys.path))  # they add to it
    import gpu_check
    import gpu_checks
    return gpu_check, gpu_checks


def test_every_system_and_fixture_is_listed(modules):
    check, checks = modules
    families = {p.name for p in (ROOT / 'configs').iterdir()
                if p.name != '_base_' and list(p.glob('*_*_movingshapes*'))}
    for tiny in (False, True):
        found = check.systems(tiny)
        assert {x.split('/')[0] for x in found} == families
        names = {checks.speed.system_of(x) for x in found}
        assert names >= {*checks.speed.OPTIONS, *checks.speed.THRESHOLD}
        assert {x for x in names if x.endswith('-memcnp')} >= {
            'sipmask-memcnp', 'idol-memcnp', 'seqformer-memcnp'}
        assert not any('official' in x for x in found)
        # Recipes with COCO only where a system has no other.
        assert {x.split('/')[1].split('_')[0] for x in found
                if 'coco' in x} <= {
                    'dvis-daq-memcnp', 'videomt', 'videomt-memcnp'}
    folders = check.fixtures(False)
    names = [Path(x).name for x in folders]
    assert names[0] == check.FIXTURES[0] and names[-1] == check.LAST[-1]
    assert set(names) >= {p.parent.name for p in (
        ROOT / 'tests/data/parity').glob('*/manifest.json')}
    items = [x for make in check.KINDS.values() for x in make(False)]
    assert len(items) == len(set(items))
    kinds = [x.split(':')[0] for x in items]
    assert kinds == sorted(kinds, key=list(check.KINDS).index)


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
def test_without_a_gpu_one_sentence(tmp_path):
    out = tmp_path / 'found.json'
    done = subprocess.run([sys.executable, TOOL, '--out', out],
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.count('\n') == 1
    assert 'sees no GPU here, so nothing was checked' in done.stderr
    assert not out.exists()


WORKER = textwrap.dedent('''
    import argparse, json, os, time
    p = argparse.ArgumentParser()
    p.add_argument('items', nargs='+')
    for name in ('--rows', '--device'):
        p.add_argument(name)
    a = p.parse_args()
    for item in a.items:
        with open(a.rows, 'a') as f:
            print(json.dumps(dict(begin=item)), file=f)
        if item == 'dies':
            print('out of luck', flush=True)
            os._exit(3)
        if item == 'hangs':
            time.sleep(60)
        with open(a.rows, 'a') as f:
            print(json.dumps(dict(item=item, ok=item != 'fails',
                                  seconds=0.)), file=f)
''')


@pytest.fixture
def run(modules, tmp_path, monkeypatch):
    """Runs checks with a worker that does as their names say."""
    check, _ = modules
    worker = tmp_path / 'worker.py'
    worker.write_text(WORKER)
    monkeypatch.setattr(check, 'WORKER', worker)
    path = tmp_path / 'found.json'

    def call(items, seconds=20., limit=20.):
        report = check.Report(path, dict(device='cpu'))
        deadline, left = time.monotonic() + seconds, list(items)
        while left:
            left = check.work(left, argparse.Namespace(
                device='cpu', tiny=False), report, deadline, limit)
        report.save()
        return json.loads(path.read_text())

    return call


def test_a_check_that_dies_takes_no_other_with_it(run):
    found = run(['a', 'dies', 'fails', 'b'])
    rows = {row['item']: row for row in found['rows']}
    assert list(rows) == ['a', 'dies', 'fails', 'b']
    assert [rows[x]['ok'] for x in rows] == [True, False, False, True]
    assert 'ended with 3' in rows['dies']['error']
    assert 'out of luck' in rows['dies']['error']


def test_a_check_that_hangs_is_stopped(run):
    found = run(['a', 'hangs', 'b'], limit=1.5)
    assert [row['ok'] for row in found['rows']] == [True, False, True]
    assert 'longer than' in found['rows'][1]['error']


def test_when_time_is_up_the_rest_is_named(run):
    begin = time.monotonic()
    found = run(['a', 'hangs', 'b', 'c'], seconds=1.5)
    assert time.monotonic() - begin < 10
    assert [row['item'] for row in found['rows']] == ['a', 'hangs']
    assert found['not_run'] == ['b', 'c'] and not found['complete']


def test_every_row_is_in_the_file_at_once(modules, tmp_path, capsys):
    check, _ = modules
    report = check.Report(tmp_path / 'new/found.json', dict(device='cpu'))
    for n in range(3):
        report.add(dict(item=f'x{n}', ok=True, seconds=1.))
        assert len(json.loads(report.path.read_text())['rows']) == n + 1
    # beside it the note of what was made, nothing unfinished
    assert sorted(p.name for p in report.path.parent.iterdir()) == [
        '.mmvis_outputs', 'found.json']
    assert capsys.readouterr().out.count('ok') == 3


@pytest.mark.parametrize('name', ['sipmask-memcnp', 'idol'])
def test_speed_of_a_model_that_finds_something(modules, name):
    check, checks = modules
    config, = (x for x in check.systems(True)
               if checks.speed.system_of(x) == name)
    row = checks.run(f'speed:{config}:float32', torch.device('cpu'), True)
    assert row['ok'] and 3 <= row['instances'] <= 2 * checks.speed.INSTANCES
    parts = [row['ms'][x] for x in ('read', 'network', 'association',
                                    'output')]
    assert all(ms > 0 for ms in parts)
    assert sum(parts) == pytest.approx(row['ms']['total'], abs=.01)
    assert row['fps'] == pytest.approx(1e3 / row['ms']['total'], rel=.01)


def test_a_size_of_its_own(modules):
    """VidEoMT is compiled at the size of its published figure."""
    check, checks = modules
    assert [x for x in check.speed_items(False) if 'compiled' in x] == [
        f'speed:videomt/{name}_vit-l_8xb1-160k-coco-joint_youtubevis2021.py:'
        'amp-compiled:640x640' for name in ('videomt', 'videomt-memcnp')]
    item, _ = (x for x in check.speed_items(True) if 'compiled' in x)
    row = checks.run(item.replace('amp-compiled:64x64', 'float32:64x96'),
                     torch.device('cpu'), True)
    assert row['ok'] and row['input_hw'] == [64, 96]
    assert row['instances'] == pytest.approx(checks.speed.INSTANCES, abs=3)


def test_losses_that_are_not_finite_fail(modules, monkeypatch):
    check, checks = modules
    config, = (x for x in check.systems(True)
               if checks.speed.system_of(x) == 'sipmask')
    item = f'amp:{config}:bfloat16'
    row = checks.run(item, torch.device('cpu'), True)
    assert row['ok'] and row['gradients'] > 50 and row['not_finite'] == []
    load = checks.speed.load

    def broken(*args):
        inferencer = load(*args)
        inferencer.model.bbox_head.fcos_cls.bias.data[0] = float('nan')
        return inferencer

    monkeypatch.setattr(checks.speed, 'load', broken)
    row = checks.run(item, torch.device('cpu'), True)
    assert not row['ok'] and 'loss_cls' in row['not_finite']


def test_a_fixture_that_fails_says_what(modules, tmp_path):
    _, checks = modules
    device = torch.device('cpu')
    folder = ROOT / 'tests/data/parity/ifc_clip_matching'
    row = checks.run(f'parity:{folder}', device, True)
    assert row == dict(ok=True, arrays=16, failed=[])
    row = checks.run(f'parity:{tmp_path}', device, True)
    assert not row['ok'] and ' has no ' in row['failed'][0]


@pytest.mark.slow
def test_dry_run(tmp_path):
    out = tmp_path / 'found.json'
    done = subprocess.run(
        [sys.executable, TOOL, '--device', 'cpu', '--tiny', '--out', out],
        capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found['complete'] and all(row['ok'] for row in found['rows'])
    kinds = {row['item'].split(':')[0] for row in found['rows']}
    assert kinds == {'environment', 'tests', 'parity', 'amp', 'speed'}
    assert 'not run for want of time' in done.stdout
