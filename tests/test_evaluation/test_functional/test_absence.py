"""Identity after absence, by hand."""
import numpy as np
import pytest

from mmvis_memcnp.evaluation.functional import AbsenceCounts, count_absences


def count(objects, predictions, min_frames=3):
    """Of texts with a letter a frame, '.' for absent."""
    objects, predictions = (
        np.array([list(text) for text in texts])
        for texts in (objects, predictions))
    similarity = (objects[:, None] == predictions).astype(float)
    return count_absences(similarity, objects != '.', predictions != '.',
                          min_frames)


@pytest.mark.parametrize('objects, predictions, expected', [
    # comes back as it went
    (['aa...aa'], ['aa...aa'], (1, 1, 1, 2, 2, 2)),
    # as somebody else
    (['aa...aa'], ['aa.....', '.....aa'], (1, 1, 0, 2, 2, 0)),
    # the look-alike that stayed takes the identity of the other one
    (['aa...aa', 'bbbbbbb'], ['aa...bb', 'bbbbbaa'], (1, 1, 0, 2, 2, 0)),
    # found again late: the identity is right in one frame of three
    (['aa...aaa'], ['aa.....a'], (1, 1, 1, 3, 1, 1)),
    # right for a frame, then changed
    (['aa...aaa'], ['aa...a..', '......aa'], (1, 1, 0, 3, 3, 1)),
    # never found before: nothing can be recalled, what is found counts
    (['aa...aa'], ['.....aa'], (1, 0, 0, 2, 2, 0)),
    # not found after
    (['aa...aa'], ['aa.....'], (1, 1, 0, 2, 0, 0)),
    # a shorter absence is none
    (['aa..aaa'], ['aa..aaa'], (0, 0, 0, 0, 0, 0)),
    # two absences: after the second, the identity held between them counts
    (['aa...aa...aa'], ['aa..........', '.....aa...aa'],
     (2, 2, 1, 4, 4, 2)),
    # what is predicted while the object is away does not matter
    (['aa...aa'], ['aaaaaaa'], (1, 1, 1, 2, 2, 2)),
    # it comes late, and leaves for good
    (['...aa...'], ['...aa...'], (0, 0, 0, 0, 0, 0)),
    # the identity before is that of most frames, not the last
    (['aaaa...aa'], ['aaa....aa', '...a.....'], (1, 1, 1, 2, 2, 2)),
])
def test_counts(objects, predictions, expected):
    assert count(objects, predictions) == AbsenceCounts(*expected)


def test_scores_of_joined_videos():
    right = count(['aa...aaa'], ['aa...aaa'])
    lost = count(['aa...a', '......'], ['aa....', '......'])
    assert (right + lost).scores() == dict(
        identity_recall=.75, detection_recall=.75, returns_recalled=.5)
    assert all(np.isnan(v) for v in AbsenceCounts().scores().values())


def test_without_predictions():
    seen = np.array([list('aa...a')]) != '.'
    found = count_absences(np.zeros((1, 0, 6)), seen, np.zeros((0, 6), bool),
                           3)
    assert found == AbsenceCounts(returns=1, frames=1)
