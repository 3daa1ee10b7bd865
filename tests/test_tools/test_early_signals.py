"""SIGTERM and Ctrl-C while a tool still imports: one sentence."""
import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAD = ('from mmvis_memcnp.cli.signals import answer_early\n'
        "if __name__ == '__main__':\n    answer_early()")
LIGHT = 'tools/dataset_converters/cvat2ytvis.py'
# Starts without the package, to say why that does not.
ALONE = 'tools/analysis_tools/check_env.py'
TOOLS = sorted(
    str(path.relative_to(ROOT)) for folder in ('tools', 'demo')
    for path in (ROOT / folder).rglob('*.py')
    if 'run_tool(' in path.read_text())
#: Runs a tool, and at every n-th import that it begins, m at most, forks a
#: process for each of the signals, which sends itself that.
MOMENTS = '''
import json, os, runpy, signal, sys, tempfile
tool, every, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
default = signal.getsignal(signal.SIGINT)

def answer(number):
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            try:
                os.dup2(said.fileno(), 2)
                os.kill(os.getpid(), number)
            finally:
                os._exit(99)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return status, said.read().decode()

class Moments:
    begun = 0

    def find_spec(self, name, path=None, target=None):
        if signal.getsignal(signal.SIGINT) is default:
            return
        self.begun += 1
        if self.begun % every == 0 and self.begun <= every * most:
            found.append((name, *(answer(n) for n in (2, 15))))
            if len(found) == most:
                print(json.dumps(found), flush=True)
                os._exit(0)

found = []
sys.meta_path.insert(0, Moments())
sys.argv = [tool, '--help']
sys.path[0] = os.path.dirname(tool)
try:
    runpy.run_path(tool, run_name='__main__')
except SystemExit:
    pass
print(json.dumps(found))
'''


def answers(tool, every, most):
    """(name of an import, answer to SIGINT, answer to SIGTERM) each."""
    done = subprocess.run(
        [sys.executable, '-c', MOMENTS, ROOT / tool, str(every), str(most)],
        env=dict(os.environ, PYTHONPATH=str(ROOT)), text=True,
        capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(tool, every, most):
    """Every moment has its sentence; returns how many there were."""
    said = ('Stopped: not all was checked.\n' if tool == ALONE
            else 'Stopped: nothing was done yet.\n')
    found = answers(tool, every, most)
    for name, *both in found:
        assert both == [[130, said], [143, said]], (tool, name)
    return len(found)


@pytest.mark.parametrize('tool', TOOLS)
def test_a_tool_answers_before_its_other_imports(tool):
    first = ast.parse((ROOT / tool).read_text()).body
    if isinstance(first[0], ast.Expr):
        del first[0]
    if isinstance(first[0], ast.ImportFrom) and \
            first[0].module == '__future__':
        del first[0]
    if ast.unparse(first[2]).startswith('sys.path'):  # for a bare clone
        assert '\n'.join(map(ast.unparse, first[:2])) == (
            'import sys\nfrom pathlib import Path')
        del first[:2]
        while ast.unparse(first[0]).startswith('sys.path'):
            del first[0]
    assert '\n'.join(map(ast.unparse, first[:2])) == HEAD, (
        f'{tool} must begin with\n{HEAD}')


@pytest.mark.parametrize('tool, every, most', [
    # from the very first import on
    ('tools/train.py', 1, 8),
    # within those of torch and OpenCV
    ('demo/video_demo.py', 60, 3),
    # a light one, to its end
    (LIGHT, 99, 99),
    (ALONE, 5, 2)])
def test_a_signal_during_the_imports_gets_a_sentence(tool, every, most):
    assert check(tool, every, most) >= 2


@pytest.mark.slow
@pytest.mark.parametrize('tool', [*TOOLS, ALONE])
def test_a_signal_at_many_moments_gets_a_sentence(tool):
    found = check(tool, 9, 10_000)
    print(f'{tool}: {found} moments')
    assert found >= 2


def run_python(code, path):
    path.write_text(code)
    return subprocess.run(
        [sys.executable, path], env=dict(os.environ, PYTHONPATH=str(ROOT)),
        text=True, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('work, said', [
    # all is done, and Python ends
    ('int', 'it was ending already.'),
    # answered; a second one changes nothing
    ('stop', 'in the midst.')])
def test_a_signal_at_the_end_gets_one_sentence(tmp_path, number, work, said):
    done = run_python(
        'import contextlib, signal\n'
        'from mmvis_memcnp.cli.signals import answer_early\n'
        'from mmvis_memcnp.cli.run import run_tool\n'
        f'stop = lambda: signal.raise_signal({int(number)})\n'
        'answer_early()\n'
        'with contextlib.suppress(SystemExit):\n'
        f'    run_tool({work}, "in the midst.")\n'
        'stop()\n', tmp_path / 'tool.py')
    assert (done.returncode, done.stderr) == (128 + number,
                                              f'Stopped: {said}\n')


def test_what_somebody_else_set_stays(tmp_path):
    """A job in the background ignores Ctrl-C; a library, and a tool that
    another program runs, touch no signals of that program."""
    done = run_python(
        'import signal\n'
        'numbers = signal.SIGINT, signal.SIGTERM\n'
        'handlers = lambda: [*map(signal.getsignal, numbers)]\n'
        'first = handlers()\n'
        'import mmvis_memcnp.cli.main, contextlib, runpy, sys\n'
        'sys.argv = ["tool", "--help"]\n'
        'with contextlib.suppress(SystemExit):\n'
        f'    runpy.run_path("{ROOT / LIGHT}", run_name="__main__")\n'
        'assert handlers() == first\n'
        'for n in numbers: signal.signal(n, signal.SIG_IGN)\n'
        'from mmvis_memcnp.cli.signals import answer_early\n'
        'answer_early()\n'
        'assert handlers() == [signal.SIG_IGN] * 2\n', tmp_path / 'tool.py')
    assert done.returncode == 0, done.stderr
