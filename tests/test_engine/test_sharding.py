"""Training with sharded weights (FSDP), through mmengine's FlexibleRunner."""
import copy
import os
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.runner import FlexibleRunner
from torch import nn

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.engine import layers_of
from tests.fakes.tiny_idol import MEMCNP, tiny_config, tiny_model
from tests.fakes.tiny_sipmask import clip
from tests.fakes.two_ranks import on_two_ranks


@DATASETS.register_module()
class FourClips:
    """Clips of two frames."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        frames, sample = clip(seed=int(index))
        return dict(inputs=frames, data_samples=sample)


#: On a GPU, the strategy of the docs: 'full' moves what is saved to the CPU,
#: where FSDP frees it if it is there already.
SHARDED = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', device_id='cpu',
        use_orig_params=True,
        auto_wrap_policy=dict(type='layers_of', classes=['_EncoderLayer'])),
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig', rank0_only=True),
        optim_state_dict_config=dict(
            type='FullOptimStateDictConfig', rank0_only=True)))


def runner(work_dir, strategy, **changes):
    """Two iterations of a clip on each rank; the norm is clipped a lot."""
    sharded = strategy['type'] == 'FSDPStrategy'
    return FlexibleRunner(**{**dict(
        model=tiny_config(MEMCNP).model, work_dir=work_dir,
        strategy=copy.deepcopy(strategy),
        train_dataloader=dict(
            batch_size=1, num_workers=0, dataset=dict(type='FourClips'),
            sampler=dict(type='ResumableSampler')),
        train_cfg=dict(type='ResumableIterTrainLoop', max_iters=2,
                       val_interval=9),
        optim_wrapper=dict(
            type='ShardedOptimWrapper' if sharded else 'OptimWrapper',
            optimizer=dict(type='SGD', lr=.1, momentum=.9),
            clip_grad=dict(max_norm=.01, norm_type=2)),
        default_hooks=dict(checkpoint=dict(
            type='AtomicCheckpointHook', by_epoch=False, interval=1)),
        load_from=f'{Path(work_dir).parent}/start.pth',
        randomness=dict(seed=3), launcher='pytorch', default_scope='mmdet',
        log_level='ERROR'), **changes})


def _rank(rank, folder):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    runner(f'{folder}/whole', dict(
        type='DDPStrategy', model_wrapper=dict(
            type='MMDistributedDataParallel', find_unused_parameters=True,
            broadcast_buffers=False))).train()
    trained = runner(f'{folder}/sharded', SHARDED)
    trained.train()
    own = sum(p.numel() for p in trained.model.parameters())
    runner(f'{folder}/resumed', SHARDED, resume=True,
           load_from=f'{folder}/sharded/iter_1.pth').train()
    return torch.tensor(own)


def weights(folder, run):
    state = load_checkpoint_file(folder / run / 'iter_2.pth')['state_dict']
    return {k.removeprefix('module.'): v for k, v in state.items()}


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without')
def test_sharded_weights_learn_the_same(tmp_path):
    start = tiny_model(file=MEMCNP)
    torch.save(dict(state_dict=start.state_dict()), tmp_path / 'start.pth')
    own = on_two_ranks(_rank, tmp_path, str(tmp_path))
    # Each rank holds half of them.
    assert sum(map(int, own)) == sum(p.numel() for p in start.parameters())
    assert max(own) < .6 * sum(own)
    whole = weights(tmp_path, 'whole')
    begin = start.state_dict()
    moved = [k for k, v in whole.items() if not torch.equal(v, begin[k])]
    assert 'memcnp.bank.items' in moved and len(moved) > 50
    for run in ('sharded', 'resumed'):
        found = weights(tmp_path, run)
        # Under its own names, so that every tool reads it.
        assert found.keys() == begin.keys()
        for key, value in whole.items():
            torch.testing.assert_close(
                found[key], value, rtol=1e-4, atol=1e-6, msg=f'{run} {key}')


def test_layers_by_the_names_of_their_classes():
    block = nn.Linear(2, 2)
    assert layers_of(block, False, 0, ['Linear'])
    assert not layers_of(block, False, 0)
    assert layers_of(block, True, 0)
