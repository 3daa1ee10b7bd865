"""The page of a results file: its numbers, its bounds, its refusals."""
import json
import re

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.evaluation.functional import (
    AnnotationFile,
    GTTrack,
    ResultTrack,
)
from mmvis_memcnp.evaluation.functional.mot import follow, identity_switches
from mmvis_memcnp.report.frames import encode_frames, shown_frames
from mmvis_memcnp.report.identities import Tracks, find_cases, runs
from mmvis_memcnp.report.inputs import Inputs, Video
from mmvis_memcnp.report.shapes import outlines
from tests.fakes.programs import run_program
from tests.test_evaluation.toy import annotation, ground_truth, result, rows

from .helpers import ROOT, read_data

CLIP = ROOT / 'demo/moving_shapes.mp4'


def kinds(data):
    return sorted(c['kind'] for c in data['cases'])


def test_page_of_an_exchange(tool, exchange, tmp_path):
    results, gt, frames = exchange
    done = tool(results, '--gt', gt, '--frames', frames, '--out', 'p.html')
    assert done.returncode == 0, done.stderr
    data = read_data(tmp_path / 'p.html')
    video, = data['videos']
    first, second, third = video['objects']
    assert first['found'] == [0, 0, 1, 1] and first['switches'] == [2]
    assert second['found'] == [1, 1, 0, 0] and second['switches'] == [2]
    assert third['found'] == [-1] * 4 and third['runs'] == [[1, 3]]
    assert kinds(data) == ['class'] * 2 + ['false', 'missed'] + ['switch'] * 2
    worst = data['cases'][0]
    assert worst['cost'] == max(c['cost'] for c in data['cases'])
    switch = next(c for c in data['cases'] if c['kind'] == 'switch')
    assert (switch['frame'], switch['text']) == (
        2, 'object 1 (cat): track 1 → track 2')
    lost = next(c for c in data['cases'] if c['kind'] == 'missed')
    assert lost['text'] == 'object 3 (dog): never found'
    assert (lost['frame'], lost['cost']) == (1, 2)
    assert len(video['pictures']) == 4
    # a mask is its outline, in half pixels
    assert video['tracks'][0]['shapes']['0'] == [
        [[0, 0, 0, 1, 7, 1, 7, 0]], [0, 0, 4, 1], [.5, .2, .5, .2]]
    assert video['tracks'][0]['std'] == [.38] * 3 + [None]
    assert [t['score'] for t in video['tracks']] == [.9, .8, .5, .1]


def test_scores_are_those_of_eval_json(tool, exchange, tmp_path):
    results, gt, _ = exchange
    tool(results, '--gt', gt, '--out', 'p.html')
    data = read_data(tmp_path / 'p.html')
    done = run_program(ROOT / 'tools/analysis_tools/eval_json.py', gt,
                       results, '--json', '--per-video', cwd=tmp_path)
    numbers = json.loads(done.stdout.splitlines()[-1])
    table, classes, videos = data['tables']
    for row, shape in zip(table['rows'], (numbers, numbers['boxes']),
                          strict=True):
        for column, value in zip(table['columns'], row['values'],
                                 strict=True):
            scale = 1 if column == 'switches' else 100
            assert value == pytest.approx(scale * shape[column], abs=.051)
    assert {r['name'] for r in classes['rows']} == {'cat', 'dog'}
    assert videos['rows'][0]['values'][videos['columns'].index(
        'missed')] == numbers['videos'][0]['missed']


def test_follow_is_what_the_counts_count():
    """Switches of hand-made similarities, after a frame without a match."""
    similarity = np.zeros((2, 2, 5))
    similarity[0, 0, [0, 1]] = similarity[0, 1, 3:] = .9
    similarity[1, 1, 2] = .6
    present, predicted = np.ones((2, 5), bool), np.ones((2, 5), bool)
    found = follow(similarity, present, predicted)
    assert found.tolist() == [[0, 0, -1, 1, 1], [-1, -1, 1, -1, -1]]
    assert np.argwhere(identity_switches(found)).tolist() == [[0, 3]]


def test_crowds_are_no_cases(tool, save, tmp_path):
    crowd = {**annotation(1, [rows(0, 1)] * 2), 'iscrowd': 1}
    truth = ground_truth([crowd, annotation(2, [rows(3)] * 2)])
    found = [result([rows(1)] * 2), result([rows(3)] * 2)]
    tool(save('r.json', found), '--gt', save('g.json', truth), '--out',
         'p.html')
    data = read_data(tmp_path / 'p.html')
    assert data['cases'] == []
    assert [o['crowd'] for o in data['videos'][0]['objects']] == [True, False]


