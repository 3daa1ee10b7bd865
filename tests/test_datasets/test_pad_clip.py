"""Frames of different sizes become one clip."""
import numpy as np

from mmvis_memcnp.datasets.transforms import PadClip


def test_frames_grow_to_the_largest_sides():
    frames = [np.zeros((4, 7, 3), np.uint8), np.ones((6, 5, 3), np.uint8)]
    out = PadClip()(dict(img=list(frames), img_shape=[(4, 7), (6, 5)]))
    assert [f.shape for f in out['img']] == [(6, 7, 3)] * 2
    assert out['img_shape'] == [(4, 7), (6, 5)]
    for padded, frame in zip(out['img'], frames, strict=True):
        height, width = frame.shape[:2]
        np.testing.assert_array_equal(padded[:height, :width], frame)
        assert (padded[height:] == (104, 116, 124)).all()
        assert (padded[:, width:] == (104, 116, 124)).all()


def test_equal_frames_stay():
    frame = np.zeros((4, 7, 3), np.uint8)
    out = PadClip(pad_val=(1, 2, 3))(dict(img=[frame, frame]))
    assert all(f is frame for f in out['img'])
    assert repr(PadClip((1, 2, 3))) == 'PadClip(pad_val=(1, 2, 3))'
