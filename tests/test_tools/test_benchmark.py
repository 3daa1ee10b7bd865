"""What tools/analysis_tools/benchmark.py counts to which part.

The clock stands still but for what a test lets it tick, so that every part is
known to the second.
"""
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.models.trackers.clip_matching import ClipMatching
from mmvis_memcnp.results import FileSink

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/benchmark.py'
TICKS = dict(prepare=16, backbone=8, masks=4, identities=2, records=1)
SMALL = {
    'sipmask/sipmask-memcnp': 'identities', 'idol/idol': 'identities',
    'idol/idol-memcnp': 'identities', 'seqformer/seqformer': 'identities',
    'seqformer/seqformer-memcnp': 'identities',
    'seqformer/seqformer_windows': 'identities',
    'instanceformer/instanceformer': None,  # queries are identities
    'minvis/minvis': 'identities', 'ctvis/ctvis': 'identities',
    'dvis_daq/dvis-daq': 'identities',
    'dvis_daq/dvis-daq-memcnp': 'identities',
    'mask2former_vis/mask2former-vis': 'identities',
    'o2vis/o2vis': 'identities', 'ifr/ifr': 'identities',
}


class Clock:
    """Ticks only when something is done, and counts it."""

    def __init__(self):
        self.now, self.done = 0., Counter()

    def tick(self, what):
        self.done[what] += 1
        self.now += TICKS[what]

    def around(self, what, method):
        def ticking(*args, **kwargs):
            self.tick(what)
            return method(*args, **kwargs)
        return ticking


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


def contestant(tool, name, clock, monkeypatch, frames):
    folder, file = name.split('/')
    system, _, rest = file.partition('_')
    config = ROOT / f'configs/{folder}/{system}_r18{rest and "_" + rest}'
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='weights are random'):
        inferencer = VISInferencer(f'{config}_movingshapes.py', device='cpu')
    model = inferencer.model
    inferencer.prepare = clock.around('prepare', inferencer.prepare)
    for part, name in (('backbone', 'backbone'), ('mask_head', 'masks')):
        if part in model.parts():
            model.parts()[part].register_forward_hook(
                lambda *_, name=name: clock.tick(name))
    if 'mask_controller' in model.parts():  # no mask is empty
        model.parts()['mask_controller'].layers[-1].bias.data[-1] = 9.
    if hasattr(model, 'tracker'):
        step = 'step' if hasattr(model.tracker, 'step') else 'forward'
        setattr(model.tracker, step, clock.around(
            'identities', getattr(model.tracker, step)))
    step, write = ClipMatching.step, FileSink.write
    monkeypatch.setattr(ClipMatching, 'step', lambda self, *args: (
        clock.tick('identities'), step(self, *args))[1])
    monkeypatch.setattr(FileSink, 'write', lambda self, *args: (
        clock.tick('records'), write(self, *args))[1])
    one = tool['Contestant'](inferencer, frames, False)
    forget = one.forget
    one.forget = lambda: (forget(), clock.done.clear())  # the warm-up
    monkeypatch.setattr(tool['Contestant'], '_now', lambda self: clock.now)
    return one


@pytest.mark.parametrize('name', SMALL)
def test_every_second_is_counted_once(tool, name, monkeypatch):
    clock = Clock()
    frames = tool['textured_frames'](6, (64, 96))
    one = contestant(tool, name, clock, monkeypatch, frames)
    tool['compete'](dict(one=one), frames=8, warm_up=2)
    assert len(one.times) == 8  # a video of six frames and one of two
    parts = {k: ms.sum() / 1e3 for k, ms in one.by_part().items()}

    done = clock.done
    assert done['prepare'] == 8 and done['backbone'] == 8
    spent = {k: n * TICKS[k] for k, n in done.items()}
    np.testing.assert_allclose(
        list(parts.values()), [
            spent['prepare'], spent['backbone'] + spent.get('masks', 0),
            spent.get('identities', 0), spent.get('records', 0),
            sum(spent.values())
        ])
    assert (done['identities'] > 0) == (SMALL[name] is not None)
    assert name.startswith('sipmask') or done['records'] > 0
    report = one.report()
    means = [ms['mean'] for ms in report['ms'].values()]
    assert sum(means[:-1]) == pytest.approx(means[-1])
    assert report['fps'] == pytest.approx(8 / parts['total'])


def test_ratio_where_a_part_is_idle(tool):
    times, others = np.array([0., 2., 6.]), np.array([1., 1., 2.])
    assert tool['ratio'](times, others) == dict(
        median=2.5, q25=2.25, q75=2.75, mean=2.)
    assert tool['ratio'](times, np.zeros(3)) is None
