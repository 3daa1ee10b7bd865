"""A killed and resumed run repeats the uninterrupted one to the last bit."""
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import toy_vis  # noqa: F401
from mmengine.config import Config
from mmengine.runner import Runner

import mmvis_memcnp  # noqa: F401
from mmvis_memcnp.cli.preflight import last_checkpoint
from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.engine import AtomicCheckpointHook, AtomicLocalBackend
from mmvis_memcnp.results.ownership import MARKER
from tests.fakes.programs import in_process


def config(work_dir, by_epoch, kill_at=None, num_workers=2, **kwargs):
    """10 clips in batches of 2: epochs of 5; 12 iterations or 3 epochs."""
    if by_epoch:
        train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=3)
    else:
        train_cfg = dict(
            type='ResumableIterTrainLoop', max_iters=12, val_interval=4)
    cfg = dict(
        work_dir=str(work_dir),
        default_scope='mmdet',
        model=dict(type='ToyVIS'),
        train_dataloader=dict(
            batch_size=2,
            num_workers=num_workers,
            dataset=dict(type='ToyClips', size=10),
            sampler=dict(type='ResumableSampler')),
        train_cfg=train_cfg,
        val_dataloader=dict(
            batch_size=1,
            num_workers=0,
            dataset=dict(type='ToyVideos'),
            sampler=dict(type='DefaultSampler', shuffle=False)),
        val_cfg=dict(type='VideoValLoop'),
        val_evaluator=dict(type='ToyMetric'),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        param_scheduler=dict(
            type='MultiStepLR', by_epoch=by_epoch,
            milestones=[1, 2] if by_epoch else [3, 8]),
        default_hooks=dict(
            checkpoint=dict(
                type='AtomicCheckpointHook', by_epoch=False, interval=3,
                max_keep_ckpts=1)),
        custom_hooks=[
            dict(type='LossFile', path=str(work_dir / 'losses.txt'),
                 kill_at=kill_at)
        ],
        log_level='ERROR')
    cfg.update(kwargs)
    return Config(cfg)


def train(cfg):
    torch.set_num_threads(1)
    Runner.from_cfg(cfg).train()


def losses(work_dir):
    """Iteration to loss; a repeated iteration must repeat its loss."""
    table = {}
    for line in (work_dir / 'losses.txt').read_text().splitlines():
        iteration, loss = line.split()
        assert table.setdefault(int(iteration), loss) == loss
    return table


# Iterations 7 and 10: in the middle and at the end of an epoch of 5.
@pytest.mark.parametrize('by_epoch, kill_at, workers', [(False, 7, 2),
                                                        (True, 7, 2),
                                                        (True, 10, 0)])
def test_killed_run_resumes_exactly(tmp_path, by_epoch, kill_at, workers):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    for folder in (whole, broken):
        folder.mkdir()
    seed = dict(randomness=dict(seed=5), num_workers=workers)
    assert in_process(train, config(whole, by_epoch, **seed)) == 0

    assert in_process(train, config(broken, by_epoch, kill_at,
                                    **seed)) == -signal.SIGKILL
    assert len(losses(broken)) == kill_at
    # No seed on the command line: the run's own comes from the checkpoint.
    resumed = config(
        broken, by_epoch, num_workers=workers, resume=True,
        load_from=last_checkpoint(str(broken)))
    assert in_process(train, resumed) == 0

    expected = losses(whole)
    assert len(expected) == (15 if by_epoch else 12)
    assert len(set(expected.values())) == len(expected)
    assert losses(broken) == expected


def test_losses_do_not_depend_on_the_number_of_workers(tmp_path):
    tables = []
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        cfg = config(
            folder, False, num_workers=workers, randomness=dict(seed=1))
        assert in_process(train, cfg) == 0
        tables.append(losses(folder))
    assert tables[0] == tables[1]


def _die_while_writing(path):
    real = os.fsync

    def die(descriptor):
        real(descriptor)
        os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = die
    AtomicLocalBackend().put(b'new', path)


def test_kill_while_writing_leaves_the_former_file(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'former')
    assert in_process(_die_while_writing, path) == -signal.SIGKILL
    assert path.read_bytes() == b'former'
    AtomicLocalBackend().put(b'newer', path)
    assert path.read_bytes() == b'newer'
    assert sorted(os.listdir(tmp_path)) == [MARKER, 'file']


