"""How often a system that goes frame by frame waits for a GPU."""
import pytest
import torch

from tests.fakes.pretend_cuda import DEVICE, pretend_cuda
from tests.fakes.systems import build
from tests.fakes.tiny_sipmask import batch, video
from tests.fakes.waits import counted_waits


def test_what_counts():
    with pretend_cuda():
        x = torch.tensor([3., 0., 2.], device=DEVICE)
        rows = torch.tensor([2, 0])
        for work, count in (
                (lambda: x.cpu(), 1), (lambda: x.tolist(), 1),
                (lambda: x.sum().item(), 1), (lambda: bool(x[0] > 1), 1),
                (lambda: x.nonzero(), 1), (lambda: x[x > 1], 1),
                (lambda: torch.equal(x, x), 1), (lambda: x.unique(), 1),
                (lambda: x[rows.to(DEVICE)], 0), (lambda: x.topk(2), 0),
                (lambda: (x * 2).where(x > 1, 0.).sum(), 0),
                (lambda: rows.nonzero(), 0), (lambda: rows.sum().item(), 0)):
            with counted_waits() as waits:
                work()
            assert len(waits) == count, waits


@pytest.mark.parametrize('name', [
    'sipmask', 'sipmask-memcnp', 'idol', 'idol-memcnp', 'ctvis', 'minvis',
    'dvis-daq', 'dvis-daq-memcnp', 'o2vis'])
def test_at_most_eight_waits_a_frame(name):
    """Network, identities, masks, codes and ranking, from the second frame
    on, whatever the number of instances."""
    model = build(name)
    inputs, samples = batch(model, video(4), training=False)
    metas = [frame.metainfo for frame in samples[0].video_data_samples]
    with pretend_cuda():
        session = model.to(DEVICE).session()
        session.step(inputs[0, :1].to(DEVICE), metas[:1])
        for t in range(1, 4):
            with counted_waits() as waits:
                result, = session.step(inputs[0, t:t + 1].to(DEVICE),
                                       metas[t:t + 1])
            assert len(result) > 1
            assert len(waits) <= 8, '\n'.join(waits)
