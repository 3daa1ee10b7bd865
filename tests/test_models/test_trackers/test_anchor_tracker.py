"""Tracker of DVIS-DAQ: anchors, slots, what goes on."""
import torch

from mmvis_memcnp.models.trackers import AnchorTracker
from mmvis_memcnp.models.trackers.anchors import learned_queries

SIZES = dict(num_classes=3, num_layers=2, embed_dims=16, num_heads=2,
             feedforward_channels=24, mask_dims=8, num_slots=2)


def tracker(seed=0):
    torch.manual_seed(seed)
    built = AnchorTracker(**SIZES)
    built.init_weights()
    return built.eval()


def random(*shape, seed=1):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed))


def test_an_anchor_is_the_mean_inside_of_a_mask():
    """Also of an empty one, which is that of zeros."""
    model, features = tracker(), random(1, 8, 3, 4)
    masks = torch.full((1, 3, 3, 4), -1.)
    masks[0, 0, 1, 2] = masks[0, 0, 0, 0] = 5.
    masks[0, 1] = 1.
    pooled = torch.stack([
        (features[0, :, 1, 2] + features[0, :, 0, 0]) / 2,
        features[0].flatten(1).mean(1), torch.zeros(8)])
    torch.testing.assert_close(
        model.anchors(masks, features)[0], model.anchor_embed(pooled))


def test_learned_queries_are_shared_out():
    """By the sum of cosines; none twice, padding takes none away."""
    feat = torch.eye(3)
    rows = torch.tensor([[[2., 1., 0.], [3., 0., 0.], [0., 0., 1.]]] * 2)
    padded = torch.tensor([[False] * 3, [False, True, False]])
    found = learned_queries(rows, feat, padded)
    assert found[0].tolist() == [1, 0, 2]  # the second wants 0 more
    assert found[1, [0, 2]].tolist() == [0, 2]
    # More rows than queries: the rest takes what it is like.
    rows = torch.tensor([[[1., 0., 0.], [2., .1, 0.], [0., 1., 0.],
                          [0., 0., 1.]]])
    assert learned_queries(rows, feat, torch.zeros(1, 4).bool())[
        0].tolist() == [0, 0, 1, 2]


def begun(model, keep):
    """Instances of a first frame, of the rows that are kept."""
    queries = random(*keep.shape, 16)
    rows = model(None, queries)
    return model.carry(None, rows, random(*keep.shape, 16, seed=2), keep)


def test_who_goes_on_and_in_which_order():
    model = tracker()
    keep = torch.tensor([[False, True, False, True, True],
                         [True, False, False, False, False]])
    tracks, source = begun(model, keep)
    assert source.tolist() == [[1, 3, 4], [0, 5, 5]]
    assert tracks.valid.tolist() == [[True] * 3, [True, False, False]]
    rows = model(None, random(2, 5, 16)).hidden[-1]
    torch.testing.assert_close(tracks.queries[0], rows[0, [1, 3, 4]])
    torch.testing.assert_close(
        model.memory.read(tracks.anchors)[1, 0],
        random(2, 5, 16, seed=2)[1, 0])


def test_anchors_move_of_those_that_are_seen():
    model = tracker()
    tracks, _ = begun(model, torch.ones(1, 5).bool())
    queries, positions = random(1, 5, 16, seed=3), random(1, 5, 16, seed=4)
    rows = model(tracks, queries, positions)
    assert rows.hidden.shape == (3, 1, 10, 16) and rows.slots is None
    seen = torch.tensor([[True, False, True, False, False] + [True] * 5])
    before = model.memory.read(tracks.anchors)
    anchors = torch.cat((before * 2, positions), 1)  # alike: the share is 1
    after, _ = model.carry(
        tracks, rows, anchors, torch.ones(1, 10).bool(), seen)
    now = model.memory.read(after.anchors)[0]
    torch.testing.assert_close(now[[0, 2]], before[0, [0, 2]] * 2)
    assert torch.equal(now[[1, 3, 4]], before[0, [1, 3, 4]])
    torch.testing.assert_close(now[5:], positions[0])
    # The state of before stays as it was.
    assert torch.equal(model.memory.read(tracks.anchors), before)


def test_new_rows_are_told_apart_by_their_anchors():
    model = tracker()
    tracks, _ = begun(model, torch.ones(1, 5).bool())
    queries = random(1, 5, 16, seed=3)
    apart = model(tracks, queries, random(1, 5, 16, seed=4)).hidden[:, 0, 5:]
    assert torch.equal(apart[0], model.new_instance.weight.expand(5, -1))
    assert apart[-1].std(0).mean() > 1e-3
    alike = model(tracks, queries, torch.ones(1, 5, 16)).hidden[-1, 0, 5:]
    torch.testing.assert_close(alike, alike[:1].expand(5, -1))


def test_slots_do_not_see_what_is_hidden():
    model, feat = tracker(), random(5, 16, seed=6)
    tracks, _ = begun(model, torch.ones(1, 5).bool())
    queries, positions = random(1, 5, 16, seed=3), random(1, 5, 16, seed=4)
    hidden = torch.tensor([[False, True, False, False, False]])

    def slots(value, hidden):
        other = queries.clone()
        other[:, 1] = value
        return model(tracks, other, positions, feat, hidden).slots

    assert slots(0., hidden).shape == (2, 1, 7, 16)
    assert torch.equal(slots(0., hidden), slots(9., hidden))
    assert not torch.allclose(slots(0., None), slots(9., None))
