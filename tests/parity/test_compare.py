"""The comparer itself: each rule of kind, order and tolerance."""
import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from tests.parity.compare import Comparer, difference
from tests.parity.entries import (
    ManifestError,
    apply_stat,
    check_dims,
    expand,
    parse_index,
)
from tests.parity.fixture import Fixture


def make(folder, entries, stored, dims=None, quirks=(), files=None, **extra):
    """A fixture of one part with the given entries and stored arrays."""
    arrays = [
        dict(dict(part='p', file='o.npz', dims='n', index='', stat=None,
                  kind='float', tolerance=1e-3, order='as_is', what=''),
             **{'for': {}}, **e) for e in entries
    ]
    run = dict(system='x', dims=dims or {}, arrays=arrays, info=[],
               quirk_arrays=list(quirks), targets={},
               inputs=[dict(part='p', frames=[], weights=None,
                            npz_inputs={})])
    (folder / 'manifest.json').write_text(json.dumps(dict(run=run, **extra)))
    np.savez(folder / 'o.npz', **stored)
    for name, content in (files or {}).items():
        (folder / name).write_text(json.dumps(content))
    return Fixture(folder)


def outcome(folder, entry, stored, value, **kwargs):
    """The outcome of a single entry with key 'a'."""
    fixture = make(folder, [dict(key='a', **entry)], dict(a=stored), **kwargs)
    result, = Comparer(fixture, {('p', 'o.npz', 'a'): value}).outcomes()
    return result


@pytest.mark.parametrize('text, expected', [
    ('', (Ellipsis, )),
    ('[0]', (0, )),
    ('[:, -1, ::4]', (slice(None), -1, slice(None, None, 4))),
    ('[..., ::8]', (Ellipsis, slice(None, None, 8))),
    ('[:3]', (slice(None, 3), )),
])
def test_index_text(text, expected):
    assert parse_index(text) == expected


@pytest.mark.parametrize('text', ['[x]', '[0', '[__import__("os")]', '[1.5]'])
def test_index_is_never_evaluated(text):
    with pytest.raises(ManifestError):
        parse_index(text)


def test_placeholders_single_and_joint():
    spec = {'file': 'o.npz', 'key': '{a}_{b}{c}',
            'for': {'a': ['x', 'y'], 'b,c': [[0, 1], [2, 3]]}}
    assert [e.key for e in expand(spec)] == ['x_01', 'x_23', 'y_01', 'y_23']


def test_stats_are_stacked_last_with_ddof():
    array = np.array([[1., -3.], [2., 2.]])
    spec = dict(of=['mean', 'std', 'abs_sum', 'l2', 'pos_frac'], axes=[1],
                ddof=1)
    expected = [[-1, np.sqrt(8), 4, np.sqrt(10), .5],
                [2, 0, 4, np.sqrt(8), 1]]
    np.testing.assert_allclose(apply_stat(array, spec, (2, 2)), expected)
    shape = dict(of=['shape'], axes=[], ddof=0)
    assert apply_stat(array[:, 0], shape, (2, 2)).tolist() == [2, 2]
    with pytest.raises(ManifestError):
        apply_stat(array, dict(of=['median'], axes=[0], ddof=0), (2, 2))


def test_dims_names_numbers_placeholders_and_free_axes():
    entry, = expand({'file': 'f', 'key': 'k{i}', 'for': {'i': [0]},
                     'dims': 'H{i},4,n'})
    check_dims((7, 4, 99), entry, {'H0': 7})
    for shape in ((8, 4, 99), (7, 5, 99), (7, 4)):
        with pytest.raises(ValueError):
            check_dims(shape, entry, {'H0': 7})


@pytest.mark.parametrize('value, ok', [
    ([0., 1.999, 1000.999], True),  # 0.999 / 1000 < 1e-3
    ([0., 1.999, 1001.001], False),
])
def test_float_tolerance_is_relative_to_the_largest(tmp_path, value, ok):
    result = outcome(tmp_path, {}, np.array([0., 2., 1000.]), value)
    assert result.ok is ok


def test_all_zero_expectation_is_compared_absolutely(tmp_path):
    assert outcome(tmp_path, {}, np.zeros(2), [5e-4, 0.]).ok
    assert not outcome(tmp_path, {}, np.zeros(2), [2e-3, 0.]).ok


