import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from mmdet.registry import METRICS
from pycocotools import mask as mask_utils

from mmvis_memcnp.evaluation import VISMetric
from mmvis_memcnp.evaluation.metrics import vis_metric
from mmvis_memcnp.results import SigmaMap
from mmvis_memcnp.results.ownership import MARKER
from mmvis_memcnp.results.sinks import Record
from tests.fakes.two_ranks import on_two_ranks

from ..toy import annotation, ground_truth, result, rows, video_result

DATA = Path(__file__).resolve().parents[2] / 'data'
META = dict(classes=('cat', 'owl'))


@pytest.fixture
def printed(monkeypatch):
    """Everything that the metric logs."""
    lines = []
    monkeypatch.setattr(vis_metric, 'print_log',
                        lambda text, *args, **kwargs: lines.append(text))
    return lines


def make(folder, content, meta=META, **kwargs):
    path = folder / 'gt.json'
    path.write_text(json.dumps(content))
    metric = VISMetric(str(path), **kwargs)
    metric.dataset_meta = meta
    return metric


def sample(video, *tracks, frames=2):
    return dict(video_id=video, num_frames=frames,
                tracks=video_result(*tracks))


def toy_gt():
    """A cat in video 1, an owl (json id 7, label 1) in video 2."""
    return ground_truth(
        [annotation(1, [rows(0, 1), rows(0, 1)]),
         annotation(2, [rows(3), None], category=7, video=2)],
        videos=(1, 2), categories=(1, 2, 7))


CAT = (0, .9, [rows(0, 1), rows(1, 2)])  # IoU 0.6 with its cat
OWL = (1, .8, [rows(3), None])


def test_scores_by_hand(tmp_path):
    metric = make(tmp_path, toy_gt(), classwise=True,
                  subsets=dict(L=[2], S=[1]))
    metric.process(None, [sample(1, CAT)])
    metric.process(None, [sample(2, OWL)])
    found = metric.evaluate(size=4)
    expected = {
        'AP': (.3 + 1) / 2, 'AP50': 1, 'AP75': .5, 'AR1': .65, 'AR10': .65,
        'AP_L': 1, 'AP_S': .3, 'AP75_S': 0, 'AR1_L': 1,
        'AP_class/cat': .3, 'AP_class/owl': 1,
        # 3 boxes of 3; the cat's box in frame 1 has IoU 1/3
        'IDF1': 2 * 2 / 6, 'id_switches': 0,
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected)
    assert not list(tmp_path.glob('.vis_results*'))


def test_is_registered_and_prints_the_table(tmp_path, printed):
    path = tmp_path / 'gt.json'
    path.write_text(json.dumps(toy_gt()))
    metric = METRICS.build(dict(type='VISMetric', ann_file=str(path)))
    metric.dataset_meta = META
    metric.process(None, [sample(1, CAT), sample(2)])
    metric.evaluate(1)
    header, row = printed[-2].strip('\n').splitlines()
    assert header.split() == ['AP', 'AP50', 'AP75', 'AR1', 'AR10']
    # the cat at 0.3, the owl missed
    assert row.split() == ['all', '15.0', '50.0', '0.0', '15.0', '15.0']
    assert printed[-1].startswith('IDF1 40.0, identity switches 0')


def test_a_class_may_be_called_all(tmp_path, printed):
    truth = toy_gt()
    for category in truth['categories']:
        if category['name'] == 'cat':
            category['name'] = 'all'
    metric = make(tmp_path, truth, classwise=True,
                  meta=dict(classes=('all', 'owl')))
    metric.process(None, [sample(1, CAT), sample(2)])
    metric.evaluate(2)
    lines = [r.split() for r in printed[-2].strip('\n').splitlines()[1:]]
    assert [line[:-4] for line in lines] == [
        ['all', '15.0'], ['class', 'all', '30.0'], ['class', 'owl', '0.0']]


def test_videos_that_were_not_run_count_as_missed(tmp_path, printed):
    metric = make(tmp_path, toy_gt())
    metric.process(None, [sample(2, OWL)])
    assert metric.evaluate(1)['AP'] == pytest.approx(.5)
    assert any('1 of 2 videos' in line for line in printed)


def test_repeated_videos_count_once(tmp_path):
    metric = make(tmp_path, toy_gt(), outfile_prefix=str(tmp_path / 'r'))
    metric.process(None, [sample(1, CAT), sample(2, OWL), sample(1, CAT)])
    assert metric.evaluate(1)['AP'] == pytest.approx(.65)
    assert len(json.loads((tmp_path / 'r.json').read_text())) == 2


