"""Which prediction learns which object: two tables and their pairs."""
import pytest
import torch

from mmvis_memcnp.models.truth import Matches

#: Two layers, one frame, four queries, three objects.
BEST = torch.tensor([[[2, -1, 0]], [[1, 3, -1]]])


@pytest.fixture
def matches():
    return Matches.of_objects(BEST, 4)


def test_tables_by_hand(matches):
    # layer 0: query 2 has object 0, query 0 object 2; layer 1 likewise
    assert matches.gt_index.tolist() == [[[2, -1, 0, -1]], [[-1, 0, -1, 1]]]
    assert torch.equal(matches.best, BEST)
    assert matches.pos.sum() == 4 and torch.equal(matches.neg, ~matches.pos)


def test_pairs_are_ordered_by_layer_and_query(matches):
    assert [x.tolist() for x in matches.pairs] == [
        [0, 0, 1, 1], [0] * 4, [0, 2, 1, 3], [2, 0, 0, 1]]
    named = matches.layer, matches.frame, matches.query, matches.gt
    assert all(map(torch.equal, named, matches.pairs))


def test_matches_of_clips_hold_in_their_frames():
    """Clip 1 of 2, in frames 2 and 3 of 4; as if they had been matched."""
    best = torch.tensor([[[-1, -1], [2, 0]], [[1, -1], [-1, -1]]])
    moved = Matches.of_objects(best, 3).by_frame(2)
    again = Matches.of_objects(best.repeat_interleave(2, 1), 3)
    assert torch.equal(moved.gt_index, again.gt_index)
    assert torch.equal(moved.best, again.best)
    assert sorted(torch.stack(moved.pairs, 1).tolist()) == (
        torch.stack(again.pairs, 1).tolist())


def test_pairs_of_points_have_no_layer():
    found = Matches(torch.tensor([[1, -1], [-1, 0]]))
    assert [x.tolist() for x in found.pairs] == [[0, 1], [0, 1], [1, 0]]


def test_what_is_ignored_is_no_negative():
    found = Matches(torch.tensor([0, -1, -1]),
                    ignored=torch.tensor([False, True, False]))
    assert found.pos.tolist() == [True, False, False]
    assert found.neg.tolist() == [False, False, True]


def test_a_table_by_object(matches):
    table = matches.of_each_object(3)
    assert table.shape == (2, 1, 3, 4) and table.sum() == 4
    assert torch.equal(table.long().argmax(-1)[BEST >= 0], BEST[BEST >= 0])


def test_some_objects_only(matches):
    found = matches.only(torch.tensor([[True, True, False]]))
    assert found.best.tolist() == [[[2, -1, -1]], [[1, 3, -1]]]
    assert found.gt_index.tolist() == [[[-1, -1, 0, -1]], [[-1, 0, -1, 1]]]


def test_moving_keeps_tables_and_pairs(matches):
    moved = matches.to(torch.device('cpu'))
    assert all(map(torch.equal, moved.pairs, matches.pairs))
    assert torch.equal(moved.gt_index, matches.gt_index)
    assert moved.ignored is None and moved.centreness is None


def test_no_pair_at_all():
    found = Matches.of_objects(torch.full((2, 3, 1), -1), 5)
    assert not found.pos.any() and found.gt_index.shape == (2, 3, 5)
    assert [len(x) for x in found.to(torch.device('cpu')).pairs] == [0] * 4
