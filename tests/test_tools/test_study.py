"""tools/benchmark/study.py, with programs that only pretend to train."""
import csv
import json
import math
import os
import sys
from pathlib import Path

import cv2
import pytest
import yaml
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmvis_memcnp.errors import UserError
from tests.fakes.programs import in_process

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / 'tools/benchmark/studies').glob('*.yaml'))

CONFIG = '''
model = dict(gain=1., part=dict(a=1, b=2))
train_cfg = dict(type='X', max_iters=40, val_interval=10)
param_scheduler = [dict(type='LinearLR', begin=0, end=4),
                   dict(type='Cosine', begin=4, end=40),
                   dict(type='MultiStepLR', milestones=[20, 30])]
train_dataloader = dict(dataset=dict(data_root='x/'))
val_dataloader = dict(dataset=dict(data_root='x/'))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='x/val/instances.json')
test_evaluator = val_evaluator
'''
#: What all programs share: the command line, and a note that they ran.
COMMON = '''
import json, os, runpy, signal, sys, time
from pathlib import Path
args = sys.argv[1:]
with open(Path(__file__).resolve().parents[FOLDERS] / 'calls', 'a') as f:
    print(Path(__file__).stem, *args, file=f)
def option(name):
    return args[args.index(name) + 1]
'''
TRAIN = COMMON + '''
work = Path(option('--work-dir'))
(work / '1/vis_data').mkdir(parents=True, exist_ok=True)
cfg = runpy.run_path(args[0])
note = work / 'last_checkpoint'
begin = int(note.read_text().split('_')[-1][:-4]) if note.exists() else 0
assert '--resume' in args
if cfg['model'].get('broken'):
    print('Error: this cannot train')
    sys.exit(3)
for step in range(begin + 1, cfg['train_cfg']['max_iters'] + 1):
    with open(work / '1/vis_data/scalars.json', 'a') as f:
        print(json.dumps(dict(loss=1 / step, time=.5, step=step)), file=f)
    path = work / f'iter_{step}.pth'
    path.write_text(json.dumps([cfg['model']['gain'],
                                int(option('--seed')), begin]))
    note.write_text(str(path))
    killer = Path(__file__).parent / 'killer'
    if step == 2 and killer.exists():
        killer.unlink()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(.3)
        sys.exit(1)
'''
TEST = COMMON + '''
Path(option('--out')).write_text(Path(args[1]).read_text())
'''
EVAL = COMMON + '''
gain, seed, begin = json.loads(Path(args[1]).read_text())
hard = '/hard/' in args[0]
ap = (gain * 10 + seed * seed) / 100 / (10 if hard else 1)
print('a table')
print(json.dumps(dict(AP=ap, AP50=2 * ap, AP75=ap, AR1=ap, AR10=ap,
                      boxes=dict(IDF1=.5, switches=seed))))
print('a warning', file=sys.stderr)
'''
DATA = COMMON + '''
n, frames = int(option('--videos')), int(option('--frames'))
height, width = map(int, option('--size').split('x'))
Path(args[0]).mkdir(parents=True)
(Path(args[0]) / 'instances.json').write_text(json.dumps(dict(videos=[
    dict(length=frames, height=height, width=width)] * n)))
'''


