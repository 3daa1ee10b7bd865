"""The temporal refiner: what it knows of order, and its size."""
import pytest
import torch
from torch import nn

from mmvis_memcnp.models.trackers import TemporalRefiner

VIDEOS, FRAMES, ROWS, DIMS = 2, 5, 4, 16


def refiner(local_conv=False):
    torch.manual_seed(0)
    model = TemporalRefiner(
        3, num_layers=2, embed_dims=DIMS, num_heads=4, feedforward_channels=24,
        mask_dims=6, local_conv=local_conv)
    model.init_weights()
    return model


def inputs(seed=1):
    torch.manual_seed(seed)
    return (torch.randn(VIDEOS, FRAMES, ROWS, DIMS),
            torch.randn(VIDEOS, FRAMES, 7, DIMS))


def near(a, b):
    return torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize('local_conv', [False, True])
def test_rows_have_no_order_and_videos_do_not_meet(local_conv):
    model, (rows, frames) = refiner(local_conv), inputs()
    logits, embeds = model(rows, frames, all_layers=True)
    assert logits.shape == (2, VIDEOS, ROWS, 4)
    assert embeds.shape == (2, VIDEOS, FRAMES, ROWS, 6)
    order = torch.tensor([2, 0, 3, 1])
    again = model(rows[:, :, order], frames, all_layers=True)
    assert near(again[0], logits[:, :, order])
    assert near(again[1], embeds[:, :, :, order])
    alone = model(rows[1:], frames[1:], all_layers=False)
    assert near(alone[0], logits[-1:, 1:]) and near(alone[1], embeds[-1:, 1:])


def test_time_has_an_order_in_the_convolutions_alone():
    rows, frames = inputs()
    order = torch.tensor([3, 0, 4, 1, 2])
    for local_conv in (False, True):
        model = refiner(local_conv)
        logits, embeds = model(rows, frames, all_layers=False)
        again = model(rows[:, order], frames[:, order], all_layers=False)
        assert near(again[0], logits) != local_conv
        assert near(again[1], embeds[:, :, order]) != local_conv


def test_what_stands_still_does_so_up_to_the_borders():
    """Frames are repeated at the ends of a video, not followed by zeros."""
    rows, frames = (x[:, :1].expand(-1, FRAMES, -1, -1) for x in inputs())
    _, embeds = refiner(local_conv=True)(rows, frames, all_layers=False)
    assert near(embeds, embeds[:, :, :1].expand_as(embeds))


def test_each_frame_reads_its_own_queries():
    model, (rows, frames) = refiner(), inputs()
    other = frames.clone()
    other[:, 2] += 1
    states = [model.layers[0].refine(rows, x) for x in (frames, other)]
    differs = (states[0] - states[1]).abs().amax((0, 2, 3)) > 1e-4
    assert differs.tolist() == [False, False, True, False, False]


def test_the_class_is_that_of_the_frames_that_weigh():
    """By hand: logits of the weighted mean of the rows after the norm."""
    model, (rows, frames) = refiner(), inputs()
    model.layers = nn.ModuleList()
    model.layers.append(_Same())
    logits, _ = model(rows, frames, all_layers=False)
    hidden = model.norm(rows)
    share = (hidden @ model.time_weight.weight.T).softmax(1)
    assert near(logits[0], model.cls_embed((share * hidden).sum(1)))
    # one frame outweighs all others
    model.time_weight.weight.data = hidden[0, 3, 0][None] * 50
    logits, _ = model(rows, frames, all_layers=False)
    assert near(logits[0, 0, 0], model.cls_embed(hidden[0, 3, 0]))


class _Same(nn.Module):

    def refine(self, rows, frames):
        return rows


@pytest.mark.parametrize('local_conv, count', [
    (False, 11_263_274), (True, 14_415_146)])
def test_parameters(local_conv, count):
    """As measured on the released code, with 40 classes."""
    with torch.device('meta'):
        model = TemporalRefiner(40, local_conv=local_conv)
    assert sum(p.numel() for p in model.parameters()) == count
