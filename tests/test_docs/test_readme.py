"""The README's recipes run as printed, on smaller numbers."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmvis_memcnp.datasets.moving_shapes.generate import generate

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / 'demo/weights/sipmask-memcnp_r18_movingshapes.pth'
BLOCK = re.compile(r'<!-- run -->\n```(bash|python)\n(.*?)```', re.S)
TINY = ('train_cfg.max_iters=2 train_cfg.val_interval=2 '
        'train_dataloader.batch_size=2 train_dataloader.num_workers=0 '
        'train_dataloader.persistent_workers=False '
        'val_dataloader.num_workers=0 '
        'val_dataloader.persistent_workers=False '
        'param_scheduler.0.end=1 param_scheduler.1.begin=1 '
        'param_scheduler.1.end=2 default_hooks.checkpoint.interval=2')

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason='the demo weights are not there')


def recipes() -> list[tuple[str, str]]:
    """Language and text of every block of the README marked to be run."""
    return BLOCK.findall((ROOT / 'README.md').read_text())


def shrink(text: str) -> str:
    """The same commands on little data and two iterations."""
    for pattern, value in ((r'--videos \d+', '--videos 2'),
                           (r'--frames \d+', '--frames 3')):
        text = re.sub(pattern, value, text)
    text = text.replace('--cfg-options', f'--cfg-options {TINY}')
    return re.sub(r'(--work-dir work_dirs/memcnp)$',
                  rf'\1 --cfg-options {TINY}', text, flags=re.M)


def make_own_data(folder: Path) -> None:
    """Frames and palette masks of two videos, in the form of DAVIS."""
    made = generate(folder / 'made', 2, 3, (64, 96), 3, 'easy').parent
    data = json.loads((made / 'instances.json').read_text())
    (folder / 'my_data').mkdir()
    (made / 'JPEGImages').rename(folder / 'my_data/JPEGImages')
    for video in data['videos']:
        objects = [a for a in data['annotations']
                   if a['video_id'] == video['id']]
        for t, name in enumerate(video['file_names']):
            picture = np.zeros((video['height'], video['width']), np.uint8)
            for i, track in enumerate(objects, 1):
                rle = track['segmentations'][t]
                if rle is None:
                    continue
                if isinstance(rle['counts'], list):
                    rle = coco_mask.frPyObjects(rle, *rle['size'])
                picture[coco_mask.decode(rle) > 0] = i
            path = folder / 'my_data/Annotations' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(picture, mode='P')
            image.putpalette(list(range(256)) * 3)
            image.save(path.with_suffix('.png'))


@pytest.mark.parametrize('index', range(len(recipes())))
def test_recipe(index: int, tmp_path: Path) -> None:
    language, text = recipes()[index]
    for name in ('configs', 'tools', 'demo'):
        (tmp_path / name).symlink_to(ROOT / name)
    if 'my_data' in text:
        make_own_data(tmp_path)
    if language == 'python':
        command = [sys.executable, '-c', text]
    else:
        command = ['bash', '-euc', shrink(text)]
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    env = dict(os.environ, PATH=path, OMP_NUM_THREADS='1',
               PYTHONPATH=str(ROOT))
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    if 'video_demo' in text:
        folder, = re.findall(r'--out-dir (\S+)', text)
        assert list((tmp_path / folder).glob('*.mp4'))
    if 'test.py' in text:
        assert 'AP50' in done.stdout


def test_there_are_recipes() -> None:
    text = '\n'.join(t for _, t in recipes())
    for tool in ('train.py', 'test.py', 'video_demo.py', 'davis2ytvis.py',
                 'VISInferencer'):
        assert tool in text
