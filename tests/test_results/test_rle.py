"""Every form of a mask becomes the same code."""
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.results.rle import to_rle
from tests.test_datasets.rectangles import (
    HEIGHT,
    WIDTH,
    box_mask,
    compressed,
    uncompressed,
)


@pytest.mark.parametrize('same_size', [True, False])
@pytest.mark.parametrize('encode', [
    compressed, uncompressed,
    lambda m: dict(size=list(m.shape), counts=compressed(m)['counts'].encode())
])
def test_every_rle_form_gives_the_mask(encode, same_size):
    mask = box_mask(0, 2, 5, 3)
    mask[7, 11] = 1
    rle = to_rle(encode(mask), HEIGHT, WIDTH, same_size)
    assert isinstance(rle['counts'], bytes)
    np.testing.assert_array_equal(mask_utils.decode(rle), mask)


def test_polygons_are_merged():
    rle = to_rle([[1, 2, 4, 2, 4, 6, 1, 6], [8, 0, 10, 0, 10, 2, 8, 2]],
                 HEIGHT, WIDTH)
    expected = box_mask(1, 2, 3, 4) | box_mask(8, 0, 2, 2)
    np.testing.assert_array_equal(mask_utils.decode(rle), expected)


@pytest.mark.parametrize('empty', [None, [], {}, [[1, 2, 3, 4]]])
def test_no_mask(empty):
    assert to_rle(empty, HEIGHT, WIDTH) is None


@pytest.mark.parametrize('bad, sentence', [
    (dict(size=[5, 5], counts=[25]), r'size \[5, 5\].*\[8, 12\]'),
    (dict(size=[8, 12], counts=[3, 4]), 'runs for 7 pixels.*96'),
    (dict(size=[8, 12], counts=3), 'counts of the type int'),
    (dict(counts=[96]), 'size None'),
    ([1, 2, 3], 'not a list of polygons'),
    ('text', 'neither polygons'),
])
def test_unreadable_mask(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        to_rle(bad, HEIGHT, WIDTH)


@pytest.mark.parametrize('encode', [compressed, uncompressed])
def test_codes_of_another_size_as_they_are(encode):
    mask = box_mask(0, 2, 5, 3)
    np.testing.assert_array_equal(
        mask_utils.decode(to_rle(encode(mask), 3, 3, same_size=False)), mask)
