"""Who follows whom in a video, and what goes wrong there."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from ..evaluation.functional import measure_video
from ..evaluation.functional.mot import follow, identity_switches
from .inputs import Inputs, Video, box_columns

#: An error larger than so many standard deviations was not expected.
SURPRISE = 3.
#: Mean IoU below which a mask that follows its object is called loose.
LOOSE = .75


@dataclass
class Case:
    """Something that went wrong.

    Attributes:
        kind: one word, see :data:`KINDS`.
        video: id of the video.
        frame: where to look first.
        text: one phrase.
        cost: object frames that it concerns; the worst case has most.
        tracks: places of predicted tracks, from 0.
        objects: places of annotated tracks.
    """
    kind: str
    video: int
    frame: int
    text: str
    cost: float
    tracks: list[int] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)

    def plain(self) -> dict:
        """As json holds it."""
        return {**asdict(self), 'cost': round(self.cost, 1)}


#: What each kind of case means.
KINDS = {
    'switch': 'an object goes on under another track',
    'missed': 'an object that no track follows',
    'duplicate': 'a second track on an object that has one',
    'false': 'a track where there is no object',
    'class': 'the right place under the wrong name',
    'loose': f'masks that follow their object with a mean IoU under {LOOSE}',
    'surprise': f'a side more than {SURPRISE:g} standard deviations off',
    'gap': 'a track that is interrupted',
    'jump': 'a track that leaves its place between two frames',
    'unsure': 'the largest standard deviations',
    'faint': 'a track of which the model is hardly sure',
}


@dataclass
class Tracks:
    """The tracks of one video as arrays.

    G annotated tracks, P predicted ones, T frames.

    Attributes:
        found: int64 (G, T), place of the prediction that follows an object;
            -1 where it is absent, missed, or a crowd.
        similarity: float64 (G, P, T), IoUs of masks.
        present: bool (G, T), objects that are no crowd.
        predicted: bool (P, T), predictions, whatever they score.
        sure: bool (P,), whether they score enough to be followed.
        boxes: float64 (P, T, 4) x, y, w, h: of the file, else of the masks.
        gt_boxes: float64 (G, T, 4).
        spreads: float64 (P, T, 4), standard deviations of left, upper, right
            and lower side in pixels; NaN where there are none.
    """
    found: np.ndarray
    similarity: np.ndarray
    present: np.ndarray
    predicted: np.ndarray
    sure: np.ndarray
    boxes: np.ndarray
    gt_boxes: np.ndarray
    spreads: np.ndarray

    @classmethod
    def of(cls, video: Video, score_thr: float) -> Tracks:
        """Compare the tracks of a video, as the tracking scores do.

        Args:
            video: the video.
            score_thr: predictions that score less follow nothing.

        Raises:
            UserError: see :func:`~.inputs.box_columns`.
        """
        overlaps = measure_video(
            video.predictions, video.truth, video.size, same_category=False,
            by_frame=True, boxes=True)
        boxes, gt_boxes, areas, gt_areas, similarity = (
            _stretched(a, axis, video.length) for a, axis in (
                (overlaps.boxes, 1), (overlaps.gt_boxes, 1),
                (overlaps.areas, 1), (overlaps.gt_areas, 1),
                (overlaps.similarity(), 2)))
        boxes = boxes.copy()
        spreads = np.full(boxes.shape, np.nan)
        for place, track in enumerate(video.predictions):
            given, std = box_columns(track, video.length)
            if given is not None:
                boxes[place] = np.where(np.isnan(given), boxes[place], given)
            if std is not None:
                spreads[place] = std
        real = np.array([not g.crowd for g in video.truth], bool)
        present = (gt_areas > 0) & real[:, None]
        predicted = areas > 0
        sure = np.array([p.score >= score_thr for p in video.predictions],
                        bool)
        found = follow(similarity, present, predicted & sure[:, None])
        return cls(found, similarity, present, predicted, sure, boxes,
                   gt_boxes, spreads)

    def switches(self) -> np.ndarray:
        """Where an object goes on under another track: bool (G, T)."""
        return identity_switches(self.found)

    def deviation(self) -> np.ndarray:
        """Mean standard deviation of the sides in pixels: (P, T)."""
        return np.where(self.predicted, self.spreads.mean(2), np.nan)


def _stretched(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Arrays of a video without any track have no frames."""
    short = length - values.shape[axis]
    if not short:
        return values
    pad = [(0, short if k == axis else 0) for k in range(values.ndim)]
    return np.pad(values, pad, constant_values=np.nan if
                  values.dtype.kind == 'f' and axis == 1 else 0)


