"""One rule for a json everywhere: what the validator passes is taken."""
import copy
import gzip
import json
import os
import random
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mmvis_memcnp.annotations.validation import find_problems
from mmvis_memcnp.datasets import VISDataset
from mmvis_memcnp.evaluation import VISMetric
from mmvis_memcnp.evaluation.functional import (
    AnnotationFile,
    average_precision,
    check_results,
    read_results,
    reduce_results,
)

from .rectangles import (
    HEIGHT,
    WIDTH,
    box_mask,
    compressed,
    track,
    uncompressed,
)

ROOT = Path(__file__).resolve().parents[2]


def dataset(arguments):
    return VISDataset(test_mode=True, pipeline=[], serialize_data=False,
                      **arguments)


NAN, INF = float('nan'), float('inf')


def put(value, *keys):
    """A change of a json: the value at the end of a path of keys."""

    def change(data):
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


def drop(*keys):
    def change(data):
        for key in keys[:-1]:
            data = data[key]
        del data[keys[-1]]

    return change


def of(*keys):
    """Path into the first track."""
    return 'annotations', 0, *keys


MASK = of('segmentations', 0)

# A change, and what the sentence says about it: record, frame and field.
FAULTS = [
    # -- lists and records: no object where one is expected
    (put({}, 'videos'), 'file: videos is {}, not a list'),
    (put('none', 'annotations'), "file: annotations is 'none', not a list"),
    (put(None, 'videos', 1), 'video at position 1: it is None'),
    (put(None, 'annotations', 1), 'annotation at position 1: it is None'),
    (put('cup', 'categories', 0), "category at position 0: it is 'cup'"),
    # -- ids
    (put('7', 'videos', 0, 'id'), "video at position 0: its id is '7'"),
    (put(True, 'videos', 1, 'id'), 'video at position 1: its id is True'),
    (put(7., 'videos', 0, 'id'), 'video at position 0: its id is 7.0'),
    (put([], *of('id')), r'annotation at position 0: its id is \[\]'),
    (put(1 << 64, *of('id')), 'annotation at position 0: its id is'),
    (drop(*of('id')), 'annotation at position 0: its id is None'),
    (put(7, 'videos', 1, 'id'), 'video 7: 2 records have this id'),
    (put(42, *of('id')), 'annotation 42: 2 records have this id'),
    (put(5, 'categories', 0, 'id'), 'category 5: 2 records have this id'),
    # -- references: an object that nobody looks for would raise the score
    (put('20', *of('category_id')), "annotation 11: its category_id is '20'"),
    (put(99, *of('category_id')), 'annotation 11: its category_id 99 is that'),
    (put([7], *of('video_id')), r'annotation 11: its video_id is \[7\]'),
    (put(99, *of('video_id')), 'annotation 11: its video_id 99 is that of no'),
    # -- names
    (drop('categories', 0, 'name'), 'category 20: it has no name'),
    (put(['a'], 'categories', 0, 'name'), 'category 20: it has no name'),
    (put('a', 'categories', 0, 'name'), "category 'a': 2 records have this"),
    # -- videos
    (put(8.5, 'videos', 0, 'height'), 'video 7: its height is 8.5'),
    (put(8., 'videos', 0, 'height'), 'video 7: its height is 8.0'),
    (put(0, 'videos', 0, 'width'), 'video 7: its width is 0'),
    (put(None, 'videos', 0, 'width'), 'video 7: its width is None'),
    (put(10**9, 'videos', 0, 'width'), 'video 7: its height and width make'),
    (put('x.jpg', 'videos', 0, 'file_names'), "file_names is 'x.jpg'"),
    (put(4, 'videos', 0, 'file_names', 1), 'video 7, frame 1: its file name'),
    # no file has such a name, but the folder of all videos would be opened
    (put('', 'videos', 0, 'file_names', 1), "7, frame 1: its file name is ''"),
    (put('a\0', 'videos', 0, 'file_names', 2), r"7, frame 2: .* 'a\\x00'"),
    # -- lists of a track: frames that are left over are frames lost
    (put(None, *of('segmentations')), '11: it has no segmentations'),
    (put({}, *of('segmentations')), 'annotation 11: segmentations is {}, not'),
    (put([], *of('segmentations')), '11: segmentations has 0 entries, .* 3'),
    (put([None] * 4, *of('bboxes')), '11: bboxes has 4 entries, .* 3 frames'),
    (put(12, *of('areas')), '11: areas is 12, not a list'),
    # -- boxes, areas, crowds
    (put([1, 2, 3], *of('bboxes', 0)), r'11, frame 0: the box is \[1, 2, 3\]'),
    (put([1, 2, NAN, 4], *of('bboxes', 0)), '11, frame 0: the box is'),
    (put([1, 2, '3', 4], *of('bboxes', 0)), '11, frame 0: the box is'),
    (put([1, 2, 10**400, 4], *of('bboxes', 0)), '11, frame 0: the box is'),
    (put(dict(x=1), *of('bboxes', 2)), "11, frame 2: the box is {'x': 1}"),
    (put(NAN, *of('areas', 0)), '11, frame 0: its area is nan'),
    (put('12', *of('areas', 0)), "11, frame 0: its area is '12'"),
    (put(-1, *of('areas', 0)), '11, frame 0: its area is -1'),
    (put('0', *of('iscrowd')), "11: iscrowd is '0'"),  # true to Python
    # -- masks, of all kinds that tests/test_results/test_rle.py tells apart
    (put(1, *MASK), '11, frame 0: the mask is neither polygons'),
    (put([8., 12.], *MASK, 'size'), r'11, frame 0: the mask .* \[8.0, 12.0\]'),
    (put([12, 8], *MASK, 'size'), '11, frame 0: the mask .* exchanged'),
    (put('h7d', *MASK, 'counts'), '11, frame 0: the mask .* cut short'),
    (put([90], *MASK, 'counts'), '11, frame 0: the mask has runs for 90'),
    (put(['3', 93], *MASK, 'counts'), "11, frame 0: the mask has '3'"),
    (put([-5, 101], *MASK, 'counts'), '11, frame 0: the mask has the run -5'),
    (put({}, *MASK), '11, frame 0: the mask is {}'),
    (put([[1, 1, 5, 5]], *MASK), '11, frame 0: the mask has no polygon of'),
    (put([[5, 8, None, 8, 21, 28]], *MASK), '11, frame 0: the .* None'),
    (put([[5, 8, INF, 8, 21, 28]], *MASK), '11, frame 0: the .* inf'),
    (put([[5, 8, 1e12, 8, 21, 28]], *MASK), '11, frame 0: the .* 1000000'),
]