@pytest.mark.parametrize('ours, theirs, expected', [
    ([np.nan, 1], [np.nan, 1], 0),
    ([0, 1], [np.nan, 1], np.inf),
    ([np.nan, 1], [0, 1], np.inf),
    ([np.inf, 1], [-np.inf, 1], np.inf),
    ([np.inf, 2], [np.inf, 1], 1),
])
def test_not_finite_values_must_agree(ours, theirs, expected):
    assert difference(ours, theirs, 'float') == expected


@pytest.mark.parametrize('kind', ['int', 'ids', 'bool', 'text'])
def test_exact_kinds_count_mismatches(kind):
    ours, theirs = np.array(['1', '0', '1', '1']), np.array(['1'] * 4)
    assert difference(ours, theirs, kind) == .25


def test_zero_tolerance_is_exact(tmp_path):
    entry = dict(kind='int', tolerance=0)
    assert outcome(tmp_path, entry, np.arange(5), np.arange(5)).ok
    assert not outcome(tmp_path, entry, np.arange(5), [0, 1, 2, 3, 5]).ok


def test_null_in_json_is_nan(tmp_path):
    entry = dict(key='a/b', file='e.json', dims='', tolerance=1e-9)
    fixture = make(tmp_path, [entry], {}, files={'e.json': {'a': {'b': None}}})
    key = ('p', 'e.json', 'a/b')
    assert Comparer(fixture, {key: np.nan}).outcomes()[0].ok
    assert not Comparer(fixture, {key: 0.}).outcomes()[0].ok


def test_shape_and_index(tmp_path):
    full = np.arange(12.).reshape(3, 4)
    entry = dict(dims='3,W', index='[:, ::2]')
    assert outcome(tmp_path, entry, full[:, ::2], full, dims={'W': 4}).ok
    wrong = outcome(tmp_path, entry, full[:, ::2], full[:, :3], dims={'W': 4})
    assert not wrong.ok and 'expected 4' in wrong.note


def test_not_returned_fails_but_a_quirk_may_be_skipped(tmp_path):
    quirk = {'file': 'o.npz', 'key': 'a', 'for': {}, 'why': 'bug'}
    for quirks, ok in (([], False), ([quirk], True)):
        fixture = make(tmp_path, [dict(key='a')], dict(a=np.ones(2)),
                       quirks=quirks)
        assert Comparer(fixture, {}).outcomes()[0].ok is ok


def test_values_of_a_wrong_type_fail_alone(tmp_path):
    fixture = make(tmp_path, [dict(key='a'), dict(key='b')],
                   dict(a=np.ones(2), b=np.ones(2)))
    computed = {('p', 'o.npz', 'a'): [object(), None],
                ('p', 'o.npz', 'b'): [1, 1]}
    assert [o.ok for o in Comparer(fixture, computed).outcomes()] == [
        False, True]


def test_packed_masks_by_share_of_pixels(tmp_path):
    masks = np.zeros((2, 25, 25), bool)
    masks[:, :5] = True
    stored = np.packbits(masks.reshape(2, -1), axis=-1)
    entry = dict(kind='bool_packed', dims='n,h,w', tolerance=.002,
                 packed={'from': 1, 'shape': None})
    ours = masks.copy()
    ours[0, 20, :2] = True  # 2 of 1250 pixels
    assert outcome(tmp_path, entry, stored, ours).error == 2 / 1250
    ours[0, 20, 2] = True
    assert not outcome(tmp_path, entry, stored, ours).ok
    stored[0, -1] |= 1  # a padding bit
    assert not outcome(tmp_path, entry, stored, masks).ok


def test_shared_mask_rows(tmp_path):
    masks = np.eye(3, dtype=bool)[:, None, :]
    rows = np.array([2, 0, 2, 1])
    entry = dict(key='a', kind='bool_packed', dims='u,1,3', tolerance=0,
                 packed={'from': 1, 'shape': 's', 'rows': 'r'})
    stored = dict(a=np.packbits(masks.reshape(3, -1), axis=-1), r=rows,
                  s=np.array([3, 1, 3]))
    fixture = make(tmp_path, [entry], stored)
    key = ('p', 'o.npz', 'a')
    assert Comparer(fixture, {key: masks[rows]}).outcomes()[0].ok
    assert not Comparer(fixture, {key: masks[rows[::-1]]}).outcomes()[0].ok


