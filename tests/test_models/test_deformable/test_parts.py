"""The shared parts of the deformable-DETR family."""
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.detectors import DeformableDETR
from mmdet.models.layers import SinePositionalEncoding

from mmvis_memcnp.models.memcnp import refine_boxes
from mmvis_memcnp.models.segmenters.deformable import (
    DeformableEncoder,
    DynamicConvMaskHead,
    MaskBranch,
    PlainBoxBranch,
    padding_mask,
)
from mmvis_memcnp.models.segmenters.deformable.positions import CellPositions

SHAPES = ((12, 16), (6, 8), (3, 4), (2, 2))
SIZES = ((90, 100), (96, 128))


def feats(batch=2, channels=32):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, channels, *s, generator=generator) for s in SHAPES
    ]


def encoder(**kwargs):
    torch.manual_seed(0)
    model = DeformableEncoder(
        num_layers=2, embed_dims=32, num_heads=4, feedforward_channels=64,
        **kwargs).eval()
    model.init_weights()
    return model


def test_padding_mask_is_true_outside_of_the_image():
    mask = padding_mask(SIZES, (96, 128), torch.device('cpu'))
    assert mask.shape == (2, 96, 128)
    assert not mask[0, :90, :100].any() and not mask[1].any()
    assert mask[0].sum() == 96 * 128 - 90 * 100


@torch.no_grad()
def test_what_is_padded_does_not_matter():
    model, maps = encoder(), feats()
    mask = padding_mask(SIZES, (96, 128), torch.device('cpu'))
    out = model(maps, mask)
    levels = [F.interpolate(mask[:, None].float(), size=s)[:, 0] > 0
              for s in SHAPES]
    other = [torch.where(m[:, None], 9., f)
             for m, f in zip(levels, maps, strict=True)]
    again = model(other, mask)
    valid = ~out.padding
    assert torch.allclose(out.memory[valid], again.memory[valid], atol=1e-5)
    assert not torch.allclose(out.memory, again.memory)


@torch.no_grad()
def test_a_batch_equals_its_frames():
    model, maps = encoder(), feats()
    mask = padding_mask(SIZES, (96, 128), torch.device('cpu'))
    both = model(maps, mask)
    for i in range(2):
        one = model([f[i:i + 1] for f in maps], mask[i:i + 1])
        assert torch.allclose(both.select(slice(i, i + 1)).memory, one.memory,
                              atol=1e-5)
    assert [m.shape for m in both.maps()] == [(2, 32, *s) for s in SHAPES]
    assert torch.equal(both.maps()[1].flatten(2).transpose(1, 2),
                       both.memory[:, 192:192 + 48])


@pytest.mark.parametrize('offset', [-.5, 0.])
def test_positions_are_mmdets_to_the_last_digit(offset):
    """Also where rows and columns are padding alone."""
    mask = padding_mask(SIZES, (96, 128), torch.device('cpu'))[:, ::7, ::7]
    theirs = SinePositionalEncoding(128, normalize=True, offset=offset)
    assert torch.equal(CellPositions(128, offset)(mask), theirs(mask))


@torch.no_grad()
def test_encoder_equals_mmdets_detector():
    """Positions, masks and valid ratios are mmdet's."""
    model, maps = encoder(), feats()
    mask = padding_mask(SIZES, (96, 128), torch.device('cpu'))
    stand_in = DeformableDETR.__new__(DeformableDETR)
    torch.nn.Module.__init__(stand_in)
    stand_in.positional_encoding = SinePositionalEncoding(
        16, normalize=True, offset=-.5)
    stand_in.level_embed = model.level_embed
    stand_in.as_two_stage = False

    class Sample:

        def __init__(self, size):
            self.metainfo = dict(batch_input_shape=(96, 128), img_shape=size)
            self.batch_input_shape = (96, 128)
            self.img_shape = size

    inputs, _ = stand_in.pre_transformer(maps, [Sample(s) for s in SIZES])
    expected = super(DeformableEncoder, model).forward(
        query=inputs['feat'], query_pos=inputs['feat_pos'],
        key_padding_mask=inputs['feat_mask'],
        spatial_shapes=inputs['spatial_shapes'],
        level_start_index=inputs['level_start_index'],
        valid_ratios=inputs['valid_ratios'])
    out = model(maps, mask)
    assert torch.equal(out.padding, inputs['feat_mask'])
    assert torch.equal(out.level_start, inputs['level_start_index'])
    assert torch.allclose(out.memory, expected, atol=1e-6)


