"""tools/test.py on two processes scores and writes what one does."""
import json
import os
from pathlib import Path

import pytest
import torch

from mmvis_memcnp.datasets.moving_shapes.generate import generate
from tests.fakes.programs import START, forget_runs, run_program

ROOT = Path(__file__).resolve().parents[2]
NAME = 'sipmask-memcnp_r18_movingshapes'
ARGS = (ROOT / f'configs/sipmask/{NAME}.py', ROOT / f'demo/weights/{NAME}.pth',
        '--classwise', '--reliability')


#: The second process gets the first and the last video.
LENGTHS = (2, 5, 3)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Three videos, of which one alone is in ``one.json``."""
    path = tmp_path_factory.mktemp('sharded')
    generate(path, 3, max(LENGTHS), (64, 96), 1000, 'easy')
    truth = json.loads((path / 'instances.json').read_text())
    lengths = {v['id']: n
               for v, n in zip(truth['videos'], LENGTHS, strict=True)}
    for video in truth['videos']:
        video['length'] = lengths[video['id']]
        video['file_names'] = video['file_names'][:video['length']]
    for a in truth['annotations']:
        for key in ('segmentations', 'bboxes', 'areas'):
            a[key] = a[key][:lengths[a['video_id']]]
    (path / 'three.json').write_text(json.dumps(truth))
    alone = truth['videos'][1]['id']
    truth['videos'] = truth['videos'][1:2]
    truth['annotations'] = [a for a in truth['annotations']
                            if a['video_id'] == alone]
    (path / 'one.json').write_text(json.dumps(truth))
    return path


def run_test(folder, ann_file, run, *args):
    """Run the tool; its scores and results are in the folder ``run``."""
    options = [f'test_dataloader.{option}' for option in (
        'num_workers=0', 'persistent_workers=False', 'dataset.data_root=',
        'dataset.data_prefix.img_path=JPEGImages')]
    forget_runs()
    done = run_program(
        ROOT / 'tools/test.py', *ARGS, '--ann-file', ann_file, '--out',
        f'{run}/results.json', '--work-dir', run, *args, '--cfg-options',
        *options, cwd=folder)
    assert done.returncode == 0, done.stderr


def _rank(rank, folder, ann_file, run):
    # What torchrun sets, but for a port, which may be taken.
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.set_num_threads(1)
    init = torch.distributed.init_process_group
    torch.distributed.init_process_group = lambda backend, **_: init(
        backend, init_method=f'file://{folder}/{run}.store', rank=rank,
        world_size=2)
    run_test(folder, ann_file, run, '--launcher', 'pytorch')
    torch.distributed.destroy_process_group()


def found(folder, run):
    """Scores of a run, and the bytes of its results."""
    log, = (folder / run).glob('*/*.json')
    scores = json.loads(log.read_text())
    # How long it took.
    scores = {k: v for k, v in scores.items() if 'time' not in k}
    return scores, (folder / run / 'results.json').read_bytes()


# Of one video, the second process has none.
@pytest.mark.parametrize('ann_file, videos', [
    ('three.json', 3), ('one.json', 1)])
def test_two_processes_are_one(folder, ann_file, videos):
    one, two = f'one_{videos}', f'two_{videos}'
    run_test(folder, ann_file, one)
    torch.multiprocessing.start_processes(
        _rank, (folder, ann_file, two), nprocs=2, start_method=START)
    scores, results = found(folder, one)
    assert scores['AP'] > .3 and scores['reliability/num_pairs'] > 5
    assert len({e['video_id'] for e in json.loads(results)}) == videos
    shared_scores, shared_results = found(folder, two)
    assert shared_scores == scores
    assert shared_results == results
