"""CVAT for video 1.1, on files written after its documentation."""
import json

import numpy as np
import pytest

from mmvis_memcnp.annotations.cvat_shapes import Shape, between

from .helpers import (
    convert,
    frames,
    is_valid,
    pixels,
    placed,
    rectangle,
    same,
    tracks,
)

META = """<meta><task><id>7</id><name>t</name><size>4</size>
<mode>interpolation</mode><start_frame>0</start_frame>
<stop_frame>3</stop_frame><frame_filter></frame_filter>
<labels><label><name>cat</name></label></labels>
<original_size><width>12</width><height>8</height></original_size>
</task></meta>"""
SQUARE = '1.00,2.00;4.00,2.00;4.00,5.00;1.00,5.00'


def xml(*inside, meta=META, head='<?xml version="1.0" encoding="utf-8"?>'):
    return (f'{head}\n<annotations><version>1.1</version>{meta}\n' +
            '\n'.join(inside) + '\n</annotations>\n')


def track(*shapes, key=0, label='cat', more=''):
    return (f'<track id="{key}" label="{label}" source="manual" {more}>' +
            ''.join(shapes) + '</track>')


def polygon(frame, points=SQUARE, outside=0, keyframe=1):
    return (f'<polygon frame="{frame}" keyframe="{keyframe}" '
            f'outside="{outside}" occluded="0" points="{points}" '
            'z_order="0"><attribute name="age">3</attribute></polygon>')


def box(frame, x1, y1, x2, y2, more=''):
    return (f'<box frame="{frame}" keyframe="1" outside="0" occluded="0" '
            f'xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" z_order="0" '
            f'{more}></box>')


def mask(frame, rle='1, 2, 0, 3', left=5, top=1, width=3, height=2,
         outside=0):
    return (f'<mask frame="{frame}" keyframe="1" outside="{outside}" '
            f'occluded="0" rle="{rle}" left="{left}" top="{top}" '
            f'width="{width}" height="{height}" z_order="0"></mask>')


@pytest.fixture
def run(tmp_path):
    """Converts a text; returns the status, what is said, and the errors."""
    frames(tmp_path / 'v', [f'frame_{t:06d}.png' for t in range(4)])

    def convert_text(text, *options):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / 'a.xml').write_bytes(data)
        return convert('cvat2ytvis', tmp_path / 'v', tmp_path / 'a.xml',
                       tmp_path / 'o.json', '--overwrite', *options)

    return convert_text


def test_an_export(run, tmp_path):
    """As CVAT writes it: each frame of a track, keyframe or not."""
    status, said, err = run(xml(
        track(polygon(0), polygon(1, keyframe=0), polygon(2, outside=1)),
        track(mask(1), mask(2, outside=1), key=1, label='dog'),
        track(polygon(3), key=2)))
    assert status == 0, err
    out = tmp_path / 'o.json'
    (cat, one), (dog, two), (_, three) = tracks(out)
    assert (cat, dog) == ('cat', 'dog')
    square = rectangle(1, 2, 3, 3)
    assert same(one, [square, square, None, None])
    # row by row: one pixel of background, two, none, three
    assert same(two, [None, placed(pixels('.##', '###'), 5, 1), None, None])
    assert same(three, [None, None, None, square])
    assert 'v: 4 frames, 3 objects.' in said and 'Warning' not in said
    video, = json.loads(out.read_text())['videos']
    assert video == dict(id=1, width=12, height=8, length=4, file_names=[
        f'v/frame_{t:06d}.png' for t in range(4)])
    assert is_valid(out, tmp_path)


