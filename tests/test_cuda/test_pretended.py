"""The pretended GPU refuses what a GPU refuses, and computes what the CPU
does."""
import numpy as np
import pytest
import torch

from tests.fakes.pretend_cuda import DEVICE, pretend_cuda


@pytest.fixture(autouse=True)
def pretended():
    with pretend_cuda():
        yield


def there(*values):
    return torch.tensor(values, device=DEVICE)


@pytest.mark.parametrize('mixed', [
    lambda x, y: x + y,
    lambda x, y: torch.cat((x, y)),
    lambda x, y: torch.where(x > 1, x, y),
    lambda x, y: y.index_select(0, x.long()),
    lambda x, y: y[x.long()],  # positions on the GPU, values on the CPU
    lambda x, y: x.index_put_((torch.tensor([0, 1]), ), y),
    lambda x, y: torch.nn.functional.linear(x, y[None]),
])
def test_two_devices_do_not_meet(mixed):
    with pytest.raises(RuntimeError, match='same device'):
        mixed(there(0., 1.), torch.tensor([2., 3.]))


def test_numpy_needs_a_copy():
    for convert in (np.asarray, lambda x: x.numpy()):
        with pytest.raises(RuntimeError, match='numpy.* is not supported'):
            convert(there(1., 2.))
    assert there(1., 2.).cpu().numpy().tolist() == [1, 2]


def test_what_a_gpu_takes():
    x, numbers = there(3., 1., 2.), torch.tensor([2, 0])
    assert x.is_cuda and x.device == torch.device(DEVICE)
    assert (x + torch.tensor(1.)).tolist() == [4, 2, 3]  # a single number
    assert x[numbers].tolist() == x[[2, 0]].tolist() == [2, 3]
    assert x[numbers].is_cuda and x.new_tensor([5]).is_cuda
    x[numbers] = there(7., 8.)
    x[1:] += 1
    assert x.tolist() == [8, 2, 8]
    assert not x.cpu().is_cuda and x.cpu().tolist() == [8, 2, 8]
    for made in (torch.zeros(2, device=x.device), torch.zeros_like(x),
                 torch.arange(2, device=x.device), x.to('cpu').to(x.device),
                 torch.as_tensor([1], device=x.device)):
        assert made.is_cuda
    assert not torch.zeros(2).is_cuda


def test_training_is_the_same():
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    layer(x).square().sum().backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    layer.to(DEVICE)(x.to(DEVICE)).square().sum().backward()
    assert layer.weight.grad.is_cuda
    assert torch.equal(layer.weight.grad.cpu(), expected)
