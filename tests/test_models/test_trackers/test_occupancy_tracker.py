"""O2VIS: anchors by hand; what the tracker remembers and who keeps a row."""
import pytest
import torch
from mmdet.registry import MODELS, TASK_UTILS
from torch import nn

from mmvis_memcnp.models.trackers import reorder

SIZES = dict(num_classes=3, embed_dims=16, num_heads=2,
             feedforward_channels=24, mask_dims=8, num_existing=2,
             num_aligning=2)
PARTS = dict(
    association=dict(type='HungarianAssociation', occupied_first=True),
    memory=dict(type='OccupancyMemory'))


def build(**options):
    """A tracker whose rows differ, in training mode."""
    torch.manual_seed(0)
    tracker = MODELS.build(dict(
        SIZES, type='OccupancyTracker', **dict(PARTS, **options)))
    nn.init.normal_(tracker.cls_embed.weight, std=.5)
    return tracker.train()


def frames(length=3, batch=2, count=5, seed=0):
    """Queries and their hidden states."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, length, batch, count, 16, generator=g)


def follow(tracker, queries, hidden, **given):
    out, state = [], tracker.start()
    for pair in zip(queries, hidden, strict=True):
        tracked, state = tracker.step(state, *pair, **given)
        out.append((tracked, state))
    return out


@pytest.mark.parametrize('anchor, expected', [
    # Half alike: the mean, in either order.
    (dict(type='AdaptiveAnchor'), [1., 1.75, 2.5, 4.]),
    # The letter of eq 7: what is alike asks as the query.
    (dict(type='AdaptiveAnchor', order='query_first'), [3., 2.25, 1.5, 0.]),
    (dict(type='AdaptiveAnchor', order='query'), [3., 3., 3., 3.]),
    (dict(type='AdaptiveAnchor', order='memory'), [1., 1., 1., 1.])])
def test_anchors(anchor, expected):
    """Memory 1, query 3; the same, 5/8 and 1/4 alike, and opposed."""
    one = torch.ones(1, 4, 1)
    similarity = torch.tensor([[1., .625, .25, -.5]])
    found = TASK_UTILS.build(anchor)(3 * one, one, similarity)
    assert found.flatten().tolist() == expected


@pytest.mark.parametrize('options, message', [
    (dict(match_space='both'), 'match_space'),
    (dict(anchor=dict(type='AdaptiveAnchor', order='new')), 'order')])
def test_words_that_are_none(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build(**options)


@torch.no_grad()
def test_the_order_of_queries_does_not_matter():
    """A row stays an object, wherever its query stands, from the second
    frame on; the first frame's order is that of the rows."""
    tracker, (queries, hidden) = build(), frames()
    shuffled = torch.tensor([[3, 1, 4, 0, 2], [1, 0, 2, 4, 3]])
    other = [torch.stack((x[0], *(reorder(y, shuffled) for y in x[1:])))
             for x in (queries, hidden)]
    for (one, _), (two, _) in zip(follow(tracker, queries, hidden),
                                  follow(tracker, *other), strict=True):
        torch.testing.assert_close(one.rows.logits, two.rows.logits,
                                   rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one.existing.logits, two.existing.logits,
                                   rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_is_remembered():
    """Of the first frame all, then as far as a row is an object; a row that
    was once occupied stays so."""
    tracker, (queries, hidden) = build(), frames()
    steps = follow(tracker, queries, hidden)
    held = steps[0][0].rows.hidden[-1]
    taken = torch.zeros(2, 5, dtype=torch.bool)
    for t, (tracked, state) in enumerate(steps):
        probs = tracked.rows.logits[-1].softmax(-1)
        if t:
            share = 1 - probs[..., -1:]
            held = (1 - share) * held + share * tracked.rows.hidden[-1]
        taken |= probs.argmax(-1) < 3
        torch.testing.assert_close(state.memory.embeds, held)
        assert torch.equal(state.occupied, taken)


@torch.no_grad()
def test_a_given_order_is_taken():
    tracker, (queries, hidden) = build(), frames()
    order = torch.tensor([[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]])
    (_, (tracked, _), _) = follow(tracker, queries, hidden, order=order)
    assert torch.equal(tracked.order, order)


@torch.no_grad()
def test_at_inference_the_last_layer_alone():
    tracker, (queries, hidden) = build(), frames()
    trained = [x.rows for x, _ in follow(tracker, queries, hidden)]
    tested = [x for x, _ in follow(tracker.eval(), queries, hidden)]
    for one, two in zip(trained, tested, strict=True):
        assert two.existing is None
        for a, b in zip(one, two.rows, strict=True):
            assert torch.equal(a[-1:], b)


@torch.no_grad()
def test_t_e_alone_orders_queries_and_remembers_them():
    tracker = build(num_aligning=0).eval()
    queries, hidden = frames()
    weight = torch.full((2, 5), .25)
    present = torch.tensor([[True, False, True, False, False]] * 2)
    steps = follow(tracker, queries, hidden, weight=weight, present=present)
    held = queries[0]
    for t, (tracked, state) in enumerate(steps):
        assert tracked.rows is None and tracked.similarity is None
        if t:
            held = .75 * held + .25 * reorder(queries[t], tracked.order)
        torch.testing.assert_close(state.memory.embeds, held)
    assert not any(n.startswith('aligning')
                   for n, _ in tracker.named_parameters())
