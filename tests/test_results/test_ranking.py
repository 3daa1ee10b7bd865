"""Scores of a video from those of its frames, by hand."""
import pytest
import torch

from mmvis_memcnp.results import (
    FrameInstances,
    LatestClass,
    MajorityLabel,
    MaskSource,
    MeanClass,
    MeanQuery,
    TopPairs,
    TopQuarterQuery,
)

NO_MASKS = MaskSource(torch.zeros(0, 1, 1), {}, 'stretch', 1)


def instances(ids, class_scores=None, **fields):
    """A frame's value; rows of class scores."""
    if class_scores is not None:
        fields['class_scores'] = torch.as_tensor(class_scores)
    return FrameInstances(torch.tensor(ids, dtype=torch.long), NO_MASKS, {},
                          **fields)


def rank(ranking, *frames):
    for frame in frames:
        ranking.add(frame)
    return [(r.id, r.label, pytest.approx(r.score, abs=1e-6))
            for r in ranking.finish()]


def query(*rows):
    """Frames of one query, from class scores."""
    return [instances([4], [row]) for row in rows]


EIGHT = query([.9, .1, .0], [.1, .8, .0], [.1, .7, .0], [.1, .6, .0],
              [.85, .1, .0], [.0, .1, .0], [.0, .1, .0], [.0, .1, .3])
LABELLED = [  # (ids, labels, scores)
    ([7, 2], [3, 1], [.5, .25]), ([7], [5], [.75]), ([2, 7], [0, 5], [.75, 1])]


def labelled(rows=LABELLED):
    return [instances(ids, labels=torch.tensor(labels),
                      scores=torch.tensor(scores))
            for ids, labels, scores in rows]


@pytest.mark.parametrize('ranking, frames, expected', [
    # most frequent label, mean score; the smallest label on a tie
    (MajorityLabel(), labelled(), [(2, 0, .5), (7, 5, .75)]),
    # every class above the threshold is a track; mean over seen frames
    (MeanClass(.3), [*query([.9, .1, .2]), instances(
        [], torch.zeros(0, 3)), *query([.1, .7, .2])],
     [(4, 0, .5), (4, 1, .4)]),
    # the last scores hold
    (LatestClass(.3), query([.9, .1, .2], [.4, .7, .2]),
     [(4, 0, .4), (4, 1, .7)]),
    # best class of the mean
    (MeanQuery(), EIGHT, [(4, 1, 2.6 / 8)]),
    (MeanQuery(.5), EIGHT, []),
    # two best of eight frames: .9 and .85
    (TopQuarterQuery(), EIGHT, [(4, 0, .875)]),
    # short videos take one
    (TopQuarterQuery(), EIGHT[:4], [(4, 0, .9)]),
    (TopQuarterQuery(), EIGHT[:1], [(4, 0, .9)]),
    (TopQuarterQuery(.95), EIGHT[:1], []),
    # the most frequent class, though it is not the best
    (TopQuarterQuery(), query([.9, .0], [.0, .8], [.0, .7],
                              *[[.1, .1]] * 9), [(4, 1, .75)]),
    # the smallest class on a tie
    (TopQuarterQuery(), query([.0, .9], [.8, .0], *[[.1, .1]] * 6),
     [(4, 0, .8)]),
])
def test_by_hand(ranking, frames, expected):
    assert rank(ranking, *frames) == expected


def logits(ids, rows):
    return instances(ids, logits=torch.tensor(rows))


def test_top_pairs_averages_logits_not_probabilities():
    """Identity 1: mean logits (2, 0 | 0); its probabilities' mean differs."""
    frames = [logits([1, 5], [[4., 0., 0.], [0., 3., 9.]]),
              logits([1, 5], [[0., 0., 0.], [0., 3., 9.]])]
    first = torch.tensor([2., 0., 0.]).softmax(0)[0].item()
    second = torch.tensor([2., 0., 0.]).softmax(0)[1].item()
    assert rank(TopPairs(2), *frames) == [(1, 0, first), (1, 1, second)]
    # All pairs, without "no object", best first.
    ranked = rank(TopPairs(99), *frames)
    assert [r[:2] for r in ranked] == [(1, 0), (1, 1), (5, 1), (5, 0)]


def test_top_pairs_averages_over_the_frames_of_an_identity():
    frames = [logits([1], [[2., 0.]]), logits([2], [[1., 0.]]),
              logits([1], [[0., 0.]])]
    half = torch.tensor(1.).sigmoid().item()
    assert rank(TopPairs(), *frames) == [(1, 0, half), (2, 0, half)]


