"""Scores of a video from those of its frames, by hand."""
import pytest
import torch

from mmvis_memcnp.results.query_scoring import (
    MeanQueryScoring,
    TopQuarterQueryScoring,
)

FRAMES = torch.tensor([  # one query, three classes
    [[.9, .1, .0]], [[.1, .8, .0]], [[.1, .7, .0]], [[.1, .6, .0]],
    [[.85, .1, .0]], [[.0, .1, .0]], [[.0, .1, .0]], [[.0, .1, .3]]])


def score(rule, frames):
    for frame in frames:
        rule.add(frame)
    labels, scores = rule.finish()
    return labels.tolist(), scores.tolist()


def test_mean_is_over_all_frames():
    labels, scores = score(MeanQueryScoring(), FRAMES)
    assert labels == [1]
    assert scores == pytest.approx([2.6 / 8])


@pytest.mark.parametrize('count, label, expected', [
    (8, 0, .875),  # two best: .9 and .85
    (4, 0, .9), (3, 0, .9), (1, 0, .9)])  # short videos take one
def test_top_quarter(count, label, expected):
    labels, scores = score(TopQuarterQueryScoring(), FRAMES[:count])
    assert labels == [label] and scores == pytest.approx([expected])


def test_top_quarter_takes_the_most_frequent_then_the_smallest_class():
    three = torch.tensor([[[.9, .0]], [[.0, .8]], [[.0, .7]]] +
                         [[[.1, .1]]] * 9)
    assert score(TopQuarterQueryScoring(), three) == (
        [1], pytest.approx([.75]))
    tie = torch.tensor([[[.0, .9]], [[.8, .0]]] + [[[.1, .1]]] * 6)
    assert score(TopQuarterQueryScoring(), tie) == ([0], pytest.approx([.8]))


def test_what_is_needed_later_is_not_thrown_away():
    """The second best of early frames counts once the video is longer."""
    torch.manual_seed(0)
    frames = torch.rand(40, 5, 4)
    all_scores = frames.permute(1, 0, 2).flatten(1)
    best, index = all_scores.topk(10, dim=1)
    label = (index % 4).mode(dim=1).values
    own = (index % 4) == label[:, None]
    expected = (best * own).sum(1) / own.sum(1)
    rule = TopQuarterQueryScoring(max_kept=10)
    for frame in frames:
        rule.add(frame)
    labels, scores = rule.finish()
    assert torch.equal(labels, label)
    assert torch.allclose(scores, expected)


@pytest.mark.parametrize('rule', [MeanQueryScoring, TopQuarterQueryScoring])
def test_size_does_not_depend_on_time(rule):
    def size(frames):
        kept = rule()
        for _ in range(frames):
            kept.add(torch.rand(5, 4))
        return sum(v.numel() for v in vars(kept).values()
                   if isinstance(v, torch.Tensor))

    assert size(1) == size(40) == size(160)
    with pytest.raises(ValueError, match='No frame'):
        rule().finish()
