"""Checkpoints load, and nothing in them runs."""
import argparse
import builtins
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from torch import nn

from mmvis_memcnp.compat.checkpoint import (
    CheckpointError,
    load_checkpoint_file,
)


@pytest.fixture(params=['zip', 'legacy'])
def save(request, tmp_path):
    """Writes an object by ``torch.save``, in either of its formats."""

    def write(content, name='checkpoint.pth'):
        path = tmp_path / name
        torch.save(content, path,
                   _use_new_zipfile_serialization=request.param == 'zip')
        return path

    return write


WEIGHTS = OrderedDict(a=torch.arange(3.), b=torch.ones(2, 2))


@pytest.mark.parametrize('content', [
    WEIGHTS,
    dict(state_dict=WEIGHTS),
    dict(model=WEIGHTS),
    {f'module.{k}': v for k, v in WEIGHTS.items()},
    dict(model={f'module.{k}': v for k, v in WEIGHTS.items()}),
    dict(state_dict={f'module.{k}': v for k, v in WEIGHTS.items()}),
])
def test_wrappers_are_understood(save, content):
    loaded = load_checkpoint_file(save(content))
    assert list(loaded) == ['state_dict']
    assert list(loaded['state_dict']) == ['a', 'b']
    assert torch.equal(loaded['state_dict']['a'], WEIGHTS['a'])


def test_a_module_of_that_name_is_not_a_wrapper(save):
    weights = {'module.a': torch.ones(1), 'head': torch.ones(1)}
    assert set(load_checkpoint_file(save(weights))['state_dict']) == set(
        weights)


def test_what_a_training_run_saves(save):
    history = HistoryBuffer()
    for value in (1., 2., 6.):
        history.update(value)
    content = dict(
        state_dict=WEIGHTS,
        optimizer=dict(state={0: dict(step=torch.tensor(3.))}),
        message_hub=dict(log_scalars=OrderedDict(loss=history)),
        meta=dict(
            epoch=3,
            rng=np.random.RandomState(0).get_state(),
            array=np.array([[1, 2], [3, 4]], dtype=np.int32),
            words=np.array(['a', 'bc']),
            scalar=np.float32(2.5)))
    loaded = load_checkpoint_file(save(content))
    kept = loaded['message_hub']['log_scalars']['loss']
    assert type(kept) is HistoryBuffer
    assert kept.mean() == 3 and kept.statistics('max') == 6
    assert loaded['meta']['epoch'] == 3
    assert loaded['meta']['scalar'] == np.float32(2.5)
    assert np.array_equal(loaded['meta']['array'], [[1, 2], [3, 4]])
    assert loaded['meta']['words'].tolist() == ['a', 'bc']
    assert np.array_equal(loaded['meta']['rng'][1],
                          content['meta']['rng'][1])
    assert loaded['optimizer']['state'][0]['step'] == 3


class Options(argparse.Namespace):
    """A subclass could do anything when it is loaded."""


def trained_by_detr(**args):
    """What the trainers of DETR and of InstanceFormer save."""
    weight = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.AdamW([weight], lr=.1)
    weight.sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    return dict(
        model=WEIGHTS, optimizer=optimizer.state_dict(),
        lr_scheduler=scheduler.state_dict(), epoch=7,
        args=argparse.Namespace(**args))


def test_options_of_the_trainer_are_read_and_left_out(save):
    nested = argparse.Namespace(lr_drop=[4, 10], inner=argparse.Namespace(a=1))
    loaded = load_checkpoint_file(save(trained_by_detr(
        lr=1e-4, dataset_file='YoutubeVIS', nested=nested, __setstate__=1)))
    assert loaded.keys() == {'state_dict', 'optimizer', 'lr_scheduler',
                             'epoch'}
    assert torch.equal(loaded['state_dict']['a'], WEIGHTS['a'])
    assert loaded['epoch'] == 7 and loaded['lr_scheduler']['step_size'] == 3
    deeper = load_checkpoint_file(save(dict(model=WEIGHTS, more=[nested])))
    assert vars(deeper['more'][0]) == {}
    assert type(deeper['more'][0]) is not argparse.Namespace
    beside = load_checkpoint_file(save({**WEIGHTS, 'args': nested}))
    assert beside.keys() == {'state_dict'}
    assert beside['state_dict'].keys() == WEIGHTS.keys()


