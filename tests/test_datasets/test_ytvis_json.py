import json

import pytest

from mmvis_memcnp.annotations.flavours import flavour
from mmvis_memcnp.datasets.ytvis_json import (
    match_categories,
    parse_track,
    parse_videos,
    read_ytvis_json,
)

from .rectangles import (
    HEIGHT,
    WIDTH,
    box_mask,
    compressed,
    track,
)

VIDEO = dict(
    video_id=7, length=3, height=HEIGHT, width=WIDTH, file_names=['a'] * 3)


@pytest.mark.parametrize('data, kind', [
    (dict(videos=[]), 'ytvis'),
    (dict(images=[], annotations=[]), 'coco'),
    (dict(images=[], videos=[]), 'mmdet'),
    ([dict(score=.5)], 'results'),
    ([], 'unknown'),
    (dict(data_list=[]), 'unknown'),
    ('text', 'unknown'),
])
def test_flavour(data, kind):
    assert flavour(data) == kind


@pytest.mark.parametrize('data, sentence', [
    (dict(images=[]), 'COCO json of still images'),
    (dict(images=[], videos=[]), 'youtubevis2coco.py.*as released'),
    ([dict(score=.5)], 'results file'),
    (dict(a=1), "has no 'videos'"),
])
def test_other_flavours_are_named(tmp_path, data, sentence):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=sentence) as error:
        read_ytvis_json(path)
    assert str(path) in str(error.value)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.json does not exist'):
        read_ytvis_json(tmp_path / 'none.json')
    (tmp_path / 'cut.json').write_text('{"videos": [')
    with pytest.raises(ValueError, match='cut.json is not a readable json'):
        read_ytvis_json(tmp_path / 'cut.json')


@pytest.mark.parametrize('fields', [{}, dict(annotations=None)])
def test_no_annotations(tmp_path, fields):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(dict(videos=[], categories=[]) | fields))
    data = read_ytvis_json(path)
    assert data['annotations'] == [] and data['has_annotations'] is False


def test_a_frame_is_visible_with_mask_and_box():
    boxes = [(1, 2, 3, 4)] * 6
    annotation = track(1, 7, 5, boxes)
    annotation['segmentations'][2] = None
    annotation['bboxes'][3] = [1, 2, 0.5, 4]
    annotation['segmentations'][4] = compressed(box_mask(0, 0, 0, 0))
    found = parse_track(annotation, VIDEO | dict(length=6), 'a.json')
    assert [f is not None for f in found] == [
        True, True, False, False, False, True]
    assert found[0][1] == [1, 2, 4, 6]


def test_boxes_come_from_masks_where_there_are_none():
    annotation = track(1, 7, 5, [(1, 2, 3, 4), None, (6, 0, 2, 8)])
    del annotation['bboxes'], annotation['areas']
    found = parse_track(annotation, VIDEO, 'a.json')
    assert found[0][1] == [1, 2, 4, 6]
    assert found[1] is None
    assert found[2][1] == [6, 0, 8, 8]


@pytest.mark.parametrize('none', [None, []])
def test_an_object_that_lacks_some_boxes_is_trained(none):
    annotation = track(1, 7, 5, [(1, 2, 3, 4), None, (6, 0, 2, 8)])
    annotation['bboxes'] = [[1, 2, 5, 4], none, none]
    found = parse_track(annotation, VIDEO, 'a.json')
    assert [f and f[1] for f in found] == [[1, 2, 6, 6], None, [6, 0, 8, 8]]


def test_an_unreadable_mask_is_named():
    annotation = track(9, 7, 5, [None, (1, 2, 3, 4), None])
    annotation['segmentations'][1]['size'] = [3, 3]
    with pytest.raises(ValueError, match='a.json: annotation 9, frame 1: the'):
        parse_track(annotation, VIDEO, 'a.json')


def test_file_names_decide_the_length():
    video = dict(id=1, height=4, width=5, length=9, file_names=['a', 'b'])
    assert parse_videos([video], 'a.json')[0]['length'] == 2


def test_a_video_needs_file_names():
    video = dict(id=1, height=4, width=5, length=2)
    with pytest.raises(ValueError, match='a.json: video 1 has no file_names'):
        parse_videos([video], 'a.json')


def test_categories_match_by_name():
    categories = [dict(id=20, name='b'), dict(id=5, name='a')]
    assert match_categories(categories, ('a', 'b'), 'x') == {20: 1, 5: 0}
    # A class that the json lacks keeps its label.
    assert match_categories(categories, ('c', 'b', 'a'), 'x') == {20: 1, 5: 2}