def test_extra_level_mask_can_follow_the_finest_level():
    mask = padding_mask([(66, 90)], (96, 96), torch.device('cpu'))
    shapes = ((12, 12), (6, 6), (3, 3), (2, 2))
    own = encoder()._level_masks(mask, shapes)
    finest = encoder(extra_level_mask='finest')._level_masks(mask, shapes)
    assert all(torch.equal(a, b) for a, b in
               zip(own[:3], finest[:3], strict=True))
    expected = F.interpolate(own[0][:, None].float(), size=(2, 2))[:, 0] > 0
    assert torch.equal(finest[3], expected)
    with pytest.raises(ValueError, match='extra_level_mask'):
        DeformableEncoder(extra_level_mask='none')


def test_mask_branch_takes_the_three_finest_levels():
    branch = MaskBranch(32, 16)
    branch.init_weights()
    assert branch(feats()).shape == (2, 8, 12, 16)
    assert torch.equal(branch(feats()), branch(feats()[:3]))
    # 5 convolutions with bias; the full-size count of the official models.
    assert sum(p.numel() for p in MaskBranch().parameters()) == 1922376


@torch.no_grad()
def test_dynamic_masks_equal_a_loop():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 8, 5, 6, generator=generator)
    params = torch.randn(3, 169, generator=generator)
    points = torch.rand(3, 2, generator=generator) * 40
    index = torch.tensor([0, 1, 1])
    head = DynamicConvMaskHead(stride=8)
    assert DynamicConvMaskHead.num_params == 169 and head.out_stride == 4
    out = head(features, params, points, index)
    assert out.shape == (3, 10, 12)
    for p in range(3):
        w, b = params[p, :152], params[p, 152:]
        for row, column in ((0, 0), (3, 4)):
            cell = torch.tensor([column * 8 + 4., row * 8 + 4.])
            x = torch.cat((points[p] - cell, features[index[p], :, row,
                                                      column]))
            x = (w[:80].view(8, 10) @ x + b[:8]).relu()
            x = (w[80:144].view(8, 8) @ x + b[8:16]).relu()
            x = w[144:] @ x + b[16]
            # Aligned upsampling keeps a cell at every second odd pixel.
            assert torch.allclose(out[p, 2 * row + 1, 2 * column + 1], x,
                                  rtol=1e-4, atol=1e-3)


def test_no_instance_gives_no_mask():
    none = torch.zeros(0)
    out = DynamicConvMaskHead()(
        torch.randn(1, 8, 5, 6), none.view(0, DynamicConvMaskHead.num_params),
        none.view(0, 2), none.long())
    assert out.shape == (0, 10, 12)


def test_boxes_start_at_their_references():
    branch = PlainBoxBranch(32)
    branch.init_weights()
    query = torch.randn(2, 5, 32)
    boxes = torch.rand(2, 5, 4) * .8 + .1
    assert torch.allclose(refine_boxes(branch(query).delta, boxes), boxes,
                          atol=1e-6)
    points = refine_boxes(branch(query).delta, boxes[..., :2])
    assert torch.allclose(points[..., :2], boxes[..., :2], atol=1e-6)
    assert torch.allclose(points[..., 2:], torch.tensor(.5))
    first = PlainBoxBranch(32, wide_start=True)
    first.init_weights()
    sizes = refine_boxes(first(query).delta, boxes[..., :2])[..., 2:]
    assert torch.allclose(sizes, torch.tensor(-2.).sigmoid())
