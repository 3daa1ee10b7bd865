"""Programs, run in this process or in one that may be killed."""
import contextlib
import io
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

#: A fork need not import torch again, but cannot follow a process that uses
#: CUDA.
START = 'spawn' if torch.cuda.is_available() else 'fork'


def run_program(path, *args, cwd):
    """Run a script as ``python path args`` would, in this process.

    Returns:
        subprocess.CompletedProcess: With ``returncode``, ``stdout`` and
        ``stderr``.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), \
            contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as m:
        m.setattr(sys, 'argv', [str(path), *map(str, args)])
        m.syspath_prepend(str(Path(path).parent))
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(args, code or 0, out.getvalue(),
                                       err.getvalue())


def forget_runs():
    """Drop mmengine's global objects, which it names by the second."""
    for kind in (DefaultScope, MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()


def in_process(target: Callable[..., Any], *args: Any) -> int:
    """Call a function of a module in a process of its own.

    Returns:
        int: The exit code, negative for the signal that killed it.
    """
    process = torch.multiprocessing.get_context(START).Process(
        target=target, args=args)
    process.start()
    process.join(120)
    assert process.exitcode is not None, 'the process hangs'
    return process.exitcode
