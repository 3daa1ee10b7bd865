"""The queue of tokens: what goes in, how long it stays, where it stands."""
import pytest
import torch

from mmvis_memcnp.models.segmenters.deformable import TokenMemory

Q, C, K = 6, 8, 3


def memory(**kwargs):
    torch.manual_seed(0)
    return TokenMemory(num_classes=K, embed_dims=C,
                       **{**dict(num_tokens=2, num_frames=3), **kwargs})


def frame(batch=1, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, Q, C, generator=g),
            torch.randn(batch, Q, K, generator=g),
            torch.rand(batch, Q, 4, generator=g))


def push(mem, state, content):
    queries, logits, boxes = content
    return mem.push(state, mem.select(logits), queries, logits, boxes)


def test_best_class_scores_are_chosen_matched_queries_first():
    logits = torch.zeros(1, Q, K)
    logits[0, :, 1] = torch.tensor([0., 5., 1., 4., 2., 3.])
    mem = memory()
    assert mem.select(logits).tolist() == [[1, 3]]
    matched = torch.zeros(1, Q, dtype=torch.bool)
    matched[0, 0] = True
    assert mem.select(logits, matched).tolist() == [[0, 1]]
    assert memory(num_tokens=20).select(logits).shape == (1, Q)


def test_token_is_the_projection_of_query_classes_and_box():
    mem, (queries, logits, boxes) = memory(), frame()
    state = push(mem, None, (queries, logits, boxes))
    q = int(state.sources[0, 0, 0])
    raw = torch.cat((queries[0, q], logits[0, q].sigmoid(), boxes[0, q]))
    assert torch.allclose(state.tokens[0, 0, 0], mem.project(raw), atol=1e-6)


def test_queue_is_bounded_and_drops_the_oldest():
    mem, state, seen = memory(), None, []
    for t in range(7):
        state = push(mem, state, frame(seed=t))
        seen.append(state.tokens[0, -1].clone())
        assert state.tokens.shape == (1, min(t + 1, 3), 2, C)
    assert torch.equal(state.tokens[0], torch.stack(seen[-3:]))


def test_batch_of_two_is_two_batches_of_one():
    mem, states = memory(), [None, None, None]
    for t in range(4):
        both = frame(2, seed=t)
        for i, rows in enumerate((slice(0, 1), slice(1, 2), slice(0, 2))):
            states[i] = push(mem, states[i], [x[rows] for x in both])
    position = torch.randn(Q, C)
    one, two, both = (mem.read(s, position) for s in states)
    for a, b, c in zip(one, two, both, strict=True):
        assert torch.allclose(torch.cat((a, b)), c, atol=1e-6)


def test_gradient_reaches_the_projection_alone():
    mem = memory()
    queries, logits, boxes = (x.requires_grad_() for x in frame())
    state = push(mem, None, (queries, logits, boxes))
    state.tokens.sum().backward()
    assert queries.grad is None and boxes.grad is None
    assert mem.project.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('rule, first, last', [
    # the newest frame always stands at the end of the table, or the oldest
    # always at its start
    ('age', 2, 2), ('slot', 0, 2)])
def test_temporal_index(rule, first, last):
    mem, position = memory(temporal_index=rule), torch.zeros(Q, C)
    table = mem.sine(torch.zeros(1, 3, 1, dtype=torch.bool))[0, :, :, 0].t()
    state = push(mem, None, frame())
    assert torch.equal(mem.read(state, position)[1][0, 0], table[first])
    for t in range(1, 5):
        state = push(mem, state, frame(seed=t))
    place = mem.read(state, position)[1][0]
    assert torch.equal(place[0], table[0])
    assert torch.equal(place[-1], table[last])


@pytest.mark.parametrize('rule, same', [('age', True), ('slot', False)])
def test_an_age_means_the_same_in_clips_of_any_length(rule, same):
    mem, position = memory(temporal_index=rule), torch.zeros(Q, C)
    state = push(mem, push(mem, None, frame()), frame(seed=1))
    clip, video = (mem.read(state, position, span)[1] for span in (2, None))
    assert torch.equal(clip, video) == same


def test_position_is_that_of_the_query():
    mem = memory()
    state = push(mem, None, frame())
    blank, own = (mem.read(state, p)[1] for p in (
        torch.zeros(Q, C), torch.arange(Q)[:, None].expand(Q, C).float()))
    assert torch.allclose((own - blank)[0, :, 0], state.sources[0, 0].float(),
                          atol=1e-5)


@pytest.mark.parametrize('options, message', [
    (dict(num_tokens=0), 'memory=None'), (dict(num_frames=0), 'memory=None'),
    (dict(temporal_index='time'), "'time'")])
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        memory(**options)