@pytest.mark.parametrize('change, sentence', FAULTS)
def test_a_fault_is_named_by_all(tiny, write, tmp_path, change, sentence):
    arguments = write(tiny)
    change(tiny)
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(tiny))
    assert any(re.search(sentence, problem)
               for problem in find_problems(tiny))
    for read in (lambda: dataset(arguments),
                 lambda: AnnotationFile.load(path),
                 lambda: VISMetric(str(path))):
        with pytest.raises(ValueError, match=sentence) as error:
            read()
        text = str(error.value)
        assert text.startswith(f'{path}: ') and 'validate_ytvis' in text
        assert len(text.splitlines()) == 1 and len(text) < 500


def test_a_good_json_is_taken_by_all(tiny, write):
    arguments = write(tiny)
    assert list(find_problems(tiny)) == []
    assert len(dataset(arguments)) == 4
    gt = AnnotationFile.load(arguments['data_root'] + '/ann.json')
    assert [len(gt.tracks(v)) for v in gt.videos] == [2, 1]


def entry(**fields):
    return dict(
        video_id=7, category_id=20, score=.5,
        segmentations=[compressed(box_mask(1, 2, 3, 4)), None, None]) | fields


def masks(mask):
    return dict(segmentations=[None, mask, None])


# Fields of an entry, and what the sentence says.
BAD_ENTRIES = [
    (dict(score=None), 'entry 1: its score is None'),
    (dict(score='0.9'), "entry 1: its score is '0.9'"),
    (dict(score=NAN), 'entry 1: its score is nan'),
    (dict(score=True), 'entry 1: its score is True'),
    (dict(video_id='7'), "entry 1: its video_id is '7'"),
    (dict(video_id=[7]), r'entry 1: its video_id is \[7\]'),
    (dict(video_id=9), 'entry 1 is of video 9, which'),
    (dict(category_id=None), 'entry 1: its category_id is None'),
    (dict(category_id=1), 'entry 1 is of category 1, which'),
    (dict(segmentations=None), 'entry 1: segmentations is None'),
    (dict(segmentations=[None]), 'entry 1 has 1 segmentations, but video 7'),
    (masks(3), 'entry 1, frame 1: the mask is neither'),
    (masks({}), 'entry 1, frame 1: the mask is {}'),
    (masks(dict(size=[8, 12], counts='h7d')), 'entry 1, frame 1: .*cut short'),
    (masks(dict(size=[8, 12], counts=['3', 93])), "entry 1, frame 1: .*'3'"),
    (masks(dict(size=[8., 12.], counts=[96])), 'entry 1, frame 1: .*8.0'),
    # Whole masks of another size: the official evaluator lowers the score.
    (masks(dict(size=[12, 8], counts=[90, 6])), r'entry 1, frame 1: .*12, 8'),
    (masks([[1, 2, 3, 4, 5, 6]]), 'entry 1, frame 1: .*polygons'),
]


