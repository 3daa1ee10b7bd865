"""Where scenes begin, and what is followed across them."""
import warnings

import cv2
import numpy as np
import pytest

from mmvis_memcnp.apis import CutDetector, VISInferencer
from mmvis_memcnp.apis.scenes import follow_scenes
from mmvis_memcnp.datasets.moving_shapes.levels import LEVELS
from mmvis_memcnp.datasets.moving_shapes.render import render
from mmvis_memcnp.datasets.moving_shapes.scene import make_scene
from mmvis_memcnp.results import FileSink, NoSink
from tests.fakes.colour_blobs import clip, config


@pytest.fixture
def blobs():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return VISInferencer(config(), device='cpu')


def shapes(number, frames=12):
    scene = make_scene(np.random.default_rng(number), LEVELS['hard'],
                       frames, 96, 128)
    return [frame for frame, _ in render(scene)]


def cuts_of(frames, **options):
    detector = CutDetector(**options)
    return [t for t, frame in enumerate(frames) if detector(frame)]


def flat(*levels):
    """Grey frames, one a level."""
    return [np.full((48, 64, 3), level, np.uint8) for level in levels]


def test_generated_scenes_are_told_apart():
    frames = [f for number in range(6) for f in shapes(number)]
    assert cuts_of(frames) == [12, 24, 36, 48, 60]


def test_motion_light_and_noise_are_no_cuts():
    rng = np.random.default_rng(0)
    one = cv2.resize(rng.integers(0, 255, (24, 64, 3), dtype=np.uint8),
                     (256, 96))
    panned = [one[:, t * 4:t * 4 + 128] for t in range(30)]
    assert cuts_of(panned) == []
    noisy = [np.clip(shape + rng.normal(0, 8, shape.shape), 0, 255).astype(
        np.uint8) for shape in shapes(0, 20)]
    assert cuts_of(noisy) == []
    darker = [(one[:, :128] * (1 - t / 60)).astype(np.uint8)
              for t in range(30)]
    assert cuts_of(darker) == []


@pytest.mark.parametrize('levels, options, cuts', [
    ([0] * 6 + [250] * 6, {}, [6]),  # a cut
    ([0] * 3 + [250] * 9, {}, []),  # too early
    ([0] * 3 + [250] * 9, dict(min_length=1), [3]),  # unless that is allowed
    ([0] * 6 + [250] + [0] * 9, {}, [6]),  # back at once is the same scene
    ([0, 250] * 6, dict(min_length=2), [2, 4, 6, 8, 10]),
    ([7], {}, []), ([], {}, []),
])
def test_cuts(levels, options, cuts):
    assert cuts_of(flat(*levels), **options) == cuts


def test_a_part_of_the_frame_is_no_cut():
    before, now = flat(0, 0)
    now[:24, :32] = 250  # a quarter
    frames = [before] * 6 + [now] * 6
    assert cuts_of(frames) == [] and cuts_of(frames, threshold=.2) == [6]


@pytest.mark.parametrize('options', [
    dict(threshold=0), dict(threshold=1.), dict(min_length=0)])
def test_numbers_out_of_range(options):
    with pytest.raises(ValueError, match='of a'):
        CutDetector(**options)


def test_no_identity_is_in_two_scenes(blobs):
    frames = [*clip(), *(255 - clip()[:, ::-1] // 3), *clip()]
    frames = [np.ascontiguousarray(f) for f in frames]
    alone = [result.instances_id.tolist() for result in (
        blobs.session().step(np.stack(frames[12:])))]
    found = list(blobs.stream(frames, cuts=CutDetector()))
    for given, (frame, _) in zip(frames, found, strict=True):
        assert given is frame
    results = [result for _, result in found]
    assert [r.frame_id for r in results] == list(range(18))
    assert [r.scene for r in results] == [0] * 6 + [1] * 6 + [2] * 6
    ids = [{i for r in results if r.scene == scene
            for i in r.instances_id.tolist()} for scene in range(3)]
    assert not (ids[0] & ids[1] or ids[0] & ids[2] or ids[1] & ids[2])
    first = min(ids[2])
    assert [r.instances_id.tolist() for r in results[12:]] == [
        [i + first for i in row] for row in alone]


@pytest.mark.parametrize('length, scenes', [
    (None, [0] * 6), (4, [0] * 4 + [1] * 2), (3, [0] * 3 + [1] * 3),
    (1, list(range(6))), (9, [0] * 6)])
def test_a_new_session_every_so_many_frames(blobs, length, scenes):
    found = [r for _, r in blobs.stream(clip(), max_scene=length)]
    assert [r.scene for r in found] == scenes
    assert [len(r) for r in found] == [1, 1, 2, 2, 2, 1]


def test_results_that_come_late_stay_with_their_frames():
    class Late:
        """Gives results of two frames at a time, and the rest at the end."""

        def __init__(self, blobs):
            self.session, self.held = blobs.session(), []

        def step(self, frame):
            self.held += self.session.step(frame)
            if len(self.held) < 2:
                return []
            out, self.held = self.held, []
            return out

        def flush(self):
            return self.held

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        blobs = VISInferencer(config(), device='cpu')
    frames = list(clip())
    found = list(follow_scenes(lambda: Late(blobs), frames, max_scene=3))
    assert [r.frame_id for _, r in found] == list(range(6))
    assert all(frame is own for (frame, _), own in zip(found, frames,
                                                      strict=True))


def test_what_does_not_go_together(blobs):
    with pytest.raises(ValueError, match='one scene'):
        next(blobs.stream(clip(), FileSink(), max_scene=2))
    with pytest.raises(ValueError, match='max_scene must be at least 1'):
        next(blobs.stream(clip(), max_scene=0))


def test_nothing_is_kept(blobs):
    session = blobs.session(NoSink())
    session.step(clip())
    video = session.finish()
    assert [t.num_detections for t in video.tracks] == [6, 3]
    assert [list(t.records()) for t in video.tracks] == [[], []]
    assert video.num_frames == 6
