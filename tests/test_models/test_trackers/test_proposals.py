"""Instances of a video chosen among queries by its first frames."""
import pytest
import torch

from mmvis_memcnp.models.trackers import ProposalState, QueryProposals


def scores(*rows):
    """Class scores (Q, K) of a frame in which every other one is 0."""
    out = torch.zeros(4, 2)
    for query, label, value in rows:
        out[query, label] = value
    return out


@pytest.mark.parametrize('frames, number, chosen', [
    # the best first, whatever the class
    ([scores((2, 1, .5), (0, 0, .9))], 2, [0, 2]),
    # one query by two classes takes two of the places, and is chosen once
    ([scores((3, 0, .8), (3, 1, .7), (1, 0, .6))], 2, [3]),
    # the same over frames; the better frame decides the order
    ([scores((1, 0, .3)), scores((1, 0, .9), (2, 0, .5))], 3, [1, 2]),
    # more places than scores: every query
    ([scores((1, 0, .3))], 99, [1, 0, 2, 3]),
])
def test_the_best_scores_choose(frames, number, chosen):
    found = QueryProposals(number, len(frames)).choose(torch.stack(frames))
    assert found[:1].tolist() == chosen[:1]
    assert sorted(found.tolist()) == sorted(chosen)
    assert len(found) > 3 or found.tolist() == chosen  # others tie at 0


def test_frames_wait_for_the_choice_and_later_ones_do_not_change_it():
    proposals, state = QueryProposals(1, 3), ProposalState()
    due = [proposals.step(state, scores((query, 0, value)), name)
           for name, query, value in (('a', 0, .2), ('b', 3, .6),
                                      ('c', 1, .4), ('d', 2, .9))]
    assert due == [[], [], ['a', 'b', 'c'], ['d']]
    assert state.chosen.tolist() == [3]
    assert proposals.flush(state) == []


def test_a_short_video_chooses_at_its_end():
    proposals, state = QueryProposals(1, 3), ProposalState()
    assert proposals.flush(state) == [] and state.chosen is None
    assert proposals.step(state, scores((2, 1, .5)), 'a') == []
    assert proposals.flush(state) == ['a'] and state.chosen.tolist() == [2]
