"""Uncertainty sample selection (eq 15) and its siblings of Table 9."""
import math

import pytest
import torch
from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData

from mmvis_memcnp.models.layers import centreness
from mmvis_memcnp.models.matching import (
    FCOSPointAssigner,
    ObjectBoxAssigner,
    SmallestBoxTarget,
    USSAssigner,
    YOLOCellAssigner,
    pad_boxes,
)
from mmvis_memcnp.models.matching.points.uss import top_of_group

ASSIGNERS = [
    USSAssigner(),
    USSAssigner(topk=3, lambda_tau=0.3, candidates='nearest'),
    YOLOCellAssigner(),
    ObjectBoxAssigner(),
    FCOSPointAssigner(),
    FCOSPointAssigner(center_sampling=True),
]


def grid(*sizes, strides=(8, 16, 32, 64)):
    """Priors (N, 4) and levels (N,) of feature maps."""
    maps = MlvlPointGenerator(strides[:len(sizes)]).grid_priors(
        list(sizes), device='cpu', with_stride=True)
    levels = [torch.full((len(m), ), i) for i, m in enumerate(maps)]
    return torch.cat(maps), torch.cat(levels)


def one_image(assigner, priors, levels, boxes, sigma=0.5, **kwargs):
    boxes = torch.as_tensor(boxes, dtype=torch.float).view(1, -1, 4)
    return assigner.match(
        priors, levels, boxes, torch.ones(boxes.shape[:2], dtype=torch.bool),
        torch.as_tensor(sigma).expand(1, len(priors), 4), **kwargs)


