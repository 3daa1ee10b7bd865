import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvis_memcnp.annotations.validation import find_problems
from mmvis_memcnp.datasets import MovingShapes
from mmvis_memcnp.datasets.moving_shapes.generate import generate
from mmvis_memcnp.datasets.moving_shapes.levels import LEVELS
from mmvis_memcnp.datasets.moving_shapes.motion import (
    leave,
    meet,
    num_points,
    smooth,
    wander,
)
from mmvis_memcnp.datasets.moving_shapes.render import MIN_PIXELS, render
from mmvis_memcnp.datasets.moving_shapes.scene import Actor, Scene, make_scene
from mmvis_memcnp.datasets.moving_shapes.shapes import CLASSES, coverage
from mmvis_memcnp.datasets.moving_shapes.textures import (
    Texture,
    distance,
    distinct_texture,
    random_texture,
    similar_texture,
)

SIZE = (64, 96)
PLAIN = Texture('stripes', np.array([[40., 40, 200], [40, 40, 200]]), 20., 0.,
                0)
GROUND = Texture('stripes', np.array([[200., 40, 40], [200, 40, 40]]), 20.,
                 0., 0)


def make(out, **changes):
    arguments = dict(videos=2, frames=8, size=SIZE, seed=3, level='hard')
    return generate(out, **(arguments | changes))


def scene_of(actors, num_frames=1):
    ones = np.ones(num_frames)
    return Scene(
        height=60,
        width=80,
        actors=actors,
        background=GROUND,
        pan=np.zeros((num_frames, 2)),
        gain=ones,
        tint=np.ones((num_frames, 3)),
        slope=np.zeros((num_frames, 2)),
        shutter=0.,
        noise=0.,
        seed=0)


def actor(shape, centres, radius=10.):
    centres = np.array(centres, dtype=float)
    return Actor(CLASSES.index(shape), PLAIN, 1., centres,
                 np.full(len(centres), radius), np.zeros(len(centres)))


@pytest.mark.parametrize('shape, area', [
    ('circle', np.pi * .85**2), ('square', 2 * 1.05**2),
    ('triangle', 3 * np.sqrt(3) / 4 * 1.15**2),
    ('star', 10 * .5 * 1.15 * .48 * np.sin(np.pi / 5)),
    ('cross', 4 * .32**2 + 8 * .32 * (1 - .32)),
    ('ring', np.pi * (1 - .55**2)),
])
def test_areas_of_the_shapes(shape, area):
    cover = coverage(shape, 20 * np.eye(2), np.array([30.2, 29.7]), 0, 0, 60,
                     60)
    assert cover.dtype == np.float32 and cover.max() <= 1
    # The circles are polygons of 48 corners, and OpenCV fills the outline
    # itself, an eighth of a pixel on the enlarged canvas.
    assert cover.sum() == pytest.approx(area * 400, rel=0.04)


def test_a_shape_is_where_it_should_be():
    cover = coverage('square', 10 * np.eye(2), np.array([30., 20.]), 5, 4, 50,
                     40)
    rows, columns = np.nonzero(cover >= 0.5)
    side = 10 * 1.05 / np.sqrt(2)
    assert columns.mean() + 5 == pytest.approx(30, abs=0.3)
    assert rows.mean() + 4 == pytest.approx(20, abs=0.3)
    assert np.ptp(rows) + 1 == pytest.approx(2 * side, abs=1)


def test_the_nearer_object_hides_the_farther():
    far, near = actor('square', [(30, 30)]), actor('square', [(36, 30)])
    frame, masks = next(render(scene_of([far, near])))
    alone = next(render(scene_of([far])))[1][..., 0]
    whole = next(render(scene_of([near])))[1][..., 0]
    np.testing.assert_array_equal(masks[..., 1], whole)
    np.testing.assert_array_equal(masks[..., 0], alone & ~whole & 1)
    # What the masks say is what the picture shows: red on blue.
    red = (frame[..., 2] > frame[..., 0]).astype(np.uint8)
    assert (red != masks.max(axis=-1)).mean() < 0.01


def test_what_is_hidden_or_outside_has_no_mask():
    centres = [(40, 30), (40, 30), (40, 30)]
    small = actor('circle', [(40, 30), (40, 8), (-40, 30)], radius=6.)
    big = actor('square', centres, radius=18.)
    areas = [m.sum(axis=(0, 1)) for _, m in render(scene_of([small, big], 3))]
    assert areas[0][0] == 0 and areas[2][0] == 0
    assert areas[1][0] == pytest.approx(np.pi * (6 * .85)**2, rel=0.1)