@pytest.mark.parametrize('shapes, expected, said', [
    # straight between keyframes, and the last one stays until the end
    ((polygon(0), polygon(2, '3,2;6,2;6,5;3,5')), [1, 2, 3, 3],
     '1 shapes between keyframes are interpolated, 1 after'),
    # also towards where it gets out of sight, and not beyond
    ((polygon(0), polygon(3, '4,2;7,2;7,5;4,5', outside=1)),
     [1, 2, 3, None], '2 shapes between keyframes'),
    # nothing while it is outside; it may come back
    ((polygon(0), polygon(1, outside=1), polygon(3, '3,2;6,2;6,5;3,5')),
     [1, None, None, 3], '4 frames, 1 objects'),
    # nothing before the first keyframe; order does not matter
    ((polygon(3, '3,2;6,2;6,5;3,5'), polygon(1)), [None, 1, 2, 3], '1 shapes'),
    # boxes do the same, and it is said that they are no masks
    ((box(0, 1, 2, 4, 5), box(2, 3, 2, 6, 5)), [1, 2, 3, 3],
     'Warning: v: the boxes of 1 tracks are taken as polygons'),
    # drawn at the last frame but one alone: CVAT notes no end of it there
    ((polygon(2), ), [None, None, 1, None], '1 objects'),
    # the end of a track may be noted behind the last frame
    ((polygon(2), polygon(3), polygon(4, outside=1)), [None, None, 1, 1],
     '1 objects'),
])
def test_keyframes(run, tmp_path, shapes, expected, said):
    status, out, err = run(xml(track(*shapes)))
    assert status == 0, err
    (_, found), = tracks(tmp_path / 'o.json')
    assert same(found, [None if x is None else rectangle(x, 2, 3, 3)
                        for x in expected])
    assert said in out


def polygons(*points):
    return [Shape('polygon', '', False, np.array(p, float)) for p in points]


def test_polygons_of_other_numbers_of_points():
    """By hand: points at the same part of the outline belong together."""
    square = [[0, 0], [4, 0], [4, 4], [0, 4]]
    # One point more, in the middle of the first side, at 1/8 of the outline.
    five = [[0, 0], [2, 0], [4, 0], [4, 4], [0, 4]]
    first, second = polygons(square, np.add(five, [2, 2]))
    # 1/8 is as far from the first as from the second point: the first.
    assert between(first, second, .5).points.tolist() == [
        [1, 1], [2, 1], [5, 1], [5, 5], [1, 5]]
    assert between(second, first, .5).points.tolist() == [
        [1, 1], [2, 1], [5, 1], [5, 5], [1, 5]]
    # of the same number it is point by point
    first, second = polygons(square, np.add(square, [4, 8]))
    np.testing.assert_allclose(between(first, second, .25).points,
                               np.add(square, [1, 2]))
    # a polygon without any length has no parts
    first, second = polygons([[1, 1]] * 3, square)
    assert np.isfinite(between(first, second, .5).points).all()


@pytest.mark.parametrize('start, end, middle', [
    (0, 40, 20),  # as written
    (350, 10, 0),  # the short way, over 0
    (10, 350, 0),
])
def test_boxes_turn_the_short_way(start, end, middle):
    corners = np.array([[0., 0], [4, 2]])
    shape = between(Shape('box', '', False, corners, start),
                    Shape('box', '', False, corners, end), .5)
    assert shape.rotation % 360 == middle


def test_boxes_turn_clockwise(run, tmp_path):
    # 6x2 around (6, 4), upright after a quarter turn; and by a small angle
    assert run(xml(track(box(0, 3, 3, 9, 5, 'rotation="90.00"')),
                   track(box(0, 3, 3, 9, 5, 'rotation="20.00"'), key=1)))[
                       0] == 0
    (_, upright), (_, tilted) = tracks(tmp_path / 'o.json')
    np.testing.assert_array_equal(upright[0], rectangle(5, 1, 2, 6))
    # y points down: clockwise lifts the left end and lowers the right one
    x = np.arange(12)
    rows = [np.mean(np.nonzero(tilted[0][:, c])[0]) for c in x[4:8]]
    assert rows == sorted(rows) and rows[0] < rows[-1]


