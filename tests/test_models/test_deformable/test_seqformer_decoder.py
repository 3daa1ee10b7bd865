"""The two streams of SeqFormer's decoder."""
import pytest
import torch

from mmvis_memcnp.models.memcnp import refine_boxes
from mmvis_memcnp.models.segmenters.deformable import (
    EncodedFrames,
    SeqFormerDecoder,
    build_box_branches,
)

SHAPES = ((6, 8), (3, 4), (2, 2), (1, 1))
C, Q, T, B = 32, 7, 3, 2


def encoded(frames=B * T, seed=0):
    """Frames that differ, some of them padded."""
    g = torch.Generator().manual_seed(seed)
    areas = torch.tensor([h * w for h, w in SHAPES])
    padding = torch.rand(frames, int(areas.sum()), generator=g) < .1
    return EncodedFrames(
        torch.randn(frames, int(areas.sum()), C, generator=g), padding,
        SHAPES, torch.tensor(SHAPES), areas.cumsum(0) - areas,
        torch.rand(frames, 4, 2, generator=g) * .3 + .7)


@pytest.fixture(scope='module')
def decoder():
    torch.manual_seed(0)
    model = SeqFormerDecoder(
        num_layers=3, embed_dims=C, num_heads=4, feedforward_channels=48,
        dropout=0.)
    model.init_weights()
    for layer in model.layers:  # away from the regular start
        torch.nn.init.normal_(layer.cross_attn.sampling_offsets.weight,
                              std=.3)
        torch.nn.init.normal_(layer.cross_attn.attention_weights.weight,
                              std=.5)
        torch.nn.init.normal_(layer.frame_weight.weight)
    model.branches = build_box_branches(3, C)
    for branch in model.branches:
        torch.nn.init.normal_(branch.last.weight, std=.2)
    return model.eval()


def queries():
    g = torch.Generator().manual_seed(1)
    return (torch.randn(Q, C, generator=g), torch.randn(Q, C, generator=g),
            torch.rand(Q, 2, generator=g))


def decode(decoder, frames, clips=B):
    return decoder(*queries(), frames, clips, decoder.branches)


def attend(stream, query, pos):
    """Self-attention of one set of queries (Q, C)."""
    key = (query + pos)[None]
    out = stream.self_attn(key, key, query[None])[0][0]
    return stream.norms[0](query + out)


@torch.no_grad()
def test_equals_a_loop_over_clips_and_frames(decoder):
    frames = encoded()
    out = decode(decoder, frames)
    content, pos, points = queries()
    for b in range(B):
        instance, boxes = content, [content] * T
        references = [points] * T
        for i, layer in enumerate(decoder.layers):
            instance = attend(layer.instance, instance, pos)
            updates, weights = [], []
            for t in range(T):
                one = frames.select(slice(b * T + t, b * T + t + 1))
                query = attend(layer.box, boxes[t], pos)
                ratios = one.valid_ratios.repeat(
                    1, 1, references[t].shape[-1] // 2)
                read = layer.cross_attn(
                    query=query[None], identity=torch.zeros(1, Q, C),
                    query_pos=pos[None],
                    reference_points=references[t][None, :, None] *
                    ratios[:, None], **one.cross_attention())[0]
                updates.append(layer.instance_proj(read))
                query = layer.box.norms[1](query + layer.box_proj(read))
                boxes[t:t + 1] = [layer.box.norms[2](layer.box.ffn(query))]
                weights.append(layer.frame_weight(boxes[t]))
                assert torch.allclose(out.box_queries[i][b, t], boxes[t],
                                      atol=1e-5)
                assert torch.allclose(out.references[i][b, t],
                                      references[t][:, :2], atol=1e-5)
                references[t:t + 1] = [refine_boxes(
                    decoder.branches[i](boxes[t]).delta, references[t])]
                assert torch.allclose(out.boxes[i][b, t], references[t],
                                      atol=1e-5)
            weights = torch.stack(weights).softmax(0)
            collected = (weights * torch.stack(updates)).sum(0)
            instance = layer.instance.norms[1](instance + collected)
            instance = layer.instance.norms[2](layer.instance.ffn(instance))
            assert torch.allclose(out.instances[i][b], instance, atol=1e-5)
    assert out.sigmas == [None] * 3


@torch.no_grad()
def test_frames_are_an_unordered_set(decoder):
    frames, order = encoded(T), torch.tensor([2, 0, 1])
    straight, turned = (decode(decoder, f, 1)
                        for f in (frames, frames.select(order)))
    for a, b in zip(straight.instances, turned.instances, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    for a, b in zip(straight.boxes, turned.boxes, strict=True):
        assert torch.allclose(a[:, order], b, atol=1e-5)


@torch.no_grad()
def test_one_frame_and_a_batch(decoder):
    frames = encoded(B)
    both = decode(decoder, frames, B)
    assert both.boxes[-1].shape == (B, 1, Q, 4)
    for b in range(B):
        one = decode(decoder, frames.select(slice(b, b + 1)), 1)
        assert torch.allclose(one.instances[-1][0], both.instances[-1][b],
                              atol=1e-5)


def test_references_pass_no_gradient_between_layers(decoder):
    out = decode(decoder, encoded())
    assert [r.requires_grad for r in out.references] == [False] * 3
    out.boxes[-1].sum().backward()
    assert decoder.branches[1].last.weight.grad is None
    assert decoder.branches[2].last.weight.grad.abs().sum() > 0
    assert decoder.layers[0].box_proj.weight.grad.abs().sum() > 0
    decoder.zero_grad(set_to_none=True)