@pytest.mark.parametrize('value', [
    Options(lr=1), argparse.HelpFormatter, argparse.FileType('w')])
def test_other_parts_of_argparse_are_refused(save, value):
    content = trained_by_detr(lr=1)
    with pytest.raises(CheckpointError, match='could run code'):
        load_checkpoint_file(save(dict(content, args=value)))
    with pytest.raises(CheckpointError, match='could run code'):
        load_checkpoint_file(save(dict(
            content, args=argparse.Namespace(value=value))))


def test_options_cannot_hide_a_call(save, tmp_path):
    marker = tmp_path / 'ran'
    for evil in trap(marker):
        with pytest.raises(CheckpointError, match='could run code'):
            load_checkpoint_file(save(trained_by_detr(evil=evil)))
    assert not marker.exists()


def test_a_file_cannot_replace_the_statistics(save, monkeypatch):
    history = HistoryBuffer()
    history.update(1.)
    with monkeypatch.context() as patch:
        patch.setitem(HistoryBuffer._statistics_methods, 'mean', 'evil')
        path = save(dict(state_dict=WEIGHTS, log=history))
    load_checkpoint_file(path)
    assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean


class Calls:
    """Pickles as a call of ``function`` with ``args``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def trap(marker):
    """Pickles that would leave ``marker`` behind if they ran."""
    touch = f'open({str(marker)!r}, "w").close()'
    return [
        Calls(os.system, f'touch {marker}'),
        Calls(eval, touch),
        Calls(exec, touch),
        Calls(builtins.__import__, 'os'),
        Calls(os.mkdir, str(marker)),
    ]


@pytest.mark.parametrize('which', range(5))
@pytest.mark.parametrize('suffix', ['.pth', '.pkl'])
def test_a_malicious_pickle_is_refused_and_not_run(save, tmp_path, which,
                                                   suffix):
    marker = tmp_path / 'ran'
    evil = trap(marker)[which]
    content = dict(state_dict=dict(a=torch.ones(1)), extra=evil)
    with pytest.raises(CheckpointError, match='could run code'):
        load_checkpoint_file(save(content, 'evil' + suffix))
    for protocol in (0, 2, 4):
        path = tmp_path / f'plain{suffix}'
        path.write_bytes(
            pickle.dumps(dict(model=dict(), extra=evil), protocol))
        with pytest.raises(CheckpointError, match='could run code'):
            load_checkpoint_file(path)
    assert not marker.exists()
    # The trap works: an ordinary unpickler falls into it.
    if which != 3:
        pickle.loads(pickle.dumps(evil))
        assert marker.exists()


def test_getattr_gets_nothing_from_a_file(save, tmp_path):
    # torch.Tensor is on PyTorch's own list; an attribute of it is not.
    content = dict(state_dict=dict(a=torch.ones(1)),
                   got=Calls(getattr, torch.Tensor, 'numpy'))
    assert load_checkpoint_file(save(content))['got'] is None
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps(dict(model={}, got=Calls(
        getattr, OrderedDict, 'fromkeys'))))
    with pytest.raises(CheckpointError, match='getattr'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5])
def test_detectron2_pickle(tmp_path, protocol):
    weights = {
        'stem.conv1.weight': np.arange(6, dtype=np.float32).reshape(2, 3),
        'stem.conv1.norm.count': np.array(4, dtype=np.int64),
        'half': np.ones(2, dtype=np.float16),
    }
    path = tmp_path / 'R-50.pkl'
    path.write_bytes(pickle.dumps(
        dict(model=weights, __author__='someone', matching_heuristics=True),
        protocol))
    loaded = load_checkpoint_file(path)
    assert loaded['__author__'] == 'someone'
    for name, value in weights.items():
        tensor = loaded['state_dict'][name]
        assert isinstance(tensor, torch.Tensor)
        assert np.array_equal(tensor.numpy(), value)
        assert tensor.numpy().dtype == value.dtype


def test_the_global_list_of_pytorch_is_left_as_it_was(save):
    before = set(torch.serialization.get_safe_globals())
    load_checkpoint_file(save(WEIGHTS))
    with pytest.raises(CheckpointError):
        load_checkpoint_file(save(dict(a=Calls(eval, '1'))))
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match='There is no checkpoint at'):
        load_checkpoint_file(tmp_path / 'none.pth')


@pytest.mark.parametrize('content', [
    b'', b'not a checkpoint', b'PK\x03\x04 broken', b'\x80\x02',
    b'\x80\x02]q.', b'garbage\n' * 1000])
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    path = tmp_path / 'bad.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint_file(path)
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_a_truncated_file_is_one_sentence(save):
    path = save(dict(state_dict=dict(a=torch.ones(5000))))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(CheckpointError) as error:
        load_checkpoint_file(path)
    assert '\n' not in str(error.value)


def test_mmengine_loads_through_here(save, tmp_path):
    model = nn.Linear(3, 2)
    path = save(dict(model={f'module.{k}': v + 1 for k, v in
                            model.state_dict().items()}))
    expected = model.weight.detach() + 1
    load_checkpoint(model, str(path), strict=True)  # load_from and resume
    assert torch.equal(model.weight, expected)
    evil = save(dict(state_dict={}, x=Calls(eval, '1')), 'evil.pth')
    with pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(str(evil))
    with pytest.raises(FileNotFoundError, match='There is no checkpoint'):
        load_checkpoint(model, str(tmp_path / 'none.pth'))


def test_a_download_goes_the_same_way(tmp_path, monkeypatch, save):
    evil = save(dict(state_dict={}, x=Calls(eval, '1')), 'evil.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    def fetch(url, target, *args):
        with open(target, 'wb') as file:
            file.write(evil.read_bytes())

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    with pytest.raises(CheckpointError, match='could run code'):
        CheckpointLoader.load_checkpoint('https://example.org/evil.pth')


def test_a_download_that_fails_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def fetch(*args):
        raise OSError('<urlopen error no route>')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    with pytest.raises(CheckpointError, match=(
            r'https://host/net-01ab23cd\.pth could not be downloaded .+: '
            rf'fetch it .+ put it at {tmp_path}/checkpoints/net-01ab')):
        CheckpointLoader.load_checkpoint('https://host/net-01ab23cd.pth')


def test_pretrained_init_cfg(save):
    from mmengine.model import BaseModule

    class Net(BaseModule):

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.conv = nn.Conv2d(1, 1, 1)

    weight = torch.full((1, 1, 1, 1), 7.)
    path = save(dict(model={'backbone.conv.weight': weight,
                            'backbone.conv.bias': torch.zeros(1)}))
    net = Net(init_cfg=dict(type='Pretrained', checkpoint=str(path),
                            prefix='backbone.'))
    net.init_weights()
    assert torch.equal(net.conv.weight, weight)


class Regression(BaseModel):
    """Fits one number."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x, mode='loss'):
        return dict(loss=(self.weight - torch.tensor(x)).square().mean())


def runner(work_dir, epochs, **kwargs):
    return Runner(
        model=Regression(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=[dict(x=1.), dict(x=3.)], batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.25, momentum=.9)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        default_scope='mmengine',
        experiment_name=f'{work_dir.name}_{epochs}',
        **kwargs)


def test_an_mmengine_run_resumes(tmp_path):
    runner(tmp_path / 'a', 1).train()
    resumed = runner(tmp_path / 'a', 2, resume=True)
    resumed.train()
    whole = runner(tmp_path / 'b', 2)
    whole.train()
    assert resumed.iter == whole.iter == 4
    assert resumed.model.weight.item() == whole.model.weight.item() != 0
    logs = resumed.message_hub.get_scalar('train/loss').data[0]
    assert logs.tolist() == whole.message_hub.get_scalar(
        'train/loss').data[0].tolist()
    assert len(logs) == 4
