import json

import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import (
    STAT_NAMES,
    AnnotationFile,
    Cell,
    average_precision,
    check_results,
    match_at_thresholds,
    read_results,
    read_video_ids,
    reduce_results,
)
from mmvis_memcnp.evaluation.functional.results import read_entry

from ..toy import annotation, ground_truth, result, rle, rows


def score(gt, results, videos=None):
    gt = AnnotationFile.load(gt)
    cells = reduce_results(gt, read_results(results))
    if videos is not None:
        cells = {v: cells[v] for v in videos}
    return average_precision(cells, list(gt.categories))


def test_one_track_at_iou_two_thirds():
    # frame 0 equal (8 pixels), frame 1: 4 of 8 + 4: IoU 12 / 20 = 0.6
    gt = ground_truth([annotation(1, [rows(0, 1), rows(0, 1)])])
    stats = score(gt, [result([rows(0, 1), rows(1, 2)])]).stats()
    # 0.6 passes .5, .55 and .6 of ten thresholds
    assert stats['AP'] == pytest.approx(.3)
    assert stats['AP50'] == pytest.approx(1)
    assert stats['AP75'] == 0
    assert stats['AR1'] == stats['AR100'] == pytest.approx(.3)
    assert stats['AP_small'] == pytest.approx(.3)
    assert stats['AP_medium'] == stats['AR_large'] == -1


def test_false_track_before_a_true_one():
    gt = ground_truth([annotation(1, [rows(0), None])])
    wrong, right = result([None, rows(3)], .9), result([rows(0), None], .8)
    found = score(gt, [right, wrong])
    assert found.stats()['AP'] == pytest.approx(.5)  # precision 1 / 2
    assert found.stats()['AR1'] == 0  # the best one is wrong
    assert found.stats()['AR10'] == 1
    # recall 0 is reached by the first prediction
    assert found.scores[0, :2, 0, 0, 2].tolist() == [.9, .8]


def test_recall_of_half_the_objects():
    gt = ground_truth([annotation(1, [rows(0), rows(0)]),
                       annotation(2, [rows(3), rows(3)])])
    stats = score(gt, [result([rows(0), rows(0)])]).stats()
    assert stats['AR100'] == .5
    assert stats['AP'] == pytest.approx(51 / 101)  # recalls 0 ... 0.50


@pytest.mark.parametrize('number', [0, 1])
def test_annotation_with_id_zero_can_be_matched(number):
    gt = ground_truth([annotation(number, [rows(0), None])])
    found = score(gt, [result([rows(0), None])])
    assert found.stats()['AP'] == pytest.approx(1)


def test_empty_tracks_and_no_predictions():
    gt = ground_truth([annotation(1, [rows(0), None])])
    assert score(gt, []).stats()['AP'] == 0
    for mask in (None, rle()):
        hit = result([rows(0), None], .5)
        assert score(gt, [hit, result([mask, mask], .9)]).stats(
        )['AP'] == pytest.approx(.5)  # an empty track is a false one


def test_categories_without_ground_truth_do_not_count():
    gt = ground_truth([annotation(1, [rows(0), None])], categories=(1, 2))
    found = score(gt, [result([rows(0), None]),
                       result([rows(1), None], category=2),
                       result([rows(1), None], category=99)])
    assert found.stats()['AP'] == pytest.approx(1)
    assert found.per_class()[1]['AP50'] == pytest.approx(1)
    assert found.per_class()[2]['AP'] == -1


def test_category_must_agree():
    gt = ground_truth([annotation(1, [rows(0), None])], categories=(1, 2))
    assert score(gt, [result([rows(0), None], category=2)]).stats()['AP'] == 0


@pytest.mark.parametrize('category, name, counted', [
    (2, 'class 1', 1),  # the name has another id in the ground truth
    (99, 'class 1', 1),
    (1, 'class 1', 1),
    (1, 'class 2', 2),
    (2, 'no class', 2),  # unknown names leave the id
    (2, None, 2),
    (2, 7, 2),
])
def test_a_result_that_names_its_class_gets_the_id_of_the_name(
        category, name, counted):
    gt = ground_truth([annotation(1, [rows(0), None])], categories=(1, 2))
    gt['categories'] = [dict(id=i, name=f'class {i}') for i in (1, 2)]
    entry = result([rows(0), None], category=category)
    if name is not None:
        entry['category_name'] = name
    track = read_entry(entry, 'entry 0', True)
    check_results(AnnotationFile.load(gt), [track])
    assert track.category_id == counted


def test_crowd_takes_any_number_and_is_never_missed():
    crowd = annotation(1, [rows(0), None])
    crowd['iscrowd'] = 1
    gt = ground_truth([crowd, annotation(2, [rows(3), None])])
    found = score(gt, [result([rows(0), None], .9),
                       result([rows(0), None], .8),
                       result([rows(3), None], .7)])
    assert found.stats()['AP'] == pytest.approx(1)


def test_equal_ious_go_to_the_later_object():
    cell = Cell(np.array([.9]), np.zeros(1), np.array([[.7, .7]]),
                np.array([1., 1e5]), np.array([False, False]))
    matched, ignored, _ = match_at_thresholds(cell)
    assert matched[0, :5, 0].tolist() == [True] * 5  # .5, .55 ... .7
    assert not matched[0, 5:].any()
    # small: object 1 is out of range, the other one is taken
    assert matched[1, 0, 0] and not ignored[1, 0, 0]
    # medium: neither in range, so the taken one makes it ignored
    assert matched[2, 0, 0] and ignored[2, 0, 0]


