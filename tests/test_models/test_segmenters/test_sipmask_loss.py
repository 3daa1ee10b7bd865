"""SipMask's targets and losses by hand."""
import math

import pytest
import torch

from mmvis_memcnp.models.layers import aligned_iou
from mmvis_memcnp.models.layers.masks import half_resolution
from mmvis_memcnp.models.losses.sipmask import (
    MaskLoss,
    iou_loss,
    match_cross_entropy,
)
from mmvis_memcnp.models.truth.ground_truth import GroundTruth
from mmvis_memcnp.ops import crop_split_gt
from tests.fakes.tiny_sipmask import tiny_model


def truth(boxes, masks):
    boxes = torch.tensor([boxes]).float()
    zeros = torch.zeros(boxes.shape[:2], dtype=torch.long)
    return GroundTruth.of(boxes, torch.full((1, 2), 64.), zeros, zeros,
                          zeros == 0, masks[None])


def test_targets_by_hand():
    """Box 10..50 is centred at 30: the points of stride 8 within 12 of it,
    and in the range of the level."""
    head = tiny_model('sipmask').bbox_head
    head.assigner.regress_ranges = ((-1, 28), (28, 48), (48, 96), (96, 1e8))
    points = head.points([torch.zeros(1, 1, s, s) for s in (8, 4, 2, 1)])
    gt = truth([[10, 10, 50, 50], [20, 20, 40, 40]],
               torch.zeros(2, 64, 64, dtype=torch.bool))
    picked = head.assigner.match(*head.priors(points), gt.boxes, gt.valid)
    xy = torch.cat(points)[picked.pos[0]].int().tolist()
    index = picked.gt_index[picked.pos].tolist()
    found = dict(zip(map(tuple, xy), index, strict=True))
    # farthest side of the small box <= 28 for all points of stride 8 in it;
    # of the large box, 28 (x = 28, 36 is 22 or 26 away), is longest 26 .. 34
    assert {p for p, i in found.items() if i == 1} == {
        (x, y) for x in (28, 36) for y in (28, 36)}
    # stride 16: 24 and 40 lie within 24 of the centre; the farthest side is
    # 30 away, but 26 from (24, 24), which is below the level's range
    assert {p for p, i in found.items() if i == 0} == {
        (24, 40), (40, 24), (40, 40)}


def test_iou_loss_is_a_weighted_mean():
    boxes = torch.tensor([[0., 0, 9, 9], [0, 0, 9, 9]])
    targets = torch.tensor([[0., 0, 9, 9], [5, 0, 14, 9]])
    loss = iou_loss(boxes, targets, torch.tensor([1., 3.]))
    assert loss.item() == pytest.approx(math.log(3) * 3 / 4, rel=1e-5)
    assert iou_loss(boxes[:0], targets[:0], torch.zeros(0)) == 0


def mask_loss(loss, boxes, probs, logit=0., canvas=(16, 16)):
    masks = torch.zeros(1, 2 * canvas[0], 2 * canvas[1], dtype=torch.bool)
    masks[0, 4:20, 4:20] = True
    n = len(boxes)
    boxes = torch.tensor(boxes).float().view(-1, 4)
    zeros = torch.zeros(n, dtype=torch.long)
    return loss(
        lambda keep, used: torch.full((*canvas, len(keep)), logit), boxes,
        torch.tensor([[4., 4, 20, 20]]).expand(n, 4), torch.tensor(probs),
        zeros, zeros, truth([[4, 4, 20, 20]], masks), canvas, 2)


def test_mask_loss_is_the_cross_entropy_of_the_box():
    """Logit 0 costs log 2 a pixel; all weight on the only box."""
    value = mask_loss(MaskLoss(), [[4, 4, 20, 20]], [.7])
    assert value.item() == pytest.approx(math.log(2), rel=1e-3)
    # the mask fills the box: a confident foreground costs nothing
    assert mask_loss(MaskLoss(), [[4, 4, 20, 20]], [.7], 20.) < 1e-6
    # confident and wrong in 3/4 of the pixels of a box of twice the side
    value = mask_loss(MaskLoss(), [[4, 4, 36, 36]], [.7], 20., (32, 32))
    assert value.item() == pytest.approx(20 * 3 / 4, rel=1e-3)


