"""COCO jsons of videos, written after the description of CocoVID."""
import copy
import json

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
POLYGON = [[5, 1, 9, 1, 9, 3, 5, 3]]


def annotation(key, image, instance, segmentation=None, category=1, **more):
    return dict(
        id=key, image_id=image, instance_id=instance, category_id=category,
        segmentation=segmentation or dict(size=[8, 12], counts=code(A)),
        bbox=[1, 2, 3, 4], area=12, iscrowd=0, is_occluded=False) | more


def cocovid():
    """Two videos; the images of the first are not in order."""
    return dict(
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        videos=[dict(id=1, name='v'), dict(id=2, name='w', width=12,
                                           height=8)],
        images=[
            dict(id=1, video_id=1, file_name='v/b.jpg', frame_id=1,
                 height=8, width=12),
            dict(id=2, video_id=1, file_name='v/a.jpg', frame_id=0,
                 height=8, width=12, is_vid_train_frame=True),
            dict(id=3, video_id=2, file_name='w/a.jpg', frame_id=7),
        ],
        annotations=[
            annotation(1, 1, 4),
            annotation(2, 2, 4, POLYGON),
            annotation(3, 2, 3, category=2),
            # the same number in another video is another object
            annotation(4, 3, 4, dict(size=[8, 12], counts=[96]), 2),
            annotation(5, 3, 5, POLYGON, 2),
            annotation(6, 3, 6, category=1, iscrowd=1),
        ])


@pytest.fixture
def run(tmp_path):
    """Converts a json; returns status, output and errors."""
    frames(tmp_path / 'f/v', ['a.jpg', 'b.jpg'])
    frames(tmp_path / 'f/w', ['a.jpg'])

    def convert_data(data, *options):
        text = data if isinstance(data, str) else json.dumps(data)
        (tmp_path / 'a.json').write_text(text)
        return convert('coco_video2ytvis', tmp_path / 'f',
                       tmp_path / 'a.json', tmp_path / 'o.json',
                       '--overwrite', *options)

    return convert_data


def test_ids_stay(run, tmp_path):
    """A server knows videos and categories by their ids, also unseen ones."""
    data = cocovid()
    data['categories'] = [dict(id=7, name='dog'), dict(id=3, name='owl'),
                          dict(id=40, name='cat')]
    for record in data['annotations']:
        record['category_id'] = {1: 40, 2: 7}[record['category_id']]
    data['videos'][0]['id'] = 55
    for image in data['images'][:2]:
        image['video_id'] = 55
    status, _, err = run(data)
    assert status == 0, err
    found = json.loads((tmp_path / 'o.json').read_text())
    assert [v['id'] for v in found['videos']] == [55, 2]
    assert [(c['id'], c['name']) for c in found['categories']] == [
        (3, 'owl'), (7, 'dog'), (40, 'cat')]
    assert [(a['video_id'], a['category_id'])
            for a in found['annotations']] == [(55, 7), (55, 40), (2, 7)]
    # a data set without annotations, as servers give it
    del data['annotations']
    assert run(data)[0] == 0
    found = json.loads((tmp_path / 'o.json').read_text())
    assert len(found['categories']) == 3 and found['annotations'] == []
    # names of --categories that the file does not have come behind
    (tmp_path / 'names.json').write_text('{"v": {"4": "cup"}}')
    data = dict(data, annotations=cocovid()['annotations'][:1])
    data['annotations'][0]['category_id'] = 7
    assert run(data, '--categories', tmp_path / 'names.json')[0] == 0
    found = json.loads((tmp_path / 'o.json').read_text())
    assert [c['id'] for c in found['categories']] == [3, 7, 40, 41]
    assert [a['category_id'] for a in found['annotations']] == [41]


def test_two_categories_of_one_name(run):
    data = cocovid()
    data['categories'].append(dict(id=9, name='cat'))
    status, _, err = run(data)
    assert status == 1 and 'two categories have the name cat.' in err


def test_a_file(run, tmp_path):
    status, said, err = run(cocovid())
    assert status == 0, err
    found = tracks(tmp_path / 'o.json')
    assert [name for name, _ in found] == ['dog', 'cat', 'dog']
    assert same(found[0][1], [A, None]) and same(found[1][1], [B, A])
    assert same(found[2][1], [B])
    videos = json.loads((tmp_path / 'o.json').read_text())['videos']
    assert [v['file_names'] for v in videos] == [
        ['v/a.jpg', 'v/b.jpg'], ['w/a.jpg']]
    assert 'v: 2 frames, 2 objects.' in said
    assert 'w: 1 regions with several objects (iscrowd) are left' in said
    assert 'the object 4 has no pixel in any frame' in said
    assert is_valid(tmp_path / 'o.json', tmp_path / 'f')