def test_classes_of_the_config_decide(tmp_path):
    metric = make(tmp_path, toy_gt(), meta=dict(classes=('owl', )))
    metric.process(None, [sample(1), sample(2, (0, *OWL[1:]))])
    found = metric.evaluate(2)
    assert found['AP'] == pytest.approx(1)  # the cat is no class here
    assert found['IDF1'] == 1


def test_classes_that_the_json_lacks_are_left_out(tmp_path, printed):
    """Own data with some of the classes of a checkpoint."""
    metric = make(tmp_path, toy_gt(), classwise=True,
                  outfile_prefix=str(tmp_path / 'r'),
                  meta=dict(classes=('zebra', 'cat', 'owl')))
    zebra = (0, 1., [rows(0), rows(0)])
    metric.process(None, [sample(1, zebra, (1, *CAT[1:]))])
    metric.process(None, [sample(2, (2, *OWL[1:]), zebra)])
    found = metric.evaluate(2)
    assert found['AP'] == pytest.approx(.65)  # as without the zebras
    assert found['IDF1'] == pytest.approx(2 * 2 / 6)
    assert 'AP_class/zebra' not in found
    assert sum("has no category ['zebra']" in line for line in printed) == 1
    entries = json.loads((tmp_path / 'r.json').read_text())
    assert [e['category_id'] for e in entries] == [1, 7]


def test_other_names_of_a_class(tmp_path):
    """The data set knows that a kitty is a cat; the ids alone would not do."""
    gt = toy_gt()
    gt['categories'][0]['name'] = 'kitty'
    for classes, ids in ((('cat', 'owl'), [1, 7]), (('owl', 'cat'), [7, 1]),
                         (('cat', 'owl'), [1, 1])):  # ids of another json
        metric = make(tmp_path, gt, meta=dict(classes=classes, cat_ids=ids))
        assert metric.cat_ids == [{'cat': 1, 'owl': 7}[c] for c in classes]


def test_same_numbers_as_the_official_evaluator(tmp_path):
    folder = DATA / 'ytvis_eval_3_maxdets_ties'
    gt = json.loads((folder / 'gt.json').read_text())
    cat_ids = [c['id'] for c in gt['categories']][::-1]
    metric = VISMetric(str(folder / 'gt.json'),
                       outfile_prefix=str(tmp_path / 'out'))
    metric.dataset_meta = dict(cat_ids=cat_ids)
    results = json.loads((folder / 'results.json').read_text())
    for video in gt['videos'][::-1]:
        tracks = [(cat_ids.index(r['category_id']), r['score'],
                   r['segmentations']) for r in results
                  if r['video_id'] == video['id']]
        metric.process(None, [
            sample(video['id'], *tracks, frames=video['length'])])
    found = metric.evaluate(5)
    expected = json.loads((folder / 'expected.json').read_text())['stats']
    for name in ('AP', 'AP50', 'AP75', 'AR1', 'AR10'):
        assert found[name] == pytest.approx(expected[name], rel=1e-12)
    assert json.loads((tmp_path / 'out.json').read_text()) == sorted(
        results, key=lambda r: r['video_id'])


def test_records_hold_no_masks(tmp_path):
    noise = np.random.default_rng(0).random((64, 64)) < .5
    code = mask_utils.encode(np.asfortranarray(noise.astype(np.uint8)))
    content = ground_truth([annotation(1, [code] * 50)], length=50)
    content['videos'][0].update(height=64, width=64)
    metric = make(tmp_path, content, meta=dict(classes=('cat', )))
    metric.process(None, [sample(1, *[(0, .5, [code] * 50)] * 10, frames=50)])
    assert len(code['counts']) * 500 > 500_000
    assert len(pickle.dumps(metric.results)) < 5_000


def entries():
    return [result(CAT[2], CAT[1]),
            result(OWL[2], OWL[1], category=7, video=2)]


@pytest.mark.parametrize('annotations', [None, [], 'missing'])
def test_without_ground_truth(tmp_path, printed, annotations):
    content = toy_gt()
    content['annotations'] = annotations
    if annotations == 'missing':
        del content['annotations']
    prefix = tmp_path / 'out' / 'val'
    metric = make(tmp_path, content, outfile_prefix=str(prefix))
    assert len(printed) == 1 and 'has no annotations' in printed[0]
    metric.process(None, [sample(2, OWL), sample(1, CAT)])
    assert not list(prefix.parent.glob('val*'))  # nothing half-written
    assert metric.evaluate(2) == {}
    assert sorted(p.name for p in prefix.parent.iterdir()) == [
        MARKER, 'val.json', 'val.zip']
    with zipfile.ZipFile(f'{prefix}.zip') as archive:
        info, = archive.infolist()
        assert info.filename == 'results.json'
        assert info.compress_type == zipfile.ZIP_DEFLATED
        assert json.loads(archive.read(info)) == entries()
    assert json.loads(Path(f'{prefix}.json').read_text()) == entries()


