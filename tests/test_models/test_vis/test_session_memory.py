"""The peak memory of sessions does not depend on the length of the video."""
import pytest
import torch

from mmvis_memcnp.results import FileSink
from tests.fakes import tiny_ctvis, tiny_dvis_daq
from tests.fakes.peak_memory import PeakMemory
from tests.fakes.tiny_sipmask import noise

ROWS = 10


def ctvis():
    """Scores of .9 are rarely met, so new objects begin in every frame."""
    return tiny_ctvis.tiny_model(score_thr=0., tracker=dict(
        init_score_thr=0., new_score_thr=0., match_thr=.9, max_tracks=ROWS))


def dvis_daq():
    return tiny_dvis_daq.tiny_model(
        start_thr=0., score_thr=0., max_tracks=ROWS,
        tracker=dict(num_layers=1))


def remembered(state):
    """Objects, of CTVIS or DVIS-DAQ."""
    return len(state.tracks if state.__dict__.get('ids') is None
               else state.ids)


def peaks(model):
    """Bytes at most in the first 40 frames and in all 160."""
    frames, size = 8, (32, 32)
    metas = [dict(img_shape=size, ori_shape=size, batch_input_shape=size,
                  frame_id=t) for t in range(160)]
    model.eval()
    with torch.no_grad():
        items = model.encode(noise(frames, size, 0).float(), metas[:frames])
        session = model.session(sink=FileSink())
        found = {}
        with PeakMemory() as memory:
            for t, meta in enumerate(metas, 1):
                session.take(items[t % frames], meta)
                if t % 8 == 0:
                    found[t] = memory.most()
                    assert remembered(session.state) == ROWS
    return found[40], found[160]


@pytest.mark.parametrize('build', [ctvis, dvis_daq])
def test_160_frames_take_as_much_as_40(build):
    """All thresholds are 0, so that the limit of objects acts early."""
    short, long = peaks(build())
    assert 30_000 < short <= long <= 1.05 * short


@pytest.mark.parametrize('make', [
    lambda: torch.zeros(9_900), lambda: bytes(9_900)])
def test_what_is_kept_is_counted(make):
    """Tensors and all else; what goes again is counted once."""
    kept = []
    with PeakMemory() as memory:
        found = []
        for _ in range(40):
            torch.ones(1_000_000) + 1
            found.append(memory.most())
        assert 8_000_000 <= found[0] <= found[-1] < 1.05 * found[0]
        for _ in range(40):
            kept.append(make())
            torch.ones(1_000_000) + 1
        assert memory.most() >= found[-1] + 300_000
