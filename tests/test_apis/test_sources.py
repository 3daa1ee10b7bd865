"""Every kind of source, and what is said about bad ones."""
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvis_memcnp.apis import SourceError, open_source
from mmvis_memcnp.apis.sources import natural_key
from tests.fakes.colour_blobs import clip, write_video


@pytest.fixture
def frames():
    """12 flat frames; the grey level is 10 times the number."""
    return np.stack([np.full((16, 24, 3), 10 * t, np.uint8)
                     for t in range(12)])


@pytest.fixture
def folder(tmp_path, frames):
    """Frames as PNG, numbered without leading zeros, and a stray file."""
    path = tmp_path / 'my clip'
    path.mkdir()
    for t, frame in enumerate(frames):
        cv2.imwrite(str(path / f'f{t}.png'), frame)
    (path / 'notes.txt').write_text('not a frame')
    return path


def levels(source, **kwargs):
    return [int(frame[0, 0, 0]) for frame in open_source(source, **kwargs)]


EXPECTED = [10 * t for t in range(12)]


def test_natural_order():
    names = ['f10.png', 'f2.png', 'F1.png', 'a/f1.png', '2.png', '10.png']
    assert sorted(names, key=natural_key) == [
        '2.png', '10.png', 'F1.png', 'a/f1.png', 'f2.png', 'f10.png'
    ]


def test_folder_glob_list_and_arrays(folder, frames):
    assert levels(folder) == EXPECTED
    assert levels(str(folder)) == EXPECTED
    assert levels(f'{folder}/f1*.png') == [10, 100, 110]
    assert levels([folder / 'f3.png', str(folder / 'f1.png')]) == [30, 10]
    assert levels(frames) == EXPECTED
    assert levels(list(frames)) == EXPECTED
    assert levels(frame for frame in frames) == EXPECTED
    assert levels(folder / 'f7.png') == [70]


def test_length_name_and_limit(folder, frames):
    source = open_source(folder, max_frames=5)
    assert (source.length, source.name, source.live) == (5, 'my clip', False)
    assert len(list(source)) == 5
    assert len(list(source)) == 5  # from the beginning again
    assert open_source(iter(frames)).length is None
    with pytest.raises(SourceError, match='at least 1'):
        open_source(folder, max_frames=0)


@pytest.mark.parametrize('name, codec', [('a.avi', 'MJPG'), ('a.mp4', 'mp4v')])
def test_video(tmp_path, name, codec):
    wanted = clip(9, 32, 48)
    source = open_source(write_video(tmp_path / name, wanted, codec, fps=12))
    assert (source.length, source.fps, source.name) == (9, 12, 'a')
    got = np.stack(list(source))
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).mean() < 8  # the codec loses some


def cut(path, share):
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[:int(len(data) * share)])


def test_video_without_its_index(tmp_path):
    path = write_video(tmp_path / 'a.mp4', clip(20), 'mp4v')
    cut(path, .5)
    with pytest.raises(SourceError, match='a.mp4 cannot be opened as a video'):
        open_source(path)


def test_video_that_breaks_off(tmp_path):
    path = write_video(tmp_path / 'a.avi', clip(40), 'MJPG')
    cut(path, .5)
    with pytest.raises(SourceError, match=r'breaks off after \d+ of 40 frame'):
        list(open_source(path))
    kept = list(open_source(path, allow_broken=True))
    assert 10 < len(kept) < 30
    # whoever asked for few enough frames never meets the break
    assert len(list(open_source(path, max_frames=10))) == 10


def test_video_without_frames(tmp_path):
    path = tmp_path / 'a.avi'
    write_video(path, clip(2)[:0])
    with pytest.raises(SourceError, match='a.avi'):
        list(open_source(path))


def test_not_a_video(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'this is text')
    with pytest.raises(SourceError, match='a.mp4 cannot be opened'):
        open_source(path)


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_image_that_is_cut_off(tmp_path, suffix):
    rng = np.random.default_rng(0)
    for t in range(3):
        cv2.imwrite(str(tmp_path / f'{t}.{suffix}'),
                    rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    cut(tmp_path / f'1.{suffix}', .7)
    frames = iter(open_source(tmp_path))
    next(frames)
    with pytest.raises(SourceError, match=f'1.{suffix} is cut off'):
        next(frames)


def test_sizes_that_differ(tmp_path):
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((8, 10, 3), np.uint8))
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((8, 12, 3), np.uint8))
    with pytest.raises(SourceError, match='Frame 1 .* is 12x8 .* are 10x8'):
        list(open_source(tmp_path))


@pytest.mark.parametrize('source, message', [
    ('nowhere.mp4', 'no video, folder or image at nowhere.mp4'),
    ('nowhere/*.jpg', 'No image matches'),
    ([], 'empty'),
    ('webcam:97', 'webcam 97 cannot be opened'),
    ([np.zeros((4, 4), np.uint8)], 'Frame 0 .* got uint8 of shape'),
    ([np.zeros((4, 4, 3), np.float32)], 'Frame 0 .* got float32'),
    ([None], 'Frame 0 .* got a NoneType'),
    (iter([]), 'frames has no frames'),
])
def test_bad_sources(source, message):
    with pytest.raises(SourceError, match=message) as info:
        list(open_source(source))
    assert '\n' not in str(info.value)


def test_folder_without_images(tmp_path):
    with pytest.raises(SourceError, match='has no images'):
        open_source(tmp_path)
