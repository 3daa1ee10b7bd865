"""What is drawn, and where."""
import colorsys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvis_memcnp.results import (
    FrameArrays,
    Ranked,
    TrackStore,
    empty_frame_result,
    encode_masks,
    frame_result,
)
from mmvis_memcnp.visualization import (
    color_of,
    corner_ellipses,
    draw_frame,
    draw_video,
    overlay,
    place_chips,
    rgb_of,
)
from tests.fakes import tiny_idol, tiny_sipmask

EVERY = [Ranked(i, 0, .5) for i in range(40)]

SHAPE = (120, 160)


def result(boxes, ids=None, scores=None, sigmas=None):
    """FrameResult whose masks fill their boxes."""
    masks = np.zeros((len(boxes), *SHAPE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[max(y1, 0):y2, max(x1, 0):x2] = True
    return frame_result(
        torch.tensor(ids or range(len(boxes))), torch.tensor(boxes),
        torch.tensor(scores or [.9] * len(boxes)),
        torch.zeros(len(boxes)), encode_masks(masks), ori_shape=SHAPE,
        box_sigmas=None if sigmas is None else torch.tensor(sigmas))


def ground():
    return np.full((*SHAPE, 3), 100, np.uint8)


PLAIN = dict(boxes=False, labels=False, ellipses=False)


def test_colors_stay_and_differ():
    assert color_of(3) == color_of(3)
    assert len({color_of(i) for i in range(100)}) == 100
    blue, green, red = color_of(5)
    assert rgb_of(5) == (red / 255, green / 255, blue / 255)
    # successive identities are far apart on the circle of hues
    hues = [colorsys.rgb_to_hsv(*rgb_of(i))[0] for i in range(50)]
    steps = np.abs(np.diff(hues))
    assert np.minimum(steps, 1 - steps).min() > .3


def test_mask_is_blended_inside_alone():
    picture = draw_frame(ground(), result([[40, 30, 80, 90]], ids=[4]),
                         alpha=.5, **PLAIN)
    inside = picture[35:85, 45:75].reshape(-1, 3)
    np.testing.assert_array_equal(
        inside, [[int(.5 * 100 + .5 * c) for c in color_of(4)]] * len(inside))
    outside = np.ones(SHAPE, bool)
    outside[29:91, 39:81] = False  # the outline is antialiased
    assert (picture[outside] == 100).all()


def test_image_is_not_changed_and_nothing_gives_nothing():
    image = ground()
    picture = draw_frame(image, empty_frame_result(SHAPE))
    assert (image == 100).all() and (picture == 100).all()
    assert picture is not image


def test_the_better_one_lies_on_top():
    boxes = [[20, 20, 80, 80], [40, 40, 100, 100]]
    for scores, top in (([.9, .5], 0), ([.5, .9], 1)):
        picture = draw_frame(ground(), result(boxes, scores=scores), alpha=1.,
                             **PLAIN)
        assert tuple(picture[60, 60]) == color_of(top)


def test_score_threshold():
    both = result([[10, 10, 40, 40], [60, 60, 90, 90]], scores=[.2, .8])
    picture = draw_frame(ground(), both, score_thr=.5, **PLAIN)
    assert (picture[:50, :50] == 100).all()
    assert (picture[70, 70] != 100).any()


def test_who_is_absent_is_not_drawn():
    """Nor its label, which stood in the corner."""
    both = result([[0, 0, 0, 0], [60, 60, 90, 90]])
    alone = result([[60, 60, 90, 90]], ids=[1])
    np.testing.assert_array_equal(draw_frame(ground(), both),
                                  draw_frame(ground(), alone))
    np.testing.assert_array_equal(
        draw_frame(ground(), result([[0, 0, 0, 0]])), ground())


def test_ellipses_grow_with_the_deviation():
    box, shape = np.array([20., 30., 60., 90.]), (100, 200)
    first, last = corner_ellipses(box, np.array([.1, .2, .3, .4]), shape, .5)
    # half axes: deviation x side of the frame x scale
    assert first[0] == (20, 30) and first[1] == pytest.approx((10, 10))
    assert last[0] == (60, 90) and last[1] == pytest.approx((30, 20))

    def width(sigma):
        picture = draw_frame(ground(), result([[80, 60, 81, 61]],
                                              sigmas=[[sigma] * 4]), alpha=0.,
                             boxes=False, labels=False)
        return (picture != 100).any((0, 2)).sum()

    # 160 px wide: twice .1 * .1 * 160 = 3.2 px for each tenth
    assert width(.6) - width(.3) == pytest.approx(9.6, abs=2)


@pytest.mark.parametrize('family', [tiny_sipmask, tiny_idol])
def test_ellipses_of_padded_frames(family):
    """A deviation is drawn at its length, in half sides of the box.

    The frame fills 50x75 of an input of 64x96; SipMask says fractions of the
    input, IDOL of the frame.
    """
    options = {}
    if family is tiny_idol:
        options = dict(memcnp=Config.fromfile(
            tiny_idol.CONFIGS / 'memcnp_queries.py').memcnp_queries.to_dict())
    model = family.tiny_model(**options).eval()
    last = model.bbox_head.fcos_reg if family is tiny_sipmask else \
        model.segmenter.box_branches[-1].last
    last.weight.data[4:] = last.bias.data[4:] = 0  # the same sigma anywhere
    sigma = .1 + .9 * np.log(2)
    inputs, (sample, ) = tiny_sipmask.batch(
        model, tiny_sipmask.video(1, size=(50, 75)), training=False)
    assert inputs.shape[-2:] == (64, 96)
    meta = dict(sample[0].metainfo, ori_shape=(100, 150),
                scale_factor=(.5, .5))
    result, = model.session().step(inputs[0], [meta])
    assert len(result)
    # A box counts as at least 4 % of the input (SipMask) or frame (IDOL), both
    # at the frame's scale.
    least = (192, 128) if family is tiny_sipmask else (150, 100)
    for box, sigmas in zip(result.bboxes.numpy(), result.box_sigmas.numpy(),
                           strict=True):
        sides = np.maximum((box[2:] - box[:2]) / 2, .02 * np.array(least))
        cut = (box <= 0).any() or (box >= (150, 100) * 2).any()
        for _, axes in corner_ellipses(box, sigmas, (100, 150), 1.):
            if cut:  # at the frame: the box was longer before, up to all
                assert (sigma * sides <= np.array(axes) * 1.001).all()
                assert (np.array(axes) <= sigma * np.array(least)).all()
            else:
                assert axes == pytest.approx(sigma * sides, rel=1e-3)


@pytest.mark.parametrize('boxes', [
    [[0, 0, 20, 20]],  # above and left there is no room
    [[150, 110, 170, 130]],  # partly outside, bottom right
    [[-30, 50, 190, 70]],  # wider than the frame
    [[60, 50, 90, 80]] * 4,  # four labels of the same place
    [[0, 0, 160, 120]] * 2,
])
def test_labels_stay_inside_and_apart(boxes):
    sizes = [(14, 50)] * len(boxes)
    rects = place_chips(np.array(boxes), sizes, SHAPE)
    canvas = np.zeros(SHAPE, int)
    for top, left, bottom, right in rects:
        assert 0 <= top < bottom <= SHAPE[0]
        assert 0 <= left < right <= SHAPE[1]
        canvas[top:bottom, left:right] += 1
    assert canvas.max() == 1
    assert canvas.sum() == len(boxes) * 14 * 50


def test_label_goes_above_its_box_if_there_is_room():
    assert place_chips(np.array([[30, 40, 60, 80]]), [(14, 50)], SHAPE) == [
        (26, 30, 40, 80)
    ]


def test_mapped_deviations_are_drawn_at_their_size(monkeypatch):
    drawn = []
    monkeypatch.setattr(overlay, '_draw_ellipse', lambda image, centre, axes,
                        *_: drawn.append(axes))
    one = frame_result([0], [[20, 20, 60, 60]], [.5], [0],
                       encode_masks(np.ones((1, *SHAPE), bool)),
                       ori_shape=SHAPE, box_sigmas=torch.full((1, 4), .1))
    for mapped, scale in ((False, .1), (True, 1.)):
        if mapped:
            one.set_metainfo(dict(sigmas_mapped=True))
        drawn.clear()
        draw_frame(ground(), one)
        assert drawn == [pytest.approx(
            (.1 * SHAPE[1] * scale, .1 * SHAPE[0] * scale))] * 2
        drawn.clear()
        draw_frame(ground(), one, ellipse_scale=3.)
        assert drawn[0] == pytest.approx((.3 * SHAPE[1], .3 * SHAPE[0]))


def test_label_larger_than_the_frame():
    tiny = np.full((8, 8, 3), 100, np.uint8)
    mask = np.ones((1, 8, 8), bool)
    one = frame_result([0], [[0, 0, 8, 8]], [.5], [0], encode_masks(mask),
                       ori_shape=(8, 8))
    assert draw_frame(tiny, one, ['a long name']).shape == (8, 8, 3)


@pytest.mark.parametrize('mapped', [False, True])
def test_arrays_are_drawn_as_the_frame_result(mapped):
    """One drawing code: what files hold looks as what a model says."""
    one = result([[10, 10, 60, 50], [40, 30, 90, 90], [20, 20, 70, 70]],
                 ids=[3, 7, 9], scores=[.7, .9, .3],
                 sigmas=[[.1, .2, .1, .2]] * 3)
    one.set_metainfo(dict(sigmas_mapped=mapped))
    # .7 is above .7 only as single precision
    picture = draw_frame(ground(), one, score_thr=.7)
    arrays = FrameArrays(
        np.array([3, 7, 9]), one.bboxes.numpy(),
        np.array([.7, .9, .3], np.float32), np.zeros(3, np.int64), one.masks,
        np.array([[.1, .2, .1, .2]] * 3, np.float32), mapped)
    np.testing.assert_array_equal(
        draw_frame(ground(), arrays, score_thr=.7), picture)
    without = one[torch.tensor([1])]
    without.set_metainfo(dict(sigmas_mapped=mapped))
    assert (draw_frame(ground(), without) != picture).any()


def test_draw_video(tmp_path):
    store, files = TrackStore(), []
    for t in range(3):
        files.append(tmp_path / f'in{t}.png')
        cv2.imwrite(str(files[-1]), ground())
        store.append(result([[10 + 20 * t, 20, 40 + 20 * t, 60]]) if t != 1
                     else empty_frame_result(SHAPE))
    done = list(draw_video(tmp_path / 'out', files, store.finish(EVERY),
                           ['cat']))
    assert [p.name for p in done] == ['in0.jpg', 'in1.jpg', 'in2.jpg']
    pictures = [cv2.imread(str(p)).astype(int) for p in done]
    assert np.abs(pictures[1] - 100).max() < 5
    assert np.abs(pictures[0][40, 25] - 100).max() > 40
    assert np.abs(pictures[2][40, 65] - 100).max() > 40
    files[0].unlink()
    with pytest.raises(FileNotFoundError, match='in0.png cannot be read'):
        next(draw_video(tmp_path / 'out', files, store.finish(EVERY)))