def test_mask_loss_weights_are_probability_times_iou():
    full, half = [4, 4, 20, 20], [4, 4, 20, 36]
    probs = [.2, .8]
    iou = (9 * 9) / (9 * 17)  # half the size, last pixel included
    weights = [.2, .8 * iou]
    # logit 20 costs 20 on the lower half of the second box
    expected = weights[1] / sum(weights) * 20 / 2
    value = mask_loss(MaskLoss(), [full, half], probs, 20., (32, 32))
    assert value.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize('options, box, kept', [
    (dict(min_area=1.), [4, 4, 6, 6], False),
    (dict(min_area=1.), [4, 4, 8, 8], True),
    (dict(min_side=4.), [4, 4, 12, 30], False),
    (dict(min_side=4.), [4, 4, 14, 30], True),
    (dict(min_side=4., clamp=True), [26, 4, 90, 30], False),
    (dict(), [20, 20, 4, 4], False),
])
def test_small_boxes_are_left_out(options, box, kept):
    value = mask_loss(MaskLoss(**options), [box], [.5])
    assert (value > 0) == kept and value.isfinite()


def test_mask_loss_and_its_gradient_are_those_of_whole_canvases():
    """Against every pixel of every canvas, weighed by the crop: boxes with
    fractions, beyond the canvas, on each other, of two frames."""
    torch.manual_seed(0)
    boxes = torch.tensor([[3.3, 4.1, 20.7, 18.2], [-5., 2, 30, 90],
                          [8., 8, 24, 24], [10.5, 1, 31.9, 15]])
    image = torch.tensor([0, 0, 1, 1])
    own = torch.tensor([0, 1, 0, 0])
    gt = GroundTruth(*(torch.zeros(2, 2) for _ in range(6)),
                     masks=torch.rand(2, 2, 32, 48) > .5)
    probs, logits = torch.rand(4), torch.randn(16, 24, 4, requires_grad=True)
    found = MaskLoss()(lambda keep, used: logits[..., keep], boxes, boxes + 1,
                       probs, image, own, gt, (16, 24), 2)
    found.backward()
    grad = logits.grad.clone()
    logits.grad = None
    side = (boxes[:, 2:] - boxes[:, :2]) / 2
    weight = probs * aligned_iou(boxes / 2, (boxes + 1) / 2, offset=1)
    weight = weight / torch.stack([weight[:2].sum(), weight[2:].sum()])[image]
    target = half_resolution(gt.masks, (16, 24))[image, own].permute(1, 2, 0)
    pixels = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, target.float(), reduction='none')
    whole = (crop_split_gt(pixels, boxes / 2).sum((0, 1)) / side.prod(1) *
             weight).sum() / 2
    whole.backward()
    assert found.item() == pytest.approx(whole.item(), rel=1e-3) and whole > .5
    assert torch.allclose(grad, logits.grad, rtol=1e-3, atol=1e-7)
    assert 0 < (grad != 0).float().mean() < .8


def test_matching_by_hand():
    """Two clips; clip 0 has two positives, one of an object that is new."""
    vectors = torch.tensor([[1., 0], [0, 2], [1, 1]])
    refs = torch.tensor([[[2., 0], [0, 1]], [[2, 0], [0, 1]],
                         [[1, 1], [9, 9]]])
    ref_ids = torch.tensor([[0, 2], [0, 2], [1, -1]])
    out = match_cross_entropy(vectors, refs, torch.tensor([0, 4, 1]), ref_ids,
                              torch.tensor([0, 0, 1]), 2)
    log_sum = [math.log(sum(map(math.exp, row)))
               for row in ([0, 2, 0], [0, 0, 2], [0, 2])]
    first = (log_sum[0] - 2 + log_sum[1] - 0) / 2
    assert out['loss_match'].item() == pytest.approx(
        (first + log_sum[2] - 2) / 2, rel=1e-5)
    assert out['match_acc'].item() == pytest.approx(200 / 3, rel=1e-5)
