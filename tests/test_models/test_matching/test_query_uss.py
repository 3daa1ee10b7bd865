"""Uncertainty sample selection among queries."""
import torch
from mmdet.registry import TASK_UTILS

from mmvis_memcnp.models.matching import Queries, USSAssigner

from .objects import clips_of, frames_of

BOXES = torch.tensor([[0., 0, .8, .8], [.1, .1, .5, .5]])


def select(references, sigmas, boxes, valid, topk=5, **given):
    """Queries of frames: boxes (..., G, 4) and valid (..., G)."""
    assigner = TASK_UTILS.build(dict(type='QueryUSSAssigner', topk=topk))
    queries = Queries(references, references=references, sigmas=sigmas)
    return assigner.match(queries, frames_of(boxes, valid), **given)


def select_in_clips(references, sigmas, boxes, visible, topk=5, **given):
    """Queries of clips: (..., T, Q, .), (..., T, G, 4) and (..., T, G)."""
    assigner = TASK_UTILS.build(dict(type='QueryUSSAssigner', topk=topk))
    queries = Queries(references, references=references.transpose(-3, -2),
                      sigmas=sigmas.transpose(-3, -2))
    return assigner.match(
        queries, clips_of(boxes.transpose(-3, -2), visible.transpose(-2, -1)),
        **given)


def sigma(values):
    return torch.tensor(values)[..., None].expand(*torch.tensor(values).shape,
                                                  4)


def frames(references, sigmas, boxes=BOXES, topk=1, fallback=None, valid=None):
    """One image."""
    valid = torch.ones(len(boxes), dtype=torch.bool) if valid is None else \
        torch.tensor(valid)
    return select(
        torch.tensor(references), sigma(sigmas), boxes, valid, topk,
        fallback=None if fallback is None else torch.tensor(fallback))


def test_by_hand():
    """Query 0: centre of the small box, which it is in with 1; 2 and 3 in
    the large one alone, 3 more certain but at the edge; 4 outside."""
    found = frames([[.3, .3], [.2, .3], [.6, .6], [.79, .4], [.9, .9]],
                   [.5, .5, .2, .1, .1])
    assert found.gt_index.tolist() == [1, -1, 0, -1, -1]
    assert found.pos.tolist() == [True, False, True, False, False]
    # tau: 1 has sqrt(1/3) - .5 > 0, 3 has sqrt(.01/.79) - .1 > 0.
    assert found.neg.tolist() == [False, False, False, False, True]
    assert found.best.tolist() == [2, 0]
    assert torch.allclose(found.centreness[:3],
                          torch.tensor([1., 0., 1 / 3]))


def test_uncertain_queries_differ_without_a_limit():
    """tau / 2: 1 - 3 at the centre, .82 - 1.5 beside it, .15 - 1.2 at the
    edge."""
    found = frames([[.3, .3], [.3, .35], [.3, .49]], [3., 1.5, 1.2],
                   BOXES[1:])
    assert found.gt_index.tolist() == [-1, 0, -1]
    assert found.neg.tolist() == [True, False, True]


def test_topk_and_the_best_of_them():
    points = [[.3, .3], [.2, .3], [.3, .35], [.45, .45]]
    found = frames(points, [.9, .1, .1, .1], BOXES[1:], topk=3)
    assert found.pos.tolist() == [True, True, True, False]
    assert found.best.tolist() == [2]
    sure = frames(points, [.1, .1, .1, .1], BOXES[1:], topk=3)
    assert sure.best.tolist() == [0]


def test_a_layer_and_an_image_are_groups_of_their_own():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(3, 2, 20, 2, generator=generator)
    sigmas = torch.rand(3, 2, 20, 4, generator=generator)
    corner = torch.rand(2, 4, 2, generator=generator) * .5
    boxes = torch.cat((corner, corner + .4), -1)
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    both = select(points, sigmas, boxes, valid, topk=2)
    assert both.pos.shape == (3, 2, 20) and both.best.shape == (3, 2, 4)
    for layer in range(3):
        for image, num in enumerate((4, 2)):
            one = select(points[layer, image], sigmas[layer, image],
                         boxes[image, :num], valid[image, :num], topk=2)
            own = both.map(lambda x, at=(layer, image): x[at])
            assert torch.equal(own.best[:num], one.best)
            assert (own.best[num:] == -1).all()
            for name in ('gt_index', 'ignored', 'centreness'):
                assert torch.equal(getattr(own, name), getattr(one, name))


