"""Matching of windows and what they say together."""
import pytest
import torch
from mmengine.structures import InstanceData

from mmvis_memcnp.models.trackers import ClipMatching

LEFT, RIGHT = [[9., 9., -9., -9.]], [[-9., -9., 9., 9.]]


def window(masks, scores, frames=3):
    """Instances whose masks (1, 4) are the same in all frames."""
    logits = torch.tensor(masks).view(len(masks), 1, 1, 4)
    return InstanceData(
        mask_logits=logits.repeat(1, frames, 1, 1),
        class_scores=torch.tensor(scores).view(len(masks), -1),
        bboxes=torch.arange(4.).repeat(len(masks), frames, 1))


def test_identities_follow_the_masks():
    matching = ClipMatching(3)
    state = matching.start()
    ids = matching.step(state, 0, window([LEFT, RIGHT], [[.9], [.8]]))
    assert ids.tolist() == [0, 1]
    # the other order, then only one, then both: the lost one is remembered
    # as long as a window with it overlaps
    assert matching.step(state, 1, window([RIGHT, LEFT], [[.7], [.6]])
                         ).tolist() == [1, 0]
    matching.settle(state, 2)
    assert matching.step(state, 2, window([LEFT], [[.5]])).tolist() == [0]
    matching.settle(state, 3)
    assert matching.step(state, 3, window([RIGHT, LEFT], [[.4], [.3]])
                         ).tolist() == [1, 0]
    fused = matching.fuse(state, 3)
    assert fused.instances_id.tolist() == [0, 1]
    # classes: over all windows of the identity, not only those of the frame
    assert torch.allclose(fused.class_scores,
                          torch.tensor([[(.9 + .6 + .5 + .3) / 4],
                                        [(.8 + .7 + .4) / 3]]))
    assert torch.equal(fused.bboxes, torch.arange(4.).repeat(2, 1))


def test_what_no_window_overlaps_is_forgotten():
    matching = ClipMatching(3)
    state = matching.start()
    matching.step(state, 0, window([LEFT, RIGHT], [[.9], [.8]]))
    for start in range(1, 4):
        matching.step(state, start, window([LEFT], [[.9]]))
        matching.settle(state, start + 1)
    assert [w.start for w in state.windows] == [2, 3]
    assert state.ids.tolist() == [0] and state.next_id == 2
    assert matching.step(state, 4, window([RIGHT], [[.9]])).tolist() == [2]


def test_frames_average_their_windows():
    matching = ClipMatching(2)
    state = matching.start()
    first, second = window([LEFT], [[.9]], 2), window([LEFT], [[.7]], 2)
    first.mask_logits[0, 1] = torch.tensor([1., 2., 3., 4.])
    second.mask_logits[0, 0] = torch.tensor([3., 0., -5., 4.])
    first.bboxes[0, 1], second.bboxes[0, 0] = 2., 4.
    for start, item in enumerate((first, second)):
        assert matching.step(state, start, item).tolist() == [0]
    fused = matching.fuse(state, 1)
    assert fused.mask_logits.tolist() == [[[2., 1., -1., 4.]]]
    assert fused.bboxes.tolist() == [[3.] * 4]
    assert torch.equal(matching.fuse(state, 0).mask_logits,
                       first.mask_logits[:, 0])


def test_sigmas_are_kept_where_there_are_any():
    matching = ClipMatching(2)
    state = matching.start()
    item = window([LEFT], [[.9]], 2)
    item.box_sigmas = torch.full((1, 2, 4), .2)
    matching.step(state, 0, item)
    assert torch.equal(matching.fuse(state, 0).box_sigmas,
                       torch.full((1, 4), .2))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_many_windows_in_half_precision(dtype):
    """A sum of x is beyond float16, and bfloat16 rounds every sum."""
    matching = ClipMatching(36)
    state = matching.start()
    for start in range(36):
        item = window([LEFT], [[.9]], 36)
        item.bboxes = torch.tensor([1901., 1001., 1951., 1051.]).to(
            dtype).repeat(1, 36, 1)
        matching.step(state, start, item)
    assert torch.equal(matching.fuse(state, 35).bboxes, item.bboxes[:, 0])


def test_soft_iou_equals_a_loop():
    g = torch.Generator().manual_seed(0)
    matching = ClipMatching(4, match_thr=.4)
    state = matching.start()
    history = []
    for start in range(4):
        logits = torch.randn(3, 4, 5, 6, generator=g) * 2
        ids = state.ids if state.ids is not None else torch.zeros(0)
        alike = matching.soft_iou(state, start, logits)
        assert alike.shape == (len(ids), 3)
        for row, identity in enumerate(ids.tolist()):
            for column in range(3):
                values = []
                for begin, old_ids, old in history:
                    if identity not in old_ids:
                        continue
                    a = old[old_ids.index(identity), start - begin:].sigmoid()
                    b = logits[column, :begin + 4 - start].sigmoid()
                    values.append((a * b).sum() / (a + b - a * b).sum())
                wanted = sum(values) / len(values)
                assert torch.allclose(alike[row, column], wanted, rtol=1e-4)
        found = matching.step(state, start, InstanceData(
            mask_logits=logits, class_scores=torch.ones(3, 2)))
        assert len(set(found.tolist())) == 3
        history.append((start, found.tolist(), logits))


@pytest.mark.parametrize('threshold, same', [(.5, False), (.05, True)])
def test_a_match_must_exceed_the_threshold(threshold, same):
    matching = ClipMatching(2, match_thr=threshold)
    state = matching.start()
    matching.step(state, 0, window([LEFT], [[.9]], 2))
    half = window([[[9., -9., -9., 9.]]], [[.9]], 2)  # IoU 1 / 3
    assert (matching.step(state, 1, half).tolist() == [0]) == same


def test_windows_without_instances():
    matching = ClipMatching(2)
    state = matching.start()
    none = InstanceData(mask_logits=torch.zeros(0, 2, 1, 4),
                        class_scores=torch.zeros(0, 1),
                        bboxes=torch.zeros(0, 2, 4))
    assert matching.step(state, 0, none).tolist() == []
    assert len(matching.fuse(state, 0)) == 0
    assert matching.step(state, 1, window([LEFT], [[.9]], 2)).tolist() == [0]
    assert matching.step(state, 2, none).tolist() == []
    assert matching.fuse(state, 2).instances_id.tolist() == [0]
