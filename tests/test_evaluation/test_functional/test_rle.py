import numpy as np

from mmvis_memcnp.evaluation.functional import (
    areas,
    stack_boxes,
    tight_boxes,
)

from ..toy import rle


def test_areas_and_boxes_of_a_track():
    track = [rle((1, 2), (3, 3)), None, rle()]
    assert areas(track).tolist() == [2, 0, 0]
    boxes = tight_boxes(track)
    assert boxes[0].tolist() == [2, 1, 2, 3]  # x, y, w, h
    assert np.isnan(boxes[1:]).all()
    assert stack_boxes([track, track[:1]], 3).shape == (2, 3, 4)
