"""tools/benchmark/absence.py, with a test.py that only pretends to look."""
import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mmvis_memcnp.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
#: Returns the ground truth, spoilt as the checkpoint says.
TEST = '''
import json, sys
from pathlib import Path
args = sys.argv[1:]
def option(name):
    return args[args.index(name) + 1]
how = Path(args[1]).read_text()
if how == 'broken':
    sys.exit('Error: this has no weights')
truth = json.loads(Path(option('--ann-file')).read_text())
folder = next(a for a in args if 'img_path=' in a).split('=')[1]
assert all((Path(folder) / v['file_names'][0]).exists()
           for v in truth['videos'])
tracks = []
for a in truth['annotations']:
    masks = a['segmentations']
    seen = [t for t, m in enumerate(masks) if m is not None]
    back = next((t for s, t in zip(seen, seen[1:]) if t - s > 15), None)
    cut = {'right': None, 'anew': back, 'late': None}[how]
    if how == 'late' and back is not None:
        masks = [None if t == back else m for t, m in enumerate(masks)]
    parts = [masks]
    if cut is not None:
        parts = [masks[:cut] + [None] * (len(masks) - cut),
                 [None] * cut + masks[cut:]]
    tracks += [dict(video_id=a['video_id'], category_id=1, score=.2,
                    segmentations=part) for part in parts]
Path(option('--out')).write_text(json.dumps(tracks))
'''


@pytest.fixture(scope='module')
def tool():
    """The program."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ('benchmark', 'analysis_tools'):
            patch.syspath_prepend(str(ROOT / 'tools' / folder))
        import absence
        yield absence
        for name in [m for m in sys.modules if m.startswith('study')
                     or m == 'absence']:
            del sys.modules[name]


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Shared, since they take a while to draw."""
    return tmp_path_factory.mktemp('data')


@pytest.fixture
def run(tool, videos, tmp_path, monkeypatch):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/test.py').write_text(TEST)
    (tmp_path / 'config.py').write_text('')
    for name in ('right', 'anew', 'late', 'broken'):
        (tmp_path / f'{name}.pth').write_text(name)
    monkeypatch.setattr(tool.study_runner, 'TOOLS', tmp_path / 'tools')

    def program(*args):
        return tool.main([
            '--videos', '2', '--frames', '44', '--data', str(videos), '--out',
            str(tmp_path / 'out'), '--csv', str(tmp_path / 'table.csv'),
            *map(str, args)])

    program.folder = tmp_path
    return program


def model(run, name):
    return ('--model', name, run.folder / 'config.py',
            run.folder / f'{name}.pth')


def rows(run):
    with open(run.folder / 'table.csv', newline='') as file:
        return {r['model']: r for r in csv.DictReader(file)}


def test_a_row_a_model(run, capsys):
    found = run(*model(run, 'right'), *model(run, 'anew'))
    # Two videos, two pairs of look-alikes in each: one of a pair goes.
    assert found['right'].returns == found['anew'].returns == 4
    table = rows(run)
    for name, identity in (('right', 1), ('anew', 0)):
        row = table[name]
        assert float(row['identity_recall']) == identity
        assert float(row['returns_recalled']) == identity
        assert float(row['detection_recall']) == 1
        assert (row['videos'], row['length'], row['held']) == ('2', '44', '4')
    said = capsys.readouterr().out.splitlines()
    assert said[-2].split() == ['right', '100.0', '100.0', '100.0', '4']
    assert said[-1].split() == ['anew', '0.0', '100.0', '0.0', '4']
    # Rows of others stay; that of the same model is written anew.
    run(*model(run, 'late'))
    late, frames = rows(run)['late'], int(table['right']['frames'])
    assert (late['found'], late['same']) == (f'{frames - 4}', ) * 2
    (run.folder / 'right.pth').write_text('anew')
    run(*model(run, 'right'))
    assert list(rows(run)) == ['right', 'anew', 'late']
    assert float(rows(run)['right']['identity_recall']) == 0


def test_tracks_that_score_less_are_left_out(run):
    found = run(*model(run, 'right'), '--score-thr', '.3')['right']
    assert found.returns == 4 and found.found == found.held == 0


def test_rows_of_a_study(tool, run):
    small = 'configs/minvis/minvis_r18_movingshapes.py'
    path = run.folder / 'try.yaml'
    path.write_text(yaml.safe_dump(dict(
        name='try', stop_at=3, seeds=[0, 1], runs=dict(
            first=dict(config=small),
            second=dict(config=small, start='first', train=False, options={
                'model.num_shown': 5}))), sort_keys=False))
    work = run.folder / 'work'
    for planned in tool.plan(tool.read_study(path)):
        folder = work / planned.folder
        weights = folder / 'train/iter_3.pth'
        weights.parent.mkdir(parents=True)
        weights.write_text('anew' if planned.seed else 'right')
        config = '' if planned.start is None else (
            f"load_from = '{work / planned.start.folder}/train/iter_3.pth'")
        (folder / 'config.py').write_text(config)
    study = ('--study', path, '--work-dir', work)
    found = run(*study)
    assert {name: counts.same > 0 for name, counts in found.items()} == {
        'first, seed 0': True, 'first, seed 1': False,
        'second, seed 0': True, 'second, seed 1': False}
    assert list(run(*study, '--rows', 'second')) == [
        'second, seed 0', 'second, seed 1']
    with pytest.raises(UserError, match='third is not in the yaml, which has '
                       'first, second'):
        run(*study, '--rows', 'third')
    weights.unlink()
    (folder / 'config.py').unlink()
    with pytest.raises(UserError, match='is trained by study.py first'):
        run(*study)


def test_what_goes_wrong(run):
    with pytest.raises(UserError, match=r'ended with 1 \(Error: this has no '
                       r'weights\); see .*broken.log'):
        run(*model(run, 'broken'))
    with pytest.raises(UserError, match='No object of .* away for 40 frames'):
        run(*model(run, 'right'), '--min-frames', '40')
    assert not (run.folder / 'table.csv').exists()
    (run.folder / 'table.csv').write_text('a\n1\n')
    with pytest.raises(UserError, match='is no table of absences'):
        run(*model(run, 'right'))
    assert (run.folder / 'table.csv').read_text() == 'a\n1\n'


def test_videos_of_the_default_size(tool):
    args = tool.parse_args(['--model', 'a', 'b', 'c'])
    assert args.videos >= 20 and args.min_frames >= 15
    assert np.prod(tool.SIZE) == 128 * 192
