"""tools/train.py and tools/test.py as a user meets them."""
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from tests.fakes.programs import forget_runs

ROOT = Path(__file__).resolve().parents[2]
TOYS = ROOT / 'tests' / 'test_engine'

CONFIG = """
custom_imports = dict(imports=['mmvis_memcnp', 'toy_vis'])
default_scope = 'mmdet'
log_level = 'WARNING'
model = dict(type='ToyVIS', num_classes=1)
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(type='ToyClips', size=10),
    sampler=dict(type='ResumableSampler', shuffle=True))
train_cfg = dict(type='ResumableIterTrainLoop', max_iters=4, val_interval=4)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
val_dataloader = dict(
    batch_size=1, num_workers=0, dataset=dict(type='ToyVideos'),
    sampler=dict(type='VideoFrameSampler'))
val_cfg = dict(type='VideoValLoop')
val_evaluator = dict(type='ToyMetric')
test_dataloader = val_dataloader
test_cfg = dict(type='VideoTestLoop', chunk=2)
test_evaluator = val_evaluator
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2))
"""


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Runs a tool in an empty folder; returns (exit code, stderr)."""
    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMVIS_TRACEBACK', raising=False)
    (tmp_path / 'toy.py').write_text(CONFIG)

    def run(name, *args):
        forget_runs()
        spec = importlib.util.spec_from_file_location(
            f'{name}_tool', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        try:
            module.run_tool(module.main)
            code = 0
        except SystemExit as end:
            code = end.code
        run.out, err = capsys.readouterr()
        return code, err

    return run


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Checkpoint of a model with one class."""
    sys.path.insert(0, str(TOYS))
    from toy_vis import ToyVIS
    path = tmp_path_factory.mktemp('trained') / 'one_class.pth'
    torch.save(dict(state_dict=ToyVIS().state_dict()), path)
    return path


def options(*values):
    return ['--cfg-options', *values]