def test_worst_video_comes_first_and_one_can_be_asked_for(
        tool, save, tmp_path):
    truth = ground_truth([annotation(v, [rows(0, 1)] * 2, video=v)
                          for v in (1, 2, 3)], videos=(1, 2, 3))
    found = [result([rows(0, 1)] * 2, video=1), result([rows(3)] * 2, video=2),
             result([rows(0, 1, 2)] * 2, video=3)]
    files = [save('r.json', found), '--gt', save('g.json', truth)]
    tool(*files, '--out', 'a.html')
    assert [v['id'] for v in read_data(tmp_path / 'a.html')['videos']] == [
        2, 3, 1]
    done = tool(*files, '--out', 'b.html', '--videos', 1)
    assert '1 of 3 videos are shown' in done.stdout
    assert [v['id'] for v in read_data(tmp_path / 'b.html')['videos']] == [2]
    tool(*files, '--out', 'c.html', '--video', 1)
    data = read_data(tmp_path / 'c.html')
    assert [v['id'] for v in data['videos']] == [1]
    assert len(data['tables'][-1]['rows']) == 3
    done = tool(*files, '--out', 'd.html', '--video', 9)
    assert done.returncode == 1 and 'There is no video 9' in done.stderr


def test_page_without_truth(tool, save, tmp_path):
    size = (256, 384)
    here = [rows(*range(90), size=size)] * 60
    found = [result(here[:20] + [None] * 10 + here[:30], .6),
             result(here[:30] + [rows(*range(150, 240), size=size)] * 30, .7,
                    2), result(here, .1, 3)]
    done = tool(save('r.json', found), '--frames', CLIP, '--classes', 'fish',
                'cat', '--out', 'p.html')
    assert done.returncode == 0, done.stderr
    data = read_data(tmp_path / 'p.html')
    assert not data['truth'] and len(data['videos'][0]['pictures']) == 60
    assert [t['name'] for t in data['videos'][0]['tracks']] == [
        'cat', 'fish', 'class 3']
    found = {c['kind']: c for c in data['cases']}
    assert found['gap']['text'] == 'track 1 (fish): away for 10 frames'
    assert found['gap']['frame'] == 19
    assert found.keys() == {'gap', 'faint'}
    assert data['tables'][0]['rows'][0]['values'] == [.65, 2, 60]


def test_a_jump_is_found(tool, save, tmp_path):
    size = (256, 384)
    low, high = (rows(*range(a, a + 20), size=size) for a in (0, 220))
    tool(save('r.json', [result([low, low, high, high])]), '--out', 'p.html')
    data = read_data(tmp_path / 'p.html')
    jump = next(c for c in data['cases'] if c['kind'] == 'jump')
    assert jump['frame'] == 2 and 'moves by 2.5' in jump['text']


def test_surprise_and_calibration(tool, save, tmp_path):
    """Errors of a pixel under a standard deviation of a tenth of one."""
    length = 8

    def box(a):
        return mask_utils.encode(np.asfortranarray(np.pad(
            np.ones((20, 20), np.uint8),
            ((a, 44 - a), (a, 44 - a)))))
    truth = ground_truth([annotation(1, [box(10)] * length)], length=length)
    truth['videos'][0].update(height=64, width=64)
    entry = result([box(11)] * length)
    entry.update(bboxes=[[11, 11, 20, 20]] * length,
                 box_std=[[.1] * 4] * length)
    tool(save('r.json', [entry] * 3), '--gt', save('g.json', truth),
         '--out', 'p.html')
    data = read_data(tmp_path / 'p.html')
    case = next(c for c in data['cases'] if c['kind'] == 'surprise')
    assert 'off by 10 of its' in case['text']
    assert data['plots']['z_std'] == pytest.approx(10)
    assert data['plots']['pairs'] == 3 * length
    assert data['plots']['coverage'] == [0.] * 19


@pytest.mark.parametrize('std, text', [
    # Two sides that are right beside two that are 2 pixels off.
    ([0, 0, .01, .01], 'is off by 200 of its standard deviations'),
    ([.01, .01, .01, .01], 'is off by 200 of its standard deviations'),
    # An error that cannot be, by what the model says.
    ([1, 1, 0, 1], 'is off by 2.0 pixels where its standard deviation is 0'),
    ([0, 0, 1, 1], None),  # no error where none is expected
    ([0, 0, 0, 0], 'is off by 2.0 pixels where its standard deviation is 0'),
])
def test_a_standard_deviation_of_zero(save, std, text):
    def box(side):
        return mask_utils.encode(np.asfortranarray(np.pad(
            np.ones((side, side), np.uint8),
            ((10, 54 - side), (10, 54 - side)))))
    video = Video(
        1, 'v', (64, 64), 1,
        [ResultTrack(1, 1, .9, [box(22)], bboxes=[[10, 10, 22, 22]],
                     box_std=[std])],
        [GTTrack(1, False, None, [box(20)])])
    inputs = Inputs({1: video}, {}, AnnotationFile.load(save(
        'g.json', ground_truth([], length=1))), [])
    found = [c.text for c in find_cases(inputs, video, Tracks.of(video, .3))
             if c.kind == 'surprise']
    assert found == ([] if text is None else [f'object 1 (class 1): track 1 '
                                              f'{text}'])