@pytest.mark.parametrize('order, kind, stored, value, ok', [
    ('set', 'ids', [3, 1, 2], [1, 2, 3], True),
    ('set', 'ids', [3, 1, 2], [1, 2, 2], False),
    ('set', 'ids', [[1, 9], [2, 0]], [[2, 0], [1, 9]], True),
    ('set', 'ids', [[1, 9], [2, 0]], [[2, 9], [1, 0]], False),
    ('set', 'float', [[1., 9], [2, 0]], [[2, .005], [1, 9]], True),
    ('set', 'float', [[1., 9], [2, 0]], [[2, .02], [1, 9]], False),
    ('set', 'text', ['a', 'b'], ['b', 'a'], True),
    ('set_last_axis', 'ids', [[1, 2], [3, 4]], [[2, 1], [4, 3]], True),
    ('set_last_axis', 'ids', [[1, 2], [3, 4]], [[3, 4], [1, 2]], False),
    ('as_is', 'ids', [3, 1, 2], [1, 2, 3], False),
])
def test_orders(tmp_path, order, kind, stored, value, ok):
    stored = np.array(stored)
    entry = dict(order=order, kind=kind,
                 dims=','.join('nm'[:stored.ndim]),
                 tolerance=1e-3 if kind == 'float' else 0)
    assert outcome(tmp_path, entry, stored, np.array(value)).ok is ok


def ranked(folder, scores, labels, ours, our_labels):
    entry = dict(order='sort_by_score', score_key='s')
    fixture = make(
        folder, [dict(entry, key='s'),
                 dict(entry, key='l', kind='int', tolerance=0),
                 dict(entry, key='m', kind='int', tolerance=0)],
        dict(s=np.array(scores), l=np.array(labels), m=np.array(labels) * 10))
    computed = {('p', 'o.npz', k): np.array(v)
                for k, v in (('s', ours), ('l', our_labels[0]),
                             ('m', our_labels[1]))}
    return [o.ok for o in Comparer(fixture, computed).outcomes()]


def test_results_are_sorted_by_score(tmp_path):
    assert all(ranked(tmp_path, [.9, .1, .5], [1, 2, 3], [.1, .5, .9],
                      ([2, 3, 1], [20, 30, 10])))


def test_ties_may_swap_but_only_together(tmp_path):
    scores, labels = [.9, .5, .5002, .1], [1, 2, 3, 4]
    ours = [.9, .5001, .5, .1]  # the two middle ones change places
    assert all(ranked(tmp_path, scores, labels, ours,
                      ([1, 2, 3, 4], [10, 20, 30, 40])))
    apart = ranked(tmp_path, scores, labels, ours,
                   ([1, 2, 3, 4], [10, 30, 20, 40]))
    assert not all(apart)  # a label may not leave its mask


def test_results_that_do_not_tie_may_not_swap(tmp_path):
    assert ranked(tmp_path, [.9, .5, .4], [1, 2, 3], [.9, .5, .4],
                  ([1, 3, 2], [10, 30, 20])) == [True, False, False]


def test_number_of_results_must_agree(tmp_path):
    assert ranked(tmp_path, [.9, .5], [1, 2], [.9], ([1], [10])) == [
        False, False, False]


def test_names_pick_the_elements(tmp_path):
    entry = dict(names='params')
    stored = np.array([1., 2.])
    good = outcome(tmp_path, entry, stored, dict(b=2., a=1., c=9.),
                   params=['a', 'b'])
    bad = outcome(tmp_path, entry, stored, dict(a=1.), params=['a', 'b'])
    assert good.ok and not bad.ok


def _result(mask, category=1, score=.5):
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    rle['counts'] = rle['counts'].decode()
    return dict(video_id=1, category_id=category, score=score,
                segmentations=[rle, None])


def test_run_length_results(tmp_path):
    mask = np.zeros((20, 30), bool)
    mask[:5] = True
    near = mask.copy()
    near[10, :2] = True  # 2 of 2400 pixels (4 masks of 600)
    entries = [dict(key='s', order='sort_by_score', score_key='s'),
               dict(key='', file='r.json', kind='rle', tolerance=.002,
                    order='sort_by_score', score_key='s')]
    stored = [_result(mask), _result(~mask, score=.9)]
    fixture = make(tmp_path, entries, dict(s=np.array([.5, .9])),
                   files={'r.json': stored})

    def ok(results):
        computed = {('p', 'o.npz', 's'): [r['score'] for r in results],
                    ('p', 'r.json', ''): results}
        return Comparer(fixture, computed).outcomes()[1].ok

    empty = dict(stored[1], segmentations=[
        stored[1]['segmentations'][0], _result(mask & ~mask)
        ['segmentations'][0]])
    assert ok([empty, _result(near)])  # null and empty mask are the same
    assert not ok([stored[1], _result(mask, category=2)])
    assert not ok([_result(mask, score=.9), _result(~mask)])
