"""Frames reach the model in video order, videos the evaluator once."""
import os
import socket
import traceback

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from test_resume import config, in_process

from mmvis_memcnp.errors import UserError

# Video 10 + v of length l has the pixels 100 v, 100 v + 1, ...
FRAMES = {10: [0, 1, 2], 11: [100], 12: [200, 201, 202, 203]}


@HOOKS.register_module(force=True)
class FrameLog(Hook):
    """Notes what the hooks around an iteration are given."""

    def __init__(self):
        self.before, self.after = [], []

    def before_test_iter(self, runner, batch_idx, data_batch=None):
        self.before.append(batch_idx)

    def after_test_iter(self, runner, batch_idx, data_batch=None,
                        outputs=None):
        meta = data_batch['data_samples'][0].video_data_samples[0].metainfo
        self.after.append((batch_idx, meta['frame_id'], outputs))


def test_config(work_dir, dataset=None, sampler='VideoFrameSampler',
                batch_size=1, num_workers=0, **loop):
    return Config(
        dict(
            work_dir=str(work_dir),
            default_scope='mmdet',
            model=dict(type='ToyVIS'),
            test_dataloader=dict(
                batch_size=batch_size,
                num_workers=num_workers,
                dataset=dataset or dict(type='ToyVideos'),
                sampler=dict(type=sampler)),
            test_cfg=dict(type='VideoTestLoop', **loop),
            test_evaluator=dict(type='ToyMetric'),
            custom_hooks=[dict(type='FrameLog')],
            log_level='ERROR'))


test_config.__test__ = False  # Makes a config; no test.


def run(cfg):
    """Test; returns the results by video id and the hook."""
    runner = Runner.from_cfg(cfg)
    metrics = runner.test()
    results = {r['video_id']: r for r in metrics['results']}
    assert len(results) == metrics['videos']
    hook = [h for h in runner.hooks if isinstance(h, FrameLog)][0]
    return results, hook


@pytest.mark.parametrize('chunk, chunks', [
    (1, {10: [1, 1, 1], 11: [1], 12: [1, 1, 1, 1]}),
    (3, {10: [3], 11: [1], 12: [3, 1]}),
    (10, {10: [3], 11: [1], 12: [4]}),
])
def test_one_session_a_video(tmp_path, chunk, chunks):
    results, hook = run(test_config(tmp_path, chunk=chunk))
    for video_id, frames in FRAMES.items():
        result = results[video_id]
        assert result['num_frames'] == len(frames)
        assert result['tracks']['frames'] == frames
        assert result['tracks']['chunks'] == chunks[video_id]
        assert result['tracks']['meta']['video_id'] == video_id
    # Every frame has its hooks, with its own batch and result.
    assert hook.before == list(range(8))
    assert hook.after == [(i, f, [f])
                          for i, f in enumerate([0, 1, 2, 0, 0, 1, 2, 3])]


def test_workers_read_ahead_in_order(tmp_path):
    results, _ = run(test_config(tmp_path, num_workers=2, chunk=2))
    assert {k: r['tracks']['frames'] for k, r in results.items()} == FRAMES


def test_chunk_ends_where_the_size_changes(tmp_path):
    dataset = dict(
        type='ToyVideos', lengths=[4], sizes={(0, 2): 6, (0, 3): 6})
    results, _ = run(test_config(tmp_path, dataset, chunk=3))
    assert results[10]['tracks']['chunks'] == [2, 2]