@pytest.fixture(scope='module')
def modules():
    """The files of the tool."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ('benchmark', 'analysis_tools'):
            patch.syspath_prepend(str(ROOT / 'tools' / folder))
        import study
        import study_plan
        import study_report
        import study_runner
        import study_table
        yield dict(study=study, plan=study_plan, report=study_report,
                   runner=study_runner, table=study_table)
        for name in [m for m in sys.modules if m.startswith('study')]:
            del sys.modules[name]


class Place:
    """A folder with pretended programs, a config and a study."""

    def __init__(self, modules, folder):
        self.modules, self.folder = modules, folder
        self.csv = folder / 'table.csv'
        for name, text in (
                ('train.py', TRAIN), ('test.py', TEST),
                ('analysis_tools/eval_json.py', EVAL),
                ('dataset_converters/moving_shapes.py', DATA)):
            path = folder / 'tools' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace('FOLDERS', str(name.count('/') + 1)))
        (folder / 'config.py').write_text(CONFIG)

    def write(self, **changes):
        """A yaml of two rows; its path."""
        content = dict(
            name='try', data=dict(train='easy', test=['easy', 'hard']),
            max_iters=5, seeds=[0, 1, 2], baseline='plain', runs=dict(
                plain=dict(config=str(self.folder / 'config.py')),
                better=dict(config=str(self.folder / 'config.py'),
                            options={'model.gain': 2.})))
        content.update(changes)
        path = self.folder / f'{content["name"]}.yaml'
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def run(self, path, *args):
        return self.modules['study'].main([
            str(path), '--work-dir', str(self.folder / 'work'), '--data',
            str(self.folder / 'data'), '--csv', str(self.csv), *args])

    def rows(self):
        with open(self.csv, newline='') as file:
            return list(csv.DictReader(file))

    def calls(self, program):
        path = self.folder / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        return sum(line.startswith(program + ' ') for line in lines)

    def read(self, path):
        return self.modules['plan'].read_study(path)

    def plan(self, path):
        return list(self.modules['plan'].plan(self.read(path)))


@pytest.fixture
def place(modules, tmp_path, monkeypatch):
    monkeypatch.setattr(modules['runner'], 'TOOLS', tmp_path / 'tools')
    monkeypatch.setattr(modules['runner'], 'commit', lambda: 'abc1234')
    return Place(modules, tmp_path)


# -- what a yaml means --------------------------------------------------------
@pytest.mark.parametrize('length, iters, schedule, ends, milestones', [
    # a complete training: the schedule ends with it
    (dict(max_iters=20), 20, 20, [4, 20], [10, 15]),
    # the first part of one: the schedule stays
    (dict(stop_at=20), 20, 40, [4, 40], [20, 30]),
    ({}, 40, 40, [4, 40], [20, 30]),
])
def test_length(place, length, iters, schedule, ends, milestones):
    path = place.write()
    content = yaml.safe_load(path.read_text())
    del content['max_iters']
    path.write_text(yaml.safe_dump(content | length, sort_keys=False))
    run = place.plan(path)[0]
    assert (run.iters, run.schedule) == (iters, schedule)
    assert run.cfg.train_cfg.max_iters == iters < run.cfg.train_cfg.val_begin
    parts = run.cfg.param_scheduler
    assert [p.end for p in parts[:2]] == ends
    assert parts[2].milestones == milestones


def test_rows_of_a_seed_come_together(place):
    runs = place.plan(place.write(seeds=[3, 1]))
    assert [(r.row.name, r.seed) for r in runs] == [
        ('plain', 3), ('better', 3), ('plain', 1), ('better', 1)]
    assert [r.cfg.model.gain for r in runs] == [1, 2, 1, 2]
    assert len({r.digest for r in runs}) == 2  # not of the seed


@pytest.mark.parametrize('change, sentence', [
    (dict(stop_at=3), 'max_iters and stop_at exclude each other'),
    (dict(max_iters=0), 'max_iters must be a whole number'),
    (dict(max_iters=3), '3 iterations are too few for LinearLR'),
    (dict(seeds=[]), 'seeds must be a list'),
    (dict(name='a/b'), 'name must be letters'),
    (dict(data=dict(train='medium')), 'data.train and data.test are of easy'),
    (dict(data=dict(train='easy-250')), 'data.train and data.test are of'),
    (dict(data=dict(test='easy-0')), 'data.train and data.test are of'),
    (dict(data=dict(videos=3)), "data has no ['videos']"),
    (dict(runs={}), 'runs must map'),
    (dict(baseline='best'), "the baseline 'best' of plain is no row"),
    (dict(runs=dict(plain=dict(config='configs/none.py'))),
     'there is no config at configs/none.py'),
    (dict(runs=dict(plain=dict(config='README.md', option={}))),
     'nothing else'),
    (dict(iters=3), "['iters'] is unknown"),
    # only a row above can be there when a row starts from it
    (dict(runs=dict(plain=dict(config='README.md', start='better'),
                    better=dict(config='README.md'))),
     "the start 'better' of plain is neither a row above"),
    (dict(runs=dict(plain=dict(config='README.md', start='none.pth'))),
     "the start 'none.pth' of plain is neither"),
    # nothing to test
    (dict(runs=dict(plain=dict(config='README.md', train=False))),
     'plain must have train: true, or train: false and a start'),
])
def test_wrong_yaml(place, change, sentence):
    path = place.write()
    content = yaml.safe_load(path.read_text()) | change
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(UserError) as error:
        place.plan(path)
    assert sentence in str(error.value)


def test_a_level_with_its_own_number_of_videos(place, modules):
    """Other data, the same training."""
    path = place.write()
    content = yaml.safe_load(path.read_text())
    plain = {r.digest for r in place.plan(path)}
    content['data'] = dict(train='easy', test=['easy', 'easy-250'])
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    folders = list(modules['runner'].data_folders(
        modules['plan'].read_study(path)))
    assert [f[:3] for f in folders if f[1] == 'val'] == [
        ('easy', 'val', 50), ('easy-250', 'val', 250)]
    assert {r.digest for r in place.plan(path)} == plain


def test_what_changes_the_time_alone_is_no_other_run(modules):
    portable = modules['plan']._portable
    before = dict(env_cfg=dict(a=1), optim_wrapper=dict(
        optimizer=dict(lr=1)))
    faster = dict(env_cfg=dict(a=1, keep_freed_memory=True),
                  optim_wrapper=dict(optimizer=dict(lr=1, fused=True)))
    assert portable(faster) == portable(before)
    assert portable(dict(env_cfg=dict(a=2))) != portable(
        dict(env_cfg=dict(a=1)))


@pytest.fixture(scope='module')
def planned(modules):
    """The runs of seed 0 of every study of the repository."""
    found = {}
    for path in STUDIES:
        study = modules['plan'].read_study(path)
        assert study.name == path.stem
        found[study.name] = [r for r in modules['plan'].plan(study)
                             if r.seed == study.seeds[0]]
    return found


def test_studies_of_the_repository_build(planned):
    init_default_scope('mmdet')
    built = set()
    for name, runs in planned.items():
        # No two rows of a study are the same.
        assert len({r.digest for r in runs}) == len(runs), name
        for run in runs:
            if run.digest not in built:
                model = MODELS.build(run.cfg.copy().model)
                assert sum(p.numel() for p in model.parameters()) > 5e5
                built.add(run.digest)


def test_the_ablations_share_the_full_model(planned):
    """Its seeds are trained once for all of them."""
    full = {'memcnp_paired': 'sipmask-memcnp', 'table6': 'nll-sigma-contrast',
            'table7': 'memcnp-128', 'table8': 'gmm-nll', 'table9': 'uss'}
    assert len({run.folder for study, row in full.items()
                for run in planned[study] if run.row.name == row}) == 1


# -- running --------------------------------------------------------------
def test_every_run_and_level_has_a_row(place):
    path = place.write()
    assert place.run(path, '--jobs', '3') == 0
    rows = place.rows()
    assert len(rows) == 2 * 3 * 2
    for row in rows:
        gain, seed = 1 + (row['row'] == 'better'), int(row['seed'])
        share = 1 if row['level'] == 'easy' else .1
        assert float(row['AP']) == pytest.approx(
            (10 * gain + seed**2) / 100 * share, abs=1e-4)
        assert float(row['id_switches']) == seed
        assert row['iters'] == row['schedule'] == '5'
        assert row['commit'] == 'abc1234' and row['seconds'] == '2'
    assert rows[0]['options'] == '{"model.gain": 2.0}'
    assert (place.calls('train'), place.calls('test')) == (6, 12)
    # Nothing is done twice, also without the work directories.
    (place.folder / 'work').rename(place.folder / 'elsewhere')
    before = place.csv.read_bytes()
    assert place.run(path) == 0
    assert place.csv.read_bytes() == before
    assert (place.calls('train'), place.calls('test')) == (6, 12)


def test_rows_that_start_from_another(place):
    config = dict(config=str(place.folder / 'config.py'))
    (place.folder / 'given.pth').write_text('[7, 0, 0]')
    path = place.write(baseline=None, seeds=[0, 1], runs=dict(
        plain=config,
        tested=dict(config, start='plain', train=False,
                    options={'model.gain': 5.}),
        further=dict(config, start='plain'),
        given=dict(config, start=str(place.folder / 'given.pth'),
                   train=False)))
    # What a row starts from is trained first, and once.
    assert place.run(path, '--rows', 'tested', 'further', '--jobs', '2') == 0
    assert {r['row'] for r in place.rows()} == {'tested', 'further'}
    assert place.run(path, '--jobs', '3') == 0
    assert place.calls('train') == 4
    found = {(r['row'], r['seed']): r for r in place.rows()
             if r['level'] == 'easy'}
    # Weights that a row did not train are tested as they are.
    for seed, ap in (('0', .1), ('1', .11)):
        assert float(found['tested', seed]['AP']) == ap
        assert found['tested', seed]['iters'] == '0'
    assert float(found['given', '1']['AP']) == .7
    for seed in (0, 1):
        run, = (r for r in place.plan(path)
                if (r.row.name, r.seed) == ('further', seed))
        folder = place.folder / 'work'
        config = (folder / run.folder / 'config.py').read_text()
        assert str(folder / run.start.folder / 'train/iter_5.pth') in config
    # Another training to start from is another setting.
    runs = yaml.safe_load(path.read_text())['runs']
    runs['plain']['options'] = {'model.part.b': 3}
    with pytest.raises(UserError, match='row tested .*start.cfg.model.part.b'):
        place.run(place.write(baseline=None, seeds=[0], runs=runs), '--rows',
                  'tested')


def test_a_part_first_and_others_rows_stay(place):
    path = place.write()
    assert place.run(path, '--rows', 'better', '--seeds', '1') == 0
    assert {(r['row'], r['seed']) for r in place.rows()} == {('better', '1')}
    other = place.write(name='other', runs=dict(best=dict(
        config=str(place.folder / 'config.py'),
        options={'model.gain': 2.})), baseline=None)
    assert place.run(other, '--seeds', '1') == 0
    assert {(r['study'], r['row']) for r in place.rows()} == {
        ('try', 'better'), ('other', 'best')}
    # The same training by another name.
    assert (place.calls('train'), place.calls('test')) == (1, 2)
    with pytest.raises(UserError, match='--rows best is not in the yaml'):
        place.run(path, '--rows', 'best')


def test_changed_options_are_refused(place):
    path = place.write()
    place.run(path, '--rows', 'better', '--seeds', '0')
    content = yaml.safe_load(path.read_text())
    content['runs']['better']['options'] = {'model.gain': 3.}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    before, calls = place.csv.read_bytes(), place.calls('train')
    with pytest.raises(UserError, match=(
            r'The row better in .* was made with other settings \(model.gain: '
            r'2.0, now 3.0\): give the row another name')):
        place.run(path)
    # Neither does a change of the config's file.
    path = place.write()
    (place.folder / 'config.py').write_text(CONFIG.replace('b=2', 'b=3'))
    with pytest.raises(UserError, match='model.part.b: 2, now 3'):
        place.run(path)
    assert place.csv.read_bytes() == before
    assert place.calls('train') == calls


def _study(place, path):
    place.run(path)


def test_goes_on_after_a_kill(place):
    """The study dies, its training lives on for a while and dies too."""
    path = place.write(seeds=[0])
    (place.folder / 'tools/killer').touch()
    assert in_process(_study, place, path) == -9
    assert not place.csv.exists()
    assert place.run(path) == 0
    assert place.calls('train') == 3
    assert len(place.rows()) == 4
    work = place.folder / 'work'
    begins = [json.loads(p.read_text())[2] for p in work.glob(
        '*/train/iter_5.pth')]
    assert sorted(begins) == [0, 2]  # resumed, not begun again
    left = [p for p in place.folder.rglob('*') if 'unfinished' in p.name]
    assert not left


def test_a_failure_does_not_stop_the_others(place, capsys):
    path = place.write(seeds=[0], baseline=None, runs={
        name: dict(config=str(place.folder / 'config.py'), options=options)
        for name, options in dict(bad={'model.broken': True},
                                  good={}).items()})
    assert place.run(path) == 1
    assert {r['row'] for r in place.rows()} == {'good'}
    said = capsys.readouterr().err
    assert 'train.py ended with 3 (Error: this cannot train)' in said
    log = Path(said.strip().rsplit('see ')[-1])
    assert 'cannot train' in log.read_text()


def test_other_data_is_refused(place):
    place.run(place.write(seeds=[0]), '--rows', 'plain')
    with pytest.raises(UserError, match='has not the 600 videos of 8 frames'):
        place.run(place.write(name='new', data=dict(train_frames=8)))


def test_a_strange_csv_stays(place):
    place.csv.write_text('a,b\n1,2\n')
    with pytest.raises(UserError, match='is no table of a study'):
        place.run(place.write())
    assert place.csv.read_text() == 'a,b\n1,2\n'


# -- tables ---------------------------------------------------------------
@pytest.mark.parametrize('values, mean, deviation, half', [
    # t of 2 degrees of freedom: 4.3027
    ([1., 2., 3.], 2., 1., 4.302653 / math.sqrt(3)),
    ([5., 5.], 5., 0., 0.),
    # t of 4 degrees of freedom: 2.7764
    ([0., 1., 2., 3., 4.], 2., math.sqrt(2.5), 2.776445 * math.sqrt(.5)),
    ([7.], 7., math.nan, math.nan),  # one tells nothing of its spread
])
def test_spread(modules, values, mean, deviation, half):
    found = modules['table'].spread(values)
    assert found == pytest.approx(
        (mean, deviation, half, len(values)), nan_ok=True, rel=1e-6)


def test_report_from_the_csv_alone(place):
    path = place.write()
    place.run(path)
    for folder in ('work', 'data', 'tools'):
        (place.folder / folder).rename(place.folder / f'old_{folder}')
    (place.folder / 'config.py').write_text('broken')
    assert place.run(path, '--report') == 0
    text = (place.folder / 'try.md').read_text()
    # APs of seeds 0, 1, 2: 10, 11, 14 and 20, 21, 24
    assert '| plain | 3 | 11.7 ± 2.1 |' in text
    assert '| better | 3 | 21.7 ± 2.1 |' in text
    assert '| better | plain | 3 | +10.0 [+10.0, +10.0] |' in text
    assert '`{"model.gain": 2.0}`' in text
    assert cv2.imread(str(place.folder / 'try.png')).std() > 5
    assert not (place.folder / 'try_curves.png').exists()
    (place.folder / 'old_work').rename(place.folder / 'work')
    place.run(path, '--report')
    assert cv2.imread(str(place.folder / 'try_curves.png')).std() > 5
    assert 'try_curves.png' in (place.folder / 'try.md').read_text()


def test_report_of_nothing_and_over_something(place):
    path = place.write(seeds=[0])
    with pytest.raises(UserError, match='has no row of the study try'):
        place.run(path, '--report')
    place.run(path)
    (place.folder / 'try.md').write_text('mine')
    with pytest.raises(UserError, match='was not made by a report'):
        place.run(path, '--report')
    assert (place.folder / 'try.md').read_text() == 'mine'
    assert not (place.folder / 'try.png').exists()


def test_programs_use_this_code_and_one_thread(modules, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    env = modules['runner'].environment()
    assert env['OMP_NUM_THREADS'] == '1'
    assert env['PYTHONPATH'].split(os.pathsep)[0] == str(ROOT)
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    assert modules['runner'].environment()['OMP_NUM_THREADS'] == '2'
