"""Bad input is told from defects."""
import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from mmdet.registry import MODELS
from mmengine.config import Config
from torch.utils.data import DataLoader

from mmvis_memcnp.cli.config_numbers import check_numbers
from mmvis_memcnp.cli.numbers import pixels, positive, share
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.preflight import (
    apply_overrides,
    last_checkpoint,
    load_config,
)
from mmvis_memcnp.cli.run import run_tool, user_message
from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.engine import ResumableSampler
from mmvis_memcnp.errors import UserError


def caught(function):
    with pytest.raises(Exception) as info:
        function()
    return info.value


def library_defect():
    np.zeros(2).reshape(3)


class Failing:

    def __init__(self, function):
        self.function = function

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.function()


def in_worker(function):
    return next(iter(DataLoader(Failing(function), num_workers=1)))


def raise_user_error():
    raise UserError('a.jpg is cut off: fetch it again.')


def empty_sampler():
    ResumableSampler([], seed=0)


def test_user_error_has_its_sentence():
    error = caught(raise_user_error)
    assert user_message(error) == 'a.jpg is cut off: fetch it again.'


def test_error_of_the_package_has_its_sentence(tmp_path):
    error = caught(lambda: load_checkpoint_file(tmp_path / 'no.pth'))
    assert user_message(error).startswith('There is no checkpoint at ')
    broken = tmp_path / 'broken.pth'
    broken.write_bytes(b'no pickle')
    error = caught(lambda: load_checkpoint_file(broken))
    assert str(broken) in user_message(error)


def test_a_name_that_is_too_long_has_its_sentence(tmp_path):
    with pytest.raises(OSError) as error:
        (tmp_path / ('n' * 300)).read_text()
    assert 'is too long for a file name.' in user_message(error.value)


def test_memory_that_does_not_suffice_has_its_sentence():
    error = caught(lambda: np.zeros(1 << 60, np.uint8))
    assert re.match(r'There is not enough memory \(Unable to .*\): give more',
                    user_message(error))


@pytest.mark.parametrize('unbuffered', ['', '1'])
@pytest.mark.parametrize('work, code, said', [
    # it prints more than a pipe holds
    ('lambda: [print("x" * 99) for _ in range(9999)]', 141, ''),
    # what it prints is in the buffer still when it ends
    ('lambda: [print("x"), sys.exit("1 problem.")]', 1, '1 problem.\n'),
    # a pipe of its own is a defect
    ('broken', 1, None)])
def test_a_reader_that_is_gone_ends_a_tool(unbuffered, work, code, said):
    program = (
        'import os, sys; from mmvis_memcnp.cli.run import run_tool\n'
        'def broken():\n'
        '    r, w = os.pipe(); os.close(r); os.write(w, b"x")\n'
        f'run_tool({work})')
    tool = subprocess.Popen(
        [sys.executable, '-c', program], text=True,
        env=dict(os.environ, PYTHONUNBUFFERED=unbuffered),
        stdout=None if said is None else subprocess.PIPE,
        stderr=subprocess.PIPE)
    if tool.stdout:
        tool.stdout.close()
    err = tool.stderr.read()
    if tool.wait() == 141 and said:
        assert unbuffered and not err  # it could not print
    else:
        assert tool.returncode == code
        assert err == said or said is None and 'BrokenPipeError' in err


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
@pytest.mark.parametrize('place, work, code, said', [
    # what it prints is in the buffer when it ends
    ('/dev/full', 'lambda: print("x")', 1, 'Error: What the tool prints'),
    # more than a buffer takes
    ('/dev/full', 'lambda: print("x" * 99999)', 1, 'Error: What the tool p'),
    # its own status says less than that nobody could read why
    ('/dev/full', 'lambda: [print("x"), sys.exit(2)]', 1, 'Error: What the'),
    # a logger says nothing of each of its lines
    ('/dev/full', 'lambda: [log.error("x"), log.error("y")]', 1, 'Error: Wh'),
    # an error of its own comes first, and stays the only one
    ('/dev/full', 'refuse', 1, 'Error: a.jpg is bad.'),
    # a file is full, not stdout
    ('/dev/null', 'fill', 1, 'Error: What the tool prints or writes has no'),
    # it prints nothing
    ('/dev/full', 'int', 0, ''),
    # closed before the start
    (None, 'lambda: print("x")', 0, '')])