def written(folder):
    """What a failed tool may not leave behind."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob('*')
        if path.name != 'toy.py' and '__pycache__' not in path.parts)


def no_configs(folder):
    """Files that are mistaken for configs; returns what is there now."""
    (folder / 'README.md').write_text('# Not a config')
    (folder / 'broken.py').write_text('model = dict(depth=deep)')
    (folder / 'part.py').write_text("model = dict(type='ToyVIS')\n"
                                    'test_dataloader = None\n')
    return written(folder)


@pytest.fixture
def planned(tool, monkeypatch):
    """Runs a tool up to its runner; returns the config that this would get.
    """

    def run(name, *args):
        seen = []

        class Stub:
            from_cfg = staticmethod(lambda cfg: seen.append(cfg) or Stub())
            train = test = staticmethod(lambda: None)

        for kind in ('Training', 'Test'):
            monkeypatch.setattr(f'mmvis_memcnp.cli.runner.{kind}', Stub)
        assert tool(name, *args) == (0, '')
        return seen[0]

    return run


def test_submissions_go_to_the_work_dir(planned, trained):
    video = ['val_evaluator.type=VISMetric', 'val_evaluator.ann_file=v.json']
    for args, folder in (((), 'work_dirs/toy'), (('--work-dir', 'a'), 'a')):
        cfg = planned('train', 'toy.py', *args, *options(*video))
        assert cfg.val_evaluator.work_dir == folder
        cfg = planned('test', 'toy.py', trained, *args, *options(*video))
        assert cfg.test_evaluator.work_dir == folder
        assert 'outfile_prefix' not in cfg.test_evaluator
    cfg = planned('test', 'toy.py', trained, '--out', 'o.json',
                  *options(*video))
    assert cfg.test_evaluator.outfile_prefix == 'o'


def test_what_is_tested_follows_what_is_validated(planned, tmp_path):
    change = ["val_dataloader.dataset.metainfo.classes=('a','b')",
              'val_dataloader.dataset.lengths=(2,)', 'val_evaluator.prefix=x']
    cfg = planned('train', 'toy.py', *options(*change))
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_dataloader.dataset.metainfo.classes == ('a', 'b')
    assert cfg.test_evaluator == cfg.val_evaluator
    assert cfg.test_evaluator.prefix == 'x'
    # A key of the test part that is overridden itself is left alone.
    cfg = planned('train', 'toy.py', *options(
        *change, 'test_dataloader.dataset.lengths=(5,)'))
    assert tuple(cfg.test_dataloader.dataset.lengths) == (5, )
    assert tuple(cfg.val_dataloader.dataset.lengths) == (2, )
    assert cfg.test_dataloader.dataset.metainfo.classes == ('a', 'b')
    # So is one of a part that contains it.
    cfg = planned('train', 'toy.py', *options(
        'val_dataloader.dataset.lengths=(2,)',
        'test_dataloader.dataset.sizes.x=1', 'val_dataloader.num_workers=1'))
    assert tuple(cfg.test_dataloader.dataset.lengths) == (2, )
    assert cfg.val_dataloader.dataset.get('sizes') is None
    # Test and validation that differ in the file stay apart.
    (tmp_path / 'toy.py').write_text(
        CONFIG + "test_dataloader = dict(val_dataloader, num_workers=1)\n")
    cfg = planned('train', 'toy.py', *options(*change))
    assert 'metainfo' not in cfg.test_dataloader.dataset


def test_train_resume_and_test(tool, tmp_path):
    assert tool('train', 'toy.py', '--seed', 7) == (0, '')
    work_dir = tmp_path / 'work_dirs' / 'toy'
    note = work_dir / 'last_checkpoint'
    assert Path(note.read_text()).name == 'iter_4.pth'
    logs = ''.join(p.read_text() for p in work_dir.rglob('*.json'))
    assert logs

    more = options('train_cfg.max_iters=6')
    assert tool('train', 'toy.py', '--resume', *more)[0] == 0
    last = load_checkpoint_file(work_dir / 'iter_6.pth')
    assert last['meta']['seed'] == 7
    assert int(last['state_dict']['steps']) == 6
    assert tool('test', 'toy.py', work_dir / 'iter_6.pth')[0] == 0


def test_the_log_begins_with_what_matters(tool, tmp_path, trained):
    """Pages of versions, config and hooks are in the file alone, behind."""
    for name, first, data in (('train', 'Training', ['train', 'val']),
                              ('test', 'Test', ['test'])):
        code, _ = tool(name, 'toy.py',
                       *([trained] if name == 'test' else []),
                       '--work-dir', name,
                       *options('log_level=INFO'))
        assert code == 0
        log, = (tmp_path / name).glob('*/*.log')
        lines = log.read_text().splitlines()
        start = next(i for i, line in enumerate(lines)
                     if line.endswith(f'INFO - {first}'))
        assert start < 3  # the metric of this test may say something
        facts = [line.split(maxsplit=1) for line in lines[start + 1:][:10]]
        names = [fact[0] for fact in facts]
        head = names[:names.index('log') + 1]
        for fact in ('config', 'weights', 'device', 'outputs', 'log'):
            assert fact in head
        assert [f[1].split(':')[0] for f in facts if f[0] == 'data'] == data
        assert 'Hooks will be executed' in log.read_text()
        for page in ('Hooks will be', 'System environment',
                     'custom_imports'):
            assert page not in tool.out
        assert 'outputs' in tool.out


def test_seed_is_in_the_log(tool, tmp_path):
    more = options('log_level=INFO', 'train_cfg.max_iters=1')
    assert tool('train', 'toy.py', '--seed', 13, '--deterministic',
                '--work-dir', 'out', *more)[0] == 0
    torch.use_deterministic_algorithms(False)
    log, = (tmp_path / 'out').rglob('*.log')
    assert 'seed: 13\n' in log.read_text()
    assert 'deterministic: True\n' in log.read_text()


def test_resume_without_a_checkpoint_starts(tool, tmp_path):
    more = options('train_cfg.max_iters=2')
    assert tool('train', 'toy.py', '--resume', '--work-dir', 'out',
                *more)[0] == 0
    assert (tmp_path / 'out' / 'iter_2.pth').is_file()


@pytest.mark.parametrize('args, sentence', [
    (['no.py'], 'There is no config at no.py'),
    (['toy.py', *options('model=3', 'model.x=2')],
     'The config toy.py cannot be read'),
    (['toy.py', *options('modle.x=2')], "The config has no 'modle'"),
    (['README.md'], 'README.md is no config, whose name ends with one of .py'),
    (['broken.py'], 'The config broken.py cannot be read: NameError: '),
    (['part.py'], 'The config part.py has no train_dataloader, train_cfg'),
    (['toy.py', '--resume', 'no.pth'],
     'There is no checkpoint at no.pth: correct --resume'),
    (['toy.py', *options('load_from=no.pth')],
     'There is no checkpoint at no.pth: correct load_from'),
    (['toy.py', *options('train_dataloader.dataset.ann_file=no.json',
                         'train_dataloader.dataset.data_root=some')],
     'There is no annotation file at some/no.json'),
    (['toy.py', *options('val_dataloader.dataset.ann_file=no.json')],
     'or data_root of val_dataloader.dataset'),
    (['toy.py', '--seed', '-1'], '--seed must lie in'),
])
def test_train_refuses_before_writing(tool, tmp_path, args, sentence):
    before = no_configs(tmp_path)
    code, err = tool('train', *args)
    assert code == 1
    assert err.startswith('Error: ') and err.count('\n') == 1
    assert sentence in err
    assert written(tmp_path) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
def test_amp_without_a_gpu(tool, tmp_path):
    assert tool('train', 'toy.py', '--amp') == (
        1, 'Error: --amp needs a CUDA device and PyTorch sees none: train '
        'without --amp here, in single precision.\n')
    assert written(tmp_path) == []


@pytest.mark.parametrize('change, sentence', [
    ('train_dataloader.dataset.size=0', 'The training dataset is empty'),
    ('train_dataloader.sampler.type=DefaultSampler', 'which cannot resume'),
    ('train_dataloader.batch_size=20 train_dataloader.drop_last=True',
     'has 10 samples'),
    ('model.nan_at=1', 'stopped at iteration 1: loss_size is nan'),
    ('default_hooks.checkpoint.interval=3 '
     'optim_wrapper.accumulative_counts=2', 'not a multiple of'),
])
def test_train_stops_with_a_sentence(tool, tmp_path, change, sentence):
    code, err = tool('train', 'toy.py', *options(*change.split()))
    assert code == 1
    assert err.startswith('Error: ') and err.count('\n') == 1
    assert sentence in err
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.parametrize('args, sentence', [
    (['no.py', 'x.pth'], 'There is no config at no.py'),
    (['README.md', 'toy.py'], 'README.md is no config'),
    (['part.py', 'toy.py'],
     'has no test_dataloader, test_evaluator, test_cfg: give a config'),
    (['toy.py', 'no.pth'], 'There is no checkpoint at no.pth'),
    (['toy.py', 'toy.py', '--out', 'a.txt'], '--out must name a .json'),
    (['toy.py', 'toy.py', '--ann-file', 'no.json'],
     'There is no annotation file at '),
])
def test_test_refuses_before_writing(tool, tmp_path, args, sentence):
    before = no_configs(tmp_path)
    code, err = tool('test', *args)
    assert code == 1
    assert err.startswith('Error: ') and err.count('\n') == 1
    assert sentence in err
    assert written(tmp_path) == before


def test_checkpoint_of_another_model(tool, tmp_path):
    other = dict(
        state_dict={
            f'sem_seg_head.layer{i}.weight': torch.zeros(2)
            for i in range(30)
        },
        meta=dict(cfg="x = 1\nmodel = dict(\n    depth=2,\n"
                  "    type='Mask2FormerVIS')\n"))
    torch.save(other, tmp_path / 'other.pth')
    code, err = tool('test', 'toy.py', 'other.pth')
    assert code == 1 and err.count('\n') == 1
    assert 'does not belong to this ToyVIS: 6 weights are missing' in err
    assert '30 weights are not of this model' in err
    assert 'saved while training Mask2FormerVIS' in err
    code, err = tool('train', 'toy.py', *options('load_from=other.pth'))
    assert code == 1 and err.count('\n') == 1
    assert 'only 0 of its 30 weights belong to ToyVIS' in err
    assert not list(tmp_path.rglob('iter_*.pth'))


def test_another_number_of_classes(tool, tmp_path, trained):
    three = options('model.num_classes=3', f'load_from={trained}')
    assert tool('train', 'toy.py', *three)[0] == 0
    log, = (tmp_path / 'work_dirs' / 'toy').rglob('*.log')
    said = ' '.join(log.read_text().split())
    assert 'that of the model 3 (other classes' in said
    assert ('these weights keep their initial values: head.weight, '
            'head.bias.') in said
    weights = load_checkpoint_file(
        tmp_path / 'work_dirs' / 'toy' / 'iter_4.pth')['state_dict']
    assert weights['head.weight'].shape == (3, 4)

    code, err = tool('test', 'toy.py', trained,
                     *options('model.num_classes=3'))
    assert code == 1 and err.count('\n') == 1
    assert 'head.weight (1, 4) instead of (3, 4)' in err


@pytest.mark.parametrize('level', [[], ['exact'], ['mixed']])
def test_an_optimized_test_scores_the_same(tool, trained, monkeypatch, level):
    done = []
    monkeypatch.setattr('mmvis_memcnp.engine.optimize.optimize_model',
                        lambda model: done.append(model.training))
    assert tool('test', 'toy.py', trained, '--optimize', *level,
                '--overwrite')[0] == 0
    assert done == [False]  # once, when the weights are there


def test_weights_alone_cannot_be_resumed(tool, tmp_path, trained):
    code, err = tool('train', 'toy.py', '--resume', trained)
    assert code == 1 and err.count('\n') == 1
    assert 'holds weights alone' in err


def test_class_list_of_the_data_sets_the_model(tool, tmp_path):
    classes = options("train_dataloader.dataset.metainfo.classes=('a','b')")
    assert tool('train', 'toy.py', *classes)[0] == 0
    weights = load_checkpoint_file(
        tmp_path / 'work_dirs' / 'toy' / 'iter_4.pth')['state_dict']
    assert weights['head.weight'].shape == (2, 4)


def test_a_training_is_not_started_over_another(tool, tmp_path):
    assert tool('train', 'toy.py', '--seed', 1)[0] == 0
    run = tmp_path / 'work_dirs' / 'toy'
    before = (run / 'iter_4.pth').read_bytes()
    code, err = tool('train', 'toy.py', '--seed', 2)
    assert code == 1 and err.count('\n') == 1
    assert 'work_dirs/toy holds a training' in err and '--resume' in err
    assert (run / 'iter_4.pth').read_bytes() == before
    assert tool('train', 'toy.py', '--seed', 2, '--overwrite')[0] == 0
    assert (run / 'iter_4.pth').read_bytes() != before


@pytest.mark.parametrize('name, args', [
    ('iter_2.pth', []),
    ('iter_2.pth', ['--overwrite']),
    # nothing to resume: it would start from the beginning
    ('iter_2.pth', ['--resume']),
    ('epoch_1.pth', []),
    ('best_toy_iter_4.pth', []),
    ('last_checkpoint', ['--overwrite']),
    ('mine_2.pth', ['--cfg-options',
                    'default_hooks.checkpoint.filename_tmpl=mine_{}.pth']),
])
def test_a_checkpoint_of_the_user_stays(tool, tmp_path, name, args):
    run = tmp_path / 'run'
    run.mkdir()
    (run / name).write_text('mine')
    code, err = tool('train', 'toy.py', '--work-dir', 'run', *args)
    assert (code, err.count('\n')) == (1, 1)
    assert f'run/{name} would be replaced, but was not made by' in err
    assert written(run) == [name] and (run / name).read_text() == 'mine'


def test_checkpoints_beside_the_work_dir_count(tool, tmp_path):
    args = ['toy.py', '--work-dir', 'run', '--overwrite', '--cfg-options',
            'default_hooks.checkpoint.out_dir=there']
    assert tool('train', *args)[0] == 0
    assert tool('train', *args)[0] == 0
    file = tmp_path / 'there' / 'run' / 'iter_2.pth'
    file.write_text('mine')
    code, err = tool('train', *args)
    assert code == 1 and 'there/run/iter_2.pth would be replaced' in err
    assert file.read_text() == 'mine'


def test_a_training_of_an_earlier_version_goes_on(tool, tmp_path):
    assert tool('train', 'toy.py', '--work-dir', 'run')[0] == 0
    run = tmp_path / 'run'
    # Earlier versions noted nothing.
    (run / '.mmvis_outputs').unlink()
    args = ['toy.py', '--work-dir', 'run', '--cfg-options']
    assert tool('train', *args, 'train_cfg.max_iters=6', '--resume')[0] == 0
    assert {f'iter_{i}.pth' for i in (2, 4, 6)} < set(written(run))
    assert 'holds a training' in tool('train', *args, 'train_cfg.x=1')[1]
    (run / 'iter_4.pth').touch()
    assert 'run/iter_4.pth would be replaced' in tool(
        'train', '--overwrite', *args, 'log_level=ERROR')[1]
    (run / 'iter_4.pth').unlink()
    assert tool('train', '--overwrite', *args, 'log_level=ERROR')[0] == 0


@pytest.mark.parametrize('name, args, sentence', [
    ('train', ['--work-dir', 'file'], 'file is a file'),
    ('train', ['--work-dir', '/proc/run'], '/proc takes no new files'),
    ('train', ['--work-dir', 'file/run'], 'file is a file'),
    ('test', ['--work-dir', 'file'], 'file is a file'),
    ('test', ['--out', 'folder.json'], 'folder.json is a folder'),
    ('test', ['--out', 'file/o.json'], 'file is a file'),
    ('test', ['--out', '/proc/o.json'], '/proc takes no new files'),
    ('test', ['--out', 'mine.json', '--overwrite'], 'was not made by this'),
    # frames of the data set, say
    ('test', ['--show-dir', 'frames', '--overwrite'], '1/0.jpg in it was not'),
])
def test_places_are_checked_first(tool, tmp_path, trained, name, args,
                                  sentence):
    for path in ('file', 'mine.json', 'frames/1/0.jpg'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('mine')
    (tmp_path / 'folder.json').mkdir()
    before = written(tmp_path)
    positional = ['toy.py'] + ([trained] if name == 'test' else [])
    code, err = tool(name, *positional, *args)
    assert code == 1 and err.count('\n') == 1
    assert err.startswith('Error: ') and sentence in err
    assert written(tmp_path) == before


def test_configs_in_the_work_dir_stay(tool, tmp_path, trained):
    """mmengine writes the config of a run over what has its name."""
    own = tmp_path / 'toy.py'
    before = own.read_text()
    assert tool('test', 'toy.py', trained, '--work-dir', '.')[0] == 0
    assert own.read_text() == before
    (tmp_path / 'run').mkdir()
    notes = tmp_path / 'run' / 'toy.py'
    notes.write_text('# mine')
    assert tool('test', 'toy.py', trained, '--work-dir', 'run')[0] == 0
    assert notes.read_text() == '# mine'
    assert len(list((tmp_path / 'run').glob('*.py'))) == 2
    # Its own copy follows the last run, as users know it.
    for value in (3, 5):
        assert tool('test', 'toy.py', trained, '--work-dir', 'new',
                    *options(f'test_cfg.chunk={value}'))[0] == 0
        copy, = (tmp_path / 'new').glob('*.py')
        assert Config.fromfile(copy).test_cfg.chunk == value


class Malicious:

    def __reduce__(self):
        return os.system, ('touch harmed', )


def test_malicious_checkpoint_is_not_executed(tool, tmp_path):
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(Malicious()))
    code, err = tool('test', 'toy.py', 'evil.pth')
    assert code == 1 and err.count('\n') == 1
    assert 'evil.pth' in err
    assert not (tmp_path / 'harmed').exists()


def test_command_line(tmp_path):
    """The real thing, once: exit status and stderr of a process."""
    environment = {
        **os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{TOYS}',
        'OMP_NUM_THREADS': '1'
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'train.py'), 'no.py'],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        'Error: There is no config at no.py: give the path of a file in '
        'configs/.')
    assert 'Traceback' not in done.stderr


def test_scores_are_logged_at_their_iteration(tool, tmp_path):
    """With the hook that every config has."""
    logger = Config.fromfile(
        ROOT / 'configs/_base_/default_runtime.py').default_hooks.logger
    with open(tmp_path / 'toy.py', 'a') as file:
        file.write(f"default_hooks['logger'] = {dict(logger)!r}\n")
    code, said = tool('train', 'toy.py', '--work-dir', 'run',
                      *options('train_cfg.val_interval=2'))
    assert code == 0, said
    log, = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    steps = [json.loads(line)['step'] for line in
             log.read_text().splitlines() if 'loss' not in json.loads(line)]
    assert steps == [2, 4]