@pytest.mark.parametrize('area, ranges', [
    (128**2 - 1, {'small'}),
    (128**2, {'small', 'medium'}),
    (256**2, {'medium', 'large'}),
    (256**2 + 1, {'large'}),
])
def test_area_ranges_share_their_borders(area, ranges):
    gt = ground_truth([annotation(1, [rows(0), None], areas=[area, None])])
    stats = score(gt, [result([rows(0), None])]).stats()
    for name in ('small', 'medium', 'large'):
        assert (stats[f'AR_{name}'] == 1) is (name in ranges)


def test_subset_equals_deleting_the_other_videos():
    tracks = [annotation(1, [rows(0), None], video=1),
              annotation(2, [rows(3), None], video=2)]
    results = [result([rows(0), None]), result([rows(0), None], video=2)]
    whole = ground_truth(tracks, videos=(1, 2))
    alone = score(ground_truth(tracks[:1]), results[:1])
    part = score(whole, results, videos=[1])
    np.testing.assert_array_equal(part.precision, alone.precision)
    assert part.stats()['AP'] == pytest.approx(1)
    assert score(whole, results).stats()['AP'] < 1


@pytest.mark.parametrize('annotations', [None, [], 'missing'])
def test_json_without_annotations(annotations):
    content = ground_truth(annotations)
    if annotations == 'missing':
        del content['annotations']
    assert not AnnotationFile.load(content).has_annotations


def test_areas_are_recomputed_where_the_json_has_none():
    gt = AnnotationFile.load(ground_truth([
        annotation(1, [rows(0, 1), None]),
        annotation(2, [rows(0, 1), rows(0)], areas=[10, 20])]))
    cell = reduce_results(gt, [])[1][1]
    assert cell.gt_areas.tolist() == [8, 15]


def test_clear_errors(tmp_path):
    gt = AnnotationFile.load(ground_truth([annotation(1, [rows(0), None])]))
    with pytest.raises(ValueError, match='no "videos"'):
        AnnotationFile.load({'images': [], 'annotations': []})
    with pytest.raises(ValueError, match='video_id 5 is that of no video'):
        AnnotationFile.load(ground_truth([annotation(1, [None], video=5)]))
    with pytest.raises(FileNotFoundError, match='check the path'):
        AnnotationFile.load(tmp_path / 'none.json')
    broken = tmp_path / 'broken.json'
    broken.write_text('{"videos": [')
    with pytest.raises(ValueError, match='broken.json is not a readable json'):
        AnnotationFile.load(broken)
    with pytest.raises(ValueError, match='not a list'):
        read_results(broken.parent / _dump(tmp_path, {}))
    with pytest.raises(ValueError, match='annotation 3: it has no segment'):
        AnnotationFile.load(ground_truth([dict(id=3, video_id=1,
                                            category_id=1)]))
    with pytest.raises(ValueError, match='entry 0 is not an object'):
        read_results([5])
    with pytest.raises(ValueError, match='polygons'):
        read_results([dict(result([None]), segmentations=[[[0, 0, 1]]])])
    with pytest.raises(ValueError, match='entry 0 lacks score'):
        read_results([dict(video_id=1, category_id=1, segmentations=[])])
    for wrong, message in ((result([None] * 2, video=3), 'video 3'),
                           (result([None] * 2, category=3), 'category 3'),
                           (result([None]), '2 frames')):
        with pytest.raises(ValueError, match=message):
            check_results(gt, read_results([wrong]))
    check_results(gt, read_results([result([None] * 2)]))


def _dump(folder, content):
    path = folder / 'content.json'
    path.write_text(json.dumps(content))
    return path.name


def test_video_id_files(tmp_path):
    gt = AnnotationFile.load(ground_truth([], videos=(1, 2)))
    path = tmp_path / 'ids.txt'
    path.write_text('2\n1\n')
    assert read_video_ids(path, gt) == [2, 1]
    for content, said in (
            (b'3', 'video 3 of a subset is not in'),
            (b'long', "ids.txt: 'long' is not a video id"),
            ('\xb2'.encode(), 'ids.txt: .* is not a video id'),  # a digit
            (b'9' * 5000, 'ids.txt: .* is not a video id'),
            (b'\xff\xfe', 'ids.txt is no text'),
            # nothing would be scored: dashes, and LocA 100
            (b'\n', 'ids.txt has no video')):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=said):
            read_video_ids(path, gt)
    with pytest.raises(ValueError, match='a subset has no video'):
        read_video_ids([], gt)


def exchanged(content):
    """Tracks 0 and 2 exchange their masks in the second half."""
    first, second = content[0]['segmentations'], content[2]['segmentations']
    for t in range(40, 80):
        first[t], second[t] = second[t], first[t]
    return content


def test_real_clip_against_the_official_numbers(shared_dir):
    folder = shared_dir / 'data' / 'davis_schoolgirls'
    if not folder.is_dir():
        pytest.skip('needs the clip davis_schoolgirls')
    gt = json.loads((folder / 'instances_ytvis.json').read_text())
    expected = json.loads(
        (folder / 'expected_youtubevos_cocoapi.json').read_text())
    names = [name for name, numbers in expected.items()
             if name != 'order' and isinstance(numbers, list)]
    assert expected['order'] == list(STAT_NAMES) and len(names) == 2
    results = [
        dict(video_id=a['video_id'], category_id=a['category_id'],
             score=.9 - .01 * i, segmentations=list(a['segmentations']))
        for i, a in enumerate(gt['annotations'])
    ]
    for name, entries in zip(names, (results, None), strict=False):
        entries = entries or exchanged(results)
        stats = list(score(gt, entries).stats().values())
        assert np.round(stats, 6).tolist() == expected[name]
