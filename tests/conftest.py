"""What every test may use."""
import os
from pathlib import Path

import pytest

import mmvis_memcnp  # noqa: F401  (installs the shims, registers all parts)


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Folder with the real clips (``data``) and official outputs (``parity``).

    ``MMVIS_SHARED`` names it; by default a folder ``shared`` beside the
    repository. Tests that need it are skipped where there is none.
    """
    default = Path(__file__).resolve().parents[2] / 'shared'
    folder = Path(os.environ.get('MMVIS_SHARED', default))
    if not folder.is_dir():
        pytest.skip('needs the folder that MMVIS_SHARED names')
    return folder
