"""The blocks of the pages that are marked to run, on small data."""
import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools import mask as coco_mask

from mmvis_memcnp.datasets.class_counts import class_counts, sync_classes
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from tests.fakes.programs import forget_runs, run_program

from .pages import PAGES, ROOT, blocks

WEIGHTS = ROOT / 'demo/weights/sipmask-memcnp_r18_movingshapes.pth'
CONFIG = 'configs/sipmask/sipmask-memcnp_r18_movingshapes.py'
TINY = ('train_cfg.max_iters=2 train_cfg.val_interval=2 '
        'train_dataloader.batch_size=2 train_dataloader.num_workers=0 '
        'train_dataloader.persistent_workers=False '
        'val_dataloader.num_workers=0 '
        'val_dataloader.persistent_workers=False '
        'param_scheduler.0.end=1 param_scheduler.1.begin=1 '
        'param_scheduler.1.end=2 default_hooks.checkpoint.interval=2')
#: Pages with recipes; those of configs have tests of their own.
RECIPES = [page for page in PAGES
           if blocks(page) and not page.startswith('configs/')]

pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason='the demo weights are not there')


def shrink(text: str) -> str:
    """The same commands on little data and two iterations."""
    for pattern, value in ((r'--videos \d+', '--videos 2'),
                           (r'--frames \d+', '--frames 3'),
                           (r'\bDEV\.json\b', 'GT.json'),
                           (r'\bDEV_FRAMES\b',
                            'data/moving_shapes/easy/val/JPEGImages'),
                           (r'\bCONFIG\b', CONFIG),
                           (r'\bCHECKPOINT\b', str(WEIGHTS))):
        text = re.sub(pattern, value, text)
    text = text.replace('--cfg-options', f'--cfg-options {TINY}')
    return re.sub(r'(--work-dir work_dirs/memcnp)$',
                  rf'\1 --cfg-options {TINY}', text, flags=re.M)


def make_shapes(folder: Path) -> None:
    """Two validation videos, whose json is GT.json too."""
    made = generate(folder / 'data/moving_shapes/easy/val', 2, 3, (128, 192),
                    1, 'easy')
    (folder / 'GT.json').write_bytes(made.read_bytes())


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


def unknown_keys(new: dict, base: dict) -> list[str]:
    """Keys of a config that its base has not, below parts that it keeps."""
    found = []
    for key, value in new.items():
        if key not in base:
            found.append(key)
        elif isinstance(value, dict) and isinstance(base[key], dict) and not \
                {'type', '_delete_'} & value.keys():
            found += [f'{key}.{k}' for k in unknown_keys(value, base[key])]
    return found


def check_config(text: str, folder: Path) -> None:
    """A block that is a config: its base has its keys, and its parts can be
    built."""
    (folder / 'mine.py').write_text(text)
    cfg = Config.fromfile(folder / 'mine.py')
    base = Config.fromfile(folder / re.findall("'(.+?)'", text)[0])
    names: dict = {}
    exec(text.replace('_base_.', 'base.'), dict(base=base), names)
    settings = {key: value for key, value in names.items()
                if key in base or not re.search(rf'\b{key}\b[,)\]]', text)}
    del settings['_base_']
    assert settings and unknown_keys(settings, base) == []
    init_default_scope('mmdet')
    classes = sync_classes(cfg)
    assert classes
    for names in re.findall(r'classes=(\(.+?\))', text):
        assert repr(classes) == names
    for transform in cfg.get('coco_pipeline', ()):
        TRANSFORMS.build(transform)
    cfg.model.get('segmenter', cfg.model).backbone.init_cfg = None
    MODELS.build(cfg.model)
    assert class_counts(cfg.model) == {len(classes)}


def run_block(language: str, text: str, folder: Path) -> str:
    """Run a block as a reader would in the root of the repository, but in
    this process, which saves the imports.

    Returns:
        str: What it prints.
    """
    if language == 'python':
        with contextlib.chdir(folder), \
                contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(text, {})
        return printed.getvalue()
    printed = io.StringIO()
    for line in shrink(text).replace('\\\n', ' ').splitlines():
        line = re.sub(r'\$\(cat (\S+)\)',
                      lambda found: (folder / found[1]).read_text(), line)
        python, tool, *args = shlex.split(line)
        assert python == 'python'
        forget_runs()
        done = run_program(folder / tool, *args, cwd=folder)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        printed.write(done.stdout)
    return printed.getvalue()


@pytest.mark.parametrize('page', RECIPES)
def test_recipes(page: str, tmp_path: Path) -> None:
    """The blocks of a page, one after the other in one folder."""
    for name in ('configs', 'tools', 'demo', 'tests'):
        (tmp_path / name).symlink_to(ROOT / name)
    texts = '\n'.join(text for _, text in blocks(page))
    if 'my_data' in texts:
        make_own_data(tmp_path)
    if 'GT.json' in texts or 'calibration.py' in texts:
        make_shapes(tmp_path)
    for language, text in blocks(page):
        if language == 'python' and text.startswith('_base_ = '):
            check_config(text, tmp_path)
            continue
        printed = run_block(language, text, tmp_path)
        if 'video_demo' in text:
            out, = re.findall(r'--out-dir (\S+)', text)
            assert [p for p in (tmp_path / out).iterdir()
                    if p.suffix in ('.mp4', '.webm')]
        if 'test.py' in text or 'eval_json' in text:
            assert 'AP50' in printed


@pytest.mark.parametrize('new, wrong', [
    (dict(train_cfg=dict(assigner=1)), ['train_cfg.assigner']),  # no such key
    (dict(train_cfg=dict(max_iters=1)), []),
    (dict(train_cfg=dict(type='B', other=1)), []),  # another part's
    (dict(maker=1), ['maker'])])
def test_keys_that_the_base_lacks_are_found(new: dict, wrong: list) -> None:
    assert unknown_keys(new, dict(train_cfg=dict(max_iters=9))) == wrong


def test_there_are_recipes() -> None:
    text = '\n'.join(t for _, t in blocks('README.md'))
    for tool in ('train.py', 'test.py', 'video_demo.py', 'davis2ytvis.py',
                 'VISInferencer'):
        assert tool in text
    assert len(RECIPES) >= 7
