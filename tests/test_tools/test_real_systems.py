"""Every system from a json on disk: trained, resumed, tested and scored."""
import json
import math
import os
import signal
from itertools import groupby
from pathlib import Path

import pytest
import torch
from pycocotools import mask as coco_mask

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from mmvis_memcnp.engine import AtomicCheckpointHook
from tests.fakes.programs import forget_runs, in_process, run_program

ROOT = Path(__file__).resolve().parents[2]
#: The small config of each system that has one, and those with a memory.
CONFIGS = {
    path.stem.split('_')[0]: path
    for path in sorted(ROOT.glob('configs/*/*_movingshapes.py'))
    if path.stem.split('_')[1:] in (['r18', 'movingshapes'],
                                    ['vit-t', 'movingshapes'])}
SYSTEMS = [name for name in (
    'sipmask-memcnp', 'idol', 'seqformer-memcnp', 'instanceformer', 'minvis',
    'ctvis', 'dvis-daq-memcnp', 'dvis-daq-offline', 'mask2former-vis', 'ifr',
    'o2vis', 'o2vis-offline', 'videomt-memcnp')
    if name in CONFIGS]
SIZE, LENGTH, ITERS = (64, 96), 4, 4
#: Parts that stay as they are.
FROZEN = {'dvis-daq-memcnp': ('segmenter', ),
          'dvis-daq-offline': ('segmenter', 'tracker'),
          'o2vis': ('segmenter', ),
          'o2vis-offline': ('segmenter', 'tracker')}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two training and two validation videos, as the converter writes them.
    """
    path = tmp_path_factory.mktemp('systems')
    for part, seed in (('train', 0), ('val', 1000)):
        generate(path / 'data' / part, 2, LENGTH, SIZE, seed, 'easy')
    return path


def run(tool, folder, *args):
    forget_runs()
    done = run_program(ROOT / f'tools/{tool}.py', *args, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def train(folder, name, work_dir, *args):
    """Four iterations of a config, a checkpoint every second."""
    run('train', folder, CONFIGS[name], '--work-dir', work_dir, *args,
        '--cfg-options', *data('train'), *data('val'),
        # Offline starts from an online training, which is not shipped.
        *(['load_from=None'] if 'offline' in name else weights(name)),
        'val_evaluator.ann_file=data/val/instances.json',
        'train_dataloader.batch_size=2', f'train_cfg.max_iters={ITERS}',
        'train_cfg.val_interval=100', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=2')


def data(part):
    """Options that read a loader's data from the folder."""
    return [f'{part}_dataloader.{option}' for option in (
        'num_workers=0', 'persistent_workers=False', 'dataset.data_root=',
        f'dataset.ann_file=data/{part}/instances.json',
        f'dataset.data_prefix.img_path=data/{part}/JPEGImages')]


def weights(name):
    """Weights that find the shapes, where they are shipped."""
    shipped = ROOT / f'demo/weights/{name}_r18_movingshapes.pth'
    return [f'load_from={shipped}'] if shipped.is_file() else []


@pytest.fixture(scope='module', params=SYSTEMS)
def trained(request, folder):
    """Name and work dir of a training."""
    train(folder, request.param, request.param)
    return request.param, folder / request.param


def state(work_dir, iteration):
    return load_checkpoint_file(
        work_dir / f'iter_{iteration}.pth')['state_dict']


def logged(work_dir):
    """What the training wrote of each iteration."""
    path, = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in path.read_text().splitlines()]


def part(key):
    return key.split('.')[0]


def test_every_part_is_trained(trained):
    name, work_dir = trained
    *rows, validated = logged(work_dir)
    assert 0 <= validated['AP'] <= 1
    assert [row['step'] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        values = [v for k, v in row.items() if 'loss' in k]
        assert len(values) > 4 and all(map(math.isfinite, values))
    before, after = state(work_dir, 2), state(work_dir, 4)
    assert before.keys() == after.keys()
    for owner, keys in groupby(sorted(after), part):
        keys = list(keys)
        # Only the trackers of DVIS-DAQ and O2VIS learn; offline only the
        # refiner.
        frozen = owner in FROZEN.get(name, ())
        assert any(not torch.equal(before[k], after[k])
                   for k in keys) != frozen, owner
    bank = [k for k in after if k.endswith('bank.items')]
    assert bool(bank) == ('memcnp' in name)
    assert all(not torch.equal(before[k], after[k]) for k in bank)


def test_what_is_written_is_what_is_scored(trained, folder):
    name, work_dir = trained
    out, annotations = f'{name}.json', 'data/val/instances.json'
    run('test', folder, CONFIGS[name], work_dir / f'iter_{ITERS}.pth',
        '--work-dir', f'{name}_test', '--out', out, '--cfg-options',
        *data('val'), f'val_evaluator.ann_file={annotations}')
    entries = json.loads((folder / out).read_text())
    assert {e['video_id'] for e in entries} == {1, 2}
    assert all(1 <= e['category_id'] <= 6 and 0 < e['score'] <= 1 and
               len(e['segmentations']) == LENGTH for e in entries)
    masks = [m for e in entries for m in e['segmentations'] if m is not None]
    assert all(m['size'] == list(SIZE) for m in masks)
    # The decoder of IFR starts anew and has no mask yet.
    assert max(map(coco_mask.area, masks)) > 0 or name == 'ifr'
    scores, = (folder / f'{name}_test').glob('*/*.json')
    scores = json.loads(scores.read_text())
    assert scores['AP'] == logged(work_dir)[-1]['AP']  # while training
    again = run('../tools/analysis_tools/eval_json', folder, annotations,
                out, '--json')
    again = json.loads(again.stdout.splitlines()[-1])
    assert scores['AP'] == pytest.approx(again['AP'], abs=1e-9)
    if weights(name):
        assert scores['AP50'] > .5


def _die(folder, name, work_dir, at):
    """Train, and be killed after an iteration that saves nothing."""
    after = AtomicCheckpointHook.after_train_iter

    def kill(self, runner, *args, **kwargs):
        after(self, runner, *args, **kwargs)
        if runner.iter + 1 == at:
            os.kill(os.getpid(), signal.SIGKILL)

    AtomicCheckpointHook.after_train_iter = kill
    train(folder, name, work_dir)


@pytest.mark.parametrize('trained', ['sipmask-memcnp'], indirect=True)
def test_a_killed_training_goes_on(trained, folder):
    """To the last bit, the memory and the optimiser too."""
    name, whole = trained
    broken = folder / f'{name}_broken'
    assert in_process(_die, folder, name, broken, 3) == -signal.SIGKILL
    assert (broken / 'last_checkpoint').read_text().endswith('iter_2.pth')
    train(folder, name, broken, '--resume')
    one, two = (load_checkpoint_file(run / f'iter_{ITERS}.pth')
                for run in (whole, broken))
    for kept in ('state_dict', 'optimizer'):
        a, b = (dict(leaves(found[kept])) for found in (one, two))
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert torch.equal(torch.as_tensor(value),
                               torch.as_tensor(b[key])), key


def leaves(node, path=''):
    """Path and value of numbers and tensors."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f'{path}/{key}')
    elif isinstance(node, (list, tuple)):
        yield from leaves(dict(enumerate(node)), path)
    elif isinstance(node, (int, float, torch.Tensor)):
        yield path, node