def test_outlines_are_the_mask():
    """Filled by the even-odd rule, with a hole and two parts."""
    mask = np.zeros((40, 60), np.uint8)
    mask[4:30, 5:40] = 1
    mask[10:20, 10:20] = 0
    mask[33:38, 45:58] = 1
    lines = outlines(mask_utils.encode(np.asfortranarray(mask)), .5)
    assert len(lines) == 3
    drawn = np.zeros((80, 120), np.uint8)
    cv2.fillPoly(drawn, [np.array(line).reshape(-1, 2) for line in lines], 1)
    # The outline of a hole lies around it, which OpenCV does not paint.
    wrong = drawn != mask.repeat(2, 0).repeat(2, 1)
    assert wrong[18:42, 18:42].sum() <= 4 * 2 * 22
    wrong[18:42, 18:42] = False
    assert not wrong.any()
    assert outlines(mask_utils.encode(np.asfortranarray(mask * 0)), .5) == []


@pytest.mark.parametrize('values, expected', [
    ([0, 1, 1, 0, 1], [(1, 3), (4, 5)]), ([], []), ([1], [(0, 1)]),
    ([0, 0], [])])
def test_runs(values, expected):
    assert runs(np.array(values, bool)) == expected


@pytest.mark.parametrize('length, count', [
    (1, 1), (160, 160), (161, 81), (2000, 154), (0, 0)])
def test_long_videos_show_every_nth_frame(length, count):
    assert len(shown_frames(length)) == count