def test_top_quarter_keeps_what_is_needed_later():
    """The second best of early frames counts once the video is longer."""
    torch.manual_seed(0)
    frames = torch.rand(40, 5, 4)
    best, index = frames.permute(1, 0, 2).flatten(1).topk(10, dim=1)
    label = (index % 4).mode(dim=1).values
    own = (index % 4) == label[:, None]
    expected = (best * own).sum(1) / own.sum(1)
    ranking = TopQuarterQuery(max_kept=10)
    assert rank(ranking, *[instances(list(range(5)), f.tolist())
                           for f in frames]) == [
        (i, label[i].item(), expected[i].item()) for i in range(5)]


@pytest.mark.parametrize('ranking, frames', [
    (MajorityLabel, labelled()), (MeanClass, EIGHT), (LatestClass, EIGHT),
    (MeanQuery, EIGHT), (TopQuarterQuery, EIGHT),
    (TopPairs, [logits([4], [[2., 0.]])] * 3)])
def test_dropped_identities_are_forgotten(ranking, frames):
    one = ranking()
    for frame in frames:
        one.add(frame)
    one.drop([4, 7, 99])
    assert {r.id for r in one.finish()} <= {2}
    assert ranking().finish() == []


@pytest.mark.parametrize('ranking', [MeanClass(), LatestClass(), MeanQuery()])
def test_no_tensor_stays_behind(ranking):
    """Little tensors that stay tear the heap of a long video to pieces."""
    rank(ranking, *EIGHT)
    kept = [ranking._sums, *ranking._sums.values(), ranking._counts]
    assert not any(torch.is_tensor(value) for value in kept)


def test_top_quarter_does_not_grow():
    def size(frames):
        kept = TopQuarterQuery()
        rank(kept, *query(*[[.5, .1]] * frames))
        return sum(v.numel() for v in vars(kept).values()
                   if isinstance(v, torch.Tensor))

    assert size(1) == size(40) == size(160)


@pytest.mark.parametrize('ranking, frame, message', [
    (MeanClass(), labelled()[0], 'needs class_scores'),
    (TopPairs(), EIGHT[0], 'needs logits'),
])
def test_missing_numbers_are_named(ranking, frame, message):
    with pytest.raises(ValueError, match=message):
        ranking.add(frame)


def test_top_quarter_needs_the_same_queries():
    ranking = TopQuarterQuery()
    ranking.add(instances([1], [[.5]]))
    with pytest.raises(ValueError, match='the same identities'):
        ranking.add(instances([2], [[.5]]))


def rated(frame, *rows):
    """With (sum of probabilities, pixels) of each identity."""
    frame.quality = torch.tensor(rows)
    return frame


def test_pairs_are_weighed_by_the_masks_of_the_video():
    frames = [
        # the better identity has the worse mask: 10 of 40 and 10 of 10
        rated(logits([1, 2], [[3., 0., 0.], [2., 0., 0.]]),
              [8., 20.], [9., 10.]),
        rated(logits([1], [[3., 0., 0.]]), [2., 20.])]
    plain = {r.id: r.score for r in _ranked(TopPairs(3), frames)
             if r.label == 0}
    found = _ranked(TopPairs(3, rescore=True), frames)
    # The three best pairs as before, then weighed and sorted.
    assert [(r.id, r.label) for r in found[:2]] == [(2, 0), (1, 0)]
    assert found[0].score == pytest.approx(plain[2] * .9)
    assert found[1].score == pytest.approx(plain[1] * .25)


def _ranked(ranking, frames):
    for frame in frames:
        ranking.add(frame)
    return ranking.finish()


def test_weights_of_masks_at_the_edges():
    ranking = TopPairs(9, rescore=True)
    # never a pixel: no score
    ranking.add(rated(logits([1], [[3., 0., 0.]]), [0., 0.]))
    assert [r.score for r in ranking.finish()] == [0., 0.]
    # forgotten, then afresh
    ranking.drop([1])
    ranking.add(rated(logits([1], [[3., 0., 0.]]), [5., 10.]))
    best = logits([1], [[3., 0., 0.]]).scores[0] / 2
    assert ranking.finish()[0].score == pytest.approx(best.item())
    with pytest.raises(ValueError, match='leave rescore out'):
        ranking.add(logits([1], [[3., 0., 0.]]))
