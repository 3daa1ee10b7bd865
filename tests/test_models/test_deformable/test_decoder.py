"""The decoder of the deformable-DETR family."""
import pytest
import torch
from mmdet.models.layers import DeformableDetrTransformerDecoder

from mmvis_memcnp.models.memcnp import BoxPrediction
from mmvis_memcnp.models.segmenters.deformable import (
    DeformableDecoder,
    DeformableEncoder,
    build_box_branches,
    padding_mask,
)

SHAPES = ((12, 16), (6, 8), (3, 4), (2, 2))
SIZES = ((90, 100), (96, 128))


def setup(queries=5):
    """Decoder, branches and what they need, with random weights."""
    torch.manual_seed(0)
    settings = dict(num_layers=3, embed_dims=32, num_heads=4,
                    feedforward_channels=64)
    encoder = DeformableEncoder(**settings).eval()
    feats = [torch.randn(2, 32, *s) for s in SHAPES]
    with torch.no_grad():
        encoded = encoder(
            feats, padding_mask(SIZES, (96, 128), torch.device('cpu')))
    decoder = DeformableDecoder(**settings).eval()
    decoder.init_weights()
    branches = build_box_branches(3, 32)
    for branch in branches:
        torch.nn.init.normal_(branch.last.weight, std=0.1)
    query, position = torch.randn(2, 2, queries, 32)
    return decoder, branches, query, position, torch.rand(
        2, queries, 2), encoded


@torch.no_grad()
def test_equals_mmdets_decoder():
    decoder, branches, query, position, reference, encoded = setup()
    other = DeformableDetrTransformerDecoder(
        return_intermediate=True, num_layers=3, post_norm_cfg=None,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=32, num_heads=4, batch_first=True),
            cross_attn_cfg=dict(embed_dims=32, num_heads=4, batch_first=True),
            ffn_cfg=dict(embed_dims=32, feedforward_channels=64))).eval()
    other.load_state_dict(decoder.state_dict())
    hidden, boxes = other(
        query=query, query_pos=position, reference_points=reference,
        valid_ratios=encoded.valid_ratios,
        reg_branches=[lambda x, b=b: b(x).delta for b in branches],
        **encoded.cross_attention())
    out = decoder(query, position, reference, encoded, branches)
    assert torch.allclose(out.hidden, hidden, atol=1e-5)
    assert torch.allclose(out.boxes, boxes, atol=1e-5)
    assert torch.equal(out.references[0], reference)
    assert torch.equal(out.references[1:], out.boxes[:-1, ..., :2])
    assert out.sigmas is None


def test_gradient_stops_between_layers():
    decoder, branches, query, position, reference, encoded = setup()
    reference.requires_grad_()
    out = decoder(query, position, reference, encoded, branches)
    out.boxes[1].sum().backward()
    assert branches[1].last.weight.grad.abs().sum() > 0
    assert not branches[0].last.weight.grad.any()


def test_branches_run_once_and_what_they_say_is_kept():
    decoder, branches, query, position, reference, encoded = setup()
    calls = []

    class Branch(torch.nn.Module):

        def forward(self, x):
            calls.append(x.shape)
            return BoxPrediction(x[..., :4], x[..., 4:8].exp())

    branches = [Branch() for _ in range(3)]
    out = decoder(query, position, reference, encoded, branches)
    assert calls == [(2, 5, 32)] * 3
    assert torch.equal(out.sigmas, out.hidden[..., 4:8].exp())
    part = out.frames(slice(1, 2))
    assert torch.equal(part.sigmas, out.sigmas[:, 1:])
    assert part.hidden.shape == (3, 1, 5, 32)


def test_number_of_branches():
    decoder, branches, query, position, reference, encoded = setup()
    with pytest.raises(ValueError):
        decoder(query, position, reference, encoded, branches[:2])


def test_boxes_start_at_their_references():
    branches = build_box_branches(3, 8)
    branches.init_weights()
    deltas = [b(torch.randn(4, 8)).delta for b in branches]
    assert torch.equal(deltas[0], torch.tensor([[0., 0, -2, -2]]).repeat(4, 1))
    assert not deltas[1].any() and not deltas[2].any()