def test_categories_and_videos_without_names(run, tmp_path):
    data = cocovid()
    del data['videos'][1]['name']
    (tmp_path / 'n.json').write_text(
        '{"v": {"3": "fox"}, "2": {"5": "owl"}}')
    status, said, _ = run(data, '--categories', tmp_path / 'n.json')
    assert status == 0 and '--categories' not in said
    assert [name for name, _ in tracks(tmp_path / 'o.json')] == [
        'fox', 'cat', 'owl']


@pytest.mark.parametrize('annotations', [None, []])
def test_without_annotations(run, annotations):
    status, said, _ = run(cocovid() | dict(annotations=annotations))
    assert status == 0
    assert all(f'Warning: {name}: no object in its' in said for name in 'vw')


def test_a_broken_video_can_be_left_out(run, tmp_path):
    (tmp_path / 'f/v/a.jpg').unlink()
    status, said, _ = run(cocovid(), '--skip')
    assert status == 0 and 'Skipped v: ' in said
    assert len(tracks(tmp_path / 'o.json')) == 1


def change(place, value):
    """The file with another value at a place, such as 'images.0.id'."""
    data = node = copy.deepcopy(cocovid())
    *keys, last = [int(k) if k.isdecimal() else k for k in place.split('.')]
    for key in keys:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return data


@pytest.mark.parametrize('data, sentence', [
    # other files
    ('{"videos": [', 'a.json is not a readable json'),
    ([], 'a.json is no COCO json of videos'),
    (change('videos', None), 'is no COCO json of videos'),
    (change('images', None), 'is no COCO json of videos'),
    (change('annotations', {'a': 1}), 'annotations is {'),
    (cocovid() | dict(videos=[], images=[], annotations=[]), 'no video'),
    # ids
    (change('videos.0.id', '1'), 'a.json, videos[0]: it is no record with'),
    (change('images.1.id', 1), 'two of images have the id 1'),
    (change('annotations.1', 3), 'annotations[1]: it is no record'),
    (change('videos.1.name', 'v'), 'two videos have the name v'),
    (change('images.0.video_id', 9), 'with the id 1 has the video_id 9, whi'),
    (change('annotations.0.image_id', None), 'the image_id None, which does'),
    (change('categories.0.name', None), 'the category 1 has no name'),
    (change('annotations.0.category_id', 5), 'annotation 1 has the categor'),
    # images
    (change('images.0.frame_id', None), 'the image 1 has the frame_id None'),
    (change('images.0.frame_id', 0), 'the frame_id 0, as has the image'),
    (change('images.0.file_name', None), 'the image 1 has no file_name'),
    (change('images.0.file_name', 'v/c.jpg'), 'v/c.jpg, which does not exi'),
    (change('images.0.height', 9), 'the image 1 is of 12x9 pixels, but the'),
    (change('videos.1.width', 9), 'the video 2 is of 9x8 pixels, but the'),
    (change('videos', cocovid()['videos'] + [dict(id=3)]), 'video 3 has no'),
    # objects: without id, of two categories, twice at an image
    (change('annotations.0.instance_id', None), 'has the instance_id None'),
    (change('annotations.0.category_id', 2),
     'annotation 1 says that the object 4 is a dog, which was a cat'),
    (change('annotations.2.instance_id', 4), 'annotation 3 says that the ob'),
    (change('annotations.2', annotation(3, 2, 4)),
     'annotation 3 is the second one of the object 4 at its image'),
    # masks: boxes alone, of another size, cut short, not finite
    (change('annotations.0.segmentation', None), 'annotation 1 has no segme'),
    (change('annotations.0.segmentation', []), 'a box alone is no mask'),
    (change('annotations.0.segmentation.size', [12, 8]),
     'annotation 1: the mask has the size [12, 8], but its video has'),
    (change('annotations.0.segmentation.counts', [5]), 'runs for 5 pixels'),
    (change('annotations.1.segmentation.0.3', float('nan')), 'annotation 2:'),
    (change('annotations.1.segmentation.0', [1, 2]), 'no polygon of three'),
])
def test_what_is_broken_is_named(run, tmp_path, data, sentence):
    status, _, err = run(data)
    assert status == 1 and sentence in err and 'a.json' in err
    assert len(err.splitlines()) == 1 and not (tmp_path / 'o.json').exists()


def test_inputs_are_said_to_be_missing(tmp_path):
    frames(tmp_path / 'f', [])
    for folder, file, sentence in (
            ('g', 'a.json', 'There is no folder'),
            ('f', 'a.json', 'There is no file'), ('f', 'f', 'is no file')):
        status, _, err = convert('coco_video2ytvis', tmp_path / folder,
                                 tmp_path / file, tmp_path / 'o.json')
        assert status == 1 and sentence.split(' is ')[-1] in err