@pytest.mark.parametrize('fields, sentence', BAD_ENTRIES)
def test_a_bad_result_is_named(tiny, tmp_path, fields, sentence):
    path = tmp_path / 'r.json'
    path.write_text(json.dumps([entry(), entry(**fields)]))
    with pytest.raises(ValueError, match=sentence) as error:
        check_results(AnnotationFile.load(tiny), read_results(path))
    assert str(error.value).startswith(f'{path}, ')
    assert len(str(error.value)) < 500


@pytest.mark.parametrize('content', [
    b'', b'{', b'\xef\xbb\xbf[]', '[]'.encode('utf-16'), b'\x1f\x8b\x08',
    b'[' * 100_000, b'[' + b'9' * 5000 + b']', b'\xff', b'nul'])
def test_what_is_no_json_is_named_by_all(tmp_path, write, content):
    arguments = write({})
    path = tmp_path / 'ann.json'
    path.write_bytes(content)
    for read in (lambda: dataset(arguments),
                 lambda: AnnotationFile.load(path),
                 lambda: read_results(path)):
        with pytest.raises(ValueError, match='ann.json is not a readable'):
            read()


@pytest.mark.parametrize('content, fix', [
    (gzip.compress(b'{}', mtime=0),
     r'is packed by gzip; unpack it \(gunzip\)'),
    (b'PK\x03\x04', 'is a zip archive; unpack it'),
    ('{}'.encode('utf-16'), 'is UTF-16 text; save it as UTF-8'),
    ('{}'.encode('utf-8-sig'), 'byte order mark; save it as UTF-8 without'),
], ids=['gzip', 'zip', 'UTF-16', 'byte order mark'])
def test_another_form_of_a_json_is_told(tmp_path, content, fix):
    path = tmp_path / 'ann.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'readable json: it .*{fix}'):
        read_results(path)


def test_length_is_that_of_the_file_names(tiny, write, caplog):
    """Five frames announced, three named: all take the names and say so."""
    tiny['videos'][0]['length'] = 5
    arguments = write(tiny)
    assert [*find_problems(tiny)] == [
        'video 7: length is 5, but file_names has 3']
    assert len(dataset(arguments)) == 4
    gt = AnnotationFile.load(tiny)
    assert gt.length(7) == 3
    assert caplog.records[-1].getMessage() == (
        'the ground truth: video 7: length is 5, but file_names has 3; '
        'file_names is used.')
    check_results(gt, read_results([entry()]))