def test_a_place_that_takes_no_output_is_said(place, work, code, said):
    program = (
        'import logging, sys\n'
        'from mmvis_memcnp.errors import UserError\n'
        'from mmvis_memcnp.cli.run import run_tool\n'
        'log = logging.getLogger("x")\n'
        'log.addHandler(logging.StreamHandler(sys.stdout))\n'
        'def refuse():\n    print("x"); raise UserError("a.jpg is bad.")\n'
        'def fill():\n'
        '    with open("/dev/full", "w") as f: f.write("x")\n'
        f'run_tool({work})')
    shell = f'"$0" -c "$1" {">&-" if place is None else f"> {place}"}'
    done = subprocess.run(['sh', '-c', shell, sys.executable, program],
                          env=dict(os.environ, PYTHONUNBUFFERED=''),
                          stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(said)
    assert done.stderr.count('\n') == bool(said)


def test_pixels_of_a_picture():
    assert [pixels(text) for text in ('16', '8192')] == [16, 8192]
    for text in ('0', '-3', '100000000', '20.5', 'nan', 'x'):
        with pytest.raises(argparse.ArgumentTypeError):
            pixels(text)


def test_a_damaged_note_of_the_last_checkpoint_is_named(tmp_path):
    (tmp_path / 'last_checkpoint').write_bytes(b'\xff\xfe')
    with pytest.raises(UserError, match='last_checkpoint is damaged: give'):
        last_checkpoint(str(tmp_path))


def test_defects_have_none():
    assert user_message(caught(library_defect)) is None
    assert user_message(caught(lambda: [][0])) is None
    assert user_message(caught(lambda: open('/nowhere/at/all'))) is None


@pytest.mark.parametrize('part', [
    # it names its options, or hands them on to its base, or to two
    'SampledMaskLoss', 'CrossFrameLoss', 'ReferringTracker'])
def test_an_option_that_a_part_lacks_has_its_sentence(part):
    needed = dict(num_classes=1, association=dict(
        type='HungarianAssociation'), memory=dict(type='LatestMemory'))
    with pytest.raises(TypeError) as info:
        MODELS.build(dict(type=part, wieght=1., **(
            needed if part == 'ReferringTracker' else {})))
    assert user_message(info.value) == (
        f"{part} has no option 'wieght': correct it in the config or "
        'in --cfg-options.')
    with pytest.raises(TypeError) as info:
        dict(1)
    assert user_message(info.value) is None


@pytest.mark.parametrize('key, word', [
    # misspelt: the near name is said
    ('modle.top_k', "'model'"),
    ('test_evaluater.x', "'test_evaluator'"),
    # like nothing that there is
    ('qqqqq', 'would change nothing'),
])
def test_keys_that_no_config_has(key, word):
    cfg = Config(dict(model=dict(top_k=1), mine=1))
    with pytest.raises(UserError, match=word):
        apply_overrides(cfg, {key: 3})
    apply_overrides(cfg, {'mine': 2, 'load_from': 'x', 'model.new': 5})
    assert cfg.mine == 2 and cfg.model.new == 5


def test_without_validation_there_still_is_a_test():
    loader = dict(batch_size=1)
    cfg = Config(dict(
        val_cfg=dict(type='VideoValLoop'), test_cfg=dict(type='VideoTestLoop'),
        val_dataloader=loader, test_dataloader=dict(loader),
        val_evaluator=dict(type='VISMetric'),
        test_evaluator=dict(type='VISMetric')))
    apply_overrides(cfg, dict(
        val_cfg=None, val_dataloader=None, val_evaluator=None))
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert cfg.test_dataloader == loader
    assert cfg.test_evaluator.type == 'VISMetric'


@pytest.mark.parametrize('word', ['model.score_thr', '=.2', '5'])
def test_overrides_need_a_value(capsys, word):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'a.b=1', word])
    assert f'takes KEY=VALUE, got {word!r}' in capsys.readouterr().err
    args = parser.parse_args(['--cfg-options', 'a.b=1', 'c=x=y', 'd='])
    assert args.cfg_options == {'a.b': 1, 'c': 'x=y', 'd': ''}


@pytest.mark.parametrize('key, value, wanted', [
    ('train_dataloader.batch_size', 0, 'a whole number of at least 1'),
    ('train_dataloader.batch_size', 'abc', 'a whole number of at least 1'),
    ('train_dataloader.batch_size', 2.5, 'a whole number of at least 1'),
    ('train_dataloader.num_workers', -1, 'a whole number of at least 0'),
    ('train_cfg.max_iters', 0, 'a whole number of at least 1'),
    ('train_cfg.max_iters', True, 'a whole number of at least 1'),
    ('optim_wrapper.optimizer.lr', '1e-4x', 'a number above 0'),
    ('optim_wrapper.optimizer.lr', float('nan'), 'a number above 0'),
    # right ones
    ('optim_wrapper.optimizer.lr', 1e-4, None),
    ('train_dataloader.num_workers', 0, None),
    ('train_dataloader.batch_size', 1, None),
])
def test_numbers_that_no_training_can_have(key, value, wanted):
    cfg = Config()
    cfg.merge_from_dict({key: value})
    if wanted is None:
        check_numbers(cfg)
        return
    with pytest.raises(UserError, match=f'^{key} must be {wanted}, got '):
        check_numbers(cfg)


