"""The demo with real systems: their fields, and results that come late."""
import json

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from mmvis_memcnp.apis.outputs import VideoOutputs
from mmvis_memcnp.visualization.files import CODECS, find_codec
from tests.fakes import (
    tiny_idol,
    tiny_instanceformer,
    tiny_seqformer,
    tiny_sipmask,
)
from tests.fakes.colour_blobs import CLASSES, config
from tests.fakes.programs import run_program
from tests.fakes.systems import SYSTEMS
from tests.fakes.tiny_sipmask import noise

DEMO = tiny_sipmask.CONFIGS.parents[2] / 'demo/video_demo.py'
LENGTH, SIZE = 7, (48, 64)
#: Of the last two, results come later than frames.
NAMES = ['idol', 'idol-memcnp', 'seqformer in windows', 'instanceformer']


def model_of(name):
    """Config of a system of the fakes."""
    if name == 'seqformer in windows':
        return tiny_seqformer.tiny_config(
            window=dict(type='ClipMatching', length=3, stride=2))
    if name == 'instanceformer':
        return tiny_instanceformer.tiny_config().model
    file = tiny_idol.MEMCNP if 'memcnp' in name else tiny_idol.PLAIN
    return tiny_idol.tiny_config(file).model


@pytest.fixture(scope='module', params=NAMES)
def done(request, tmp_path_factory):
    """Name, output folder, what was said, and the frame of each result."""
    folder = tmp_path_factory.mktemp('demo')
    cfg = config()
    cfg.model = model_of(request.param)
    cfg.custom_imports.imports = ['mmvis_memcnp']
    cfg.dump(str(folder / 'config.py'))
    torch.save(dict(state_dict=SYSTEMS[request.param]().state_dict(),
                    meta=dict(dataset_meta=dict(classes=CLASSES))),
               folder / 'weights.pth')
    (folder / 'clip').mkdir()
    frames = noise(LENGTH, SIZE, 0).permute(0, 2, 3, 1).numpy()
    for t, frame in enumerate(frames):
        frame[0, 0] = 30 * t  # its number
        cv2.imwrite(str(folder / f'clip/{t}.png'), frame)

    pairs = []
    add = VideoOutputs.add

    def seen(self, frame, result):
        pairs.append((frame[0, 0, 0] // 30, result.frame_id))
        return add(self, frame, result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoOutputs, 'add', seen)
        result = run_program(
            DEMO, 'clip', 'config.py', 'weights.pth', '--out-dir', 'out',
            '--png-masks', '--mots', '--score-thr', 0, '--device', 'cpu',
            cwd=folder)
    assert result.returncode == 0, result.stderr
    return request.param, folder / 'out', result.stdout, pairs


def test_each_result_is_drawn_on_its_frame(done):
    _, out, said, pairs = done
    assert pairs == [(t, t) for t in range(LENGTH)]
    assert f'{LENGTH} frames, ' in said
    capture = cv2.VideoCapture(
        str(out / f'clip{CODECS[find_codec()][1]}'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == LENGTH


def test_pictures_and_json_agree(done):
    _, out, said, _ = done
    tracks = [e['segmentations'] for e in
              json.loads((out / 'clip.json').read_text())]
    assert len(tracks) > 1 and f' {len(tracks)} tracks.' in said
    for t in range(LENGTH):
        named, drawn = np.zeros((2, *SIZE), bool)
        for track in tracks:
            if track[t] is not None:
                named |= coco_mask.decode(track[t]).astype(bool)
        for path in (out / 'clip_masks').glob(f'*/{t:06d}.png'):
            drawn |= cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0
        assert named.any()
        np.testing.assert_array_equal(named, drawn)
    lines = (out / 'clip_mots.txt').read_text().splitlines()
    assert {int(line.split()[0]) for line in lines} == set(range(LENGTH))


def test_uncertainty_is_plotted_where_there_is_one(done):
    name, out, said, _ = done
    assert (out / 'clip_uncertainty.png').is_file() == ('memcnp' in name)
    assert ('uncertainty: none' in said) == ('memcnp' not in name)