def test_pictures_stay_below_the_limit():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    frames = dict.fromkeys(range(10), noise)
    whole, less = encode_frames(frames, 10**9)
    assert len(whole) == 10 and not less
    size = sum(map(len, whole.values()))
    for limit in (size // 2, size // 8, size // 60, 10):
        found, less = encode_frames(frames, limit)
        assert less and sum(map(len, found.values())) <= limit
    assert found == {}


def test_the_page_stays_below_its_limit(tool, save, tmp_path):
    rng = np.random.default_rng(0)
    codes = [mask_utils.encode(np.asfortranarray(
        cv2.resize(rng.integers(0, 2, (16, 24), np.uint8), (384, 256)),
        ).astype(np.uint8)) for _ in range(4)]
    found = [result(codes, .9 - i / 100) for i in range(52)]
    sizes = []
    for number, limit in enumerate((8, .2)):
        done = tool(save('r.json', found), '--frames', CLIP, '--max-mb', limit,
                    '--out', f'{number}.html')
        sizes.append((tmp_path / f'{number}.html').stat().st_size)
        assert sizes[-1] < limit * 1e6 + 100_000, done.stdout
        assert 'of 52 tracks are drawn' in done.stdout
    assert sizes[1] < sizes[0]


def test_nothing_from_elsewhere_and_no_end_of_the_script(
        tool, save, tmp_path):
    truth = ground_truth([annotation(1, [rows(0)] * 2)])
    truth['categories'][0]['name'] = '</script><img src=x onerror=alert(1)>'
    tool(save('r.json', [result([rows(0)] * 2)]), '--gt',
         save('g.json', truth), '--title', '<b>@@data@@</b>', '--out',
         'p.html')
    text = (tmp_path / 'p.html').read_text()
    assert '<img' not in text and '<b>' not in text
    assert text.count('</script>') == 2
    assert read_data(tmp_path / 'p.html')['videos'][0]['tracks'][0][
        'name'].startswith('</script>')
    assert '&lt;b&gt;@@data@@&lt;/b&gt;' in text
    addresses = set(re.findall(r'(?:https?:)?//[\w.]+', text))
    assert addresses <= {'http://www.w3.org'}  # the name of SVG
    assert "default-src 'none'" in text


def test_no_track_and_no_object(tool, save, tmp_path):
    truth = ground_truth([], videos=(1, 2))
    done = tool(save('r.json', []), '--gt', save('g.json', truth), '--out',
                'p.html')
    assert done.returncode == 0, done.stderr
    data = read_data(tmp_path / 'p.html')
    assert len(data['videos']) == 2 and data['cases'] == []


def bad_inputs():
    good = result([rows(0)] * 2)
    yield 'mask missing', [result([None, None])], None, 'has a mask'
    yield 'empty', [], None, 'has no track'
    yield 'two lengths', [good, result([rows(0)] * 3)], None, (
        'entry 1: the tracks of video 1 have two numbers of frames, 2 and 3')
    yield 'two sizes', [good, result([rows(0, size=(8, 4))] * 2)], None, (
        'two sizes, .4, 4. and .8, 4.')
    yield 'std too short', [{**good, 'box_std': [[1] * 4]}], None, (
        'box_std is .* one entry a frame, which are 2')
    yield 'std negative', [{**good, 'box_std': [[1, 1, 1, -1], None]}], (
        None), 'entry 0, frame 0: box_std has'
    yield 'box far off', [{**good, 'bboxes': [[1e300] * 4, None]}], None, (
        'bboxes has')
    yield 'box of text', [{**good, 'bboxes': [['a'] * 4, None]}], None, (
        'bboxes has')
    yield 'no list', dict(a=1), None, 'is not a list of results'
    yield 'no mask', [{**good, 'segmentations': [7, 7]}], None, 'mask'
    yield 'other video', [result([rows(0)] * 2, video=5)], ground_truth(
        [annotation(1, [rows(0)] * 2)]), 'is of video 5'
    yield 'no videos', [], ground_truth([], videos=()), 'has no videos'


@pytest.mark.parametrize('_, found, truth, phrase', list(bad_inputs()))
def test_bad_input_gets_one_sentence(tool, save, tmp_path, _, found, truth,
                                     phrase):
    more = [] if truth is None else ['--gt', save('g.json', truth)]
    done = tool(save('r.json', found), *more, '--out', 'p.html')
    assert done.returncode == 1
    line, = done.stderr.splitlines()
    assert line.startswith('Error: ') and re.search(phrase, line), line
    assert not (tmp_path / 'p.html').exists()


@pytest.mark.parametrize('options, phrase', [
    (['--out', 'page.txt'], 'must name an .html file'),
    (['--videos', 0], '--videos must be 1 or more'),
    (['--frames', 'nowhere'], 'no video, folder or image at nowhere'),
    (['--frames', CLIP], 'has 60 frames|is 384x256 pixels'),
    (['--frames', 'webcam'], 'is a live source'),
    (['--out', 'results.html'], 'was not made by this package')])
def test_bad_options(tool, save, tmp_path, options, phrase):
    (tmp_path / 'results.html').write_text('mine')
    done = tool(save('r.json', [result([rows(0)] * 2)]), *options)
    assert done.returncode == 1 and re.search(phrase, done.stderr), done.stderr
    assert (tmp_path / 'results.html').read_text() == 'mine'


def test_frames_of_another_size_or_missing(tool, exchange, tmp_path):
    results, gt, frames = exchange
    (frames / '1/3.jpg').unlink()
    done = tool(results, '--gt', gt, '--frames', frames, '--out', 'p.html')
    assert done.returncode == 1 and '3.jpg does not exist' in done.stderr
    cv2.imwrite(str(frames / '1/3.jpg'), np.zeros((6, 4, 3), np.uint8))
    done = tool(results, '--gt', gt, '--frames', frames, '--out', 'p.html')
    assert 'is 4x6 pixels, but the masks of 1 are 4x4' in done.stderr
    assert not (tmp_path / 'p.html').exists()


def test_a_page_is_replaced_only_with_overwrite(tool, exchange, tmp_path):
    results, gt, _ = exchange
    arguments = [results, '--gt', gt, '--out', 'p.html']
    assert tool(*arguments).returncode == 0
    again = tool(*arguments)
    assert again.returncode == 1 and '--overwrite' in again.stderr
    assert tool(*arguments, '--overwrite').returncode == 0
    (tmp_path / 'p.html').write_text('changed by hand')
    assert tool(*arguments, '--overwrite').returncode == 1
    assert (tmp_path / 'p.html').read_text() == 'changed by hand'


def test_tracks_of_a_video_without_any():
    video = Video(1, 'a', (4, 4), 3, [], [])
    tracks = Tracks.of(video, .3)
    assert tracks.found.shape == (0, 3) and tracks.spreads.shape == (0, 3, 4)
    video.truth = [GTTrack(1, False, None, [rows(0)] * 3)]
    assert Tracks.of(video, .3).found.tolist() == [[-1] * 3]
