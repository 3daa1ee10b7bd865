"""Video decoders that start from a model of single frames."""
import pytest
import torch

from mmvis_memcnp.models.segmenters.deformable import (
    DeformableDecoder,
    EncodedFrames,
    InstanceFormerDecoder,
    SeqFormerDecoder,
    build_box_branches,
)

SHAPES = ((6, 8), (3, 4), (2, 2), (1, 1))
C, Q = 32, 7
SIZES = dict(embed_dims=C, num_heads=4, feedforward_channels=48, dropout=0.)


@pytest.fixture(scope='module')
def images():
    """A decoder of single frames, away from its regular start."""
    torch.manual_seed(0)
    model = DeformableDecoder(num_layers=3, **SIZES)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=.2)
        if name.endswith('weight') and 'norms' in name:
            torch.nn.init.uniform_(parameter, .5, 1.5)
    return model.eval()


@pytest.fixture(scope='module')
def branches():
    torch.manual_seed(1)
    out = build_box_branches(3, C)
    for branch in out:
        torch.nn.init.normal_(branch.last.weight, std=.2)
    return out


def frame():
    g = torch.Generator().manual_seed(2)
    areas = torch.tensor([h * w for h, w in SHAPES])
    total = int(areas.sum())
    return EncodedFrames(
        torch.randn(1, total, C, generator=g),
        torch.rand(1, total, generator=g) < .1, SHAPES, torch.tensor(SHAPES),
        areas.cumsum(0) - areas, torch.rand(1, 4, 2, generator=g) * .3 + .7)


def queries():
    g = torch.Generator().manual_seed(3)
    return (torch.randn(Q, C, generator=g), torch.randn(Q, C, generator=g),
            torch.rand(Q, 2, generator=g))


def started(model, images):
    """``model`` with the weights of ``images``, and what it lacked."""
    state = {f'decoder.{k}': v for k, v in images.state_dict().items()}
    model.adapt_weights(state, 'decoder.')
    state = {k.removeprefix('decoder.'): v for k, v in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    return model.eval(), missing


@torch.no_grad()
def test_seqformer_starts_as_the_model_of_single_frames(images, branches):
    model, missing = started(SeqFormerDecoder(num_layers=3, **SIZES), images)
    assert {k.split('.', 2)[2] for k in missing} == {
        'frame_weight.weight', 'frame_weight.bias'}
    content, pos, points = queries()
    wanted = images(content[None], pos[None], points[None], frame(), branches)
    out = model(content, pos, points, frame(), 1, branches)
    assert torch.allclose(
        torch.stack(out.boxes)[:, :, 0], wanted.boxes, atol=1e-6)
    assert torch.allclose(
        torch.stack(out.instances), wanted.hidden, atol=1e-5)


@torch.no_grad()
def test_instanceformer_starts_as_the_model_of_single_frames(images,
                                                             branches):
    model, missing = started(
        InstanceFormerDecoder(num_layers=3, **SIZES), images)
    assert {k.split('.')[2] for k in missing} == {'memory_attn',
                                                  'memory_norm'}
    content, pos, points = (x[None] for x in queries())
    wanted = images(content, pos, points, frame(), branches)
    out = model(content, pos, points, frame(), None, branches)
    assert torch.allclose(out.boxes, wanted.boxes, atol=1e-6)
    assert torch.allclose(out.queries, wanted.hidden, atol=1e-5)


@pytest.mark.parametrize('kind', [SeqFormerDecoder, InstanceFormerDecoder])
def test_own_weights_stay_as_they_are(kind):
    model = kind(num_layers=2, **SIZES)
    state = dict(model.state_dict())
    before = dict(state)
    model.adapt_weights(state, '')
    assert state.keys() == before.keys()
    assert all(state[k] is before[k] for k in state)
