"""labelme, on files written after its documentation."""
import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

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

SQUARE = [[1.0, 2.0], [4.0, 2.0], [4.0, 5.0], [1.0, 5.0]]


def shape(label='cat', points=SQUARE, kind='polygon', group=None, **more):
    return dict(label=label, points=points, group_id=group, description='',
                shape_type=kind, flags={}, mask=None) | more


def picture(mask):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, 'PNG')
    return base64.b64encode(file.getvalue()).decode()


def mask_shape(part, left, top, **more):
    height, width = part.shape
    corners = [[left, top], [left + width - 1, top + height - 1]]
    return shape(**dict(points=corners, kind='mask', mask=picture(part))
                 | more)


def file(*shapes, **more):
    return dict(version='5.4.1', flags={}, shapes=list(shapes),
                imagePath='..\\x\\image.jpg', imageData=None, imageHeight=8,
                imageWidth=12) | more


@pytest.fixture
def run(tmp_path):
    """Converts jsons, one a frame; returns status, output and errors."""

    def convert_files(*files):
        folder = frames(tmp_path / 'v', [f'{t}.jpg' for t in range(3)])
        for t, content in enumerate(files):
            if content is not None:
                text = content if isinstance(content, str) else json.dumps(
                    content)
                (folder / f'{t}.json').write_text(text)
        return convert('labelme2ytvis', folder, folder, tmp_path / 'o.json',
                       '--overwrite')

    return convert_files


def test_a_folder(run, tmp_path):
    part = pixels('.##', '###')
    status, said, err = run(
        file(shape(), shape('dog', [[5, 1], [8, 3]], 'rectangle', group=1)),
        file(shape('dog', [[8, 3], [5, 1]], 'rectangle', group=2),
             mask_shape(part, 6, 4, label='dog', group=1)),
        file(shape()))
    assert status == 0, err
    (_, one), (_, two), (name, three) = found = tracks(tmp_path / 'o.json')
    assert [name for name, _ in found] == ['cat', 'dog', 'dog']
    square = rectangle(1, 2, 3, 3)
    assert same(one, [square, None, square])
    assert same(two, [rectangle(5, 1, 3, 2), placed(part, 6, 4), None])
    # corners of a rectangle may come in any order
    assert same(three, [None, rectangle(5, 1, 3, 2), None])
    assert 'v: 3 frames, 3 objects.' in said and 'Warning' not in said
    assert is_valid(tmp_path / 'o.json', tmp_path)


@pytest.mark.parametrize('shapes, expected, said', [
    # a group at one frame is one object in parts
    ([shape(group=0), shape(points=[[6, 1], [8, 1], [8, 2], [6, 2]],
                            group=0)],
     [rectangle(1, 2, 3, 3) | rectangle(6, 1, 2, 1)], ''),
    # of the same group, but another label: another object
    ([shape(group=4), shape('dog', group=4)],
     [rectangle(1, 2, 3, 3)] * 2, '2 objects'),
    # a label with and without group is said
    ([shape(group=4), shape()], [rectangle(1, 2, 3, 3)] * 2,
     'Warning: v: cat is there with and without group_id'),
    # what has no area
    ([shape(), shape('p', [[1, 2]], 'point'),
      shape('c', [[1, 2], [3, 4]], 'line')], [rectangle(1, 2, 3, 3)],
     'Warning: v: 1 shapes of the type line are left out'),
    # a circle is its middle and a point on it
    ([shape(points=[[5, 4], [5, 6.1]], kind='circle')],
     [placed(pixels('.##.', '####', '####', '.##.'), 3, 2)], ''),
    # a rectangle that is turned has four corners
    ([shape(kind='oriented_rectangle')], [rectangle(1, 2, 3, 3)], ''),
    # masks reach out of the frame by what labelme cuts off
    ([mask_shape(np.ones((3, 4), bool), -2, 6)], [rectangle(0, 6, 2, 2)], ''),
    # a mask may be grey, with 255 for the object
    ([mask_shape(pixels('#.', '##').astype(np.uint8) * 255, 3, 3)],
     [placed(pixels('#.', '##'), 3, 3)], ''),
    # corners of a mask between pixels are rounded each for itself
    ([mask_shape(np.ones((2, 3), bool), 1, 2, points=[[1.6, 2], [3.4, 3]])],
     [rectangle(2, 2, 3, 2)], ''),
    # an old file has no types and no groups, or null
    ([dict(label='cat', points=SQUARE)], [rectangle(1, 2, 3, 3)], ''),
    ([shape(kind=None)], [rectangle(1, 2, 3, 3)], ''),
])
def test_shapes(run, tmp_path, shapes, expected, said):
    status, out, err = run(file(*shapes), None, None)
    assert status == 0, err
    masks = [mask for _, (mask, ) in tracks(tmp_path / 'o.json')]
    assert same(masks, expected)
    assert said in out and 'v: 2 frames have no json and are left' in out


