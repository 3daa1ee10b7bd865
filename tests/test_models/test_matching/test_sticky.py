"""Objects keep their queries; new ones are matched when they appear."""
import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from scipy.optimize import linear_sum_assignment

from mmvis_memcnp.models.matching import CostSum, Queries, StickyMatcher

from .objects import clips_of

BOXES = torch.tensor([[.2, .2, .2, .2], [.5, .5, .2, .2], [.8, .8, .2, .2]])
COSTS = dict(cls=dict(type='FocalCost', weight=1.),
             bbox=dict(type='BoxCost', weight=5.),
             giou=dict(type='GIoUCost', weight=2.))


def truth(present):
    """Three objects of one clip; ``present``: a row of 0 and 1 a frame."""
    present = torch.tensor(present, dtype=torch.bool).t()[None]
    boxes = BOXES[None, :, None].where(present[..., None], 1e-6)
    found = clips_of(bbox_cxcywh_to_xyxy(boxes), present)
    return found._replace(valid=torch.ones(1, 3, dtype=torch.bool))


def follow(matcher, gt, boxes, logits=None):
    """Matches after each frame; boxes: (L, B, Q, 4) a frame."""
    taught, held, found = matcher.taught(gt), None, []
    for t, own in enumerate(boxes):
        queries = Queries(
            torch.zeros(*own.shape[:-1], 2) if logits is None else logits[t],
            own)
        held = matcher.match(queries, gt.frame(t), taught[t], held)
        found.append(held)
    return found


def best(found):
    """Queries of the objects of the first layer and clip, a list a frame."""
    return [f.best[0, 0].tolist() for f in found]


def test_matched_on_appearance_and_kept():
    order = BOXES[[2, 0, 1, 1]][None, None]
    turned = order.flip(2)
    gt = truth([[1, 0, 0], [1, 1, 0], [0, 1, 1]])
    matcher = StickyMatcher(COSTS)
    found = follow(matcher, gt, [order, turned, turned])
    # object 1 is at queries 0 and 1 of the second frame, 1 is taken
    assert best(found) == [[1, -1, -1], [1, 0, -1], [1, 0, 3]]
    taught = matcher.taught(gt)
    assert taught[2].tolist() == [[False, True, True]]
    shown = found[2].only(taught[2])
    assert [x.tolist() for x in shown.pairs] == [[0, 0], [0, 0], [0, 3],
                                                 [1, 2]]
    assert found[2].gt_index.tolist() == [[[1, 0, -1, 2]]]


def test_first_frame_matches_all_at_once():
    gt = truth([[1, 0, 0], [1, 1, 1]])
    matcher = StickyMatcher(COSTS, rule='first_frame')
    found = best(follow(matcher, gt, [BOXES[None, None]] * 2))
    assert sorted(found[0]) == [0, 1, 2] and found[0] == found[1]
    assert found[0][0] == 0
    assert matcher.taught(gt).all()


def test_more_objects_than_queries():
    found = follow(StickyMatcher(COSTS), truth([[1, 1, 1], [1, 1, 1]]),
                   [BOXES[None, None, 1:2]] * 2)
    assert best(found) == [[-1, 0, -1]] * 2


def test_not_a_number_does_not_stop_the_matching():
    boxes = torch.full((1, 1, 3, 4), float('nan'))
    found = follow(StickyMatcher(COSTS), truth([[1, 1, 1]]), [boxes])
    assert sorted(best(found)[0]) == [0, 1, 2]


def test_nothing_new_costs_nothing(monkeypatch):
    matcher = StickyMatcher(COSTS)
    gt = truth([[1, 1, 1], [1, 0, 1]])
    first, = follow(matcher, gt, [BOXES[None, None]])
    monkeypatch.setattr(matcher, 'cost', None)
    again = matcher.match(Queries(torch.zeros(1, 1, 3, 2)), gt.frame(1),
                          matcher.taught(gt)[1], first)
    assert again is first


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match='last_frame'):
        StickyMatcher(COSTS, rule='last_frame')


def crowd(seed=0, layers=2, clips=3, queries=9, objects=5, frames=6):
    """Objects that come and go, and queries of every frame."""
    g = torch.Generator().manual_seed(seed)
    present = torch.rand(clips, objects, frames, generator=g) > .6
    boxes = torch.rand(clips, objects, frames, 4, generator=g) * .4 + .2
    gt = clips_of(bbox_cxcywh_to_xyxy(boxes), present,
                  torch.randint(0, 4, (clips, objects), generator=g))
    shape = frames, layers, clips, queries
    return gt, torch.rand(*shape, 4, generator=g) * .4 + .2, torch.randn(
        *shape, 4, generator=g)


def loop(gt, boxes, logits):
    """Queries (L, B, G) of the objects after all frames, one by one."""
    layers, clips = boxes.shape[1:3]
    result = torch.full((layers, *gt.valid.shape), -1)
    for t in range(len(boxes)):
        cost = CostSum(COSTS)(Queries(logits[t], boxes[t]), gt.frame(t))
        for layer in range(layers):
            for b in range(clips):
                own = result[layer, b]
                new = [g for g in range(len(own))
                       if gt.present[b, g, t] and own[g] < 0]
                free = [q for q in range(boxes.shape[3])
                        if q not in own.tolist()]
                rows, columns = linear_sum_assignment(
                    cost[layer, b][free][:, new].numpy())
                for row, column in zip(rows, columns, strict=True):
                    own[new[column]] = free[row]
    return result


@pytest.mark.parametrize('queries', [9, 3])
def test_equals_a_loop_over_layers_clips_and_frames(queries):
    gt, boxes, logits = crowd(queries=queries)
    found = follow(StickyMatcher(COSTS), gt, boxes, logits)
    assert torch.equal(found[-1].best, loop(gt, boxes, logits))
    for before, after in zip(found, found[1:], strict=False):
        kept = before.best >= 0
        assert torch.equal(before.best[kept], after.best[kept])
        assert (after.pos.sum(-1) == (after.best >= 0).sum(-1)).all()


def test_the_order_of_the_objects_does_not_matter():
    gt, boxes, logits = crowd(seed=1)
    order = torch.tensor([4, 2, 0, 1, 3])
    turned = gt._replace(**{
        name: getattr(gt, name)[:, order]
        for name in ('labels', 'cxcywh', 'xyxy', 'masks', 'present',
                     'valid')})
    one, two = (follow(StickyMatcher(COSTS), t, boxes, logits)[-1]
                for t in (gt, turned))
    assert torch.equal(one.best[..., order], two.best)
