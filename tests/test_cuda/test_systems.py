"""Every system trains and follows a video on a GPU as on the CPU."""
from unittest import mock

import pytest
import torch

from mmvis_memcnp.models.vis import restore_session, save_session
from mmvis_memcnp.results import decode_masks
from tests.fakes.systems import SYSTEMS, clip_of
from tests.fakes.tiny_mask2former import tiny_segmenter
from tests.fakes.tiny_sipmask import batch, noise, total, video


@pytest.fixture(params=SYSTEMS)
def system(request):
    return SYSTEMS[request.param], lambda: clip_of(request.param)


def off_the_grid(model):
    """Let deformable attention read between pixels.

    At first it reads at pixels, where bilinear reading has a left and a right
    derivative: rounding would choose between them.
    """
    for name, p in model.named_parameters():
        if name.endswith('sampling_offsets.bias'):
            p.data += .37
    return model


def drawn_on_cpu(*shape, device=None, rand=torch.rand, **kwargs):
    """Random points that are the same on every device."""
    return rand(*shape, **kwargs).to(device or 'cpu')


def step(system, device, dtype=None):
    """A training step: losses, gradients, and buffers, which memories are."""
    make, clip = system
    model = off_the_grid(make()).to(device)
    torch.manual_seed(0)
    inputs, samples = batch(model, clip(), clip())
    torch.manual_seed(1)
    with torch.autocast(device.type, dtype, enabled=dtype is not None), \
            mock.patch('torch.rand', drawn_on_cpu):
        found = model(inputs, samples, mode='loss')
    total(found).backward()
    buffers = {n: x.cpu() for n, x in model.named_buffers()}
    return ({n: x.detach().cpu() for n, x in found.items()},
            {n: p.grad.cpu() for n, p in model.named_parameters()
             if p.grad is not None}, buffers)


def about(name):
    """Says which tensor differs, and by how much."""
    return lambda message: f'{name}: {message}'


def test_training_step(both, system):
    expected, found = (step(system, device) for device in both)
    for a, b in zip(expected, found, strict=True):
        assert a.keys() == b.keys()
    losses, grads, buffers = zip(expected, found, strict=True)
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=1e-3,
                                   atol=1e-4, msg=about(name))
    # Sums in another order: of each gradient, what counts beside the largest.
    scale = max(x.abs().max() for x in grads[0].values())
    assert scale > 0
    for name, value in grads[0].items():
        torch.testing.assert_close(grads[1][name], value, rtol=1e-2,
                                   atol=1e-4 * float(scale), msg=about(name))
    for name, value in buffers[0].items():
        torch.testing.assert_close(buffers[1][name], value, rtol=1e-3,
                                   atol=1e-4, msg=about(name))


def test_training_step_in_mixed_precision(autocast, system):
    device, dtype = autocast
    values, grads, buffers = step(system, torch.device(device), dtype)
    for name, value in {**values, **grads, **buffers}.items():
        assert value.isfinite().all(), name
    assert sum(x.abs().sum() for x in grads.values()) > 0


def follow(system, device, dtype=None, length=6):
    """The tracks of a video that comes in two pieces."""
    make, _ = system
    model = make().to(device).eval()
    inputs, (sample, ) = batch(model, video(length), training=False)
    metas = [f.metainfo for f in sample.video_data_samples]
    session = model.session()
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        frames = session.step(inputs[0, :4], metas[:4])
        frames += session.step(inputs[0, 4:], metas[4:]) + session.flush()
    assert [f.frame_id for f in frames] == list(range(length))
    return frames, session.finish()


def test_session(both, system):
    (frames, tracks), (others, same) = (follow(system, d) for d in both)
    assert sum(len(f) for f in frames) > 6  # there is something to follow
    for a, b in zip(frames, others, strict=True):
        assert a.instances_id.tolist() == b.instances_id.tolist()
        torch.testing.assert_close(b.scores, a.scores, rtol=0, atol=1e-4)
        torch.testing.assert_close(b.bboxes, a.bboxes, rtol=0, atol=.05)
        if 'box_sigmas' in a:
            torch.testing.assert_close(b.box_sigmas, a.box_sigmas, rtol=1e-3,
                                       atol=1e-4)
        masks = [decode_masks(f.masks, f.ori_shape) for f in (a, b)]
        assert (masks[0] != masks[1]).mean() < 1e-3
    assert len(tracks.tracks) > 0
    assert [(t.id, t.label) for t in tracks.tracks] == \
        [(t.id, t.label) for t in same.tracks]
    assert [t.score for t in tracks.tracks] == pytest.approx(
        [t.score for t in same.tracks], abs=1e-4)


def test_a_saved_session_goes_on_elsewhere(both, system, tmp_path):
    """Saved on one device and restored on the other, both ways."""
    expected, _ = follow(system, both[0])
    make, _ = system
    inputs, (sample, ) = batch(make().eval(), video(6), training=False)
    metas = [f.metainfo for f in sample.video_data_samples]
    for number, (here, there) in enumerate((both, both[::-1])):
        path = tmp_path / str(number)
        session = make().to(here).eval().session()
        frames = session.step(inputs[0, :4].to(here), metas[:4])
        save_session(session, path)
        session, _ = restore_session(make().to(there).eval(), path)
        frames += session.step(inputs[0, 4:].to(there), metas[4:])
        frames += session.flush()
        assert [f.instances_id.tolist() for f in frames] == [
            f.instances_id.tolist() for f in expected]
        for a, b in zip(expected, frames, strict=True):
            torch.testing.assert_close(b.scores, a.scores, rtol=0, atol=1e-4)


def test_session_in_mixed_precision(autocast, system):
    device, dtype = autocast
    frames, tracks = follow(system, torch.device(device), dtype, length=4)
    assert all(f.scores.isfinite().all() and f.bboxes.isfinite().all()
               for f in frames)
    assert tracks.num_frames == 4


@torch.no_grad()
def test_mask2former_segmenter(both):
    frames = noise(2, (61, 97), 0).float() / 50
    expected, found = (
        tiny_segmenter(embed_dims=8).to(d)(frames.to(d)) for d in both)
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_mask2former_segmenter_in_mixed_precision(autocast):
    device, dtype = autocast
    model = tiny_segmenter(embed_dims=8).to(device)
    with torch.autocast(device, dtype):
        found = model(noise(1, (61, 97), 0).float().to(device) / 50)
        masks = found.masks()
    assert masks.isfinite().all() and masks.abs().max() > 0
