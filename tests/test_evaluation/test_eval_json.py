"""The tool that scores a results file without a model."""
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .toy import annotation, ground_truth, result, rows, text

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/eval_json.py'
FIXTURE = ROOT / 'tests/data/ytvis_eval_2_crowd_area'
FILES = [str(FIXTURE / name) for name in ('gt.json', 'results.json')]


@pytest.fixture
def score(monkeypatch, capsys):
    """Run the tool in this process; returns the lines it prints."""
    spec = importlib.util.spec_from_file_location('eval_json', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(*options, gt=FIXTURE / 'gt.json',
            results=FIXTURE / 'results.json'):
        arguments = [gt, results, *options]
        monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
        tool.main()
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def small(score, tmp_path):
    """Run the tool on two small jsons; the numbers."""
    def run(truth, results, *options):
        gt, found = tmp_path / 'gt.json', tmp_path / 'results.json'
        gt.write_text(json.dumps(truth))
        found.write_text(json.dumps(results))
        return json.loads(score(*options, '--json', gt=gt,
                                results=found)[-1])
    return run


def test_all_numbers(score):
    expected = json.loads((FIXTURE / 'expected.json').read_text())
    lines = score('--classwise', '--json')
    numbers = json.loads(lines[-1])
    for name, value in expected['stats'].items():
        assert numbers[name] == pytest.approx(value, rel=1e-12)
    assert lines[2].split() == ['masks', '39.2', '61.6', '38.9', '40.6',
                                '56.0']
    assert numbers['classes']['cat_26']['AP'] == pytest.approx(
        expected['per_category']['26']['AP'], rel=1e-12)
    # of tight boxes, as py-motmetrics has it
    assert numbers['boxes']['switches'] == 1
    for shape in (numbers, numbers['boxes']):
        assert shape.keys() >= {
            'AP', 'AP50', 'AP75', 'AR1', 'AR10', 'HOTA', 'DetA', 'AssA',
            'LocA', 'IDF1', 'IDP', 'IDR', 'MOTA', 'switches'}


def test_a_class_may_be_called_as_another_row(score, tmp_path):
    truth = ground_truth([annotation(1, [rows(0)] * 2, category=c)
                          | dict(id=c) for c in (1, 2)], categories=(1, 2))
    for category, name in zip(truth['categories'], ('masks', 'boxes'),
                              strict=True):
        category['name'] = name
    files = dict(gt=tmp_path / 'gt.json', results=tmp_path / 'results.json')
    files['gt'].write_text(json.dumps(truth))
    files['results'].write_text(json.dumps([result([rows(0)] * 2)]))
    lines = [line.split() for line in score('--classwise', **files)[2:6]]
    assert [(*line[:-5], line[-5]) for line in lines] == [
        ('masks', '50.0'), ('boxes', '50.0'),
        ('class', 'masks', '100.0'), ('class', 'boxes', '0.0')]


def test_tracking_of_the_fixture_of_py_motmetrics(score):
    folder = ROOT / 'tests/data/mot_metrics_1'
    expected = json.loads((folder / 'expected.json').read_text())
    expected = expected['class_agnostic']['OVERALL']
    numbers = json.loads(score(
        '--json', gt=folder / 'gt.json',
        results=folder / 'results.json')[-1])['boxes']
    for ours, theirs in dict(IDF1='idf1', IDP='idp', IDR='idr', MOTA='mota',
                             switches='num_switches').items():
        assert numbers[ours] == pytest.approx(expected[theirs], rel=1e-9)


def test_processes_change_nothing(score):
    one, two = (score('--classwise', '--per-video', '--json',
                      '--processes', n) for n in (1, 2))
    assert one == two


def test_video_subset(score, tmp_path):
    expected = json.loads((FIXTURE / 'expected_long.json').read_text())
    ids = tmp_path / 'ids.txt'
    ids.write_text('\n'.join(map(str, expected['vid_ids'])))
    numbers = json.loads(score('--videos', ids, '--json')[-1])
    split = json.loads(score('--long', ids, '--json')[-1])['subsets']
    for found in (numbers, split['long']):
        for name, value in expected['stats'].items():
            assert found[name] == pytest.approx(value, rel=1e-12)
    every = {v['id'] for v in json.loads(
        (FIXTURE / 'gt.json').read_text())['videos']}
    ids.write_text(' '.join(map(str, every - set(expected['vid_ids']))))
    assert split['short'] == json.loads(score('--videos', ids, '--json')[-1])


def test_worst_video_first(small):
    truth = ground_truth([annotation(v, [rows(0, 1)] * 2, video=v)
                          for v in (1, 2, 3)], videos=(1, 2, 3, 4))
    found = small(truth, [
        result([rows(0, 1)] * 2, video=1), result([rows(0, 1, 2)] * 2,
                                                  video=2),
        result([rows(3)] * 2, video=3)], '--per-video')
    # AP 1, .4 (IoU 2/3: 4 of 10 thresholds), 0; 4 has no objects
    assert [(v['video_id'], v['AP']) for v in found['videos']] == [
        (3, 0), (2, pytest.approx(.4)), (1, pytest.approx(1)), (4, -1)]
    assert found['videos'][0]['missed'] == 2
    assert found['videos'][3]['IDF1'] is None
    assert found['videos'][2]['HOTA'] == pytest.approx(1)


def test_occlusion_levels(small):
    no, slight, severe = (f'{k}_occlusion' for k in ('no', 'slight',
                                                     'severe'))
    truth = ground_truth([
        annotation(1, [rows(0)] * 2, occlusion=[no, slight]),
        annotation(2, [rows(1)] * 2, occlusion=[slight, severe]),
        annotation(3, [rows(2)] * 2, occlusion=[severe, severe]),
        annotation(4, [rows(3)] + [None], occlusion=[severe, None])])
    found = small(truth, [result([rows(0)] * 2, .9),
                          result([rows(2)] * 2, .8)], '--occlusion')
    # one of one; none of one; one of two. The objects of other levels that
    # are found are no false positives.
    assert found['occlusion']['slight']['AP'] == pytest.approx(1)
    assert found['occlusion']['moderate']['AP'] == 0
    assert found['occlusion']['heavy']['AP'] == pytest.approx(51 / 101)
    assert found['AP'] == pytest.approx(51 / 101)


@pytest.mark.parametrize('occlusion, phrase', [
    (None, 'does not say how occluded'),
    (['none', None], "occlusion has 'none'"),
    ([[], None], 'occlusion has'),
    (7, 'is not a list')])
def test_occlusion_that_is_none(small, occlusion, phrase):
    more = {} if occlusion is None else dict(occlusion=occlusion)
    truth = ground_truth([annotation(1, [rows(0), None], **more)])
    with pytest.raises(ValueError, match=phrase):
        small(truth, [], '--occlusion')


CUT = dict(size=[4, 4], counts='h7d')
# Which file has a track with a broken mask, and what is said of it.
BROKEN = [
    (([text(rows(1)), CUT], None), 'annotation 2, frame 1: .* cut short'),
    ((None, [CUT, None]), 'entry 1, frame 0: the mask .* cut short'),
    # whole, but of another size: nothing would match it
    ((None, [None, dict(size=[5, 4], counts=[20])]),
     'entry 1, frame 1: .* .5, 4.'),
    # a form that results may not have
    ((None, [[[1, 2, 3, 4, 5, 6]], None]), 'entry 1, frame 0: .* polygons'),
]


@pytest.mark.parametrize('tracks, sentence', BROKEN)
def test_broken_tracks_are_left_out_when_asked(score, tmp_path, tracks,
                                               sentence):
    """As if the file had no such track; without the option it is refused."""
    truth, found = [annotation(1, [rows(0)] * 2)], [result([rows(0)] * 2, .9)]
    for track, records, record in ((tracks[0], truth, annotation(2, [])),
                                   (tracks[1], found, result([], .8))):
        if track is not None:
            records.append(dict(record, segmentations=track))
    files = dict(gt=tmp_path / 'gt.json', results=tmp_path / 'results.json')
    files['gt'].write_text(json.dumps(ground_truth(truth)))
    files['results'].write_text(json.dumps(found))
    with pytest.raises(ValueError, match=sentence):
        score(**files)
    lines = score('--skip-broken', '--json', **files)
    said, counted = (line for line in lines if 'left out' in line)
    assert re.match(f'left out: .*{sentence}', said)
    assert re.match(r'1 tracks of the .* were left out\.', counted)
    numbers = json.loads(lines[-1])
    assert numbers['left_out'] == dict(ground_truth=int(tracks[0] is not None),
                                       results=int(tracks[1] is not None))
    assert numbers['AP'] == pytest.approx(1)
    assert numbers['HOTA'] == pytest.approx(1)


def test_what_else_is_wrong_is_refused_with_skip_broken_too(small):
    truth = ground_truth([annotation(1, [rows(0)] * 2)])
    with pytest.raises(ValueError, match='entry 0 has 1 segmentations'):
        small(truth, [result([rows(0)], .9)], '--skip-broken')
    truth = ground_truth([dict(annotation(1, []),
                               segmentations=[CUT, None])])
    with pytest.raises(ValueError, match='no annotation that can be read'):
        small(truth, [], '--skip-broken')


def run(*arguments):
    return subprocess.run(
        [sys.executable, TOOL, *arguments], check=False,
        env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True,
        text=True)


def test_one_sentence_for_bad_input():
    other = ROOT / 'tests/data/ytvis_eval_1_basic/gt.json'
    done = run(other, FIXTURE / 'results.json')
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
    assert done.stderr.splitlines()[-1].startswith(
        f'Error: {FIXTURE / "results.json"}, entry 0 has')


def test_quick_and_small():
    begin = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = run(*FILES)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert done.returncode == 0
    # wanted: 1 s; the machine may be busy, which user time shows less
    assert used < 2, f'{time.monotonic() - begin:.1f} s in all'
    peak = subprocess.run(
        [sys.executable, '-c', 'import re, runpy, sys\n'
         f'sys.argv = ["t", *{FILES!r}]\n'
         f'runpy.run_path({str(TOOL)!r}, run_name="__main__")\n'
         'status = open("/proc/self/status").read()\n'
         'print(re.search(r"VmHWM:\\s+(\\d+)", status)[1])'],
        check=True, env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True, text=True).stdout.split()[-1]
    assert int(peak) < 150 * 1024
