"""Values go through a file and come back as they were."""
from array import array
from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmvis_memcnp.errors import OutputError
from mmvis_memcnp.results.saved_values import (
    reading,
    saveable,
    set_state,
    state_of,
    writing,
)


@saveable
@dataclass(frozen=True)
class Point:
    x: object
    y: object = None


@saveable
class Pair(NamedTuple):
    left: object
    right: object


@saveable
@dataclass
class Numbers:
    CPU_FIELDS = ('home', )
    home: torch.Tensor
    away: torch.Tensor


def through(tmp_path, value, device='cpu'):
    with writing(tmp_path / 'values', True) as file:
        file.add(dict(value=value))
    with reading(tmp_path / 'values') as file:
        return file.get('value', device)


@pytest.mark.parametrize('value', [
    None, True, 0, -2**70, 'naïve "text"\n', 1 / 3, 1e-320, float('inf'),
    [1, [2.5, None]], (1, (2, )), deque([1, 2]), {3, 1}, {},
    {1: 'a', (2, 'b'): [3]}, Counter('abca'), array('f', [1 / 3, -0., 1e38]),
    array('d', [1 / 3]), Point(1, Point((2, ))), Pair([1], {2: Pair(3, 4)}),
])
def test_plain_values(tmp_path, value):
    found = through(tmp_path, value)
    assert found == value and type(found) is type(value)
    assert repr(found) == repr(value)  # 1 is not 1.0 nor True, order stays


def test_numbers_and_shapes_of_libraries_become_plain(tmp_path):
    found = through(tmp_path, (np.float32(.5), np.int64(3),
                               torch.Size([2, 3])))
    assert repr(found) == '(0.5, 3, (2, 3))'


@pytest.mark.parametrize('dtype', [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64,
    torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool])
def test_tensors_of_every_type(tmp_path, dtype):
    values = (torch.arange(-6, 6).reshape(3, 4) * 17.3).to(dtype)
    for tensor in (values, values[:0], values[0, 0], values.T, values[:, ::2],
                   values[None].expand(2, 3, 4)):
        found = through(tmp_path, tensor)
        assert found.dtype == dtype and torch.equal(found, tensor)


def test_the_order_in_memory_is_kept(tmp_path):
    maps = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    found = through(tmp_path, maps)
    assert torch.equal(found, maps) and found.stride() == maps.stride()
    nan = torch.tensor([float('nan'), -0.])
    assert through(tmp_path, nan).view(torch.int32).equal(
        nan.view(torch.int32))  # to the last bit


def test_instances_keep_their_fields_and_meta(tmp_path):
    value = InstanceData(metainfo=dict(frame_id=3), scores=torch.rand(2),
                         masks=[1, 2])
    found = through(tmp_path, value)
    assert found.frame_id == 3 and found.masks == [1, 2]
    assert torch.equal(found.scores, value.scores)
    assert list(found.keys()) == list(value.keys())


def test_fields_that_stay_on_the_cpu(tmp_path):
    value = Numbers(torch.ones(2), torch.ones(2))
    found = through(tmp_path, dict(all=[value]), 'meta')['all'][0]
    assert found.home.device.type == 'cpu' and found.away.is_meta


def test_what_is_not_saveable_is_named_and_leaves_no_file(tmp_path):
    class Other:
        pass

    for value in (Other(), [object()], lambda: 0, 1j):
        with pytest.raises(TypeError, match=f'{type(value).__name__} cannot be'
                           if not isinstance(value, list) else 'object cann'):
            through(tmp_path, value)
    assert not (tmp_path / 'values').exists()


def test_a_file_of_the_user_is_not_replaced(tmp_path):
    (tmp_path / 'values').write_text('mine')
    with pytest.raises(OutputError, match='not made by this package'):
        through(tmp_path, 1)
    assert (tmp_path / 'values').read_text() == 'mine'


def test_the_state_of_an_object_is_what_has_an_underscore():
    class Counts:

        def __init__(self, step):
            self.step, self._total = step, 0

    one, other = Counts(1), Counts(2)
    one._total = 5
    set_state(other, state_of(one))
    assert (other.step, other._total) == (2, 5)
