"""Areas, boxes and overlaps of tracks against decoded masks."""
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.evaluation.functional import (
    GTTrack,
    Overlaps,
    intersections,
    measure_video,
    overlap_video,
    overlaps,
    reduce_video,
    stack_boxes,
)
from mmvis_memcnp.results import compiled
from mmvis_memcnp.results.spans import TrackMaskError

from ..toy import result, rle, rows

SIZE = (13, 17)


def ious(a, b):
    """Track IoU of a prediction and a ground truth on 4 x 4 frames."""
    prediction = GTTrack(1, False, None, a)
    prediction.score = .5
    cells = reduce_video([prediction], [GTTrack(1, False, None, b)], (4, 4))
    return cells[1].ious.tolist()


def test_sums_over_frames():
    a, b = [rows(0, 1), None], [rows(1, 2), rows(3)]
    # frame 0: 4 of 12 pixels; frame 1: nothing of 4
    assert ious(a, b) == [[4 / 16]]
    assert ious([None, None], b) == [[0]]
    assert ious([None], [None]) == [[0]]


def test_shorter_track_ends_the_sum():
    a, b = [rows(0)], [rows(0), rows(0, 1)]
    assert ious(a, b) == ious(b, a) == [[1]]
    # other pairs of the same call go on
    found = overlap_video([a, b], [b], (4, 4))
    assert found.common.tolist() == [[4], [12]]
    assert found.unions(found.common).tolist() == [[4], [12]]


@pytest.mark.parametrize('other', [rows(0, size=(4, 5)),
                                   rows(3, size=(4, 5)),
                                   rle(size=(5, 4))])
def test_frames_of_different_size_are_refused(other):
    with pytest.raises(TrackMaskError, match=r'\[4, 4\]') as caught:
        overlap_video([[rows(0), rows(1)]], [[None, rows(2)], [None, other]],
                      (4, 4))
    assert (caught.value.track, caught.value.frame) == (2, 1)
    with pytest.raises(ValueError, match='^entry 3, frame 1: the mask has'):
        wrong = GTTrack(1, False, None, [None, other], 'entry 3')
        measure_video([], [wrong], (4, 4))


def coded(masks, form):
    """Codes of bool (n, T, H, W) in one of the forms of json files."""
    def code(mask):
        found = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
        if form == 'str':
            return result([found])['segmentations'][0]
        if form == 'runs':
            flat = mask.ravel(order='F')
            edges = np.flatnonzero(np.diff(flat, prepend=False))
            found = dict(size=list(mask.shape), counts=np.diff(
                edges, prepend=0, append=flat.size).tolist())
        return found
    return [[code(m) if m.any() else None for m in track] for track in masks]


@pytest.mark.parametrize('form', ['bytes', 'str', 'runs'])
@pytest.mark.parametrize('text', [1, 400, 1 << 18])
@pytest.mark.parametrize('way', ['bounds', 'bits', 'compiled'])
def test_equal_to_decoded_masks(form, text, way, monkeypatch):
    if way != 'compiled':
        monkeypatch.setattr(compiled, 'missing', lambda: 'left out')
        monkeypatch.setattr(intersections, '_LOOK_UP',
                            dict(bounds=0, bits=1e9)[way])
    elif compiled.missing():
        pytest.skip('the compiled functions are not built')
    # 400 characters: blocks of some frames, which do not divide the video
    monkeypatch.setattr(overlaps, '_BLOCK_TEXT', text)
    rng = np.random.default_rng(text)
    masks = rng.random((9, 7, *SIZE)) < rng.random((9, 7, 1, 1))
    masks[rng.random((9, 7)) < .3] = False
    masks[rng.random((9, 7)) < .1] = True  # whole frames
    x, y = masks[:5], masks[5:]
    kinds = rng.integers(0, 2, 5), rng.integers(0, 2, 4)
    expected = (x[:, None] & y[None]).sum((3, 4))
    codes = coded(x, form), coded(y, form)
    found = overlap_video(*codes, SIZE, by_frame=True, boxes=True)
    assert (found.common == expected).all()
    assert (found.areas == x.sum((2, 3))).all()
    assert (found.gt_areas == y.sum((2, 3))).all()
    assert (found.unions(expected.sum(2)) ==
            (x[:, None] | y[None]).sum((2, 3, 4))).all()
    for boxes, tracks in ((found.boxes, x), (found.gt_boxes, y)):
        np.testing.assert_array_equal(
            boxes, stack_boxes(coded(tracks, 'bytes'), 7))
    same = kinds[0][:, None] == kinds[1][None]
    found = overlap_video(*codes, SIZE, kinds)
    assert (found.common == expected.sum(2) * same).all()


def test_lots_of_predictions_are_joined():
    masks = [[rows(0)], [rows(1), rows(2)], [None, None, rows(3)]]
    for by_frame in (False, True):
        whole = overlap_video(masks, masks[1:], (4, 4), by_frame=by_frame,
                              boxes=True)
        lots = [overlap_video([m], masks[1:], (4, 4), by_frame=by_frame,
                              boxes=True) for m in masks]
        joined = Overlaps.join(lots)
        for name, values in vars(whole).items():
            np.testing.assert_array_equal(getattr(joined, name), values)


def test_nothing_on_one_side():
    found = overlap_video([], [[rows(0), None]], (4, 4), by_frame=True)
    assert found.common.shape == (0, 1, 2)
    assert found.gt_areas.tolist() == [[4, 0]]
    assert overlap_video([], [], (4, 4)).common.shape == (0, 0)
