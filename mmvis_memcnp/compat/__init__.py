"""Shims for the libraries below; a file a cause.

Each shim looks first whether the installed library needs it, so that the
maintained ``onedl-*`` forks and later releases stay untouched.
"""
from . import (
    box_types,
    checkpoint,
    distributed,
    meshgrid,
    mmcv_ext,
    package_utils,
    random_choice,
    recomputation,
    score_file,
    sharding,
    track_samples,
)


def apply() -> None:
    """Install every shim that this environment needs.

    Safe to call more than once. Must run before the first import of
    ``mmcv.ops`` or ``mmdet.models``, because both look for ``mmcv._ext`` when
    they are imported.
    """
    mmcv_ext.install()
    checkpoint.install()
    distributed.install()
    package_utils.install()
    box_types.install()
    random_choice.install()
    recomputation.install()
    meshgrid.install()
    score_file.install()
    sharding.install()
    track_samples.install()


__all__ = [
    'apply', 'box_types', 'checkpoint', 'distributed', 'meshgrid', 'mmcv_ext',
    'package_utils', 'random_choice', 'recomputation', 'score_file',
    'sharding', 'track_samples'
]