def test_format_only_without_a_prefix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metric = make(tmp_path, toy_gt(), format_only=True)
    metric.process(None, [sample(1), sample(2)])
    assert metric.evaluate(2) == {}
    with zipfile.ZipFile('work_dirs/vis_results.zip') as archive:
        assert json.loads(archive.read('results.json')) == []


def test_submissions_lie_in_the_folder_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ('a', 'b'):
        metric = make(tmp_path, toy_gt(), format_only=True, work_dir=run)
        metric.process(None, [sample(1, *[CAT] * (run == 'b')), sample(2)])
        metric.evaluate(2)
    found = [len(json.loads(Path(f'{run}/vis_results.json').read_text()))
             for run in ('a', 'b')]
    assert found == [0, 1]
    assert Path('a/vis_results.zip').is_file()
    metric = make(tmp_path, toy_gt(), format_only=True, work_dir='c',
                  outfile_prefix=str(tmp_path / 'named'))
    metric.process(None, [sample(1), sample(2)])
    metric.evaluate(2)
    assert Path('named.zip').is_file() and not Path('c').exists()


def test_a_subset_is_the_videos_of_a_json(tmp_path):
    """As the ground truth of YouTube-VIS 2022 comes: all, and the long."""
    long = tmp_path / 'gt_long.json'
    long.write_text(json.dumps(ground_truth(
        [annotation(1, [rows(3), None], category=7, video=2)],
        videos=(2, ), categories=(1, 2, 7))))
    metric = make(tmp_path, toy_gt(), subsets=dict(L=str(long)))
    metric.process(None, [sample(1, CAT), sample(2, OWL)])
    found = metric.evaluate(2)
    assert found['AP_L'] == pytest.approx(1)
    assert found['AP'] == pytest.approx(.65)


def test_subsets_are_read_for_scores_alone(tmp_path):
    missing = dict(L=str(tmp_path / 'gt_long.json'))
    make(tmp_path, dict(toy_gt(), annotations=None), subsets=missing,
         work_dir=str(tmp_path))
    make(tmp_path, toy_gt(), subsets=missing, format_only=True,
         work_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError, match='There is no list of videos'):
        make(tmp_path, toy_gt(), subsets=missing)


def test_scores_and_results_together(tmp_path):
    prefix = tmp_path / 'val'
    metric = make(tmp_path, toy_gt(), outfile_prefix=str(prefix))
    for _ in range(2):  # a second epoch replaces the file
        metric.process(None, [sample(1, CAT), sample(2, OWL)])
        assert metric.evaluate(2)['AP'] == pytest.approx(.65)
    assert json.loads(Path(f'{prefix}.json').read_text()) == entries()
    assert not Path(f'{prefix}.zip').exists()


@pytest.mark.parametrize('kwargs', [
    dict(outfile_prefix='val'), dict(outfile_prefix='val', overwrite=True),
    dict(format_only=True)])
def test_results_of_the_user_stay(tmp_path, monkeypatch, kwargs):
    """Said before the run begins; --overwrite is for our own files."""
    monkeypatch.chdir(tmp_path)
    path = Path(kwargs.get('outfile_prefix', 'work_dirs/vis_results'))
    path.parent.mkdir(exist_ok=True)
    path = path.with_suffix('.json')
    path.write_text('mine')
    with pytest.raises(ValueError, match='not made by this package'):
        make(tmp_path, toy_gt(), **kwargs)
    assert path.read_text() == 'mine'


def test_results_of_an_earlier_run(tmp_path):
    prefix = str(tmp_path / 'val')
    for more in ({}, dict(overwrite=True)):
        metric = make(tmp_path, toy_gt(), outfile_prefix=prefix, **more)
        metric.process(None, [sample(1, CAT), sample(2, OWL)])
        metric.evaluate(2)
    with pytest.raises(ValueError, match='val.json exists: .* --overwrite'):
        make(tmp_path, toy_gt(), outfile_prefix=prefix)
    # Two checkpoints of one config have the same folder.
    run = dict(format_only=True, work_dir=str(tmp_path / 'run'))
    metric = make(tmp_path, toy_gt(), **run)
    for _ in range(2):
        metric.process(None, [sample(1), sample(2)])
        metric.evaluate(2)
    before = (tmp_path / 'run/vis_results.zip').read_bytes()
    with pytest.raises(ValueError, match='vis_results.json exists: .*--overw'):
        make(tmp_path, toy_gt(), **run)
    (tmp_path / 'run/vis_results.json').unlink()
    with pytest.raises(ValueError, match='vis_results.zip exists: .*--overw'):
        make(tmp_path, toy_gt(), **run)
    assert (tmp_path / 'run/vis_results.zip').read_bytes() == before
    make(tmp_path, toy_gt(), overwrite=True, **run)