@pytest.mark.parametrize('changes, sentence', [
    (dict(dataset=dict(type='ToyVideos', lengths=[])), 'is empty'),
    (dict(batch_size=2), 'one frame a batch'),
    (dict(chunk=0), 'chunk must be at least 1'),
])
def test_bad_set_ups_are_refused(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        run(test_config(tmp_path, **changes))


def test_videos_in_pieces_are_refused(tmp_path):
    cfg = test_config(tmp_path, sampler='DefaultSampler')
    cfg.test_dataloader.sampler = dict(
        type='DefaultSampler', shuffle=True, seed=0)
    with pytest.raises(UserError, match='in pieces'):
        run(cfg)


def _free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def _rank(rank, port, function, folder):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    try:
        torch.save(function(folder), folder / f'rank{rank}.pth')
    except BaseException:
        (folder / f'rank{rank}.err').write_text(traceback.format_exc())
        raise
    finally:
        torch.distributed.destroy_process_group()


def _two_ranks(port, function, folder):
    torch.multiprocessing.start_processes(
        _rank, (port, function, folder), nprocs=2, start_method='fork')


def on_two_ranks(function, folder):
    """Run in two processes that talk through gloo; returns both results."""
    code = in_process(_two_ranks, _free_port(), function, folder)
    errors = [path.read_text() for path in folder.glob('rank*.err')]
    assert code == 0 and not errors, '\n'.join(errors)
    return [torch.load(folder / f'rank{r}.pth') for r in range(2)]


def _test_distributed(folder):
    cfg = test_config(folder, chunk=2)
    cfg.launcher = 'pytorch'
    runner = Runner.from_cfg(cfg)
    frames = len(runner.test_dataloader.sampler)
    metrics = runner.test()
    return dict(
        frames=frames,
        results={r['video_id']: r['tracks']['frames']
                 for r in metrics['results']})


def test_two_ranks_share_the_videos(tmp_path):
    first, second = on_two_ranks(_test_distributed, tmp_path)
    assert sorted([first['frames'], second['frames']]) == [4, 4]
    assert first['results'] == second['results'] == FRAMES


def _test_padded(folder):
    cfg = test_config(
        folder, dict(type='ToyVideos', lengths=[1, 1, 1]), 'DefaultSampler')
    cfg.test_dataloader.sampler.shuffle = False
    cfg.launcher = 'pytorch'
    try:
        Runner.from_cfg(cfg).test()
    except UserError as error:
        return str(error)


def test_padding_sampler_is_refused(tmp_path):
    for message in on_two_ranks(_test_padded, tmp_path):
        assert 'gave 4 videos' in message and '3 of them' in message


def _train_distributed(folder):
    cfg = config(folder, False, num_workers=0, randomness=dict(seed=2))
    cfg.launcher = 'pytorch'
    cfg.custom_hooks = [dict(type='NaNStopHook')]
    cfg.val_dataloader.sampler = dict(type='VideoFrameSampler')
    cfg.train_cfg.max_iters = 4
    runner = Runner.from_cfg(cfg)
    model = runner.train()
    hub = runner.message_hub
    return dict(
        weight=model.module.head.weight.detach(),
        loss=[float(x) for x in hub.get_scalar('train/loss').data[0]],
        videos=int(hub.get_scalar('val/videos').current()))


def test_two_ranks_train_and_validate(tmp_path):
    first, second = on_two_ranks(_train_distributed, tmp_path)
    assert torch.equal(first['weight'], second['weight'])
    # Different clips and different noise on the ranks.
    assert len(set(first['loss'] + second['loss'])) == 8
    assert first['videos'] == second['videos'] == 3


@pytest.mark.parametrize('chunk', [1, 2, 5])
def test_results_that_come_late_meet_their_frames(tmp_path, monkeypatch,
                                                  chunk):
    """Two frames late, and the rest when the video ends."""
    from toy_vis import ToySession
    at_once = ToySession.step

    def late(self, frames, metas):
        self.due = getattr(self, 'due', []) + at_once(self, frames, metas)
        ready, self.due = self.due[:-2], self.due[-2:]
        return ready

    monkeypatch.setattr(ToySession, 'step', late)
    monkeypatch.setattr(ToySession, 'flush', lambda self: self.due)
    results, log = run(test_config(tmp_path, chunk=chunk))
    assert {k: v['tracks']['frames'] for k, v in results.items()} == FRAMES
    assert [idx for idx, _, _ in log.after] == list(range(8))
    assert all(outputs == [frame] for _, frame, outputs in log.after)

    monkeypatch.setattr(ToySession, 'flush', lambda self: [])
    with pytest.raises(RuntimeError, match='no result of 2 frames'):
        run(test_config(tmp_path, chunk=chunk))
