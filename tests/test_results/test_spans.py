"""Masks as spans: equal to pycocotools, and as strict as the slow way."""
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.results import spans
from mmvis_memcnp.results.rle import MaskError, to_rles
from mmvis_memcnp.results.spans import TrackMaskError, read_spans
from tests.test_results.test_rle import changed_codes


def encode(masks):
    return mask_utils.encode(np.asfortranarray(
        masks.transpose(1, 2, 0).astype(np.uint8)))


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (3, 40), (360, 640)])
@pytest.mark.parametrize('share', [0., .02, .5, .98, 1.])
def test_pixels_areas_and_boxes(size, share):
    rng = np.random.default_rng(0)
    masks = rng.random((6, *size)) < share
    masks[:3, :size[0] // 2] = True
    masks[3:, :, :size[1] // 2] = False
    codes = encode(masks)
    found, places = read_spans([codes[:2], [None, *codes[2:]]], size)
    assert places.tolist() == [[0, 0], [0, 1], [1, 1], [1, 2], [1, 3], [1, 4]]
    for k, mask in enumerate(masks):
        flat = np.zeros(mask.size, bool)
        for begin, end in found.bounds[found.offsets[k]:found.offsets[k + 1]]:
            flat[begin:end] = True
        assert (flat == mask.ravel(order='F')).all()
    assert (found.areas() == masks.sum((1, 2))).all()
    boxes = mask_utils.toBbox(codes)
    boxes[masks.sum((1, 2)) == 0] = np.nan
    np.testing.assert_array_equal(found.boxes(), boxes)


@pytest.mark.parametrize('first, last', [
    (0, 350),  # all, no whole number of words
    (0, 320), (64, 128),  # whole words
    (3, 5), (37, 350),  # spans begin before and end behind
])
@pytest.mark.parametrize('share', [0., .02, .5, .98, 1.])
def test_bits(first, last, share):
    rng = np.random.default_rng(0)
    masks = rng.random((6, 7, 50)) < share
    masks[0, :, :20] = True  # some words are full
    found, _ = read_spans([encode(masks)], (7, 50))
    bits = found.bits(slice(0, 4), first, last)
    flat = masks[:4].transpose(0, 2, 1).reshape(4, -1)[:, first:last]
    drawn = np.unpackbits(bits.view(np.uint8), axis=1, bitorder='little')
    assert (drawn[:, :last - first] == flat).all()
    assert not drawn[:, last - first:].any()


def test_batches_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    codes = encode(rng.random((40, 9, 11)) < .5)
    whole, _ = read_spans([codes], (9, 11))
    monkeypatch.setattr(spans, '_BATCH', 70)
    parts, _ = read_spans([codes], (9, 11))
    assert (parts.bounds == whole.bounds).all()
    assert (parts.offsets == whole.offsets).all()


def test_as_strict_as_the_slow_way():
    """Both refuse, or both read the same."""
    refused = 0
    for changed in changed_codes((6, 50), 3000):
        track = [changed]
        try:
            expected = to_rles(track, (6, 50))
        except MaskError as error:
            with pytest.raises(TrackMaskError) as caught:
                read_spans([[], track], (6, 50))
            assert str(caught.value) == str(error)
            assert (caught.value.track, caught.value.frame) == (1, 0)
            refused += 1
        else:
            found, _ = read_spans([track], (6, 50))
            assert found.areas() == mask_utils.area(expected)
            np.testing.assert_array_equal(
                found.boxes(), mask_utils.toBbox(expected))
    assert 1000 < refused < 3000  # some insertions are another good code


@pytest.mark.parametrize('mask, phrase', [
    (dict(size=[6., 50.], counts=[300]), 'whole numbers'),
    (dict(size=[True, 50], counts=[50]), 'whole numbers'),
    (dict(size=[50, 6], counts=[300]), 'exchanged'),
    (dict(size=[6, 50], counts=[300, 1 << 40]), 'pixels in its counts'),
    (dict(size=[6, 50], counts=[299, True]), 'not a whole number'),
    (dict(size=[6, 50], counts=[350, -50]), 'negative'),
    (dict(size=[6, 50], counts=''), 'empty counts'),
    (dict(size=[6, 50], counts='\u0661'), 'no run-length code'),
    (dict(size=[6, 50], counts="b'X9'"), "Python's bytes"),
    (dict(size=[6, 50], counts=5), 'type int'),
    (dict(counts=[300]), 'size None'),
    ([[0, 0, 1, 1, 2, 0]], 'results need run-length codes'),
    (7, 'neither polygons nor'),
])
def test_what_is_not_a_mask_is_named(mask, phrase):
    fine = dict(size=[6, 50], counts=[300])
    with pytest.raises(TrackMaskError, match=phrase) as caught:
        read_spans([[fine], [None, mask]], (6, 50))
    assert (caught.value.track, caught.value.frame) == (1, 1)


def test_forms_may_be_mixed():
    track = [dict(size=[6, 50], counts=[0, 10, 290]), None,
             dict(size=[6, 50], counts=[5, 0, 5, 290]),  # a run of no pixel
             encode(np.zeros((1, 6, 50)))[0],
             [[0, 0, 9, 0, 9, 5, 0, 5]], []]
    found, places = read_spans([track], (6, 50), polygons=True)
    codes = to_rles(track, (6, 50))
    assert found.areas().tolist() == mask_utils.area(
        [c for c in codes if c is not None]).tolist()
    assert places[:, 1].tolist() == [0, 2, 3, 4]
