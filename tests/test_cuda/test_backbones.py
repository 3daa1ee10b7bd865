"""ViT-Adapter computes on a GPU as on the CPU."""
import torch

from mmvis_memcnp.models.backbones import ViTAdapter

from .test_systems import about, off_the_grid


def step(device, dtype=None):
    """Maps of a training step, and gradients."""
    torch.manual_seed(0)
    model = ViTAdapter(
        16, (1, 1, 1, 1), num_heads=2, pos_grid=(3, 3), layer_scale=1.,
        conv_channels=4, deform_heads=2)
    model.init_weights()
    frames = torch.randn(2, 3, 61, 97)
    model = off_the_grid(model).to(device).train()
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        maps = model(frames.to(device))
    sum(x.float().square().mean() for x in maps).backward()
    found = {f'map {i}': x.detach().cpu() for i, x in enumerate(maps)}
    return found | {n: p.grad.cpu() for n, p in model.named_parameters()
                    if p.grad is not None}


def test_vit_adapter(both):
    expected, found = (step(device) for device in both)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-3,
            atol=1e-3 * float(value.abs().max()) + 1e-6, msg=about(name))


def test_vit_adapter_in_mixed_precision(autocast):
    device, dtype = autocast
    exact = step(torch.device(device))
    for name, value in step(torch.device(device), dtype).items():
        assert value.isfinite().all(), name
        if name.startswith('map'):
            assert (value - exact[name]).abs().mean() < 0.05 * exact[
                name].abs().mean(), name