def test_masks_of_a_group_are_one_object(run, tmp_path):
    status, said, _ = run(xml(
        track(mask(0), mask(1, outside=1), more='group_id="3"'),
        track(mask(2, left=6), key=1, more='group_id="3"'),
        track(mask(2), key=2, more='group_id="3"', label='dog'),
        track(mask(0), key=3), track(mask(1), key=4)))
    assert status == 0
    part = pixels('.##', '###')
    found = tracks(tmp_path / 'o.json')
    assert [name for name, _ in found] == ['cat', 'dog', 'cat', 'cat']
    # masks are not interpolated
    assert same(found[0][1], [placed(part, 5, 1), None, placed(part, 6, 1),
                              None])
    assert 'Warning: v: 2 shapes of one frame are in no group' in said
    status, said, _ = run(xml(
        track(mask(0), more='group_id="3"'),
        track(mask(0), key=1, more='group_id="3"')))
    assert len(tracks(tmp_path / 'o.json')) == 2
    assert 'group 3 has several shapes at one frame' in said


def test_polygons_of_a_group_are_one_object(run, tmp_path):
    """Drawn frame by frame: CVAT exports a track of one frame for each."""
    lone = [track(polygon(t), polygon(t + 1, outside=1), key=t)
            for t in (0, 1)]
    status, said, _ = run(xml(*lone))
    assert len(tracks(tmp_path / 'o.json')) == 2
    assert 'Warning: v: 2 shapes of one frame are in no group' in said
    status, said, _ = run(
        xml(*lone).replace('manual"', 'manual" group_id="5"'))
    (_, found), = tracks(tmp_path / 'o.json')
    square = rectangle(1, 2, 3, 3)
    assert same(found, [square, square, None, None]) and 'Warning' not in said


def test_frames_of_a_filter(run, tmp_path):
    meta = META.replace('<start_frame>0', '<start_frame>10').replace(
        'filter></', 'filter>step=5</')
    status, _, err = run(xml(track(polygon(15), polygon(20, outside=1)),
                             meta=meta))
    assert status == 0, err
    (_, found), = tracks(tmp_path / 'o.json')
    assert same(found, [None, rectangle(1, 2, 3, 3), None, None])
    status, _, err = run(xml(track(polygon(16)), meta=meta))
    assert status == 1 and 'there is no frame 16; the first is 10' in err


def test_other_shapes_are_left_out_and_said(run, tmp_path):
    points = polygon(0).replace('<polygon', '<points').replace(
        '/polygon', '/points')
    status, said, _ = run(xml(track(points), track(polygon(0), key=1)))
    assert status == 0 and len(tracks(tmp_path / 'o.json')) == 1
    assert 'Warning: v: 1 tracks of <points> are left out' in said
    status, said, _ = run(xml())
    assert status == 0 and 'Warning: v: no object in its 4 frames.' in said


def test_folders_and_categories(tmp_path):
    """Two exports with images; categories by the id of the track."""
    for name in 'ab':
        frames(tmp_path / f'in/{name}/images',
               [f'frame_{t:06d}.png' for t in range(4)])
        (tmp_path / f'in/{name}/annotations.xml').write_text(
            xml(track(polygon(0))))
    (tmp_path / 'n.json').write_text('{"b": {"0": "dog"}}')
    status, said, err = convert(
        'cvat2ytvis', tmp_path / 'in', tmp_path / 'in', tmp_path / 'o.json',
        '--categories', tmp_path / 'n.json')
    assert status == 0, err
    assert [name for name, _ in tracks(tmp_path / 'o.json')] == ['cat', 'dog']
    assert is_valid(tmp_path / 'o.json', tmp_path / 'in')
    (tmp_path / 'in/b/annotations.xml').write_text('<annotations>')
    status, said, _ = convert(
        'cvat2ytvis', tmp_path / 'in', tmp_path / 'in', tmp_path / 'p.json',
        '--skip')
    assert status == 0 and 'Skipped b: ' in said and '1 skipped' in said


