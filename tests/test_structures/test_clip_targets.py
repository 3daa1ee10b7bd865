"""Objects of a clip, lined up by identity."""
import torch
from mmdet.structures import TrackDataSample

from mmvis_memcnp.structures.clip_targets import collect_clip_targets
from tests.fakes.tiny_sipmask import frame

A, B = (7, 1, 0, 0, 16, 8), (2, 0, 8, 8, 24, 16)


def clip(*frames, size=(16, 32)):
    sample = TrackDataSample()
    sample.video_data_samples = [
        frame(objects, size, t) for t, objects in enumerate(frames)]
    for single in sample.video_data_samples:
        single.set_metainfo(dict(batch_input_shape=size))
    return sample


def test_objects_are_lined_up():
    gt = collect_clip_targets([clip([A, B], [B], []), clip([], [A], [A])],
                              torch.device('cpu'))
    assert gt.valid.tolist() == [[True, True], [True, False]]
    assert gt.present.tolist() == [
        [[True, True], [True, False], [False, False]],
        [[False, False], [True, False], [True, False]]]
    assert gt.labels.tolist() == [[0, 1], [1, 0]]
    assert torch.allclose(gt.boxes[0, 0], torch.tensor(
        [[.5, .75, .5, .5], [.25, .25, .5, .5]]))
    assert (gt.boxes[0, 2] == 1e-6).all()
    assert gt.masks.shape == (2, 3, 2, 4, 8)
    assert gt.masks[0, 0].flatten(1).sum(1).tolist() == [8, 8]
    assert not gt.masks[0, 2].any() and not gt.masks[1, :, 1].any()
    assert (gt.sizes == torch.tensor([32., 16.])).all()


def test_no_object_at_all():
    gt = collect_clip_targets([clip([], [])], torch.device('cpu'))
    assert gt.valid.tolist() == [[False]]
    assert not gt.present.any() and not gt.masks.any()


def test_sides_that_eight_does_not_divide():
    gt = collect_clip_targets([clip([A], size=(13, 30))],
                              torch.device('cpu'))
    assert gt.masks.shape[-2:] == (4, 8)
