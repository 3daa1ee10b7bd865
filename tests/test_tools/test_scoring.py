"""tools/test.py on frames, a released-style json and the metric.

Two videos of three frames with one bright square each; the model marks what is
bright, so it is right in every pixel.
"""
import importlib.util
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmvis_memcnp.results import encode_masks
from mmvis_memcnp.results.codes import rle_to_json
from tests.fakes.programs import forget_runs

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
custom_imports = dict(imports=['mmvis_memcnp', 'threshold_vis'])
default_scope = 'mmdet'
model = dict(
    type='ThresholdVIS',
    data_preprocessor=dict(type='TrackDataPreprocessor', pad_size_divisor=32))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='VideoFrameSampler'),
    dataset=dict(
        type='YouTubeVIS2021', metainfo=dict(classes=('cat', 'dog')),
        data_root='data/', ann_file='val.json', test_mode=True,
        data_prefix=dict(img_path='frames'),
        pipeline=[
            dict(type='TransformBroadcaster', transforms=[
                dict(type='LoadFrame'),
                dict(type='Resize', scale=(48, 32), keep_ratio=True)]),
            dict(type='PackTrackInputs')]))
test_evaluator = dict(type='VISMetric', ann_file='data/val.json')
test_cfg = dict(type='VideoTestLoop', chunk=2)
"""


def square(frame):
    mask = np.zeros((32, 48), dtype=bool)
    mask[8:20, 4 + 8 * frame:14 + 8 * frame] = True
    return mask


def write_data(folder, squares):
    """Frames and json; ``squares`` is the square annotated in a frame."""
    videos, annotations = [], []
    for video in (1, 2):
        names = [f'{video}/{frame:05d}.png' for frame in range(3)]
        for frame, name in enumerate(names):
            path = folder / 'frames' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.repeat(square(frame)[..., None] * 255, 3, axis=2)
            cv2.imwrite(str(path), image.astype(np.uint8))
        videos.append(dict(id=video, width=48, height=32, length=3,
                           file_names=names))
        masks = np.stack([square(squares[f]) for f in range(3)])
        rows = [8] * 3
        annotations.append(dict(
            id=video, video_id=video, category_id=5, iscrowd=0,
            segmentations=[rle_to_json(r) for r in encode_masks(masks)],
            bboxes=[[4 + 8 * squares[f], rows[f], 10, 12] for f in range(3)],
            areas=[120] * 3, height=32, width=48, length=1))
    data = dict(videos=videos, annotations=annotations, categories=[
        dict(id=5, name='cat'), dict(id=9, name='dog')])
    (folder / 'val.json').write_text(json.dumps(data))
    # The public sets come without annotations.
    data['annotations'] = None
    (folder / 'public.json').write_text(json.dumps(data))


@pytest.fixture
def test_tool(tmp_path, monkeypatch, capfd):
    """Runs tools/test.py in a folder with data; returns (code, output)."""
    for folder in ('test_tools', 'test_engine'):
        monkeypatch.syspath_prepend(str(ROOT / 'tests' / folder))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMVIS_TRACEBACK', raising=False)
    write_data(tmp_path / 'data', squares=[0, 1, 2])
    (tmp_path / 'bright.py').write_text(CONFIG)
    torch.save(dict(state_dict=dict(threshold=torch.tensor(128.))),
               tmp_path / 'bright.pth')
    spec = importlib.util.spec_from_file_location(
        'test_tool', ROOT / 'tools' / 'test.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*args):
        forget_runs()
        monkeypatch.setattr(
            sys, 'argv', ['test.py', 'bright.py', 'bright.pth', *args])
        try:
            module.run_tool(module.main)
            code = 0
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return code, said.out + said.err

    return run


def scores(folder):
    """The metrics that the run left in its log folder."""
    path, = (folder / 'work_dirs' / 'bright').glob('*/*.json')
    return json.loads(path.read_text())


def test_perfect_tracks_score_one(test_tool, tmp_path):
    code, said = test_tool('--classwise', '--out', 'results/all.json',
                           '--show-dir', 'pictures')
    assert code == 0, said
    found = scores(tmp_path)
    for name in ('AP', 'AP50', 'AP75', 'AR1', 'AR10', 'IDF1'):
        assert found[name] == 1, name
    assert found['AP_class/cat'] == 1
    entries = json.loads((tmp_path / 'results' / 'all.json').read_text())
    assert [e['video_id'] for e in entries] == [1, 2]
    assert {e['category_id'] for e in entries} == {5}
    assert entries[0]['score'] == pytest.approx(0.75)
    assert sorted(str(p.relative_to(tmp_path / 'pictures'))
                  for p in (tmp_path / 'pictures').rglob('*.jpg')) == [
        f'{video}/{frame:05d}.jpg' for video in (1, 2) for frame in range(3)]


def test_ann_file_replaces_that_of_the_config(test_tool, tmp_path):
    # The last square is annotated 8 of 10 columns away from where it is: of
    # 2 * 120 + 216 pixels of the union, 2 * 120 + 24 are common. The IoU of
    # 0.579 passes two of the ten thresholds.
    write_data(tmp_path / 'shifted', squares=[0, 1, 1])
    code, said = test_tool('--ann-file', 'shifted/val.json')
    assert code == 0, said
    found = scores(tmp_path)
    assert found['AP'] == pytest.approx(0.2)
    assert (found['AP50'], found['AP75']) == (1, 0)


def test_without_annotations_a_submission_is_written(test_tool, tmp_path):
    code, said = test_tool('--ann-file', 'data/public.json', '--out',
                           'results/public.json')
    assert code == 0, said
    assert 'no annotations' in said
    with zipfile.ZipFile(tmp_path / 'results' / 'public.zip') as archive:
        assert archive.namelist() == ['results.json']
        assert len(json.loads(archive.read('results.json'))) == 2


def test_format_only(test_tool, tmp_path):
    code, said = test_tool('--format-only', '--out', 'results/sub.json')
    assert code == 0, said
    assert (tmp_path / 'results' / 'sub.zip').is_file()
    assert 'AP' not in scores(tmp_path)


def test_launcher_of_two_processes(test_tool, tmp_path):
    paths = [ROOT, ROOT / 'tests' / 'test_tools']
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ, 'OMP_NUM_THREADS': '1', 'PORT': str(port),
        'PYTHONPATH': os.pathsep.join(map(str, paths)),
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    }
    done = subprocess.run(
        ['bash', str(ROOT / 'tools' / 'dist_test.sh'), 'bright.py',
         'bright.pth', '2', '--out', 'results/all.json'],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 0, done.stderr
    assert scores(tmp_path)['AP'] == 1
    entries = json.loads((tmp_path / 'results' / 'all.json').read_text())
    assert [e['video_id'] for e in entries] == [1, 2]


@pytest.mark.parametrize(
    'script', ['dist_train', 'dist_test', 'slurm_train', 'slurm_test'])
def test_launchers_tell_their_usage(script):
    path = ROOT / 'tools' / f'{script}.sh'
    done = subprocess.run(
        ['bash', str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f'tools/{script}.sh' in done.stderr


def test_truncated_frame_is_named(test_tool, tmp_path):
    frame = tmp_path / 'data' / 'frames' / '2' / '00001.png'
    frame.write_bytes(frame.read_bytes()[:40])
    code, said = test_tool('--out', 'results/all.json',
                           '--cfg-options', 'test_dataloader.num_workers=1')
    assert code == 1
    last = said.strip().splitlines()[-1]
    assert last.startswith('Error: ') and '00001.png' in last
    assert 'Traceback' not in said
    assert not (tmp_path / 'results' / 'all.json').exists()
