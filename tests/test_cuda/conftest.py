"""The devices that these tests run on.

``pretended`` runs everywhere: the CPU's numbers, but devices must not meet
and branches for CUDA are taken (see tests/fakes/pretend_cuda.py). ``cuda``
runs where there is a GPU; ``pytest -m cuda`` runs these alone.
"""
import pytest
import torch

from tests.fakes.pretend_cuda import DEVICE, pretend_cuda

cuda = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
]


@pytest.fixture(params=['pretended', pytest.param('cuda', marks=cuda)])
def device(request):
    """A device that is not the CPU."""
    if request.param == 'pretended':
        with pretend_cuda():
            yield torch.device(DEVICE)
        return
    # As exact as the CPU, so that small differences can be asked for.
    before = (torch.backends.cuda.matmul.allow_tf32,
              torch.backends.cudnn.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    yield torch.device('cuda:0')
    (torch.backends.cuda.matmul.allow_tf32,
     torch.backends.cudnn.allow_tf32) = before


@pytest.fixture
def both(device):
    """The CPU, for the expected values, and the device."""
    return torch.device('cpu'), device


@pytest.fixture(params=[
    pytest.param(('cpu', torch.bfloat16), id='cpu-bfloat16'),
    pytest.param(('cuda', torch.bfloat16), id='cuda-bfloat16', marks=cuda),
    pytest.param(('cuda', torch.float16), id='cuda-float16', marks=cuda)])
def autocast(request):
    """A device and the type of mixed precision on it."""
    return request.param