def test_equals_the_selection_of_points():
    """What USSAssigner picks among points it picks among queries."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 50, 2, generator=generator)
    sigmas = torch.rand(2, 50, 4, generator=generator)
    corner = torch.rand(2, 3, 2, generator=generator) * .5
    boxes = torch.cat((corner, corner + .3), -1)
    valid = torch.tensor([[True] * 3, [True, True, False]])
    ours = select(points, sigmas, boxes, valid, topk=3)
    priors = torch.cat((points, torch.ones_like(points)), -1)
    theirs = USSAssigner(topk=3).match(
        priors, torch.zeros(50, dtype=torch.long), boxes, valid, sigmas)
    assert torch.equal(ours.pos, theirs.pos)
    assert torch.equal(ours.neg, theirs.neg)
    assert torch.equal(ours.gt_index, theirs.gt_index)
    assert torch.allclose(ours.centreness,
                          theirs.centreness * theirs.pos)


def test_an_object_without_candidates_gets_its_fallback():
    points, sigmas = [[.3, .3], [.9, .9], [.6, .6]], [.5, .5, .5]
    boxes = torch.cat((BOXES, torch.tensor([[.0, .9, .1, 1.]])))
    alone = frames(points, sigmas, boxes)
    assert alone.best.tolist() == [2, 0, -1]
    found = frames(points, sigmas, boxes, fallback=[1, 1, 1])
    assert found.gt_index.tolist() == [1, 2, 0]
    assert found.best.tolist() == [2, 0, 1]
    assert found.centreness[1] == 0 and not found.neg[1]


def test_a_fallback_never_takes_the_last_candidate():
    boxes = torch.cat((BOXES, torch.tensor([[.0, .9, .1, 1.]])))
    kept = frames([[.3, .3], [.6, .6]], [.5, .5], boxes, fallback=[-1, -1, 0])
    assert kept.gt_index.tolist() == [1, 0] and kept.best[2] == -1
    taken = frames([[.3, .3], [.6, .6], [.35, .3]], [.5] * 3, boxes,
                   fallback=[-1, -1, 0])
    assert taken.gt_index.tolist() == [2, 0, 1]


def test_padded_objects_claim_nothing():
    found = frames([[.3, .3], [.6, .6]], [.5, .5], fallback=[1, 1],
                   valid=[False, False])
    assert not found.pos.any() and found.neg.all()
    assert found.best.tolist() == [-1, -1]


def test_no_ground_truth():
    found = select(
        torch.rand(2, 3, 6, 4), torch.rand(2, 3, 6, 4), torch.zeros(3, 1, 4),
        torch.zeros(3, 1, dtype=torch.bool),
        fallback=torch.zeros(2, 3, 1, dtype=torch.long))
    assert not found.pos.any() and found.neg.all()
    assert found.best.shape == (2, 3, 1) and (found.best == -1).all()


def test_the_order_of_the_objects_does_not_matter():
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(2, 40, 2, generator=generator)
    sigmas = torch.rand(2, 40, 4, generator=generator)
    corner = torch.rand(2, 5, 2, generator=generator) * .5
    boxes = torch.cat((corner, corner + .3), -1)
    valid, order = torch.ones(2, 5, dtype=torch.bool), torch.tensor(
        [3, 0, 4, 2, 1])
    one = select(points, sigmas, boxes, valid)
    two = select(points, sigmas, boxes[:, order], valid)
    assert torch.equal(one.pos, two.pos) and torch.equal(one.neg, two.neg)
    assert torch.equal(one.best[:, order], two.best)
    assert torch.equal(one.gt_index[one.pos], order[two.gt_index[two.pos]])


# -- clips ----------------------------------------------------------------
def test_a_clip_of_one_frame_is_a_frame():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 30, 2, generator=generator)
    sigmas = torch.rand(2, 30, 4, generator=generator)
    valid = torch.ones(2, 2, dtype=torch.bool)
    boxes = BOXES.expand(2, 2, 4)
    one = select(points, sigmas, boxes, valid)
    clip = select_in_clips(points[:, None], sigmas[:, None], boxes[:, None],
                           valid[:, None])
    assert torch.equal(one.pos, clip.pos)
    assert torch.equal(one.centreness, clip.centreness[:, 0])


def test_candidates_lie_in_half_of_the_frames_that_show_the_object():
    """The object moves right and is hidden in frame 2, where its box says
    nothing. Query 0 follows it, 1 stands still (in it once of three), 2 is in
    it twice."""
    boxes = torch.zeros(4, 1, 4)
    boxes[:, 0] = torch.tensor([[0., 0, .2, .2], [.3, 0, .5, .2], [0, 0, 0, 0],
                                [.6, 0, .8, .2]])
    visible = torch.tensor([True, True, False, True])[:, None]
    points = torch.tensor([[[.1, .1], [.1, .1], [.1, .05]],
                           [[.4, .1], [.1, .1], [.4, .05]],
                           [[.9, .9], [.1, .1], [.9, .9]],
                           [[.7, .1], [.1, .1], [.4, .05]]])
    sigmas = sigma([[.2, .1, .1]] * 4)
    found = select_in_clips(points, sigmas, boxes, visible, topk=5)
    assert found.gt_index.tolist() == [0, -1, 0]
    assert found.best.tolist() == [0]
    # tau of query 2: .5 * (2 / 3 * sqrt(1 / 3) - .1), of 0: .5 * (1 - .2).
    assert found.neg.tolist() == [False, True, False]
    assert torch.allclose(found.centreness[:, 0], visible[:, 0].float())
    # Sure of itself where the object is hidden: does not count.
    sigmas = sigmas.clone()
    sigmas[2, 2] = 0.
    sigmas[[0, 1, 3], 0] = 1.
    again = select_in_clips(points, sigmas, boxes, visible, topk=1)
    assert again.best.tolist() == [2]


def test_a_matched_query_stays_with_its_object():
    points = torch.tensor([[[.3, .3], [.32, .3], [.6, .6], [.95, .95]]])
    boxes, visible = BOXES[None], torch.ones(1, 2, dtype=torch.bool)
    sigmas = sigma([[.1, .1, .1, .1]])
    found = select_in_clips(points, sigmas, boxes, visible, topk=1,
                            matched=torch.tensor([0, 3]))
    assert found.gt_index.tolist() == [0, 1, -1, 1]
    assert found.pos.tolist() == [True, True, False, True]
    assert found.centreness[0, 3] == 0
