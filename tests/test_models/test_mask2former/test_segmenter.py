"""The frame segmenter: shapes, batches, precision, freezing."""
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from mmvis_memcnp.models.segmenters.mask2former import FrameQueries
from tests.fakes.tiny_mask2former import tiny_config, tiny_segmenter

#: Sizes that 32 and 4 do and do not divide; the last is smaller than 32.
SIZES = [(64, 96), (61, 97), (33, 50), (20, 30)]


def noise(count, size, seed=0):
    return torch.rand(count, 3, *size,
                      generator=torch.Generator().manual_seed(seed))


def assert_close(found, expected):
    for name, a, b in zip(FrameQueries._fields, found, expected, strict=True):
        if a is None:
            assert b is None
        else:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize('size', SIZES)
@torch.no_grad()
def test_frames_of_a_batch_know_nothing_of_each_other(size):
    model, frames = tiny_segmenter(embed_dims=8), noise(3, size)
    found = model(frames)
    height, width = (-(-side // 4) for side in size)
    assert [tuple(x.shape) for x in found] == [
        (1, 3, 7, 32), (1, 3, 7, 32), (1, 3, 7, 4), (1, 3, 7, 16),
        (1, 3, 7, 8), (3, 16, height, width)]
    assert found.masks().shape == (3, 7, height, width)
    assert found.logits.std(1).max() > 1e-3  # frames do differ
    assert_close(FrameQueries.join([model(f[None]) for f in frames]), found)
    assert_close(found.frames(torch.tensor([2, 0])),
                 model(frames[torch.tensor([2, 0])]))


@torch.no_grad()
def test_all_layers_in_training_the_last_at_inference():
    model, frames = tiny_segmenter(), noise(2, (40, 56))
    every, last = model.train()(frames), model.eval()(frames)
    assert len(every.logits) == 3 and every.embeds is None
    for a, b in zip(every[:-2], last[:-2], strict=True):
        assert torch.equal(a[-1:], b)
    assert torch.equal(every.masks(), last.masks())
    # Learned queries are the same for every frame; layers change them.
    assert torch.equal(every.hidden[0, 0], every.hidden[0, 1])
    assert not torch.equal(every.hidden[0], every.hidden[1])


@torch.no_grad()
def test_masks_are_products_of_weights_and_features():
    found = tiny_segmenter().train()(noise(2, (40, 56)))
    one = (found.mask_embeds[1, 1, 4][:, None, None] *
           found.mask_features[1]).sum(0)
    torch.testing.assert_close(found.masks(1)[1, 4], one)


@torch.no_grad()
def test_queries_look_within_the_resized_mask_and_never_nowhere():
    decoder = tiny_segmenter().decoder
    features = torch.randn(2, 16, 10, 14)
    embeds = torch.randn(2, 7, 16)
    # A query without any mask: it looks everywhere.
    features[:, 0] = features[:, 0].abs() + 0.1
    embeds[1, 3] = 0
    embeds[1, 3, 0] = -1
    masks = torch.einsum('bqd,bdhw->bqhw', embeds, features)
    expected = F.interpolate(masks, size=(5, 7), mode='bilinear').sigmoid(
        ).flatten(2) < 0.5
    assert expected[1, 3].all() and not expected[0].all(-1).any()
    expected[1, 3] = False
    small = F.interpolate(features, size=(5, 7), mode='bilinear').flatten(2)
    found = decoder._blocked(embeds, small)
    assert found.shape == (8, 7, 35) and found.any()
    assert torch.equal(
        found.view(2, 4, 7, 35), expected[:, None].expand(2, 4, 7, 35))


@pytest.mark.parametrize('chunk', [1, 2, 8])
def test_frozen(chunk):
    frames = noise(5, (40, 56))
    model = tiny_segmenter(frozen=True, chunk=chunk, embed_dims=8).train()
    assert not any(m.training for m in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    counts = []
    model.backbone.register_forward_pre_hook(
        lambda _, args: counts.append(len(args[0])))
    found = model(frames.requires_grad_())
    assert sum(counts) == 5 and max(counts) == min(chunk, 5)
    assert len(found.logits) == 1
    assert not any(x.requires_grad for x in found)
    with torch.no_grad():
        assert_close(found, tiny_segmenter(embed_dims=8)(frames))


def test_a_frozen_part_of_a_model_stays_in_eval_mode():
    holder = torch.nn.ModuleDict(dict(
        segmenter=tiny_segmenter(frozen=True), other=torch.nn.Dropout()))
    assert holder.train()['other'].training
    assert not any(m.training for m in holder['segmenter'].modules())


def test_every_parameter_is_trained():
    model = tiny_segmenter(embed_dims=8).train()
    model.requires_grad_(True)  # the backbone's norms too
    found = model(noise(2, (61, 97)))
    (sum(x.float().square().mean() for x in found[1:5]) +
     found.masks().square().mean()).backward()
    without = [n for n, p in model.named_parameters()
               if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_mixed_precision(dtype):
    model, frames = tiny_segmenter(embed_dims=8), noise(2, (61, 97))
    expected = model(frames)
    with torch.autocast('cpu', dtype=dtype):
        found = model(frames)
        assert found.masks().dtype == dtype
    for a, b in ((found.logits, expected.logits),
                 (found.embeds, expected.embeds),
                 (found.mask_features, expected.mask_features)):
        assert F.cosine_similarity(
            a.float().flatten(), b.flatten(), dim=0) > 0.99


@torch.no_grad()
def test_a_model_that_was_cast_as_a_whole():
    model, frames = tiny_segmenter(), noise(1, (61, 97))
    expected = model(frames).mask_features
    found = model.to(torch.bfloat16)(frames.to(torch.bfloat16))
    assert {x.dtype for x in found if x is not None} == {torch.bfloat16}
    assert F.cosine_similarity(
        found.mask_features.float().flatten(), expected.flatten(),
        dim=0) > 0.99


def test_start_weights():
    model = tiny_segmenter(embed_dims=8)
    offsets = model.pixel_decoder.encoder.layers[0].self_attn.sampling_offsets
    assert not offsets.weight.any() and offsets.bias.any()
    bound = (6 / (32 + 48))**0.5  # Xavier, uniform
    weight = model.decoder.layers[1].ffn.layers[0][0].weight
    assert 0.9 * bound < weight.abs().max() <= bound
    assert not any(x.bias.any() for x in model.embed_head.layers)


def test_maps_and_levels_must_agree():
    cfg = tiny_config().segmenter.pixel_decoder
    cfg.in_channels = cfg.in_channels[1:]
    with pytest.raises(ValueError, match='3 maps leave 2 for the encoder'):
        MODELS.build(cfg)