def runs(values: np.ndarray) -> list[tuple[int, int]]:
    """First place and the one behind the last of each run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[False, values, False]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def find_cases(inputs: Inputs, video: Video, tracks: Tracks) -> list[Case]:
    """What went wrong in a video, the worst first.

    Args:
        inputs: for the names of classes and whether there is a truth.
        video: the video.
        tracks: its tracks.
    """
    found = (_against_truth(inputs, video, tracks) if inputs.gt else
             _without_truth(inputs, video, tracks))
    return sorted(found, key=lambda c: -c.cost)


def _against_truth(inputs: Inputs, video: Video,
                   tracks: Tracks) -> Iterator[Case]:
    switches = tracks.switches()
    for g, truth in enumerate(video.truth):
        name = f'object {g + 1} ({inputs.class_name(truth.category_id)})'
        found, present = tracks.found[g], tracks.present[g]
        for t in np.flatnonzero(switches[g]).tolist():
            before = int(found[:t][found[:t] >= 0][-1])
            after = int(found[t])
            later = np.flatnonzero(switches[g, t + 1:])
            end = t + 1 + int(later[0]) if len(later) else video.length
            yield Case('switch', video.id, t, f'{name}: track {before + 1} → '
                       f'track {after + 1}', float((found[t:end] >= 0).sum()),
                       [before, after], [g])
        lost = runs(present & (found < 0))
        if lost:
            total = sum(end - start for start, end in lost)
            start, end = max(lost, key=lambda r: r[1] - r[0])
            never = total == present.sum()
            text = (f'{name}: never found' if never else
                    f'{name}: lost for {total} of {present.sum()} frames')
            yield Case('missed', video.id, start, text, float(total), [], [g])
        for p in np.unique(found[found >= 0]).tolist():
            yield from _pair(inputs, video, tracks, g, p, name)
    matched = np.zeros(tracks.predicted.shape, bool)
    objects, frames = np.nonzero(tracks.found >= 0)
    matched[tracks.found[objects, frames], frames] = True
    crowds = np.array([g.crowd for g in video.truth], bool)
    on_crowd = (tracks.similarity[crowds] > 0).any(0)
    stray = (tracks.predicted & tracks.sure[:, None] & ~matched & ~on_crowd)
    for p in np.flatnonzero(stray.any(1)).tolist():
        yield _stray(inputs, video, tracks, p, stray[p])


def _pair(inputs: Inputs, video: Video, tracks: Tracks, g: int, p: int,
          name: str) -> Iterator[Case]:
    """An object and a track that follows it."""
    both = tracks.found[g] == p
    frames = np.flatnonzero(both)
    prediction = video.predictions[p]
    if prediction.category_id != video.truth[g].category_id:
        yield Case('class', video.id, int(frames[0]),
                   f'{name} is called '
                   f'{inputs.class_name(prediction.category_id)} by track '
                   f'{p + 1}', float(len(frames)), [p], [g])
    ious = tracks.similarity[g, p, frames]
    if ious.mean() < LOOSE:
        yield Case('loose', video.id, int(frames[ious.argmin()]),
                   f'{name}: mean IoU {ious.mean():.2f} with track {p + 1}',
                   float((1 - ious).sum()), [p], [g])
    ours, theirs = tracks.boxes[p, frames], tracks.gt_boxes[g, frames]
    errors = np.abs(np.concatenate([
        ours[:, :2] - theirs[:, :2],
        (ours - theirs)[:, :2] + (ours - theirs)[:, 2:]], 1))
    spreads = tracks.spreads[p, frames]
    with np.errstate(divide='ignore', invalid='ignore'):
        # A side without an error is no surprise, whatever was expected.
        sides = np.where((errors == 0) & ~np.isnan(spreads), 0,
                         errors / spreads)
    worst = np.fmax.reduce(sides, 1)  # NaN: no standard deviation
    off = worst > SURPRISE
    if off.any():
        top = int(np.nanargmax(worst))
        much = (f'by {worst[top]:.0f} of its standard deviations'
                if np.isfinite(worst[top]) else
                f'by {errors[top][np.isinf(sides[top])].max():.1f} pixels '
                'where its standard deviation is 0')
        yield Case('surprise', video.id, int(frames[top]),
                   f'{name}: track {p + 1} is off {much}',
                   float(off.sum()) / 2, [p], [g])


def _stray(inputs: Inputs, video: Video, tracks: Tracks, p: int,
           frames: np.ndarray) -> Case:
    """A track in frames where it follows no object."""
    count = int(frames.sum())
    start = max(runs(frames), key=lambda r: r[1] - r[0])[0]
    prediction = video.predictions[p]
    near = (tracks.similarity[:, p] * tracks.present)[:, frames]
    name = inputs.class_name(prediction.category_id)
    if len(near) and near.max(0).mean() >= .5:
        g = int(near.mean(1).argmax())
        text = (f'track {p + 1} ({name}, {prediction.score:.2f}) lies on '
                f'object {g + 1}, which has another')
        return Case('duplicate', video.id, start, text,
                    count * prediction.score, [p], [g])
    return Case('false', video.id, start,
                f'track {p + 1} ({name}, {prediction.score:.2f}) is on no '
                f'object for {count} frames', count * prediction.score, [p])


def _without_truth(inputs: Inputs, video: Video,
                   tracks: Tracks) -> Iterator[Case]:
    sides = np.sqrt(tracks.boxes[..., 2] * tracks.boxes[..., 3])
    for p, prediction in enumerate(video.predictions):
        if not tracks.sure[p]:
            continue
        here = tracks.predicted[p]
        places = np.flatnonzero(here)
        if not len(places):
            continue
        name = (f'track {p + 1} '
                f'({inputs.class_name(prediction.category_id)})')
        inside = ~here
        inside[:places[0]] = inside[places[-1]:] = False
        for start, end in runs(inside):
            yield Case('gap', video.id, max(start - 1, 0),
                       f'{name}: away for {end - start} frames',
                       float(end - start), [p])
        centres = tracks.boxes[p, places, :2] + tracks.boxes[p, places, 2:] / 2
        steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        close = np.diff(places) == 1
        ratio = steps / np.maximum(sides[p, places[:-1]], 1)
        for i in np.flatnonzero(close & (ratio > 1)).tolist():
            yield Case('jump', video.id, int(places[i + 1]),
                       f'{name}: moves by {ratio[i]:.1f} of its size at once',
                       float(ratio[i]) * 2, [p])
        share = tracks.deviation()[p, places] / np.maximum(
            sides[p, places], 1)
        if not np.isnan(share).all():
            top = int(np.nanargmax(share))
            yield Case('unsure', video.id, int(places[top]),
                       f'{name}: sides within {share[top]:.0%} of its size',
                       float(np.nansum(share)), [p])
        yield Case('faint', video.id, int(places[0]),
                   f'{name}: score {prediction.score:.2f}, '
                   f'{len(places)} frames',
                   (1 - min(prediction.score, 1.)) * 2, [p])