# -- any json ---------------------------------------------------------------
JUNK = [None, True, 0, -1, 1, 3, 1e300, NAN, INF, 10**30, '', 'x', '1', [],
        [[]], [None], {}, dict(id=1), [1, 2, 3, 4], dict(size=[8, 12],
                                                         counts='1')]


RUNS = int(os.environ.get('MMVIS_FUZZ_RUNS', '300'))


def places(node, path=()):
    """All paths into a json."""
    yield path
    items = (node.items() if isinstance(node, dict) else
             enumerate(node) if isinstance(node, list) else ())
    for key, value in items:
        yield from places(value, (*path, key))


def mutate(data, rng):
    """Exchange one or two values anywhere for others."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice([1, 1, 2])):
        paths = list(places(data))[1:]
        if not paths:
            break
        path = rng.choice(paths)
        value = copy.deepcopy(rng.choice(JUNK))
        node = data
        for key in path[:-1]:
            node = node[key]
        if isinstance(node[path[-1]], str) and rng.random() < .5:
            text = node[path[-1]]
            at = rng.randrange(len(text) + 1)
            value = text[:at] + rng.choice(['', '1', 'o', ' ', 'é']) + text[
                at + 1:]
        if rng.random() < .1:
            del node[path[-1]]
        else:
            node[path[-1]] = value
    return data


def refused(read):
    """Whether a reader refuses; anything but a sentence fails the test."""
    try:
        read()
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
        return True
    return False


def test_any_json_gets_an_answer_and_readers_agree(tiny, write, tmp_path):
    arguments = write(tiny)
    path = tmp_path / 'ann.json'
    tiny['annotations'].append(
        track(44, 3, 20, [(1, 1, 3, 3)], uncompressed))
    tiny['annotations'].append(
        track(45, 3, 20, [(1, 1, 3, 3)], lambda m: [[1, 1, 4, 1, 4, 4, 1, 4]]))
    results = [entry(), entry(video_id=3, segmentations=[
        uncompressed(box_mask(1, 1, 3, 3))])]
    rng = random.Random(RUNS)
    counts = dict(passed=0, refused=0)
    for _ in range(RUNS):
        data = mutate(tiny, rng)
        path.write_text(json.dumps(data))
        data = json.loads(path.read_text())
        problems = list(find_problems(data))
        if not problems:
            # Whether these are the classes of the config is another question.
            names = [c['name'] for c in data['categories']]
            arguments['metainfo'] = dict(classes=names)
        served = refused(lambda: dataset(arguments))
        truth = refused(lambda: AnnotationFile.load(path))
        if served or truth:
            assert problems, data
        counts['refused' if problems else 'passed'] += 1
    assert min(counts.values()) > RUNS // 50, counts
    gt = AnnotationFile.load(tiny)
    score = average_precision(reduce_results(gt, read_results(results)),
                              list(gt.categories)).stats()
    kept = 0
    for _ in range(RUNS):
        path.write_text(json.dumps(
            mutate(dict(results=results), rng).get('results')))

        def evaluate():
            found = read_results(path)
            check_results(gt, found)
            return average_precision(reduce_results(gt, found),
                                     list(gt.categories)).stats()

        if not refused(evaluate) and evaluate() == score:
            kept += 1
    assert score['AP'] > 0 and 0 < kept < RUNS


# -- from the command line --------------------------------------------------
def test_a_code_that_never_ends_gets_an_answer(tiny, tmp_path):
    """pycocotools would not even listen to Ctrl-C."""
    (tmp_path / 'gt.json').write_text(json.dumps(tiny))
    cut = masks(dict(size=[HEIGHT, WIDTH], counts=compressed(
        box_mask(1, 2, 3, 4))['counts'][:-2]))
    (tmp_path / 'results.json').write_text(json.dumps([entry(**cut)]))

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run(
        [sys.executable, ROOT / 'tools/analysis_tools/eval_json.py',
         'gt.json', 'results.json'], cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(ROOT)), preexec_fn=limit,
        capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == 'results.json against gt.json\n'
    assert done.stderr.splitlines()[-1].startswith(
        'Error: results.json, entry 0, frame 1: the mask has runs for')
