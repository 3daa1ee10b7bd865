"""Figures: scales, layout and what the colours mean."""
import json

import cv2
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from mmvis_memcnp.evaluation.annotated_video import AnnotatedVideo
from mmvis_memcnp.results import (
    FrameArrays,
    Ranked,
    SigmaMap,
    TrackStore,
    decode_masks,
    encode_masks,
    frame_result,
)
from mmvis_memcnp.visualization import (
    LevelSelection,
    VideoWriter,
    draw_comparison,
    draw_memory,
    draw_query_uncertainty,
    draw_selections,
    draw_uncertainty_maps,
    match_identities,
    plot_uncertainty,
    spread_map,
    warm,
    write_image,
)
from mmvis_memcnp.visualization.panels import grid
from mmvis_memcnp.visualization.selection import NEGATIVE, POSITIVE

EVERY = [Ranked(i, 0, .5) for i in range(40)]

SHAPE = (60, 80)


def result(rows, frame_id=0, sigma=None):
    """FrameResult of (id, left edge) rows; objects are 10x10 squares."""
    masks = np.zeros((len(rows), *SHAPE), bool)
    for mask, (_, left) in zip(masks, rows, strict=True):
        mask[20:30, left:left + 10] = True
    return frame_result(
        [i for i, _ in rows], [[x, 20, x + 10, 30] for _, x in rows],
        [.9] * len(rows), [0] * len(rows), encode_masks(masks),
        ori_shape=SHAPE, frame_id=frame_id,
        box_sigmas=None if sigma is None else torch.full((len(rows), 4),
                                                         sigma))


def arrays(rows, frame_id=0):
    """The same without torch."""
    return FrameArrays.of(result(rows, frame_id))


def ground(value=100):
    return np.full((*SHAPE, 3), value, np.uint8)


def test_warm_means_uncertain():
    picture = warm(np.array([[0., .5, 1., 7.]]), 0., 1.).astype(int)
    blue, _, red = picture[0].T
    assert blue[0] > red[0] and red[2] > blue[2]
    assert (picture[0, 2] == picture[0, 3]).all()  # above the scale: its end
    assert (warm(np.ones((1, 2)), 1., 1.)[0, 0] ==
            warm(np.zeros((1, 1)), 0., 1.)[0, 0]).all()


def test_padding_is_cut_off_before_scaling():
    # 4x4 cells over a 32x32 input, of which 16x24 hold the frame
    values = np.full((4, 4), 9., np.float32)
    values[:2, :3] = 1.
    out = spread_map(values, (32, 32), (16, 24), (8, 12))
    assert out.shape == (8, 12)
    assert (out[:6, :10] == 1).all()  # but for interpolation at the border


def test_map_figure_shares_one_scale():
    maps = [np.full(SHAPE, .2), np.full(SHAPE, .8)]
    figure = draw_uncertainty_maps([ground()] * 2, [maps, maps], ('a', 'b'),
                                   60)
    blue, red = warm(np.array([[.2, .8]]), .2, .8)[0]
    top = figure.shape[0] - 60 - 4
    assert (figure[top + 30, 4 + 80 + 4 + 40] == blue).all()
    assert (figure[top + 30, 4 + 2 * 84 + 40] == red).all()


def test_dots_of_queries_lie_at_their_boxes_the_surest_on_top():
    points = np.array([[20., 30.], [60., 30.], [60., 30.]])
    values = np.array([.2, .8, .5])
    figure = draw_query_uncertainty([ground()], [[points]], [[values]],
                                    ['layer 0'], 60)
    colors = warm(values[None], .2, .8)[0]
    cell = figure[figure.shape[0] - 64:, 4 + 84:]
    assert (cell[30, 20] == colors[0]).all()
    assert (cell[30, 60] == colors[2]).all()
    assert (cell[50, 40] == 60).all()  # the darkened frame


def test_plot_needs_deviations(tmp_path):
    store = TrackStore()
    store.append(result([(0, 10)]))
    assert not plot_uncertainty(store.finish(EVERY), tmp_path / 'a.png')
    assert not plot_uncertainty(TrackStore().finish([]), tmp_path / 'a.png')
    assert not list(tmp_path.iterdir())
    for t in range(4):
        store.append(result([(0, 10)] if t != 2 else [], t, .3))
    assert plot_uncertainty(store.finish(EVERY), tmp_path / 'a.png',
                            ['cat'], 10.)
    picture = cv2.imread(str(tmp_path / 'a.png'))
    assert picture.std() > 5
    assert [p.name for p in tmp_path.iterdir()] == ['a.png']


def test_plot_shows_pixels_where_they_are_mapped(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Axes, 'plot', lambda self, x, y, *args, **kwargs:
                        seen.append(y))
    units = []
    monkeypatch.setattr(Axes, 'set_ylabel', lambda self, text:
                        units.append(text))
    for mapped in (None, SigmaMap([.1], [.3])):
        store = TrackStore(sigma_map=mapped)
        store.append(result([(0, 10)], 0, .3))
        plot_uncertainty(store.finish(EVERY), tmp_path / 'a.png')
    height, width = SHAPE
    assert seen[0] == pytest.approx([.3])
    assert seen[2] == pytest.approx([.3 * (height + width) / 2])
    assert 'not mapped' in units[0] and 'pixels' in units[1]


def test_plot_of_many_tracks(tmp_path):
    store = TrackStore()
    for t in range(3):
        store.append(result([(i, i) for i in range(40)], t, .3))
    assert plot_uncertainty(store.finish(EVERY), tmp_path / 'a.png')


