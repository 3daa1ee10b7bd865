"""A loss that is not a number stops training before it does harm."""
import pytest
import torch
from mmengine.runner import Runner
from test_resume import config
from toy_vis import clip

from mmvis_memcnp.engine.nan_stop_hook import describe_batch
from mmvis_memcnp.errors import NonFiniteLossError


@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=1.)])
def test_stops_before_the_step(tmp_path, clip_grad):
    cfg = config(tmp_path, False, num_workers=0, randomness=dict(seed=0))
    cfg.model.nan_at = 4
    cfg.optim_wrapper.clip_grad = clip_grad
    cfg.custom_hooks.append(dict(type='NaNStopHook'))
    runner = Runner.from_cfg(cfg)
    with pytest.raises(NonFiniteLossError) as info:
        runner.train()
    message = str(info.value)
    assert message.startswith(
        'Training stopped at iteration 4: loss_size is nan, for the batch of '
        'video ')
    assert '\n' not in message

    # The weights are those of the checkpoint after the third iteration.
    saved = torch.load(
        tmp_path / 'iter_3.pth', weights_only=False)['state_dict']
    for name, weight in runner.model.named_parameters():
        assert torch.equal(weight, saved[name])


def test_finite_losses_go_on(tmp_path):
    cfg = config(tmp_path, False, num_workers=0, randomness=dict(seed=0))
    cfg.custom_hooks.append(dict(type='NaNStopHook'))
    runner = Runner.from_cfg(cfg)
    before = runner.model.head.weight.clone()
    runner.train()
    assert runner.iter == 12
    assert not torch.equal(runner.model.head.weight, before)


def test_batches_are_named():
    samples = [
        clip(video, frames, torch.zeros(2, 3, 4, 4))['data_samples']
        for video, frames in ((3, [0, 4]), (5, [1, 2]))
    ]
    assert describe_batch(dict(data_samples=samples)) == (
        'video 3, frames 0 4 (3/0.jpg, 3/4.jpg); '
        'video 5, frames 1 2 (5/1.jpg, 5/2.jpg)')
    image = samples[0].video_data_samples[0]
    del image.video_id
    image.set_metainfo(dict(img_path='a.jpg'))
    assert describe_batch(dict(data_samples=samples * 5)).endswith('; 2 more')
    assert describe_batch([1, 2]) == 'unnamed samples'
