"""What every test may use."""
import os
import signal
from pathlib import Path

import mmengine.config.config
import pytest
import torch

import mmvis_memcnp  # noqa: F401  (installs the shims, registers all parts)

# A run writes its config several times, and to lay that out for people takes
# longer than a small training.
mmengine.config.config.FormatCode = lambda text, **_: (text, False)

# Several tests fork, and a fork of a process whose OpenMP threads have run may
# hang; the tensors here are too small to gain from threads anyway.
os.environ['OMP_NUM_THREADS'] = '1'
torch.set_num_threads(1)

# A shell starts what it puts into the background with Ctrl-C ignored, and
# every process below would inherit that: tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Folder with the real clips (``data``) and official outputs (``parity``).

    ``MMVIS_SHARED`` names it; by default a folder ``shared`` beside the
    repository. Tests that need it are skipped where there is none.
    """
    default = Path(__file__).resolve().parents[2] / 'shared'
    folder = Path(os.environ.get('MMVIS_SHARED') or default)
    if not folder.is_dir():
        pytest.skip('needs the folder that MMVIS_SHARED names')
    return folder
