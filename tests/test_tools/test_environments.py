"""Scripts that set up environments: versions, Dockerfiles."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools/benchmark'))

import run_dockerfile  # noqa: E402
import versions  # noqa: E402


def test_ranges_are_said_once():
    """setup.cfg and requirements.txt agree, else this would end."""
    spans = versions.ranges()
    assert {'torch', 'numpy', 'mmengine', 'mmcv-lite', 'mmdet', 'scipy',
            'opencv-python-headless', 'pycocotools', 'pytest'} <= set(spans)
    oldest = versions.wanted('oldest', dict(torch='>=2.7', mmdet='>=3.3,<4'))
    assert oldest == dict(torch='torch==2.7', mmdet='mmdet==3.3')
    newest = versions.wanted('newest', dict(mmdet='>=3.3,<4'))
    assert newest == dict(mmdet='mmdet>=3.3,<4')


def test_what_is_tried_is_there():
    for command in versions.steps(Path('/x')).values():
        for word in command:
            if word.startswith(('tools/', 'tests/', 'demo/', 'configs/')):
                assert (ROOT / word).exists(), word


@pytest.mark.parametrize('name', ['cpu', 'cuda'])
def test_dockerfiles_use_what_there_is(name):
    found = list(run_dockerfile.instructions(
        (ROOT / f'docker/{name}.Dockerfile').read_text()))
    names = [name for name, _ in found]
    assert names[0] == 'FROM' and names[-1] == 'CMD'
    assert names.index('COPY') < names.index('RUN', names.index('COPY'))
    makefile = (ROOT / 'Makefile').read_text()
    for _, command in found:
        words = command.split()
        if words and words[0] == 'make':
            assert f'\n{words[1]}: ' in makefile
        for word in words:
            if word.startswith('tools/'):
                assert (ROOT / word).is_file()


def test_a_dockerfile_is_obeyed(tmp_path):
    """Settings, continued lines, the files of the commit, a failure."""
    path = tmp_path / 'Dockerfile'
    path.write_text(
        'FROM scratch\n# a comment\nRUN apt-get update && \\\n    false\n'
        'ENV A=1 \\\n    B="two words"\nWORKDIR /w\nCOPY . .\n'
        f'RUN test -f setup.cfg && \\\n    echo $A $B > {tmp_path}/said\n')
    done = subprocess.run(
        [sys.executable, run_dockerfile.__file__, str(path)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'said').read_text() == '1 two words\n'
    assert 'left out: RUN apt-get update && false' in done.stdout
    path.write_text(path.read_text() + 'RUN exit 3\nRUN touch never\n')
    done = subprocess.run(
        [sys.executable, run_dockerfile.__file__, str(path)],
        capture_output=True, text=True)
    assert done.returncode == 1 and 'exit status 3' in done.stdout
    assert 'never' not in done.stdout
