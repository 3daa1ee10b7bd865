"""The demo, end to end, as a user calls it."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from mmvis_memcnp.apis.outputs import VideoOutputs, separate_masks
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.ownership import MARKER
from mmvis_memcnp.visualization import VideoWriter
from mmvis_memcnp.visualization.files import CODECS, find_codec
from tests.fakes.colour_blobs import clip, config, write_model
from tests.fakes.programs import run_program

ROOT = Path(__file__).resolve().parents[2]
# With the suffix of the codec that this OpenCV has.
VIDEO = f'clip{CODECS[find_codec()][1]}'
DEMO = ROOT / 'demo' / 'video_demo.py'


def run(*args, cwd):
    """Call it as a program."""
    return subprocess.run(
        [sys.executable, str(DEMO), *map(str, args)], capture_output=True,
        text=True, cwd=cwd,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'))


def run_here(*args, cwd):
    """The same in this process, which saves the imports."""
    return run_program(DEMO, *args, cwd=cwd)


def write_frames(folder, frames):
    """Frames as PNG, so that colours are exact."""
    folder.mkdir()
    for t, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{t}.png'), frame)
    return folder


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """One run with everything on; six frames 64x48."""
    folder = tmp_path_factory.mktemp('demo')
    frames = write_frames(folder / 'clip', clip())
    result = run(frames, *write_model(folder), '--out-dir', 'out',
                 '--png-masks', '--mots', cwd=folder)
    return folder / 'out', result


def test_says_what_it_made(done):
    out, result = done
    assert result.returncode == 0, result.stderr
    assert '6 frames, 2 tracks.' in result.stdout
    assert '6/6' in result.stderr  # the progress bar
    names = {VIDEO, 'clip.json', 'clip_uncertainty.png', 'clip_masks',
             'clip_mots.txt'}
    assert {p.name for p in out.iterdir()} == {*names, MARKER}
    for name in names:
        assert f'out/{name}' in result.stdout


def test_json(done):
    entries = json.loads((done[0] / 'clip.json').read_text())
    assert [e['category_id'] for e in entries] == [1, 2]
    assert [e['video_id'] for e in entries] == [1, 1]
    assert [e['score'] for e in entries] == pytest.approx([.9, .8])
    red, green = (e['segmentations'] for e in entries)
    assert [coco_mask.area(s) for s in red] == [12 * 16] * 6
    assert [s and coco_mask.area(s) for s in green] == [
        None, None, 192, 192, 192, None
    ]


def test_video(done):
    capture = cv2.VideoCapture(str(done[0] / VIDEO))
    frames = []
    while True:
        good, frame = capture.read()
        if not good:
            break
        frames.append(frame.astype(int))
    assert len(frames) == 6
    assert frames[0].shape == (48, 64, 3)
    # frame 5: ground far from all objects as it was, the object not
    assert np.abs(frames[5][40:, 40:] - 90).mean() < 12
    assert np.abs(frames[5][12:22, 28:34] - clip()[5, 12:22, 28:34]
                  ).mean() > 20


def test_png_masks(done):
    masks = done[0] / 'clip_masks'
    assert sorted(p.name for p in masks.iterdir()) == [
        MARKER, '0000', '0001']
    assert len(list((masks / '0000').iterdir())) == 6
    assert sorted(p.name for p in (masks / '0001').iterdir()) == [
        '000002.png', '000003.png', '000004.png'
    ]
    mask = cv2.imread(str(masks / '0001' / '000003.png'), -1)
    np.testing.assert_array_equal(mask == 255, clip()[3, ..., 1] == 255)


def test_mots(done):
    lines = [line.split(' ') for line in
             (done[0] / 'clip_mots.txt').read_text().splitlines()]
    assert len(lines) == 9
    assert lines[0][:5] == ['0', '1000', '1', '48', '64']
    assert ['3', '2001', '2', '48', '64'] in [line[:5] for line in lines]
    code = dict(size=[48, 64], counts=lines[0][5].encode())
    assert coco_mask.area(code) == 192


def test_files_can_be_read_by_others(done):
    umask = os.umask(0)
    os.umask(umask)
    for name in (VIDEO, 'clip.json', 'clip_uncertainty.png'):
        assert (done[0] / name).stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_second_run_replaces_and_options_hold(tmp_path):
    frames = write_frames(tmp_path / 'clip', clip())
    model = write_model(tmp_path, with_sigmas=False)
    args = (frames, *model, '--out-dir', 'out')
    result = run_here(*args, '--png-masks', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = run_here(*args, '--png-masks', '--max-frames', 2, '--no-video',
                      '--score-thr', .95, '--overwrite', '--optimize',
                      cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert 'predicts no standard deviations' in result.stdout
    assert not (tmp_path / 'out' / 'clip_uncertainty.png').exists()
    entries = json.loads((tmp_path / 'out' / 'clip.json').read_text())
    assert [len(e['segmentations']) for e in entries] == [2]
    assert os.listdir(tmp_path / 'out' / 'clip_masks') == [MARKER]


def tree(folder):
    """Every file with its content."""
    return {str(p.relative_to(folder)): p.read_bytes()
            for p in folder.rglob('*') if p.is_file()}


@pytest.mark.parametrize('kind, sentence', [
    # the video that is read has the name of the one that is written
    ('input', 'clip.mp4 is read and would be overwritten'),
    # even one that this demo made
    ('own input', 'clip.mp4 is read and would be overwritten'),
    ('video', 'clip.mp4 exists and was not made by this package'),
    ('json', 'clip.json exists and was not made by this package'),
    ('masks', 'thesis.txt in it was not made by this package'),
    ('added to ours', 'thesis.txt in it was not made by this package'),
    ('changed', 'clip.json exists and was not made by this package'),
    ('folder', 'clip.json is a folder'),
    ('file', 'out is a file'),
    ('frames', 'is the folder of the frames'),
])
def test_what_is_the_users_stays(tmp_path, kind, sentence):
    frames = write_frames(tmp_path / 'clip', clip())
    model = write_model(tmp_path)
    out = tmp_path / 'out'
    args = [frames, *model, '--out-dir', out, '--png-masks', '--overwrite',
            '--codec', 'mp4v']
    if kind in ('own input', 'added to ours', 'changed'):
        assert run_here(*args, cwd=tmp_path).returncode == 0
    elif kind not in ('file', 'frames'):
        out.mkdir()
    if kind == 'own input':
        args[0] = out / 'clip.mp4'
    elif kind == 'input':
        writer = VideoWriter(out / 'clip.mp4', 10, (48, 64), 'mp4v')
        for frame in clip():
            writer.write(frame)
        writer.close()
        args[0] = out / 'clip.mp4'
    elif kind == 'video':
        (out / 'clip.mp4').write_bytes(b'mine')
    elif kind in ('json', 'changed'):
        (out / 'clip.json').write_bytes(b'mine')
    elif kind in ('masks', 'added to ours'):
        (out / 'clip_masks').mkdir(exist_ok=True)
        (out / 'clip_masks' / 'thesis.txt').write_text('mine')
    elif kind == 'folder':
        (out / 'clip.json').mkdir()
    elif kind == 'file':
        out.touch()
    else:
        args[4] = frames
    before = tree(tmp_path)
    result = run_here(*args, cwd=tmp_path)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith('Error: ') and sentence in last
    after = {name: data for name, data in tree(tmp_path).items()
             if '__pycache__' not in name}
    assert after == {name: data for name, data in before.items()
                     if '__pycache__' not in name}


def test_its_own_needs_a_word(tmp_path):
    frames = write_frames(tmp_path / 'clip', clip())
    args = (frames, *write_model(tmp_path), '--out-dir', 'out', '--no-video')
    assert run_here(*args, cwd=tmp_path).returncode == 0
    before = tree(tmp_path / 'out')
    assert 'clip_uncertainty.png' in before
    result = run_here(*args, cwd=tmp_path)
    assert result.returncode == 1
    assert 'clip.json exists: replace it with --overwrite' in result.stderr
    assert tree(tmp_path / 'out') == before
    # The plot of an earlier run is not that of results without sigmas.
    write_model(tmp_path, with_sigmas=False)
    assert run_here(*args, '--overwrite', cwd=tmp_path).returncode == 0
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {
        MARKER, 'clip.json'}


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143),
                                          (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing(tmp_path, number, code):
    frames = write_frames(tmp_path / 'clip', clip())
    args = (frames, *write_model(tmp_path), '--out-dir', 'out', '--mots')

    def add(self, *_):
        assert list(self.out_dir.iterdir())  # at work
        os.kill(os.getpid(), number)
        raise AssertionError('still here')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoOutputs, 'add', add)
        result = run_here(*args, cwd=tmp_path)
    assert result.returncode == code
    assert result.stderr.splitlines()[-1] == 'Stopped: nothing was written.'
    assert not (tmp_path / 'out').exists()


def test_what_fails_in_the_background_is_said(tmp_path):
    frames = write_frames(tmp_path / 'clip', clip())

    def write(self, frame):
        raise UserError('the disk is full.')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoWriter, 'write', write)
        result = run_here(frames, *write_model(tmp_path), '--out-dir', 'out',
                          cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == 'Error: the disk is full.'
    assert not (tmp_path / 'out').exists()


def test_a_video_in_another_codec_gives_way(tmp_path):
    frames = write_frames(tmp_path / 'clip', clip())
    args = (frames, *write_model(tmp_path), '--out-dir', 'out', '--overwrite')
    (tmp_path / 'out').mkdir()
    others = {suffix for _, suffix in CODECS.values()}
    for codec in ('mp4v', 'auto'):
        assert run_here(*args, '--codec', codec,
                        cwd=tmp_path).returncode == 0
        name = f'clip{CODECS[find_codec(codec)][1]}'
        assert [p.name for p in (tmp_path / 'out').iterdir()
                if p.suffix in others] == [name]
    mine = tmp_path / 'out' / 'clip.mp4'
    mine.write_bytes(b'mine')
    if VIDEO != mine.name:
        assert run_here(*args, cwd=tmp_path).returncode == 0
        assert mine.read_bytes() == b'mine'


def bad_input(kind, folder):
    """Arguments of a bad call and what must be said about it."""
    model = write_model(folder)
    frames = write_frames(folder / 'clip', clip())
    if kind == 'missing video':
        return ('gone.mp4', *model), 'no video, folder or image at gone.mp4'
    if kind == 'corrupt video':
        (folder / 'bad.mp4').write_bytes(b'\0' * 500)
        return (folder / 'bad.mp4', *model), 'bad.mp4 cannot be opened'
    if kind == 'no frames':
        (folder / 'empty').mkdir()
        return (folder / 'empty', *model), 'has no images'
    if kind == 'cut off image':  # found after three good frames
        data = (frames / '3.png').read_bytes()
        (frames / '3.png').write_bytes(data[:len(data) // 2])
        return (frames, *model), '3.png is cut off'
    if kind == 'missing config':
        return (frames, 'gone.py', model[1]), 'no config at gone.py'
    if kind == 'missing checkpoint':
        return (frames, model[0], 'gone.pth'), 'no checkpoint at gone.pth'
    if kind == 'other checkpoint':
        torch.save(dict(state_dict=dict(a=torch.ones(1))),
                   folder / 'other.pth')
        return (frames, model[0], folder / 'other.pth'), 'does not belong to'
    if kind == 'no GPU':
        return (frames, *model, '--device', 'cuda'), 'sees no GPU here'
    if kind == 'no device':
        return (frames, *model, '--device', 'foo'), "no device called 'foo'"
    if kind == 'bad option':
        return ((frames, *model, '--cfg-options', 'model.type.a=1'),
                'config.py cannot be read')
    assert kind == 'no display'
    return (frames, *model, '--show'), '--show needs a display'


@pytest.mark.parametrize('kind', [
    'missing video', 'corrupt video', 'no frames', 'cut off image',
    'missing config', 'missing checkpoint', 'other checkpoint', 'no display',
    'no GPU', 'no device', 'bad option'
])
def test_bad_input(kind, tmp_path):
    if kind == 'no display' and 'GUI:                           NONE' not in \
            cv2.getBuildInformation():
        pytest.skip('this OpenCV may open windows')
    if kind == 'no GPU' and torch.cuda.is_available():
        pytest.skip('there is a GPU')
    args, message = bad_input(kind, tmp_path)
    result = run_here(*args, '--out-dir', 'out', cwd=tmp_path)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('Error: ') and message in last
    assert 'Traceback' not in result.stderr
    out = tmp_path / 'out'
    assert not out.exists() or not list(out.iterdir())


def test_a_long_video_is_refused_at_once_and_windows_take_it(tmp_path):
    from tests.fakes.tiny_seqformer import BrightClips
    frames = write_frames(tmp_path / 'clip', clip())
    cfg = config()
    cfg.custom_imports.imports.append('tests.fakes.tiny_seqformer')
    cfg.model = dict(
        type='BrightClips', data_preprocessor=cfg.model.data_preprocessor,
        max_bytes=2 * 12 * 64 * 64,
        ranking=dict(type='LatestClass', score_thr=.01))
    cfg.dump(str(tmp_path / 'a.py'))
    torch.save(dict(state_dict=BrightClips().state_dict()),
               tmp_path / 'a.pth')
    args = (frames, 'a.py', 'a.pth', '--device', 'cpu', '--no-video',
            '--out-dir', 'out')
    result = run_here(*args, cwd=tmp_path)
    assert result.returncode == 1
    assert '0/6' in result.stderr and '1/6' not in result.stderr
    option = 'model.window.type=ClipMatching'
    assert '6 frames of 64x64' in result.stderr
    assert f'--cfg-options {option}' in result.stderr
    result = run_here(*args, '--cfg-options', option, 'model.window.length=2',
                      cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert '6 frames' in result.stdout


def test_masks_are_separated_by_score():
    masks = np.zeros((3, 1, 4), bool)
    masks[0, 0, :3] = masks[1, 0, 1:] = masks[2, 0, 2] = True
    apart = separate_masks(masks, np.array([.5, .9, .7]))
    np.testing.assert_array_equal(apart[:, 0].astype(int), [
        [1, 0, 0, 0],  # loses what the second claims
        [0, 1, 1, 1],  # best: keeps all
        [0, 0, 0, 0],
    ])
    assert separate_masks(masks[:0], np.zeros(0)).shape == (0, 1, 4)
