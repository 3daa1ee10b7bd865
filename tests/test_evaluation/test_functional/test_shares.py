"""Several processes find, and refuse, what one does."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import mmvis_memcnp.evaluation.functional.ground_truth as annotation_files
from mmvis_memcnp.evaluation.functional import (
    AnnotationFile,
    average_precision,
    check_results,
    each_video,
    parallel,
    read_results,
    reduce_results,
    shares,
)
from mmvis_memcnp.evaluation.functional.parallel import in_processes
from mmvis_memcnp.evaluation.functional.shares import each_result
from mmvis_memcnp.results import compiled

from ..toy import annotation, ground_truth, result, rows

VIDEOS = (5, 1, 3, 2)  # the last one has no results
MASKS = [rows(0, 1), rows(1)]


@pytest.fixture
def gt():
    return AnnotationFile.load(ground_truth(
        [annotation(v, [rows(0), rows(1, 2)], video=v) for v in VIDEOS],
        VIDEOS))


def entries():
    """Results of three videos, mixed, of different scores."""
    return [result(MASKS[::1 - 2 * (i % 2)], .1 + .05 * i, video=v)
            for i, v in enumerate((1, 3, 1, 5, 5, 1, 3))]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(entries()))
    return path


def numbers(gt, results, processes):
    return average_precision(
        reduce_results(gt, results, processes=processes), [1])


def tracks_of(video, tracks):
    return os.getpid(), [t.name for t in tracks], [t.score for t in tracks]


@pytest.mark.parametrize('processes', [1, 2, 3, 6])
@pytest.mark.parametrize('kind', ['file', 'list'])
def test_the_same_results(gt, path, kind, processes):
    results = path if kind == 'file' else read_results(path)
    found = each_result(tracks_of, gt, results, processes=processes)
    assert list(found) == list(VIDEOS)
    assert [found[v][1] for v in VIDEOS] == [
        [f'{path}, entry {i}' for i in places]
        for places in ([3, 4], [0, 2, 5], [1, 6], [])]
    assert found[1][2] == [.1, .2, .35]
    assert len({pid for pid, *_ in found.values()}) == min(processes, 4)
    some = each_result(tracks_of, gt, results, [3, 5], processes)
    assert [(v, f[1:]) for v, f in some.items()] == [
        (v, found[v][1:]) for v in (3, 5)]
    expected, scores = (numbers(gt, r, n) for r, n in (
        (read_results(path), 1), (results, processes)))
    np.testing.assert_array_equal(scores.precision, expected.precision)
    assert 0 < scores.stats()['AP'] < 1


def changed(**fields):
    """Entries, of which the fifth has other fields."""
    found = entries()
    found[4].update(fields)
    return json.dumps(found)


GOOD = json.dumps(entries())
BROKEN = [
    GOOD[:-9],  # cut off
    GOOD + ']',
    f'[{GOOD}]',
    '\ufeff' + GOOD,
    '',
    '{}',
    GOOD.replace('}, {', '} {', 1),  # a comma is missing between entries
    GOOD.replace('}, {', '}, 7, {', 1),
    GOOD.replace('}, {"video_id": 5', ']}, {"video_id": 5', 1),  # crossed
    GOOD.replace('360', '0360').replace('0.25', '00.25'),  # no number of json
    changed(video_id=9),  # of no video
    changed(video_id='5'),
    changed(video_id=5.),
    changed(video_id=10**30),
    changed(category_id=9),
    changed(score=float('nan')),
    changed(score=None),
    changed(segmentations=None),
    changed(segmentations=[None]),  # of another length
    changed(segmentations=[None, dict(size=[4, 4], counts=[3])]),
    changed(segmentations=[None, dict(size=[4, 4], counts='1')]),
    changed(segmentations=[dict(size=[9, 4], counts=[36]), None]),
]


@pytest.mark.parametrize('text', BROKEN)
def test_the_same_sentences(gt, path, text):
    path.write_text(text, encoding='utf-8')
    said = []
    for processes in (1, 2):
        with pytest.raises(ValueError) as error:
            reduce_results(gt, path, processes=processes)
        said.append(str(error.value))
    assert said[0] == said[1] and str(path) in said[0]
    with pytest.raises(ValueError) as error:
        tracks = read_results(path, check_masks=False)
        check_results(gt, tracks)
        reduce_results(gt, tracks)
    assert str(error.value) == said[0]


# -- annotations that stay in their file --------------------------------------
def truth(**changes):
    """A ground truth, of whose annotations the third has other fields."""
    data = ground_truth(
        [annotation(10 * v, [rows(0), rows(1, 2)], video=v) for v in VIDEOS]
        + [annotation(7, [rows(3), None], video=3)], VIDEOS)
    data['annotations'][2].update(changes)
    return data


def load(tmp_path, text, **options):
    path = tmp_path / 'gt.json'
    path.write_text(text, encoding='utf-8')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotation_files, 'WORTH_SHARING', 0)
        return AnnotationFile.load(path, check_masks=False, **options)


LAST = json.dumps(truth())
FIRST = json.dumps(dict(reversed(truth().items())))


@pytest.mark.skipif(bool(compiled.missing()), reason='not built')
@pytest.mark.parametrize('text', [
    LAST, FIRST, json.dumps(truth(), indent=2),
    # texts that look like the list
    json.dumps(dict(info='"annotations": [{"id": 1, "video_id": 1}]')
               | truth()),
])
def test_annotations_are_read_by_video(text, path, tmp_path):
    whole, lazy = (load(tmp_path, text, by_video=b) for b in (False, True))
    assert type(lazy.annotations) is not dict
    assert lazy.videos == whole.videos and lazy.has_annotations
    assert dict(lazy.annotations) == whole.annotations
    assert lazy.tracks(3) == whole.tracks(3) and len(lazy.tracks(3)) == 2
    # a video without annotations, in both
    lazy.videos[8] = whole.videos[8] = dict(id=8)
    assert lazy.tracks(8) == whole.tracks(8) == []
    del lazy.videos[8], whole.videos[8]
    one, two = numbers(whole, path, 1), numbers(lazy, path, 2)
    np.testing.assert_array_equal(one.precision, two.precision)
    # several processes left them where they are; one reads them all
    assert type(lazy.annotations) is not dict
    three = numbers(lazy, path, 1)
    np.testing.assert_array_equal(one.precision, three.precision)
    assert lazy.annotations == whole.annotations


FAULTS = [
    LAST[:-5], LAST + '}', LAST.replace('}, {', '} {', 1),
    LAST.replace('"annotations": [', '"annotations": [7, '),
    LAST.replace('"annotations": [', '"annotations": ['
                 '{"id": 10, "video_id": 1}, '),  # an id twice
    LAST.replace('"annotations"', '"annotations": 5, "annotations"')[:-1]
    + ', "annotations": 6}',  # the last of one name counts
    LAST.replace('"videos"', '"video"'), LAST.replace('"height": 4', '"h": 4'),
    *(json.dumps(truth(**change)) for change in (
        dict(video_id=9), dict(video_id='3'), dict(category_id=2),
        dict(iscrowd=3), dict(segmentations=None), dict(areas=[1]),
        dict(areas=[1, -1]), dict(bboxes=[[1, 2, 3], None]), dict(id=None),
        # found when it is decoded
        dict(segmentations=[dict(size=[4, 4], counts='1'), None]))),
]


@pytest.mark.parametrize('text', FAULTS)
def test_faults_of_annotations_by_video_are_said_as_ever(text, path,
                                                         tmp_path):
    said = []
    for by_video in (False, True):
        with pytest.raises(ValueError) as error:
            numbers(load(tmp_path, text, by_video=by_video), path,
                    1 + by_video)
        said.append(str(error.value))
    assert said[0] == said[1] and 'gt.json' in said[0]


@pytest.mark.parametrize('text', [
    json.dumps(dict(info=dict(annotations=[dict(id=1, video_id=1)]))
               | truth()),  # a list of another object
    json.dumps(truth() | dict(annotations=[])),
    json.dumps(truth() | dict(annotations=None)),
    LAST.replace('"id": 7', '"\\u0069d": 7'),
])
def test_unusual_annotations_are_read_at_once(text, tmp_path):
    whole, gt = (load(tmp_path, text, by_video=b) for b in (False, True))
    assert type(gt.annotations) is dict and gt == whole


def test_no_file(gt, tmp_path):
    for processes in (1, 2):
        with pytest.raises(FileNotFoundError, match='check the path'):
            reduce_results(gt, tmp_path / 'none.json', processes=processes)


@pytest.mark.skipif(bool(compiled.missing()), reason='not built')
@pytest.mark.parametrize('text', [
    GOOD.replace('"video_id"', '"video\\u005fid"', 1),  # the same key
    GOOD.replace('"score"', '"s\\u0063ore"'),
    '[]',
])
def test_unusual_files_are_read_by_one_process(gt, path, text):
    path.write_text(text)
    assert shares._read_together(tracks_of, gt, path, VIDEOS, 2) is None
    one, two = (numbers(gt, path, n) for n in (1, 2))
    np.testing.assert_array_equal(one.precision, two.precision)


def test_a_process_that_ends_is_replaced(gt, path):
    main = os.getpid()

    def die(video, tracks):
        if os.getpid() != main:
            os._exit(1)
        return len(tracks)

    for results in (path, read_results(path)):
        assert each_result(die, gt, results, processes=2) == {
            5: 2, 1: 3, 3: 2, 2: 0}


def test_the_first_error_counts():
    """Not the one that is found first."""
    def work(video):
        raise ValueError(f'video {video}')

    for processes in (1, 3):
        with pytest.raises(ValueError, match='video 7'):
            dict(each_video(work, [7, 8, 9], processes))


def test_large_answers_and_no_fork(monkeypatch):
    assert in_processes(lambda n: bytes(n << 20), 3) == [
        b'', bytes(1 << 20), bytes(2 << 20)]
    monkeypatch.setattr(parallel.multiprocessing, 'get_all_start_methods',
                        lambda: ['spawn'])
    assert in_processes(lambda n: n, 2) is None
    assert list(each_video(str, [4, 2], 2)) == [(4, '4'), (2, '2')]


#: A helper gets SIGTERM the moment it exists, as when the first process fails
#: at once and ends it.
STOPPED_AT_ONCE = '''
import os, signal
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.evaluation.functional.parallel import in_processes
os.register_at_fork(
    after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
run_tool(lambda: print(in_processes(str, 2), signal.pthread_sigmask(
    signal.SIG_BLOCK, [])))
'''


def test_a_helper_that_is_ended_says_nothing():
    # It has the handlers of the tool, which raise, until it lets go of them.
    done = subprocess.run([sys.executable, '-c', STOPPED_AT_ONCE],
                          capture_output=True, text=True, timeout=60)
    # Nothing is found together, and this process is stopped as before.
    assert (done.stdout, done.stderr) == ('None set()\n', '')