def test_a_few_pixels_count_as_nothing():
    edge = actor('circle', [(-7.7, 30)], radius=10.)
    visible = coverage('circle', 10 * np.eye(2), np.array([-7.7, 30]), 0, 0,
                       80, 60) >= 0.5
    assert 0 < visible.sum() < MIN_PIXELS
    assert next(render(scene_of([edge])))[1].sum() == 0


def test_ring_has_a_hole_that_shows_what_is_behind():
    far, ring = actor('circle', [(40, 30)], 5.), actor('ring', [(40, 30)], 20.)
    _, masks = next(render(scene_of([far, ring])))
    assert masks[30, 40].tolist() == [1, 0]


@pytest.mark.parametrize('level', sorted(LEVELS))
def test_no_pixel_belongs_to_two_objects(level):
    for seed in range(3):
        scene = make_scene(
            np.random.default_rng(seed), LEVELS[level], 10, *SIZE)
        for frame, masks in render(scene):
            assert frame.shape == (*SIZE, 3) and frame.dtype == np.uint8
            assert masks.sum(axis=-1).max() <= 1
            areas = masks.sum(axis=(0, 1))
            assert ((areas == 0) | (areas >= MIN_PIXELS)).all()


def test_paths_go_through_their_points():
    points = np.array([[0., 0], [10, 5], [3, 9]])
    path = smooth(points, 13)
    np.testing.assert_allclose(path[[0, 6, 12]], points)
    assert num_points(13) == 3 and num_points(14) == 4
    assert smooth(np.ones((num_points(1), 2)), 1).shape == (1, 2)


def test_walks_stay_inside_and_exits_do_not():
    size = np.array([96., 64.])
    points = wander(np.random.default_rng(0), 50, size, 10., 30.)
    assert (points >= 10).all() and (points <= size - 10).all()
    path = np.array([[50., 30], [90, 30], [50, 30]])
    leave(path, 1, size, radius=10.)
    assert path[1].tolist() == [112, 30]


def test_look_alikes_cross():
    first = np.array([[10., 30], [48, 32], [80, 30]])
    second = np.zeros((3, 2))
    meet(first, second, 1, np.zeros(2), True, np.array([96., 64.]))
    np.testing.assert_allclose(second, [[86, 34], [48, 32], [16, 34]])


def test_hard_has_look_alikes_and_easy_has_none():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        hard = make_scene(rng, LEVELS['hard'], 10, *SIZE).actors
        alike = [(a, b) for i, a in enumerate(hard) for b in hard[:i]
                 if a.texture is b.texture]
        assert len(alike) == 2
        assert all(a.label == b.label and a.stretch == b.stretch
                   for a, b in alike)
        easy = make_scene(rng, LEVELS['easy'], 10, *SIZE).actors
        assert len({id(a.texture) for a in easy}) == len(easy)


def test_absence_has_look_alikes_of_which_one_goes_and_comes_back():
    scenes = [make_scene(np.random.default_rng(seed), LEVELS['absence'], 48,
                         128, 192) for seed in range(6)]
    for scene in scenes:
        seen = np.stack([m.any((0, 1)) for _, m in render(scene)], 1)
        pairs = [(i, j) for i, a in enumerate(scene.actors)
                 for j, b in enumerate(scene.actors[:i])
                 if a.texture is b.texture]
        assert len(pairs) == 2
        away = {i for i, row in enumerate(seen)
                if np.diff(np.flatnonzero(row)).max() > 15}
        assert all(len(away & set(pair)) == 1 for pair in pairs)
        assert len(away) == 2


def test_new_levels_do_not_change_the_videos_of_others():
    # The position of a level is part of its seed.
    assert list(LEVELS) == ['easy', 'hard', 'absence']


def test_textures_stand_out_or_hide():
    rng = np.random.default_rng(0)
    ground = random_texture(rng, (5, 9), 20.)
    for _ in range(20):
        other = distinct_texture(rng, (5, 9), 40., [ground], 40.)
        assert distance(other, ground) >= 40
        hidden = similar_texture(rng, ground, 5.)
        assert np.abs(hidden.colours - ground.colours).max() < 25


