"""Nothing is replaced but what was made here and left as it was."""
import os
import signal
from pathlib import Path

import pytest

from mmvis_memcnp.errors import OutputError
from mmvis_memcnp.results.ownership import (
    MARKER,
    check_file,
    check_folder,
    is_own,
    new_file,
    new_folder,
    remove_own,
)
from tests.fakes.programs import in_process


def write(path, text='ours', overwrite=False):
    with new_file(path, overwrite) as name:
        name.write_text(text)


def fill(path, overwrite=False, **files):
    with new_folder(path, overwrite) as made:
        for name, text in files.items():
            (made / name / 'f.txt').parent.mkdir()
            (made / name / 'f.txt').write_text(text)


def edit(path):
    path.write_text('mine')  # another size


def touch(path):
    os.utime(path, (1, 1))  # an edit of the same size has another time


def swap(path):
    path.unlink()
    path.write_text('ours')


def lose_marker(path):
    (path.parent / MARKER).unlink()


def cut_marker(path):
    marker = path.parent / MARKER
    marker.write_text(marker.read_text()[:-20])


@pytest.mark.parametrize('change, replaced', [
    (None, True),
    (edit, False),
    (touch, False),
    (swap, False),         # the user's file of the same name
    (lose_marker, False),  # without a note, everything is the user's
    (cut_marker, False),   # a note that a full disk cut off
])
def test_a_file(tmp_path, change, replaced):
    path = tmp_path / 'deep' / 'a.txt'
    write(path)
    assert path.read_text() == 'ours'
    with pytest.raises(OutputError):
        write(path)
    if change is not None:
        change(path)
    before = path.read_text()
    if replaced:
        write(path, 'new', overwrite=True)
        assert path.read_text() == 'new' and is_own(path)
    else:
        with pytest.raises(OutputError, match='was not made by this package'):
            write(path, 'new', overwrite=True)
        assert path.read_text() == before
        remove_own(path)
        assert path.exists()


def test_a_kill_before_the_name_is_given(tmp_path, monkeypatch):
    """The note is there, its file is not: the former one is still ours."""
    def fail(*_):
        raise KeyError

    path = tmp_path / 'a.txt'
    write(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', fail)
        with pytest.raises(KeyError):
            write(path, 'newer', overwrite=True)
    assert path.read_text() == 'ours' and is_own(path)
    write(path, 'newest', overwrite=True)
    assert path.read_text() == 'newest'


def test_a_file_that_appears_while_ours_is_written(tmp_path):
    path = tmp_path / 'a.txt'
    with pytest.raises(OutputError):
        with new_file(path) as name:
            name.write_text('ours')
            path.write_text('mine')
    assert path.read_text() == 'mine'
    assert not is_own(path)


@pytest.mark.parametrize('name, sentence', [
    ('a', 'is read and would be overwritten'),         # itself
    ('link', 'is read and would be overwritten'),      # under another name
    ('sub/../a', 'is read and would be overwritten'),
    ('hard', 'is read and would be overwritten'),      # the same bytes
    ('sub', 'is a folder'),
    ('/dev/null', 'no ordinary file'),
    ('a/b', 'is a file'),
])
def test_inputs_and_odd_places(tmp_path, monkeypatch, name, sentence):
    monkeypatch.chdir(tmp_path)
    Path('sub').mkdir()
    write('a')  # even if it is ours
    Path('link').symlink_to('a')
    os.link('a', 'hard')
    with pytest.raises(OutputError, match=sentence):
        check_file(name, '--out', overwrite=True, inputs=['a', 'gone'])
    assert Path('a').read_text() == 'ours'


def add_file(folder):
    (folder / 'thesis.txt').write_text('mine')


def add_deep(folder):
    (folder / 'one' / 'notes').write_text('mine')


def add_empty(folder):
    (folder / 'empty').mkdir()


def add_link(folder):
    (folder / 'link').symlink_to(folder.parent)


def change_one(folder):
    (folder / 'one' / 'f.txt').write_text('mine')


@pytest.mark.parametrize('change, stranger', [
    (add_file, 'thesis.txt'),
    (add_deep, 'one/notes'),
    (add_empty, 'empty'),
    (add_link, 'link'),
    (change_one, 'one/f.txt'),
])
def test_a_folder_with_something_of_the_user(tmp_path, change, stranger):
    folder = tmp_path / 'a'
    fill(folder, one='1', two='2')
    change(folder)
    before = sorted(folder.rglob('*'))
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=f'{stranger} in it was not'):
            fill(folder, overwrite, one='3')
    assert sorted(folder.rglob('*')) == before
    assert os.listdir(tmp_path) == ['a']


def test_a_folder_of_our_own(tmp_path):
    folder = tmp_path / 'a'
    folder.mkdir(mode=0o700)
    fill(folder, one='1', two='2')  # an empty folder is filled
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(OutputError, match='is not empty: .*--overwrite'):
        fill(folder, one='3')
    with pytest.raises(KeyError):
        with new_folder(folder, True) as made:
            (made / 'half').touch()
            raise KeyError
    assert (folder / 'two' / 'f.txt').read_text() == '2'
    fill(folder, True, one='3')
    assert {p.name for p in folder.iterdir()} == {'one', MARKER}
    assert os.listdir(tmp_path) == ['a']
    # A single file added by us does not make it the user's.
    write(folder / 'one' / 'more.txt')
    folder.rename(tmp_path / 'b')
    fill(tmp_path / 'b', True, one='4')
    assert (tmp_path / 'b' / 'one' / 'f.txt').read_text() == '4'


def kill_within(path, call, times):
    """Replace a folder, and die instead of the given call of os."""
    real, left = getattr(os, call), [times]

    def die(*args, **kwargs):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(os, call, die)
    fill(path, overwrite=True, a='new')


@pytest.mark.parametrize('call, times, expected', [
    ('replace', 1, 'old'),  # the former folder is away, the new not there
    ('rename', 2, 'new'),  # the new one is there, the former one as well
    ('rmdir', 1, 'new'),  # the former one is half removed
])
def test_a_kill_while_a_folder_is_replaced(tmp_path, call, times, expected):
    path = tmp_path / 'out'
    fill(path, a='old')
    assert in_process(kill_within, path, call, times) == -signal.SIGKILL
    assert path.exists() == (expected == 'new')
    with pytest.raises(OutputError, match='--overwrite'):
        check_folder(path)
    assert (path / 'a' / 'f.txt').read_text() == expected
    fill(path, overwrite=True, a='newer')
    assert (path / 'a' / 'f.txt').read_text() == 'newer'
    assert os.listdir(tmp_path) == ['out']


def test_a_folder_of_inputs(tmp_path):
    fill(tmp_path / 'a', one='1')
    with pytest.raises(OutputError, match='is read and lies in'):
        check_folder(tmp_path / 'a', '--out', True,
                     [tmp_path / 'a' / 'one' / 'f.txt'])
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='file is a file'):
        check_folder(tmp_path / 'file', '--out', True)
