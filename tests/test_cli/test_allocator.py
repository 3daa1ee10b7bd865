"""Memory that is freed and asked for again."""
import subprocess
import sys
from pathlib import Path

import pytest

from mmvis_memcnp.cli.allocator import keep_freed_memory
from mmvis_memcnp.cli.runner import Training

CODE = '''
import resource, sys
import numpy as np
from mmvis_memcnp.cli.allocator import keep_freed_memory
known = keep_freed_memory() if sys.argv[1] == "kept" else True
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    del_me = [np.ones(n << 18) for n in (1, 5, 20, 9)]  # 2 to 40 MiB
step()
before = faults()
for _ in range(5):
    step()
print(int(known), faults() - before)
'''


@pytest.mark.skipif(sys.platform != 'linux', reason='a setting of glibc')
def test_pages_are_not_asked_for_again():
    """5 steps of 70 MiB have 89,600 pages of 4 KiB."""
    found = {}
    for how in ('kept', 'given_back'):
        done = subprocess.run(
            [sys.executable, '-c', CODE, how], text=True, capture_output=True,
            cwd=Path(__file__).parents[2], timeout=60)
        assert done.returncode == 0, done.stderr
        known, found[how] = map(int, done.stdout.split())
        if not known:
            pytest.skip('another C library')
    assert found['kept'] < 2000 and found['kept'] * 5 < found['given_back']


@pytest.mark.parametrize('error', [AttributeError, OSError, TypeError])
def test_other_c_libraries_are_left_alone(monkeypatch, error):
    def library(_):
        raise error

    monkeypatch.setattr('ctypes.CDLL', library)
    assert keep_freed_memory() is False


def test_the_key_of_the_config(monkeypatch):
    calls = []
    monkeypatch.setattr('mmvis_memcnp.cli.runner.keep_freed_memory',
                        lambda: calls.append(1))
    monkeypatch.setattr('mmengine.runner.Runner.setup_env',
                        lambda self, env_cfg: None)
    for env, expected in ((dict(keep_freed_memory=True), 1), ({}, 0),
                          (dict(keep_freed_memory=False), 0)):
        calls.clear()
        Training.setup_env(object.__new__(Training), env)
        assert len(calls) == expected
