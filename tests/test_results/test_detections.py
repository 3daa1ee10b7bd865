"""Results as supervision.Detections."""
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results import (
    MemorySink,
    Ranked,
    TrackStore,
    to_detections,
)
from mmvis_memcnp.results.frame import frame_result
from mmvis_memcnp.results.masks import encode_masks


def frame(count, number=0):
    masks = torch.zeros(count, 5, 6, dtype=torch.bool)
    for i in range(count):
        masks[i, i:i + 2, 1:4] = True
    boxes = torch.tensor([[1., i, 4., i + 2] for i in range(count)])
    return frame_result(
        torch.arange(count) + 20, boxes.reshape(-1, 4),
        torch.linspace(.5, .9, count), torch.arange(count) % 2,
        encode_masks(masks), frame_id=number, ori_shape=(5, 6)), masks


@pytest.fixture(params=['the package', 'a stand-in'])
def package(request, monkeypatch):
    """supervision if it is installed; what it would be given, in any case."""
    if request.param == 'the package':
        return pytest.importorskip('supervision')
    stand_in = SimpleNamespace(Detections=SimpleNamespace)
    monkeypatch.setitem(sys.modules, 'supervision', stand_in)
    return stand_in


def test_a_frame(package):
    result, masks = frame(3)
    found = to_detections(result, ['cat', 'dog'])
    assert isinstance(found, package.Detections)
    assert found.xyxy.tolist() == [[1, i, 4, i + 2] for i in range(3)]
    assert (found.mask == masks.numpy()).all() and found.mask.dtype == bool
    assert found.confidence.tolist() == pytest.approx([.5, .7, .9])
    assert found.class_id.tolist() == [0, 1, 0]
    assert found.tracker_id.tolist() == [20, 21, 22]
    assert found.data['class_name'].tolist() == ['cat', 'dog', 'cat']
    assert 'class_name' not in to_detections(result).data


def test_a_frame_without_instances(package):
    found = to_detections(frame(0)[0], ['cat'])
    assert found.xyxy.shape == (0, 4) and found.mask.shape == (0, 5, 6)
    assert len(found.tracker_id) == 0


def test_a_video(package):
    store = TrackStore(MemorySink())
    for number in range(2):
        store.append(frame(2, number)[0])
    ranked = [Ranked(i, 0, .9) for i in (20, 21)]
    found = [to_detections(f) for f in store.finish(ranked).iter_frames()]
    assert [f.tracker_id.tolist() for f in found] == [[20, 21]] * 2
    assert np.ptp([f.mask.sum() for f in found]) == 0


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(UserError, match='pip install'):
        to_detections(frame(1)[0])
