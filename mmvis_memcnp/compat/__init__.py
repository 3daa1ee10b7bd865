"""Shims for the libraries below; a file a cause."""
from . import mmcv_ext


def apply() -> None:
    """Install every shim that this environment needs."""
    mmcv_ext.install()