def test_frames_without_objects_are_kept(run, tmp_path):
    status, said, _ = run(file(shape()), file(), file())
    (_, masks), = tracks(tmp_path / 'o.json')
    assert status == 0 and same(masks, [rectangle(1, 2, 3, 3), None, None])
    status, said, _ = run(file(), file(), file())
    assert status == 0 and 'Warning: v: no object in its 3 frames' in said


def test_folders_and_categories(tmp_path):
    for name in 'ab':
        frames(tmp_path / f'img/{name}', ['0.jpg'])
        (tmp_path / f'ann/{name}').mkdir(parents=True)
        (tmp_path / f'ann/{name}/0.json').write_text(
            json.dumps(file(shape(), shape('dog', group=7))))
    (tmp_path / 'n.json').write_text('{"b": {"cat": "A", "dog:7": "B"}}')
    status, said, err = convert(
        'labelme2ytvis', tmp_path / 'img', tmp_path / 'ann',
        tmp_path / 'o.json', '--categories', tmp_path / 'n.json')
    assert status == 0 and 'Warning' not in said, err
    assert [name for name, _ in tracks(tmp_path / 'o.json')] == [
        'cat', 'dog', 'A', 'B']
    assert is_valid(tmp_path / 'o.json', tmp_path / 'img')


ONE = np.ones((2, 3), bool)


@pytest.mark.parametrize('content, sentence', [
    # no json, no file of labelme
    ('{"shapes": [', '0.json is not a readable json'),
    ('[]', '0.json is no json of labelme'),
    (dict(images=[]), '0.json is no json of labelme'),
    (file() | dict(shapes={}), 'is no json of labelme'),
    # of another image
    (file(imageHeight=16), 'is of an image of 12x16 pixels, but its frame'),
    (file(imageWidth='12'), "of '12'x8 pixels"),
    # drawn on another frame of the video
    (file(shape(), imagePath='sub\\2.png'), 'json is of another frame, '),
    # shapes
    (file(3), '0.json, shape 0: it is 3, not an object'),
    (file(shape(), shape('')), "shape 1: its label is '', not a name"),
    (file(shape(3)), 'shape 0: its label is 3'),
    (file(shape(group='1')), "its group_id is '1', not a whole number"),
    (file(shape(group=True)), 'its group_id is True'),
    (file(shape(kind=['polygon'])), "its shape_type is ['polygon']"),
    (file(shape(), shape()), 'shape 1: cat is there for the second time'),
    # points
    (file(shape(points=None)), 'shape 0: its points are not a list of pairs'),
    (file(shape(points=[[1, 2], [3]])), 'not a list of pairs'),
    (file(shape(points=[[1, 2], [3, '4'], [5, 6]])), 'not a list of pairs'),
    (file(shape(points=[[1, 2], [3, float('nan')], [5, 6]])), 'not a list'),
    (file(shape(points=SQUARE[:2])), 'the polygon has 2 points; it needs'),
    (file(shape(points=[[1, 2], [3, 4], [1e6, 5]])), 'x coordinate 1000000'),
    (file(shape(kind='rectangle')), 'the rectangle has 4 points, not two'),
    # the angle between its points is 0 to a float
    (file(shape(points=[[0, 0], [1e17, 0]], kind='circle')),
     'the circle has a radius of 1e+17 pixels in a frame'),
    (file(shape(kind='circle')), 'the circle has 4 points, not two'),
    # masks: none, no base64, no picture, a picture of another kind or size
    (file(mask_shape(ONE, 1, 1, mask=None)), 'its mask is None, not a pict'),
    (file(mask_shape(ONE, 1, 1, mask='@@')), 'is no readable PNG in base64'),
    (file(mask_shape(ONE, 1, 1, mask='aGVsbG8=')), 'is no readable PNG'),
    (file(mask_shape(ONE, 1, 1, mask=picture(ONE)[:60])), 'is no readable P'),
    (file(mask_shape(ONE, 1, 1, points=[[1, 1], [4, 2]])),
     'its mask has 3x2 pixels, but its corners are 4x2 apart'),
    (file(mask_shape(np.ones((1, 90), bool), 0, 0)), 'has 90x1 pixels'),
])
def test_what_is_broken_is_named(run, tmp_path, content, sentence):
    status, _, err = run(content)
    assert status == 1 and sentence in err and '0.json' in err
    assert len(err.splitlines()) == 1 and not (tmp_path / 'o.json').exists()


def test_a_json_needs_its_frame(run, tmp_path):
    (tmp_path / 'v').mkdir()
    (tmp_path / 'v/9.json').write_text(json.dumps(file()))
    status, _, err = run()
    assert status == 1 and '9.json has no frame in' in err
    (tmp_path / 'v/9.json').unlink()
    status, _, err = run()
    assert status == 1 and 'has no json; there is nothing to convert' in err
