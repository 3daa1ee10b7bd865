"""What a fixture describes becomes arrays: clips, weights, targets."""
import json

import numpy as np
import pytest

from tests.data.seeded_weights import seeded_frames, seeded_state_dict
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture, draw_ellipses

ELLIPSE = ('ellipse inscribed in each box of boxes: integer pixel (x, y) with '
           '((x-cx)/rx)^2 + ((y-cy)/ry)^2 <= 1, cx=(x1+x2)/2, rx=(x2-x1)/2, '
           'same for y; float32 boxes, float64 arithmetic')


def item(part='p', **changes):
    return dict(dict(part=part, frames=[], resize=None, channel_order='RGB',
                     scale_to_unit=False, mean=None, std=None,
                     pad_multiple=1, padded_hw=None, ori_hw=None,
                     weights=None, npz_inputs={}), **changes)


def make(folder, *items, targets=None, stored=None, **manifest):
    run = dict(system='x', dims={}, arrays=[], info=[], quirk_arrays=[],
               inputs=list(items), targets=targets or {})
    (folder / 'manifest.json').write_text(
        json.dumps(dict(run=run, **manifest)))
    np.savez(folder / 'o.npz', **(stored or {}))
    return Fixture(folder)


def test_frames_are_normalised_in_channel_order_and_padded(tmp_path):
    fixture = make(tmp_path, item(
        frames=[[3, 10, 12, 4], [2, 8, 16, 5]], channel_order='BGR',
        mean=[1., 2., 3.], std=[2., 4., 8.], padded_hw=[16, 32],
        take_frames=[0, 1]))
    first, second = fixture.frames('p')
    assert first.shape == second.shape == (2, 3, 16, 32)
    assert first.dtype == np.float32
    rgb = seeded_frames(3, 10, 12, 4)[:2].astype(np.float64)
    np.testing.assert_allclose(
        first[:, 0, :10, :12], (rgb[..., 2] - 1) / 2, rtol=1e-6)
    np.testing.assert_allclose(
        first[:, 2, :10, :12], (rgb[..., 0] - 3) / 8, rtol=1e-6)
    assert not first[:, :, 10:].any() and not first[:, :, :, 12:].any()


def test_scale_to_unit_and_resize(tmp_path):
    method = 'torchvision Resize of PIL images, bilinear, antialias'
    resize = dict(method=method, to_hw=[6, 9])
    fixture = make(
        tmp_path,
        item(frames=[[1, 12, 18, 0]], scale_to_unit=True, resize=resize),
        item('q', frames=[[1, 12, 18, 0]], resize=dict(resize, method='?')),
        item('r', frames=[[1, 12, 18, 0]], channel_order='RBG'))
    frame, = fixture.frames('p')
    assert frame.shape == (1, 3, 6, 9) and 0 < frame.max() <= 1
    for part in 'qr':
        with pytest.raises(ManifestError):
            fixture.frames(part)


def test_weights(tmp_path):
    tensors = [['a.weight', [3, 2], 'float32'], ['b.bias', [3], 'float32'],
               ['c.bias', [2], 'float32']]
    weights = dict(variant='', overrides=True, scale_patterns='factors',
                   replace={'c.bias': {'file': 'o.npz', 'key': 'c',
                                       'for': {}}})
    fixture = make(
        tmp_path, item(weights=weights),
        item('q', weights=dict(variant='', overrides=False)), item('r'),
        tensors=tensors, overrides={'b.bias': 7.}, salt=3,
        factors={'a.*': 2., '?.bias': .5},
        stored=dict(c=np.array([8., 9.])))
    plain = seeded_state_dict(dict(tensors=tensors, salt=3))
    state = fixture.weights('p')
    np.testing.assert_array_equal(state['a.weight'], 2 * plain['a.weight'])
    assert state['b.bias'].tolist() == [3.5] * 3
    assert state['c.bias'].tolist() == [8, 9]
    assert state['c.bias'].dtype == np.float32
    np.testing.assert_array_equal(
        fixture.weights('q')['b.bias'], plain['b.bias'])
    assert fixture.weights('r') == {}


def test_stored_inputs_are_cast_divided_unpacked_and_inherited(tmp_path):
    spec = {'file': 'o.npz', 'key': 'x{i}', 'for': {'i': [0, 1]},
            'cast': 'float32', 'divide_by': 64.}
    bits = {'file': 'o.npz', 'key': 'm', 'for': {}, 'dims': '2,1,3',
            'packed': {'from': 1, 'shape': None}}
    masks = np.array([[[1, 0, 1]], [[0, 1, 1]]], bool)
    fixture = make(
        tmp_path,
        item(npz_inputs=dict(x=spec, m=bits), frames=[[1, 4, 4, 0]]),
        item('q', inputs_of='p', channel_order=None),
        stored=dict(x0=np.int16([64]), x1=np.int16([-32]),
                    m=np.packbits(masks.reshape(2, -1), axis=-1)))
    arrays = fixture.arrays('q')
    assert arrays['x'][0] == 1 and arrays['x'][1] == -.5
    assert arrays['x'][1].dtype == np.float32
    np.testing.assert_array_equal(arrays['m'], masks)
    np.testing.assert_array_equal(fixture.frames('q'), fixture.frames('p'))


def test_ellipse_in_a_box():
    mask, = draw_ellipses(np.array([[1, 0, 5, 2]]), 4, 7)
    assert mask.astype(int).tolist() == [[0, 0, 0, 1, 0, 0, 0],
                                         [0, 1, 1, 1, 1, 1, 0],
                                         [0, 0, 0, 1, 0, 0, 0],
                                         [0, 0, 0, 0, 0, 0, 0]]


def test_targets_of_parts_and_drawn_masks(tmp_path):
    boxes = {'file': 'o.npz', 'key': 'b{b}', 'for': {'b': [0, 1]}}
    targets = dict(label_base=0, arrays=dict(boxes=boxes),
                   masks=dict(rule=ELLIPSE, canvas='padded_hw'),
                   parts=dict(q=dict(label_base=1)))
    stored = dict(b0=np.float32([[1, 0, 5, 2]]),
                  b1=np.zeros((0, 4), np.float32))
    fixture = make(tmp_path, item(padded_hw=[4, 7]), targets=targets,
                   stored=stored)
    found = fixture.targets('q')
    assert found['label_base'] == 1 and fixture.targets()['label_base'] == 0
    assert found['masks'][0].shape == (1, 4, 7)
    assert found['masks'][0].sum() == 7
    assert found['masks'][1].shape == (0, 4, 7)
    targets['masks']['rule'] = 'stars'
    with pytest.raises(ManifestError, match='stars'):
        make(tmp_path, item(padded_hw=[4, 7]), targets=targets,
             stored=stored).targets()
