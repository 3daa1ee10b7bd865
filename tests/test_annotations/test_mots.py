"""MOTS txt, on files written after the description of the format."""
import pytest

from .helpers import (
    code,
    convert,
    frames,
    is_valid,
    rectangle,
    same,
    tracks,
)

A, B = rectangle(1, 2, 3, 4), rectangle(5, 1, 4, 2)


def line(frame, key, kind, mask=A, size='8 12', counts=None):
    return f'{frame} {key} {kind} {size} {counts or code(mask)}\n'


@pytest.fixture
def run(tmp_path):
    """Converts a text; returns status, output and errors."""
    frames(tmp_path / 'v', [f'{t:06d}.png' for t in range(3)])

    def convert_text(text):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / 'a.txt').write_bytes(data)
        return convert('mots2ytvis', tmp_path / 'v', tmp_path / 'a.txt',
                       tmp_path / 'o.json', '--overwrite')

    return convert_text


def test_kitti(run, tmp_path):
    """Frames from 0; ids of two classes; regions to be ignored."""
    status, said, err = run(
        line(0, 2001, 2, B) + line(0, 1005, 1) + line(1, 10000, 10) +
        '\n' + line(2, 10001, 10) + line(2, 1005, 1, B))
    assert status == 0, err
    (car, one), (person, two) = tracks(tmp_path / 'o.json')
    assert (car, person) == ('car', 'pedestrian')
    assert same(one, [A, None, B]) and same(two, [B, None, None])
    assert 'v: 2 regions to be ignored (class 10) are left out.' in said
    assert 'v: 3 frames, 2 objects.' in said
    assert is_valid(tmp_path / 'o.json', tmp_path)


def test_motschallenge(tmp_path):
    """Frames from 1, in img1, with gt/gt.txt; and categories."""
    for name in ('MOTS20-02', 'MOTS20-05'):
        frames(tmp_path / f'train/{name}/img1',
               [f'{t:06d}.jpg' for t in (1, 2)])
        (tmp_path / f'train/{name}/gt').mkdir()
        (tmp_path / f'train/{name}/gt/gt.txt').write_text(
            line(2, 2003, 2) + line(1, 3000, 3, B))
    (tmp_path / 'n.json').write_text('{"MOTS20-05": {"2003": "child"}}')
    root, out = tmp_path / 'train', tmp_path / 'o.json'
    status, said, err = convert('mots2ytvis', root, root, out,
                                '--categories', tmp_path / 'n.json')
    assert status == 0 and 'Warning' not in said, err
    found = tracks(out)
    assert [name for name, _ in found] == ['pedestrian', 'class_3', 'child',
                                           'class_3']
    assert same(found[0][1], [None, A]) and same(found[1][1], [B, None])
    assert is_valid(out, root)


def test_nothing_is_said_to_be_nothing(run):
    status, said, _ = run('')
    assert status == 0 and 'Warning: v: no object in its 3 frames.' in said
    # a code without a pixel, as trackers write it
    status, said, _ = run(line(0, 2001, 2, A & B))
    assert status == 0
    assert 'the object 2001 has no pixel in any frame and is left' in said


@pytest.mark.parametrize('text, sentence', [
    # fields
    ('0 2001 2 8 12\n', 'line 1: it has 5 fields, not six'),
    (line(0, 2001, 2) + '0 2001\n', 'line 2: it has 2 fields'),
    (line('a', 2001, 2), "line 1: its frame is 'a', not a whole number"),
    (line(0, '1.5', 1), "its id is '1.5', not a whole number"),
    (line(0, -2001, 2), "its id is '-2001'"),
    (line(0, 2001, '9' * 30), "its class is '9999"),
    # ids of another class, and ids twice at a frame
    (line(0, 2001, 1), 'the id 2001 is not of the class 1; it is 1000 times'),
    (line(0, 2001, 2) * 2, 'line 2: the object 2001 is there for the second'),
    # frames that are not there, or of another size
    (line(3, 2001, 2), 'there is no image of the frame 3 in'),
    (line(0, 2001, 2, size='12 8'), 'of a frame of 8x12 pixels, but the'),
    # codes: cut short, with a tail, garbage; also of what is ignored
    (line(0, 2001, 2, counts=code(A)[:-1]), 'line 1: the mask has counts t'),
    (line(0, 2001, 2, counts=code(A) + '9'), 'line 1: the mask has runs for'),
    (line(0, 2001, 2, counts='!!'), "has the byte b'!' in its counts"),
    (line(0, 10000, 10, counts='!!'), "has the byte b'!' in its counts"),
    (line(0, 2001, 2, counts='oooo'), 'the mask has counts that are cut sh'),
    # no text
    (b'\x89PNG', 'a.txt is no text in ASCII (byte 0)'),
])
def test_what_is_broken_is_named(run, tmp_path, text, sentence):
    status, _, err = run(text)
    assert status == 1 and sentence in err and 'a.txt' in err
    assert len(err.splitlines()) == 1 and not (tmp_path / 'o.json').exists()


@pytest.mark.parametrize('name, sentence', [
    ('first.png', 'first.png has no number of a frame in its name'),
    ('1.png', 'are the same frame: take one of them away'),
])
def test_images_need_numbers(run, tmp_path, name, sentence):
    frames(tmp_path / 'v', [name])
    status, _, err = run(line(0, 2001, 2))
    assert status == 1 and sentence in err


def test_a_video_needs_its_txt(tmp_path):
    frames(tmp_path / 'f/a', ['0.png'])
    (tmp_path / 't').mkdir()
    args = tmp_path / 'f', tmp_path / 't', tmp_path / 'o.json'
    status, _, err = convert('mots2ytvis', *args)
    assert status == 1 and 'The video a of ' in err and 't/a.txt' in err
    # files and folders without each other can be left out, and are named
    (tmp_path / 't/b.txt').write_text(line(0, 2001, 2))
    (tmp_path / 't/c.txt').write_text(line(0, 2001, 2))
    frames(tmp_path / 'f/c', ['0.png'])
    status, said, _ = convert('mots2ytvis', *args, '--skip')
    assert status == 0 and 'Skipped a: The video a of ' in said
    assert 'Skipped b: ' in said and 't/b.txt has no folder with f' in said
    assert len(tracks(tmp_path / 'o.json')) == 1
    status, _, err = convert('mots2ytvis', tmp_path / 'f/a', args[1],
                             tmp_path / 'p.json')
    assert status == 1 and 'give its file of annotations' in err
