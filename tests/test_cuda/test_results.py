"""Masks and boxes of a frame that lies on a GPU."""
import pytest
import torch

from mmvis_memcnp.results import decode_masks
from mmvis_memcnp.results.frame import FrameInstances
from mmvis_memcnp.results.pixels import WAYS_BACK, MaskSource

META = dict(batch_input_shape=(64, 96), img_shape=(60, 90),
            ori_shape=(122, 187), scale_factor=(90 / 187, 60 / 122),
            frame_id=3)


def logits():
    """Four blobs on a canvas of stride 4."""
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(
        torch.randn(1, 4, 4, 6), size=(16, 24), mode='bicubic')[0]


@pytest.mark.parametrize('way', WAYS_BACK)
@pytest.mark.parametrize('lazy', [False, True])
def test_masks(both, way, lazy):
    masks = []
    for device in both:
        values = logits().to(device)
        source = MaskSource((lambda rows, v=values: v[rows]) if lazy else
                            values, META, way, 4)
        rows = torch.tensor([2, 0], device=device)
        masks.append(decode_masks(source.encode(rows), META['ori_shape']))
        assert source.encode(rows[:0]) == []
        codes, sums = source.rate(rows)
        assert codes == source.encode(rows)
        assert sums.device.type == device.type
        assert sums[:, 1].tolist() == masks[-1].sum((1, 2)).tolist()
    assert masks[0].shape == (2, 122, 187)
    assert .1 < masks[0].mean() < .9
    # A pixel on a mask's edge may round to either side.
    assert (masks[0] != masks[1]).mean() < 1e-3


def test_a_frame_is_rendered_on_the_cpu(both):
    results = []
    for device in both:
        results.append(FrameInstances(
            torch.tensor([5, 2, 9, 4], device=device),
            MaskSource(logits().to(device), META, 'bilinear', 4), META,
            scores=torch.tensor([.9, .8, .7, .6], device=device),
            labels=torch.tensor([0, 1, 0, 2], device=device),
            boxes=torch.rand(4, 4, device='cpu',
                             generator=torch.Generator().manual_seed(0)
                             ).to(device) * 50).render())
    for name in ('instances_id', 'scores', 'labels', 'bboxes'):
        a, b = (result[name] for result in results)
        assert a.device.type == b.device.type == 'cpu'
        assert torch.equal(a, b) and len(a) == 4
    a, b = (decode_masks(r.masks, META['ori_shape']) for r in results)
    assert (a != b).mean() < 1e-3 and a.any()