def test_a_schedule_that_ends_before_it_begins():
    parts = [dict(begin=0, end=200), dict(begin=200, end=100)]
    with pytest.raises(UserError, match=(
            r'param_scheduler.1.end=100 is not behind its begin=200')):
        check_numbers(Config(dict(param_scheduler=parts)))
    check_numbers(Config(dict(param_scheduler=parts[:1])))
    check_numbers(Config(dict(param_scheduler=dict(type='ConstantLR'))))


def test_a_learning_rate_is_scaled_from_some_batch():
    check_numbers(Config(dict(auto_scale_lr=dict(enable=False))))
    check_numbers(Config(dict(
        auto_scale_lr=dict(enable=True, base_batch_size=16))))
    with pytest.raises(UserError, match='add auto_scale_lr.base_batch_size=N'):
        check_numbers(Config(dict(auto_scale_lr=dict(enable=True))))


def test_a_loader_without_workers(tmp_path):
    """PyTorch refuses the options of workers where there are none."""
    path = tmp_path / 'config.py'
    path.write_text('val_dataloader = dict(num_workers=2, '
                    'persistent_workers=True, prefetch_factor=4)\n')
    kept = load_config(str(path)).val_dataloader
    assert kept.persistent_workers and kept.prefetch_factor == 4
    alone = load_config(str(path), {'val_dataloader.num_workers': 0})
    assert alone.val_dataloader == dict(num_workers=0)


@pytest.mark.parametrize('number, text, value', [
    (share, '0.25', .25), (share, '1', 1.), (share, '1.5', None),
    (share, 'nan', None), (share, '-0.1', None), (share, 'half', None),
    (positive, '30', 30.), (positive, '0', None), (positive, '-3', None),
    (positive, 'inf', None), (positive, 'nan', None),
])
def test_numbers_of_the_command_line(number, text, value):
    if value is None:
        with pytest.raises(argparse.ArgumentTypeError, match=text):
            number(text)
    else:
        assert number(text) == value


def test_sentence_comes_out_of_a_worker():
    error = caught(lambda: in_worker(raise_user_error))
    assert user_message(error) == 'a.jpg is cut off: fetch it again.'
    error = caught(lambda: in_worker(empty_sampler))
    assert user_message(error).startswith('The training dataset is empty')
    assert user_message(caught(lambda: in_worker(library_defect))) is None


def test_tool_ends_with_one_line(capsys, monkeypatch):
    monkeypatch.delenv('MMVIS_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as info:
        run_tool(raise_user_error)
    assert info.value.code == 1
    assert capsys.readouterr().err == (
        'Error: a.jpg is cut off: fetch it again.\n')
    with pytest.raises(ValueError, match='reshape'):
        run_tool(library_defect)


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv('MMVIS_TRACEBACK', '1')
    with pytest.raises(UserError):
        run_tool(raise_user_error)


def swallow(number):
    """As mmengine does when it formats a config."""
    try:
        signal.raise_signal(number)
    except BaseException:
        raise SyntaxError('Failed to format')  # noqa: B904


def lose(number):
    """As pycocotools does when the signal comes within its __array__."""
    with contextlib.suppress(BaseException):
        signal.raise_signal(number)
    raise TypeError('got an unexpected keyword argument')


@pytest.mark.parametrize('work', [signal.raise_signal, swallow, lose])
@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130),
                                          (signal.SIGTERM, 143)])
def test_a_signal_ends_a_tool(capsys, work, number, code):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as info:
        run_tool(lambda: work(number), stopped='go on with --resume.')
    assert info.value.code == code
    assert capsys.readouterr().err == 'Stopped: go on with --resume.\n'
    assert before == [signal.getsignal(n)
                      for n in (signal.SIGINT, signal.SIGTERM)]


def test_an_error_after_a_signal_that_the_tool_took_is_said(capsys):
    """A live recording ends by Ctrl-C; what then fails is no stop."""
    def work():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise_user_error()

    with pytest.raises(SystemExit) as info:
        run_tool(work)
    assert info.value.code == 1
    assert capsys.readouterr().err.startswith('Error: a.jpg is cut off')