@pytest.mark.parametrize('bad, message', [
    (sample(9), 'video 9 is not in'),
    (sample(1, frames=3), 'has 2 frames'),
    (sample(1, (2, .5, [None, None])), 'label 2'),
    (sample(1, (0, float('nan'), [None, None])), 'finite'),
    # a model that writes masks at another size than the video's
    (sample(1, (0, .5, [None, rows(0, size=(8, 8))])), r'size \[8, 8\]'),
])
def test_one_clear_sentence(tmp_path, bad, message):
    metric = make(tmp_path, toy_gt())
    with pytest.raises(ValueError, match=message):
        metric.process(None, [bad])


def test_wrong_settings(tmp_path):
    metric = make(tmp_path, toy_gt(), meta=dict(classes=('zebra', )))
    with pytest.raises(ValueError, match='zebra'):
        metric.process(None, [sample(1, CAT)])
    with pytest.raises(ValueError, match='video 5'):
        make(tmp_path, toy_gt(), subsets=dict(L=[5]))


def _share(rank, folder):
    metric = make_in_worker(folder)
    shares = [[sample(2, OWL)], [sample(1, CAT), sample(2, OWL)]]
    metric.process(None, shares[rank])
    return float(metric.evaluate(4)['AP'])


def make_in_worker(folder):
    metric = VISMetric(f'{folder}/gt.json', outfile_prefix=f'{folder}/val')
    metric.dataset_meta = META
    return metric


def test_two_processes(tmp_path):
    (tmp_path / 'gt.json').write_text(json.dumps(toy_gt()))
    found = on_two_ranks(_share, tmp_path, str(tmp_path))
    assert found == pytest.approx([.65] * 2, abs=1e-12)
    assert json.loads((tmp_path / 'val.json').read_text()) == entries()
    assert not list(tmp_path.glob('.vis_results*'))


def records(sigma, *boxes, score=.9):
    return [Record(t, 0, 0, score, box, (sigma, ) * 4, {}, .5, .25, sigma)
            for t, box in enumerate(boxes)]


def test_reliability_of_uncertainty(tmp_path):
    """A sure hit in video 1, an unsure miss in video 2; 4 x 4 frames."""
    metric = make(tmp_path, toy_gt(), reliability_thr=.5)
    hit, miss = sample(1, CAT, CAT[:1] + (.1, ) + CAT[2:]), sample(2, OWL)
    for track in hit['tracks'].tracks:  # one identity under two labels
        track.id = 0
        track.records = lambda: records(
            .1, (0., 0., 4., 2.), (0., 0., 4., 1.))
    miss['tracks'].tracks[0].records = lambda: records(
        .5, (0., 0., 4., 1.)) + records(.9, (0., 0., 1., 1.), score=.4)
    metric.process(None, [hit])
    metric.process(None, [miss])
    scores = metric.evaluate(2)
    assert metric.pairs.ious.tolist() == [1, .5, 0]
    np.testing.assert_allclose(
        metric.pairs.sigmas, np.repeat([[.4], [.4], [2.]], 4, 1))
    assert scores['reliability/num_pairs'] == 3
    assert scores['reliability/auroc_sigma'] == 1
    assert scores['reliability/failures'] == pytest.approx(1 / 3)
    assert metric.pairs.class_probs.tolist() == [.5] * 3
    assert metric.pairs.centernesses.tolist() == [.25] * 3
    assert metric.dof is None
    # What maps the standard deviations says how wide an interval is: of t,
    # with 3 degrees of freedom, that of 50 % ends at .44 sigma, not at .67.
    hit['tracks'].tracks[0].records = lambda: records(
        .1, (0., 0., 4., 2.), (.2, .2, 4.2, 2.2))
    for mapped, expected in (
            (None, 1), (SigmaMap([.1], [.1]), 1),
            (SigmaMap([.1], [.1], dof=3.), .5)):
        hit['tracks'].sigma_map = mapped
        metric.process(None, [hit])
        found = metric.evaluate(2)
        assert found['reliability/coverage_50'] == expected
        assert metric.dof == (mapped and mapped.dof)
    # Without the option nothing is collected, and nothing is reported.
    metric = make(tmp_path, toy_gt())
    metric.process(None, [sample(1, CAT)])
    assert not any('reliability' in name for name in metric.evaluate(1))
