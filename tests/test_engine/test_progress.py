"""Phases of a training, a function of the iteration."""
import signal
from types import SimpleNamespace

import pytest
from mmengine.runner import Runner
from test_resume import config, in_process, losses, train
from torch import nn
from toy_vis import PhasedVIS

from mmvis_memcnp.cli.preflight import last_checkpoint
from mmvis_memcnp.engine import ProgressHook
from mmvis_memcnp.models.layers import phase


@pytest.mark.parametrize('iteration, boundaries, expected', [
    (0, (), 0),  # one phase
    (9, (10, 20), 0),  # the last iteration of the first phase
    (10, (10, 20), 1),  # a boundary begins a phase
    (19, (10, 20), 1),
    (20, (10, 20), 2),
    (10**6, (10, 20), 2),  # the last phase does not end
    (0, (0, 20), 1),  # a phase left out
    (10, (10, 10), 2),
    (7, (.5 * 15, ), 0),  # half of an odd number of iterations
    (8, (.5 * 15, ), 1),
])
def test_phases(iteration, boundaries, expected):
    assert phase(iteration, boundaries) == expected


def test_boundaries_ascend():
    with pytest.raises(ValueError, match=r'\[20, 10\].*must ascend'):
        phase(0, (20, 10))


class Part(nn.Module):

    def __init__(self):
        super().__init__()
        self.told = []

    def set_progress(self, iteration, max_iters):
        self.told.append((iteration, max_iters))


@pytest.mark.parametrize('wrap', [lambda model: model, nn.DataParallel])
def test_every_part_that_asks_is_told(wrap):
    model = Part()
    model.inner, model.other = nn.Sequential(Part()), nn.Linear(1, 1)
    runner = SimpleNamespace(model=wrap(model), iter=3, max_iters=8)
    hook = ProgressHook()
    hook.before_train(runner)
    hook.before_train_iter(runner, batch_idx=0)
    runner.iter = 4
    hook.before_train_iter(runner, batch_idx=1)
    assert model.told == model.inner[0].told == [(3, 8), (4, 8)]


def phased(folder, by_epoch, **kwargs):
    folder.mkdir(exist_ok=True)
    cfg = config(folder, by_epoch, num_workers=0, **kwargs)
    cfg.model.type = 'PhasedVIS'
    cfg.custom_hooks.append(dict(type='ProgressHook'))
    return cfg


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_resumed_run_has_the_same_phases(tmp_path, by_epoch):
    """Killed in phase 1 with a checkpoint of it, resumed into phase 2."""
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    seed = dict(randomness=dict(seed=5))
    assert in_process(train, phased(whole, by_epoch, **seed)) == 0
    assert in_process(train, phased(
        broken, by_epoch, kill_at=7, **seed)) == -signal.SIGKILL
    resumed = phased(broken, by_epoch, resume=True,
                     load_from=last_checkpoint(str(broken)))
    assert in_process(train, resumed) == 0
    assert losses(broken) == losses(whole)
    assert len(losses(whole)) == (15 if by_epoch else 12)


def test_the_model_hears_every_iteration(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(PhasedVIS, 'set_progress', lambda self, *progress: (
        heard.append(progress), setattr(self, 'progress', progress)))
    Runner.from_cfg(phased(tmp_path, True)).train()
    assert heard == [(i, 15) for i in range(15)]
