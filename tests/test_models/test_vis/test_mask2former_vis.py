"""Mask2Former-VIS: its decoder, costs and losses of clips, candidates.

test_mask2former_clips.py has what it shares with IFR.
"""
from unittest import mock

import pytest
import torch

from mmvis_memcnp.models.losses import SampledMaskLoss
from mmvis_memcnp.models.matching import Queries, SampledMaskCost
from mmvis_memcnp.models.truth import Matches
from tests.fakes.tiny_mask2former_vis import clips_of, tiny_model, truth_of


@pytest.fixture(scope='module')
def model():
    return tiny_model().eval()


# -- the decoder ------------------------------------------------------------
def test_a_query_reads_all_frames_and_their_order(model):
    """What is in the last frame changes the masks of the first; so does the
    order of the frames, which the positions tell."""
    clips = clips_of(1, 3)
    other = clips.clone()
    other[:, 2] = clips_of(1, 1, seed=5)[:, 0]
    with torch.no_grad():
        masks, changed, turned = (
            model.segment(x).masks() for x in (clips, other, clips.flip(1)))
    assert not torch.allclose(masks[:, :, 0], changed[:, :, 0], atol=1e-4)
    assert not torch.allclose(masks, turned.flip(2), atol=1e-5)


# -- training ---------------------------------------------------------------
def test_a_clip_of_one_frame_costs_what_the_frame_does():
    """Costs and losses, by the two forms of the same objects."""
    g = torch.Generator().manual_seed(0)
    logits, embeds = torch.randn(2, 3, 5, 4, generator=g), torch.randn(
        2, 3, 5, 6, generator=g)
    features = torch.randn(3, 6, 8, 12, generator=g)
    masks = torch.rand(3, 2, 1, 32, 48, generator=g) > .6
    gt = truth_of(masks, torch.randint(3, (3, 2), generator=g))
    pairs = Matches.of_objects(torch.tensor([[[0, 3]] * 3, [[4, 1]] * 3]), 5)
    found = []
    for time, own in ((True, gt), (False, gt.frames())):
        args = (embeds[:, :, None], features[:, None]) if time else (
            embeds, features)
        torch.manual_seed(1)
        cost = SampledMaskCost(num_points=30)(
            Queries(logits, mask_embeds=args[0], mask_features=args[1]), own)
        values = SampledMaskLoss(num_points=30)(logits, *args, pairs, own)
        found.append((cost, *(values[k] for k in sorted(values))))
    for clips, frames in zip(*found, strict=True):
        torch.testing.assert_close(clips, frames)


def test_an_absent_object_is_to_have_an_empty_mask():
    """One object in one of two frames: mask losses are the sums over both
    frames, the second against nothing; as frames it counts once."""
    g = torch.Generator().manual_seed(0)
    embeds = torch.randn(1, 1, 2, 4, 6, generator=g)
    features = torch.randn(1, 2, 6, 8, 8, generator=g)
    logits = torch.randn(1, 1, 4, 3, generator=g)
    masks = torch.zeros(1, 1, 2, 32, 32, dtype=torch.bool)
    masks[0, 0, 0, 8:20, 8:20] = True
    gt = truth_of(masks, torch.zeros(1, 1, dtype=torch.long))
    pairs = Matches.of_objects(torch.tensor([[[2]]]), 4)
    centres = (torch.arange(8) + .5) / 8
    grid = torch.stack(torch.meshgrid(
        centres, centres, indexing='xy'), -1).view(1, 64, 2)
    with mock.patch('mmvis_memcnp.models.losses.sampled_mask.'
                    'uncertain_points', lambda x, *_: grid.repeat(
                        len(x), 1, 1)):
        out = SampledMaskLoss(num_points=64)(
            logits, embeds, features, pairs, gt)
    found = torch.einsum('td,tdhw->thw', embeds[0, 0, :, 2], features[0])
    target = torch.nn.functional.grid_sample(
        masks[0, 0, :, None].float(), grid.view(1, 8, 8, 2).expand(
            2, -1, -1, -1) * 2 - 1, align_corners=False)[:, 0]
    assert target[1].sum() == 0 < target[0].sum()
    bce = torch.nn.functional.binary_cross_entropy_with_logits(
        found, target, reduction='none').mean((1, 2))
    p = found.sigmoid()
    dice = 1 - (2 * (p * target).sum((1, 2)) + 1) / (
        p.sum((1, 2)) + target.sum((1, 2)) + 1)
    assert out['loss_mask'].item() == pytest.approx(
        5 * bce.sum().item(), rel=1e-5)
    assert out['loss_dice'].item() == pytest.approx(
        5 * dice.sum().item(), rel=1e-5)


# -- instances ----------------------------------------------------------------
def test_weak_queries_become_no_instances():
    """Of seven those above the threshold, at most top_k."""
    made = tiny_model(score_thr=.3, top_k=2)
    scores = torch.tensor([[.1, .2], [.9, 0.], [.3, .1], [.2, .5], [0., 0.]])
    assert made.candidates(scores).tolist() == [1, 3]
    made.top_k = 5
    assert made.candidates(scores).tolist() == [1, 3, 2]