def test_colours_say_nothing_about_the_class():
    """The mean colours of the classes differ no more than by chance."""
    rng = np.random.default_rng(0)
    actors = [a for _ in range(150)
              for a in make_scene(rng, LEVELS['easy'], 1, *SIZE).actors]
    labels = np.array([a.label for a in actors])
    colours = np.array([a.texture.colours.mean(0) for a in actors])
    assert set(labels) == set(range(len(CLASSES)))
    for label in range(len(CLASSES)):
        own = colours[labels == label]
        error = colours.std(0) / np.sqrt(len(own))
        assert (np.abs(own.mean(0) - colours.mean(0)) < 4 * error).all()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = make(tmp_path / 'a').read_bytes()
    assert make(tmp_path / 'b').read_bytes() == first
    frame = 'JPEGImages/0002/00007.jpg'
    assert ((tmp_path / 'a' / frame).read_bytes() ==
            (tmp_path / 'b' / frame).read_bytes())
    assert make(tmp_path / 'c', seed=4).read_bytes() != first
    assert make(tmp_path / 'd', level='easy').read_bytes() != first


def test_a_video_does_not_depend_on_how_many_there_are(tmp_path):
    two = json.loads(make(tmp_path / 'a').read_text())
    one = json.loads(make(tmp_path / 'b', videos=1).read_text())
    kept = [a for a in two['annotations'] if a['video_id'] == 1]
    assert kept == one['annotations']


@pytest.mark.parametrize('level', sorted(LEVELS))
def test_the_json_is_official_and_valid(tmp_path, level):
    path = make(tmp_path / 'a', level=level, frames=20)
    data = json.loads(path.read_text())
    assert list(find_problems(data, path.parent / 'JPEGImages')) == []
    assert [c['name'] for c in data['categories']] == list(CLASSES)
    preview = cv2.imread(str(path.parent / 'preview.png'))
    assert preview.shape[1] > 1000 and preview.std() > 10


def test_objects_leave_and_come_back(tmp_path):
    path = make(tmp_path / 'a', videos=8, frames=20)
    returns = 0
    for track in json.loads(path.read_text())['annotations']:
        seen = np.flatnonzero([s is not None for s in track['segmentations']])
        returns += np.diff(seen).max(initial=1) > 1
    assert returns >= 3


def test_the_data_set_reads_it(tmp_path):
    path = make(tmp_path / 'a', videos=1, frames=1)
    dataset = MovingShapes(
        str(path), data_prefix=dict(img_path=str(path.parent / 'JPEGImages')),
        pipeline=[dict])
    item = dataset[0]
    data = json.loads(path.read_text())
    masks = [o['mask'] for o in item['instances'][0]]
    for mask, track in zip(masks, data['annotations'], strict=True):
        assert mask_utils.area(mask) == track['areas'][0]


@pytest.mark.parametrize('changes, sentence', [
    (dict(videos=0), '0 videos'),
    (dict(frames=0), 'of 0 frames'),
    (dict(size=(20, 96)), '20x96 is too small'),
    (dict(seed=-1), 'seed is -1'),
    (dict(level='medium'), "no level 'medium'; the levels are easy, hard"),
])
def test_bad_arguments(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(tmp_path / 'a', **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_used_folder_is_left_alone(tmp_path):
    folder = tmp_path / 'a'
    make(folder)
    with pytest.raises(ValueError, match='a is not empty: .* --overwrite'):
        make(folder)
    before = (folder / 'instances.json').read_bytes()
    make(folder, seed=9, overwrite=True)  # its own, as it was made
    assert (folder / 'instances.json').read_bytes() != before
    (folder / 'thesis.txt').write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(ValueError, match='thesis.txt in it was not made'):
            make(folder, overwrite=overwrite)
    assert (folder / 'thesis.txt').read_text() == 'mine'
    assert [p.name for p in tmp_path.iterdir()] == ['a']


def test_nothing_half_written(tmp_path, monkeypatch):
    from mmvis_memcnp.datasets.moving_shapes import generate as module

    def fail(path, frame):
        raise OSError('disk full')

    monkeypatch.setattr(module, '_write_jpeg', fail)
    with pytest.raises(OSError, match='disk full'):
        make(tmp_path / 'a')
    assert list(tmp_path.iterdir()) == []
