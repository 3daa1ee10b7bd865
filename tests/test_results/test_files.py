"""Files and folders that appear whole or not at all."""
import multiprocessing
import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import OutputError
from mmvis_memcnp.results.files import (
    check_place,
    replacing,
    undisturbed,
    work_folder,
)

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_half_written(tmp_path):
    path = tmp_path / 'deep' / 'a.txt'
    with pytest.raises(KeyError):
        with replacing(path) as temporary:
            temporary.write_text('half')
            raise KeyError
    assert not list(path.parent.iterdir())
    path.write_text('old')
    with replacing(path) as temporary:
        temporary.write_text('new')
        assert temporary.suffix == '.txt' and temporary.name.startswith('.')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'
    assert [p.name for p in path.parent.iterdir()] == ['a.txt']


def test_permissions_and_links(tmp_path):
    umask = os.umask(0)
    os.umask(umask)
    path, link = tmp_path / 'a', tmp_path / 'link'
    link.symlink_to(path)
    with replacing(link) as temporary:
        temporary.write_text('1')
    assert link.is_symlink() and path.read_text() == '1'
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    with replacing(link) as temporary:
        temporary.write_text('2')
    assert link.is_symlink() and path.read_text() == '2'
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_two_at_once_do_not_meet(tmp_path):
    path = tmp_path / 'a.txt'
    with replacing(path) as first:
        with replacing(path) as second:
            assert first != second
            second.write_text('2')
        first.write_text('1')
    assert path.read_text() == '1'
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_what_killed_neighbours_left_is_cleared(tmp_path):
    """Several work side by side under names with an infix, and are killed."""
    with work_folder(tmp_path, 'a') as one, work_folder(tmp_path, 'a') as two:
        names = {one.name, two.name}
        dead = two.with_name(f'{one.name}-0123abcd')
        (dead / 'inside').mkdir(parents=True)
        others = [tmp_path / '.a.unfinished-mine.txt',
                  tmp_path / '.ab.unfinished-0123abcd']
        for path in others:
            path.write_text('')
        with work_folder(tmp_path, 'a') as three:
            assert {p.name for p in tmp_path.iterdir()} == {
                *names, three.name, *(p.name for p in others)}
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_device_is_left_alone(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match='no ordinary file'):
        with replacing(pipe):
            raise AssertionError
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_that_is_gone_at_the_end(tmp_path):
    with work_folder(tmp_path / 'a' / 'b', 'clip') as work:
        (work / 'x').write_text('1')
        with work_folder(tmp_path / 'a' / 'b', 'clip') as other:
            assert work != other
    assert not (tmp_path / 'a').exists()
    with work_folder(tmp_path / 'a' / 'b') as work:
        (work.parent / 'kept').touch()
    assert [p.name for p in (tmp_path / 'a' / 'b').iterdir()] == ['kept']


def write_for_ever(folder, ready):
    """A tool that is stopped while it writes; what it says goes to a file."""
    os.chdir(folder)
    sys.stderr = open('said', 'w')

    def main():
        with work_folder('.', 'w') as work, replacing('a.txt') as temporary:
            (work / 'x').write_text('half')
            temporary.write_text('half')
            ready.set()
            time.sleep(60)

    run_tool(main)


@pytest.mark.parametrize('number, code', [
    (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_signal_leaves_the_former_file(tmp_path, number, code):
    (tmp_path / 'a.txt').write_text('former')
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    process = context.Process(target=write_for_ever, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    # Python drops what is raised in a callback of its own, such as those of
    # the lock that `ready` is made of: let the process come to its sleep.
    time.sleep(.3)
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == code
    assert (tmp_path / 'a.txt').read_text() == 'former'
    said = (tmp_path / 'said').read_text()
    (tmp_path / 'said').unlink()
    if number == signal.SIGKILL:  # nothing can be done, but the next clears it
        assert len(list(tmp_path.iterdir())) == 3
        with replacing(tmp_path / 'a.txt') as temporary:
            assert temporary.read_text() == ''
        with work_folder(tmp_path, 'w') as work:
            assert not list(work.iterdir())
    else:
        assert said == 'Stopped: nothing is left half-written.\n'
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_signals_wait():
    seen = []
    with pytest.raises(KeyboardInterrupt):
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            seen.append('still here')
    assert seen == ['still here']
    # Another thread cannot hold them back, and does not try.
    thread = threading.Thread(target=lambda: undisturbed().__enter__())
    thread.start()
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)


@pytest.mark.parametrize('place, sentence', [
    ('file', 'file is a file'),            # is no folder
    ('file/a', 'file is a file'),          # is held by none
    ('dangling/a', None),                  # a link to what will be made
    ('/proc/a/b', '/proc takes no new'),   # root may, the kernel does not
    ('/sys/x', 'takes no new files'),
    ('new/deep', None),
    ('.', None),
])
def test_places(tmp_path, monkeypatch, place, sentence):
    monkeypatch.chdir(tmp_path)
    Path('file').touch()
    Path('dangling').symlink_to('nowhere')
    before = sorted(os.listdir())
    if sentence is None:
        check_place(place, '--out-dir')
    else:
        with pytest.raises(OutputError, match=sentence):
            check_place(place, '--out-dir')
    assert sorted(os.listdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match='Permission denied'):
        check_place(tmp_path / 'a', '--out-dir')


def test_neither_torch_nor_mmdet():
    """By the source: the package around them registers everything."""
    for name in ('files', 'ownership'):
        text = (ROOT / f'mmvis_memcnp/results/{name}.py').read_text()
        lines = [line for line in text.splitlines()
                 if line.startswith(('import ', 'from '))]
        assert lines and not any('torch' in line or 'mm' in line
                                 for line in lines)