def _train_and_die_in_save(cfg, save):
    """Kill in the middle of writing the ``save``-th file."""
    real, count = os.fsync, 0

    def fsync(descriptor):
        nonlocal count
        count += 1
        if count == save:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    os.fsync = fsync
    train(cfg)


# Files are written in turn: checkpoint 3, its note, checkpoint 6, its note.
@pytest.mark.parametrize('save, left', [(2, None), (3, 3), (4, 3)])
def test_kill_while_saving_leaves_a_checkpoint(tmp_path, save, left):
    cfg = config(tmp_path, False, num_workers=0, randomness=dict(seed=1))
    code = in_process(_train_and_die_in_save, cfg, save)
    assert code == -signal.SIGKILL
    path = last_checkpoint(str(tmp_path))
    if left is None:
        assert path is None
        return
    assert Path(path).name == f'iter_{left}.pth'
    assert load_checkpoint_file(path)['meta']['iter'] == left


def test_only_wanted_checkpoints_stay(tmp_path):
    cfg = config(tmp_path, False, num_workers=0, randomness=dict(seed=1))
    assert in_process(train, cfg) == 0
    assert [p.name for p in tmp_path.glob('*.pth*')] == ['iter_12.pth']


def _best_of(folder):
    return {p.name for p in folder.glob('best_*')}


# Validations after 4, 8 and 12 iterations.
@pytest.mark.parametrize('scores, left', [
    # One score: the best of all alone is left.
    (dict(AP=[.1, .3, .2]), {'best_AP_iter_8.pth'}),
    # Every score has its own.
    (dict(AP=[.1, .3, .2], IDF1=[.5, .4, .6]),
     {'best_AP_iter_8.pth', 'best_IDF1_iter_12.pth'}),
])
def test_best_checkpoint_of_each_score_is_left(tmp_path, scores, left):
    cfg = config(tmp_path, False, num_workers=0,
                 val_evaluator=dict(type='RisingMetric', scores=scores))
    cfg.default_hooks.checkpoint.update(save_best=list(scores),
                                        rule='greater')
    assert in_process(train, cfg) == 0
    assert _best_of(tmp_path) == left


def test_training_resumed_in_another_folder_leaves_the_best_there(tmp_path):
    former, new = tmp_path / 'former', tmp_path / 'new'
    for folder, iters in ((former, 6), (new, 12)):
        folder.mkdir()
        cfg = config(folder, False, num_workers=0,
                     val_evaluator=dict(type='RisingMetric',
                                        scores=dict(AP=[iters, iters + 1])))
        cfg.train_cfg.max_iters = iters
        cfg.default_hooks.checkpoint.save_best = 'AP'
        cfg.default_hooks.checkpoint.rule = 'greater'
        if folder == new:
            cfg.update(load_from=str(former / 'iter_6.pth'), resume=True)
        assert in_process(train, cfg) == 0
    assert _best_of(former) == {'best_AP_iter_6.pth'}
    assert _best_of(new) == {'best_AP_iter_12.pth'}


def _train_and_die_in_file(cfg, name):
    """Kill while the file of this name is written."""
    put = AtomicLocalBackend.put

    def die(self, obj, filepath):
        if Path(filepath).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        put(self, obj, filepath)

    AtomicLocalBackend.put = die
    train(cfg)


def test_kill_while_saving_the_best_leaves_the_former_best(tmp_path):
    cfg = config(tmp_path, False, num_workers=0,
                 val_evaluator=dict(type='RisingMetric',
                                    scores=dict(AP=[1, 2, 3])))
    cfg.default_hooks.checkpoint.update(save_best='AP', rule='greater')
    code = in_process(_train_and_die_in_file, cfg, 'best_AP_iter_8.pth')
    assert code == -signal.SIGKILL
    assert _best_of(tmp_path) == {'best_AP_iter_4.pth'}


def test_interval_between_accumulated_steps_is_refused():
    hook = AtomicCheckpointHook(interval=3, by_epoch=False)
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(_accumulative_counts=2))
    with pytest.raises(ValueError, match='not a multiple of accumulative'):
        hook.before_train(runner)