BOMB = ('<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">'
        ']>')


@pytest.mark.parametrize('text, sentence', [
    # not an xml, cut off, empty, of another encoding than it says
    ('hello', 'a.xml is no readable xml (syntax error: line 1'),
    (xml(track(polygon(0)))[:-20], 'is no readable xml'),
    ('', 'is no readable xml (no element found'),
    (xml().encode() + b'\xff', 'is no readable xml'),
    (xml(head='<?xml version="1.0" encoding="no-such"?>'),
     'is no readable xml'),
    # entities: one that grows, and one that reads a file
    (xml(head=BOMB), 'a.xml has a document type'),
    (xml(head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'),
     'a.xml has a document type'),
    # another file, and the kinds of CVAT that hold no video
    ('<svg></svg>', 'is no file of CVAT: it begins with <svg>'),
    (xml('<image id="0" name="a.png"></image>'), '"CVAT for images"'),
    (xml(meta='<meta><project></project></meta>'), 'export of a project'),
    # other frames than those annotated
    (xml(meta=META.replace('<size>4', '<size>5')),
     'is of 5 frames, but there are 4 images'),
    (xml(meta=META.replace('<width>12', '<width>24')),
     'is of frames of 24x8 pixels, but the images have 12x8'),
    (xml(meta=META.replace('<size>4', '<size>x')),
     "a.xml: <size> is 'x', not a whole number"),
    # tracks
    (xml('<track id="0"></track>'), 'line 8: the track has no label'),
    (xml(track(polygon(0)), track(polygon(1))), 'line 9: the track 0 is th'),
    (xml(track(polygon(0), polygon(0))), 'two shapes at the frame 0'),
    (xml(track(polygon(0), mask(1))), 'more than one kind'),
    (xml(track(polygon(4))), 'there is no frame 4; the first is 0 and the'),
    (xml(track(polygon(-1))), 'there is no frame -1'),
    (xml(track(polygon('1.5'))), "frame is '1.5', not a whole number"),
    (xml(track(polygon(0, outside=2))), "outside is '2', not 0 or 1"),
    (xml(track(polygon(0).replace('outside="0"', ''))), 'has no outside'),
    # points
    (xml(track(polygon(0, '1,2;3,4'))), 'a polygon has three points'),
    (xml(track(polygon(0, '1,2;3,4;5'))), 'a polygon has three points'),
    (xml(track(polygon(0, '1,2;3,4;5,a'))), "points is 'a', not a number"),
    (xml(track(polygon(0, '1,2;3,4;5,nan'))), 'line 8: the mask has the y c'),
    (xml(track(polygon(0, '1,2;3,4;1e9,5'))), 'the x coordinate 1000000000'),
    (xml(track(polygon(0).replace('points=', 'p='))), 'it has no points'),
    (xml(track(box(0, 'q', 2, 4, 5))), "xtl is 'q', not a number"),
    # masks: runs that do not fill the box, are negative, none, no numbers
    (xml(track(mask(0, '1, 2, 0'))), 'make 3 pixels, but its box has 3x2'),
    (xml(track(mask(0, '7, -1'))), 'make 6 pixels'),
    (xml(track(mask(0, ''))), "rle is '', not a whole number"),
    (xml(track(mask(0, f'{"9" * 5000}'))), 'not a whole number'),
    # masks: out of the frame, without size, of no size
    (xml(track(mask(0, left=10))), 'from column 10 to 12 and from row 1'),
    (xml(track(mask(0, left=-1))), 'out of its frame of 12x8'),
    (xml(track(mask(0, width=0))), 'out of its frame'),
    (xml(track(mask(0).replace('left=', 'l='))), 'it has no left'),
])
def test_what_is_broken_is_named(run, tmp_path, text, sentence):
    status, _, err = run(text)
    assert status == 1 and sentence in err and 'a.xml' in err
    assert len(err.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.xml', 'v']
