import pytest

from mmvis_memcnp.datasets.classes import (
    KNOWN_LISTS,
    OVIS,
    YOUTUBE_VIS_2019,
    YOUTUBE_VIS_2021,
    check_classes,
    name_of_list,
)


@pytest.mark.parametrize('classes, size, some', [
    (YOUTUBE_VIS_2019, 40, {1: 'person', 6: 'sedan', 24: 'fox', 36: 'mouse',
                            40: 'tennis_racket'}),
    (YOUTUBE_VIS_2021, 40, {1: 'airplane', 14: 'flying_disc', 26: 'person',
                            39: 'whale', 40: 'zebra'}),
    (OVIS, 25, {1: 'Person', 12: 'Poultry', 21: 'Bicycle', 25: 'Vehical'}),
])
def test_official_ids(classes, size, some):
    assert len(set(classes)) == size
    assert {i: classes[i - 1] for i in some} == some


def test_names_of_lists():
    assert set(map(name_of_list, KNOWN_LISTS.values())) == set(KNOWN_LISTS)
    assert name_of_list(('cat', )) is None


@pytest.mark.parametrize('classes, sentence', [
    ('cat', r"classes=\('cat', \)"),
    ((), 'tuple of class names'),
    (('a', 3), 'tuple of class names'),
    (('a', 'b', 'a'), "'a' more than once"),
])
def test_bad_class_lists(classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_classes(classes)