def random_batch(num_images=3, most=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    priors, levels = grid((12, 16), (6, 8), (3, 4), (2, 2))
    boxes = []
    for count in torch.randint(1, most + 1, (num_images, ), generator=g):
        corner = torch.rand(int(count), 2, generator=g) * 90
        size = torch.rand(int(count), 2, generator=g) * 60 + 4
        boxes.append(torch.cat((corner, corner + size), 1))
    boxes.append(torch.zeros(0, 4))
    sigmas = torch.rand(len(boxes), len(priors), 4, generator=g) + 0.1
    return priors, levels, boxes, sigmas


# -- geometry -------------------------------------------------------------
def test_centreness_by_hand():
    ltrb = torch.tensor([[5., 5, 5, 5], [1, 2, 4, 8], [-1, 2, 4, 8],
                         [0, 2, 4, 8]])
    assert torch.allclose(centreness(ltrb),
                          torch.tensor([1, math.sqrt(1 / 4 * 2 / 8), 0, 0]))


def test_target_is_the_smallest_containing_box_else_the_nearest():
    boxes = torch.tensor([[[0., 0, 100, 100], [10, 10, 30, 30],
                           [200, 0, 210, 10], [0, 0, 1, 1]]])
    points = torch.tensor([[20., 20], [60, 60], [190, 5], [30, 20]])
    target = SmallestBoxTarget()(points, boxes,
                                 torch.tensor([[True, True, True, False]]))
    # an edge point of box 1 is not strictly inside: the large box takes it
    assert target.gt_index.tolist() == [[1, 0, 2, 0]]
    assert target.inside.tolist() == [[True, True, False, True]]
    assert target.ltrb[0, 0].tolist() == [10, 10, 10, 10]
    assert target.ltrb[0, 2].tolist() == [-10, 5, 20, 5]


def test_target_without_ground_truth():
    target = SmallestBoxTarget()(torch.rand(5, 2), torch.zeros(2, 0, 4),
                                 torch.zeros(2, 0, dtype=torch.bool))
    assert (target.gt_index == -1).all() and not target.inside.any()
    assert target.ltrb.shape == (2, 5, 4) and not target.ltrb.any()


# -- eq 15 ----------------------------------------------------------------
def test_eq_15_by_hand():
    """One row of five points in a box of 40 x 8, lambda 0.5, top 2.

    c = sqrt(1/9), sqrt(3/7), 1, sqrt(3/7), sqrt(1/9) and 0 outside.
    """
    priors, levels = grid((1, 6))
    sigma = torch.tensor([0.2, 0.3, 0.9, 0.9, 0.5, 0.2])[:, None]
    # 2 tau: .13, .35, .10, -.25, -.17, and -.2 outside
    result = one_image(
        USSAssigner(topk=2), priors, levels, [0, 0, 40, 8], sigma)
    assert result.pos[0].tolist() == [True, True] + [False] * 4
    # point 2 has tau > 0 and is not among the best: ignored
    assert result.neg[0].tolist() == [False] * 3 + [True] * 3
    assert result.gt_index[0].tolist() == [0, 0, -1, -1, -1, -1]
    expected = [1 / 3, math.sqrt(3 / 7), 1, math.sqrt(3 / 7), 1 / 3, 0]
    assert torch.allclose(result.centreness[0], torch.tensor(expected))


def test_lambda_shifts_the_balance():
    """lambda 0: centreness alone; lambda 1: certainty alone."""
    priors, levels = grid((1, 5))
    sigma = torch.tensor([0.2, 0.3, 0.9, 0.9, 0.5])[:, None]
    for lambda_tau, best in ((0., 2), (1., 0)):
        result = one_image(
            USSAssigner(topk=1, lambda_tau=lambda_tau), priors, levels,
            [0, 0, 40, 8], sigma)
        assert result.pos[0].nonzero().flatten().tolist() == [best]


@pytest.mark.parametrize('given, chosen', [
    # each point by its centre-ness in its own box: .47, .91 and .22
    (None, 4),
    # by the largest in any box, as released: point 3 is A's centre
    ([.27, .52, .75, 1., .91, .52, .27], 3),
])
def test_centreness_is_that_in_the_own_box(given, chosen):
    """A is 56 x 8 around 28, B 22 x 8 around 35 overlaps it. The points at
    28, 36 and 44 are B's, the smaller one's."""
    priors, levels = grid((1, 7))
    result = one_image(
        USSAssigner(topk=1), priors, levels, [[0, 0, 56, 8], [24, 0, 46, 8]],
        centreness_map=None if given is None else torch.tensor([given]))
    assert (result.gt_index[0] == 1).nonzero().flatten().tolist() == [chosen]
    if given is None:
        assert result.centreness[0, 4].item() == pytest.approx(
            math.sqrt(10 / 12))


@pytest.mark.parametrize('limit, chosen, negative', [
    # 2 tau: 1/3 - 1.2, sqrt(3/7) - 1.6, 1 - 3
    (math.inf, 0, [1, 2]),
    # as released, where uncertain points do not differ: the most central one
    (1., 2, [0, 1]),
])
def test_a_limit_of_sigma_hides_how_uncertain_points_are(
        limit, chosen, negative):
    """Points 0, 1 and 2 of a box of 40 x 8."""
    priors, levels = grid((1, 3))
    sigma = torch.tensor([1.2, 1.6, 3.])[:, None]
    result = one_image(USSAssigner(topk=1, sigma_limit=limit), priors, levels,
                       [0, 0, 40, 8], sigma)
    assert result.pos[0].nonzero().flatten().tolist() == [chosen]
    assert result.neg[0].nonzero().flatten().tolist() == negative


def test_each_level_and_box_has_its_own_top_k():
    priors, levels = grid((8, 8), (4, 4), (2, 2))
    boxes = [[0, 0, 32, 32], [32, 32, 64, 64]]
    result = one_image(USSAssigner(topk=3), priors, levels, boxes)
    for g in range(2):
        own = result.gt_index[0] == g
        counts = [int((own & (levels == level)).sum()) for level in range(3)]
        assert counts == [3, 3, 1]


def test_smaller_box_takes_the_shared_points():
    priors, levels = grid((8, 8))
    result = one_image(
        USSAssigner(topk=99), priors, levels,
        [[0, 0, 64, 64], [16, 16, 32, 32]])
    inner = result.gt_index[0] == 1
    assert int(inner.sum()) == 4
    assert result.pos[0].all() and int((result.gt_index == 0).sum()) == 60


def test_ties_keep_their_order():
    priors, levels = grid((1, 8))
    sigma = torch.full((8, 4), 0.5)
    result = one_image(
        USSAssigner(topk=3),
        priors,
        levels, [0, 0, 64, 8],
        sigma,
        centreness_map=torch.full((1, 8), 0.5))
    assert result.pos[0].tolist() == [True] * 3 + [False] * 5


def test_top_of_group_by_hand():
    scores = torch.tensor([1., 5., 3., 5., 2., 4.])
    group = torch.tensor([7, 7, 7, 2, 2, 7])
    assert top_of_group(scores, group, 2).tolist() == [
        False, True, False, True, True, True
    ]
    empty = torch.zeros(0)
    assert top_of_group(empty, empty.long(), 2).shape == (0, )


def test_released_candidates_may_lie_outside_their_box():
    """Point (20, 4) is nearest to box 1's centre but lies in box 0 only."""
    priors, levels = grid((1, 5))
    boxes = [[0, 0, 24, 8], [22, 0, 26, 8]]
    inside = one_image(USSAssigner(topk=5), priors, levels, boxes)
    nearest = one_image(
        USSAssigner(topk=5, candidates='nearest'), priors, levels, boxes)
    assert inside.gt_index[0].tolist() == [0, 0, 0, -1, -1]
    assert nearest.gt_index[0].tolist() == [0, 0, 1, -1, -1]


def test_uss_needs_sigma():
    priors, levels = grid((2, 2))
    with pytest.raises(ValueError, match='sigmas'):
        USSAssigner().match(priors, levels, torch.zeros(1, 1, 4),
                            torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match='candidates'):
        USSAssigner(candidates='outside')


# -- siblings -------------------------------------------------------------
def chosen(result, levels, level):
    """Positions of the positives on one level's map."""
    return result.pos[0][levels == level].nonzero().flatten().tolist()


def test_yolo_takes_the_cell_of_the_centre_where_it_can_reach_the_box():
    priors, levels = grid((4, 4), (2, 2), (1, 1))
    # centre (10, 18): cell (1, 2) of 4 x 4 at (12, 20), (0, 1) of 2 x 2 at
    # (8, 24), (0, 0) at (16, 16); the box is x 4..16, y 14..22
    result = one_image(YOLOCellAssigner(), priors, levels, [4, 14, 16, 22])
    assert chosen(result, levels, 0) == [2 * 4 + 1]
    assert chosen(result, levels, 1) == []  # y 24 is outside
    assert chosen(result, levels, 2) == [0]  # on the edge
    assert torch.equal(result.neg, ~result.pos)


def test_yolo_cell_border_belongs_to_one_cell():
    priors, levels = grid((2, 2))
    result = one_image(YOLOCellAssigner(), priors, levels, [0, 0, 16, 16])
    assert chosen(result, levels, 0) == [3]


def test_objectbox_takes_centre_cells_on_every_level_for_any_size():
    priors, levels = grid((4, 4), (2, 2), (1, 1))
    for box in ([9, 17, 11, 19], [0, 8, 20, 28]):  # centre (10, 18)
        result = one_image(ObjectBoxAssigner(), priors, levels, box)
        # stride 8: x 4, 12 and y 12, 20; stride 16: x 8 (24 is 14 away: also
        # less than 16) and y 8, 24; stride 32: the only point
        assert chosen(result, levels, 0) == [4, 5, 8, 9]
        assert chosen(result, levels, 1) == [0, 1, 2, 3]
        assert chosen(result, levels, 2) == [0]


def test_objectbox_takes_one_cell_if_the_centre_is_its_point():
    priors, levels = grid((4, 4))
    result = one_image(ObjectBoxAssigner(), priors, levels, [8, 16, 16, 24])
    assert chosen(result, levels, 0) == [9]


def test_fcos_levels_by_the_farthest_edge():
    priors, levels = grid((16, 16), (8, 8), (4, 4))
    ranges = ((-1, 16), (16, 40), (40, 1e8))
    small = one_image(
        FCOSPointAssigner(ranges), priors, levels, [30, 30, 50, 50])
    assert [len(chosen(small, levels, i)) for i in range(3)] == [4, 0, 0]
    # stride 8: x, y in {36, 44}, edges at most 14 away; the only point of
    # stride 16, (40, 40), is 10 from every edge: below its range
    large = one_image(
        FCOSPointAssigner(ranges), priors, levels, [0, 0, 128, 128])
    assert [len(chosen(large, levels, i)) for i in range(3)] == [0, 0, 16]


def test_fcos_centre_sampling():
    priors, levels = grid((16, 16))
    ranges = ((-1, 1e8), )
    free = FCOSPointAssigner(ranges)
    near = FCOSPointAssigner(ranges, center_sampling=True, radius=1.5)
    box = [0, 0, 128, 128]  # centre 64: points at 60, 68 and 52, 76 (12 away)
    assert one_image(free, priors, levels, box).pos.sum() == 256
    assert one_image(near, priors, levels, box).pos.sum() == 4


# -- what holds for all ---------------------------------------------------
@pytest.mark.parametrize('assigner', ASSIGNERS)
def test_a_batch_is_its_images_one_by_one(assigner):
    priors, levels, boxes, sigmas = random_batch()
    padded, valid = pad_boxes(boxes)
    batch = assigner.match(priors, levels, padded, valid, sigmas)
    for i, image in enumerate(boxes):
        single = one_image(assigner, priors, levels, image, sigmas[i])
        for name in ('gt_index', 'ignored', 'centreness'):
            assert torch.equal(getattr(batch, name)[i],
                               getattr(single, name)[0])


@pytest.mark.parametrize('assigner', ASSIGNERS)
def test_order_of_ground_truths_does_not_matter(assigner):
    priors, levels, boxes, sigmas = random_batch(1, 9, seed=4)
    order = torch.randperm(len(boxes[0]))
    one = one_image(assigner, priors, levels, boxes[0], sigmas[0])
    two = one_image(assigner, priors, levels, boxes[0][order], sigmas[0])
    assert torch.equal(one.pos, two.pos) and torch.equal(one.neg, two.neg)
    assert torch.equal(one.gt_index[one.pos], order[two.gt_index[two.pos]])
    assert torch.equal(one.centreness, two.centreness)


@pytest.mark.parametrize('assigner', ASSIGNERS)
def test_positives_and_negatives_exclude_each_other(assigner):
    priors, levels, boxes, sigmas = random_batch(seed=2)
    result = assigner.match(priors, levels, *pad_boxes(boxes), sigmas)
    assert not (result.pos & result.neg).any() and result.pos.any()
    assert torch.equal(result.gt_index >= 0, result.pos)
    assert result.neg[-1].all()  # the image without ground truth


@pytest.mark.parametrize('assigner', ASSIGNERS)
def test_no_ground_truth_in_the_whole_batch(assigner):
    priors, levels, _, sigmas = random_batch()
    result = assigner.match(priors, levels, torch.zeros(4, 0, 4),
                            torch.zeros(4, 0, dtype=torch.bool), sigmas)
    assert not result.pos.any() and result.neg.all()
    assert not result.centreness.any()


def test_a_box_between_the_points_selects_nothing():
    priors, levels = grid((4, 4), (2, 2))
    result = one_image(USSAssigner(), priors, levels, [5, 5, 7, 7])
    assert not result.pos.any() and result.neg.all()


@pytest.mark.parametrize('assigner', ASSIGNERS)
def test_assign_result_of_one_image(assigner):
    priors, levels, boxes, sigmas = random_batch(seed=5)
    labels = torch.arange(len(boxes[0])) + 20
    core = one_image(assigner, priors, levels, boxes[0], sigmas[0])
    result = assigner.assign(
        InstanceData(priors=priors, sigmas=sigmas[0]),  # levels from strides
        InstanceData(bboxes=boxes[0], labels=labels))
    assert result.num_gts == len(boxes[0])
    assert torch.equal(result.gt_inds > 0, core.pos[0])
    assert torch.equal(result.gt_inds == 0, core.neg[0])
    assert torch.equal(result.gt_inds[core.pos[0]] - 1,
                       core.gt_index[core.pos])
    assert torch.equal(result.labels[core.pos[0]],
                       labels[core.gt_index[core.pos]])
    assert (result.labels[~core.pos[0]] == -1).all()


def test_each_image_may_have_its_own_points():
    """Queries of a transformer: reference points differ per image."""
    priors, levels, boxes, sigmas = random_batch()
    own = torch.stack([priors, priors.flip(0)])
    own[1, :, :2] += 3
    padded, valid = pad_boxes(boxes[:2])
    level = torch.zeros_like(levels)
    batch = USSAssigner().match(own, level, padded, valid, sigmas[:2])
    single = one_image(USSAssigner(), own[1], level, boxes[1], sigmas[1])
    assert torch.equal(batch.pos[1], single.pos[0])
    assert torch.equal(batch.gt_index[1], single.gt_index[0])


def test_registered():
    assigner = TASK_UTILS.build(dict(type='USSAssigner', topk=3))
    assert isinstance(assigner, USSAssigner) and assigner.topk == 3