def test_memory_figure():
    boxes = np.array([[10, 10, 70, 50], [-20, 5, 200, 40]])
    figure = draw_memory(ground(), (40, 30), boxes, [.9, .5], height=60)
    assert figure.shape[1] == 4 + 3 * 84
    top = figure.shape[0] - 64
    query, first = (figure[top:top + 60, 4 + 84 * i:84 * (i + 1)].astype(int)
                    for i in range(2))
    assert (query[30, 40] == (0, 255, 255)).all()
    assert (query[10, 20:60] == 100).all()
    assert (first[10, 20:60] != 100).any(1).all()  # upper side of the box


def test_selection_figure():
    points = np.array([[20., 30.], [40., 30.], [60., 30.]])
    level = LevelSelection(points, np.array([1, 0, 0], bool),
                           np.array([0, 1, 0], bool), 20.)
    figure = draw_selections(ground(), np.array([[10, 20, 30, 40]]),
                             {'USS': [level]}, ('a', ), height=60)
    cell = figure[figure.shape[0] - 64:, figure.shape[1] - 84:]
    assert (cell[30, 20] == POSITIVE).all()
    assert (cell[30, 40] == NEGATIVE).all()
    assert (cell[30, 60] == 75).all()  # hollow: the darkened frame


def test_identities_take_the_names_of_what_they_cover():
    truth = [arrays([(5, 0), (8, 40)]), arrays([(5, 10), (8, 50)], 1)]
    other = [arrays([(1, 40), (2, 2)]), arrays([(1, 50), (2, 12), (3, 30)], 1)]
    assert match_identities(truth, other) == {1: 8, 2: 5, 3: 9}
    assert match_identities([arrays([])], [arrays([(4, 0)])]) == {4: 0}
    assert match_identities(truth, [arrays([]), arrays([])]) == {}


def test_comparison_shows_an_exchange_as_exchanged_colours():
    truth = [arrays([(0, 0), (1, 40)], t) for t in range(3)]
    swapped = truth[:2] + [arrays([(1, 0), (0, 40)], 2)]
    figure = draw_comparison([ground()] * 3, dict(truth=truth, host=swapped),
                             height=60)
    left = figure.shape[1] - 3 * 84
    cells = [[figure[4 + 64 * r:, left + 84 * c:][25, 5] for c in range(3)]
             for r in range(2)]
    assert (cells[0][0] == cells[1][0]).all()
    assert (cells[0][2] != cells[1][2]).any()


def test_grid_with_uneven_rows():
    table = grid([[ground(), ground()], [ground(0)]], ['a', 'b'], ['c', 'd'],
                 height=30)
    assert (table[-1] == 255).all() and table.dtype == np.uint8
    assert (table[-10, -10] == 255).all()  # the cell that is not there


def test_unknown_suffix_leaves_nothing(tmp_path):
    with pytest.raises((ValueError, cv2.error)):
        write_image(tmp_path / 'a.nonsense', ground())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('codec', ['auto', 'mp4v'])
def test_video_writer_takes_odd_sizes(tmp_path, codec):
    path = tmp_path / 'a.mp4'
    writer = VideoWriter(path, 10, (33, 47), codec)
    for value in (0, 80, 160):
        writer.write(np.full((33, 47, 3), value, np.uint8))
    writer.close()
    capture = cv2.VideoCapture(str(path))
    frames = [capture.read()[1] for _ in range(3)]
    assert [round(float(f.mean()), -1) for f in frames] == [0, 80, 160]
    assert frames[0].shape == (34, 48, 3)
    assert not capture.read()[0]


def test_annotated_video(tmp_path):
    rle = encode_masks(np.eye(4, dtype=bool)[None])[0]
    rle = dict(rle, counts=rle['counts'].decode())
    ann = dict(
        videos=[dict(id=7, height=4, width=4, file_names=['a.jpg', 'b.jpg'])],
        categories=[dict(id=3, name='cat'), dict(id=1, name='dog')],
        annotations=[dict(id=11, video_id=7, category_id=1, iscrowd=0,
                          segmentations=[None, rle], bboxes=[None,
                                                             [0, 0, 4, 4]],
                          areas=[None, 4])])
    (tmp_path / 'a.json').write_text(json.dumps(ann))
    entry = dict(video_id=7, category_id=3, score=.25,
                 segmentations=[rle, None])
    (tmp_path / 'r.json').write_text(
        json.dumps([entry, dict(entry, video_id=8)]))
    video = AnnotatedVideo(tmp_path / 'a.json')
    empty, one = video.ground_truth([0, 1])
    assert len(empty) == 0
    assert (one.ids.tolist(), one.labels.tolist(),
            one.scores.tolist()) == ([11], [1], [1.])
    assert one.boxes.tolist() == [[0, 0, 4, 4]]
    found, none = video.results(tmp_path / 'r.json', [0, 1])
    assert (found.labels.tolist(), found.scores.tolist()) == ([0], [.25])
    np.testing.assert_array_equal(decode_masks(found.masks, (4, 4))[0],
                                  np.eye(4, dtype=bool))
    assert len(none) == 0
    with pytest.raises(ValueError, match='has no video 9'):
        AnnotatedVideo(tmp_path / 'a.json', 9)
    with pytest.raises(ValueError, match='is not a list of results'):
        video.results(tmp_path / 'a.json', [0])
    with pytest.raises(FileNotFoundError, match='no results file'):
        video.results(tmp_path / 'gone.json', [0])
    (tmp_path / 'r.json').write_text(json.dumps(
        [dict(entry, segmentations=[dict(rle, counts='04'), None])]))
    with pytest.raises(ValueError, match='entry 0, frame 0: .* runs for 4'):
        video.results(tmp_path / 'r.json', [0])
