"""Command-line programs, run without starting a process."""
import contextlib
import io
import runpy
import subprocess
import sys

import pytest


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
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(args, code or 0, out.getvalue(),
                                       err.getvalue())
