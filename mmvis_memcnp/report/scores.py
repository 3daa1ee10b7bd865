"""The tables and curves of a page."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..evaluation.functional import (
    SHAPES,
    TRACKING,
    Pairs,
    VideoScores,
    average_precision,
    binned_spread,
    calibration,
    headline,
    pair_video,
    precision,
    score_videos,
    tracking,
)
from ..evaluation.functional.report import HEADLINE
from .inputs import Inputs, Video, box_columns
from .shapes import series

Row = dict[str, Any]
#: Fewer pairs than this make no curve.
_FEWEST = 20


@dataclass
class Detection:
    """One predicted instance of a frame, for `pair_video`."""
    frame: int
    score: float
    bbox: tuple[float, float, float, float]
    sigmas: tuple[float, float, float, float] | None
    class_prob: float | None = None
    centerness: float | None = None
    uncertainty: float | None = None


def score_inputs(inputs: Inputs, videos: Iterable[int], score_thr: float,
                 processes: int = 1) -> dict[int, VideoScores]:
    """Measure the videos of a ground truth, see `score_videos`."""
    assert inputs.gt is not None
    return score_videos(inputs.gt, inputs.results, videos, score_thr,
                        processes)


def overall_rows(inputs: Inputs,
                 scores: Mapping[int, VideoScores]) -> list[Row]:
    """All numbers of all videos, by masks and by boxes."""
    return [dict(name=shape, **headline(
        precision(scores, list(inputs.classes), shape).stats()),
        **tracking(scores.values(), shape)) for shape in SHAPES]


def class_rows(inputs: Inputs,
               scores: Mapping[int, VideoScores]) -> list[Row]:
    """AP and AR of the classes, the worst first."""
    found = precision(scores, list(inputs.classes)).per_class()
    counts = {c: sum(len(s.cells['masks'][c].gt_areas)
                     for s in scores.values() if c in s.cells['masks'])
              for c in inputs.classes}
    rows = [dict(name=inputs.class_name(c), **headline(numbers),
                 objects=counts[c]) for c, numbers in found.items()]
    return sorted(rows, key=lambda r: (r['AP'] < 0, r['AP']))


def video_rows(inputs: Inputs,
               scores: Mapping[int, VideoScores]) -> list[Row]:
    """Numbers of each video by masks; those without objects come last."""
    rows = []
    for number, score in scores.items():
        counts, cells = score.counts['masks'], score.cells['masks']
        rows.append(dict(
            id=number, name=inputs.videos[number].name,
            **headline(average_precision(
                {number: cells}, [c for c in inputs.classes if c in cells]
            ).stats()), **tracking([score]),
            objects=counts.num_unique_objects, missed=counts.num_misses,
            false=counts.num_false_positives))
    return sorted(rows, key=lambda r: (r['AP'] < 0, r['AP'], r['HOTA'],
                                       r['id']))


def rows_without_truth(inputs: Inputs, score_thr: float) -> list[Row]:
    """What is known of the videos without a truth, the least sure first."""
    rows = []
    for video in inputs.videos.values():
        scores = [p.score for p in video.predictions if p.score >= score_thr]
        rows.append(dict(
            id=video.id, name=video.name, frames=video.length,
            tracks=len(scores),
            score=float(np.mean(scores)) if scores else float('nan')))
    return sorted(rows, key=lambda r: (r['score'] != r['score'], r['score']))


def table(title: str, note: str, rows: list[Row],
          columns: Iterable[str]) -> dict[str, Any]:
    """A table of the page; ratios but ``score`` are shown times 100.

    Args:
        title: its heading.
        note: a sentence below it.
        rows: with ``name`` and, of videos, ``id``.
        columns: what is shown of them.
    """
    columns = list(columns)
    cells = []
    for row in rows:
        values = [row[c] for c in columns]
        cells.append(dict(
            name=row['name'], video=row.get('id'), values=[
                None if v != v or (v == -1 and c.startswith(('AP', 'AR')))
                else int(v) if isinstance(v, int)
                else round(v, 2) if c == 'score' else round(v * 100, 1)
                for c, v in zip(columns, values, strict=True)]))
    return dict(title=title, note=note, columns=columns, rows=cells)


def truth_tables(inputs: Inputs, scores: Mapping[int, VideoScores],
                 videos: list[Row], score_thr: float) -> list[Row]:
    """The tables of a page with ground truth."""
    note = (f'Tracking scores take tracks that score {score_thr:g} or more '
            'and do not tell classes apart.')
    return [
        table('All videos', note, overall_rows(inputs, scores),
              (*HEADLINE, *TRACKING)),
        table('Classes', 'By masks, the worst first.',
              class_rows(inputs, scores), (*HEADLINE, 'objects')),
        table('Videos', 'By masks, the worst first. Missed and false are '
              'object frames.', videos,
              ('AP', 'AP50', 'HOTA', 'IDF1', 'MOTA', 'switches', 'objects',
               'missed', 'false')),
    ]


def detections(video: Video) -> Iterator[tuple[int, list[Detection]]]:
    """Category and instances of the tracks that have standard deviations."""
    height, width = video.size
    sides = np.array([width, height] * 2)
    for track in video.predictions:
        boxes, spreads = box_columns(track, video.length)
        if boxes is None or spreads is None:
            continue
        known = ~np.isnan(boxes).any(1) & (spreads > 0).all(1)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]],
                                 1)
        yield track.category_id, [
            Detection(t, track.score, tuple(corners[t].tolist()),
                      tuple((spreads[t] / sides).tolist()))
            for t in np.flatnonzero(known).tolist()]


def reliability_plots(inputs: Inputs, score_thr: float,
                      iou_thr: float = .5) -> dict[str, Any] | None:
    """Whether errors are as large as the standard deviations say.

    Args:
        inputs: with a truth.
        score_thr: instances that score less are left out.
        iou_thr: so are boxes that meet no object so well.

    Returns:
        Curves and numbers; None if there are too few standard deviations.
    """
    pairs = Pairs.join(
        pair_video(detections(v), v.truth, v.size, v.length, score_thr)
        for v in inputs.videos.values()
        if any(p.box_std is not None for p in v.predictions))
    judged = pairs[(pairs.ious >= iou_thr) & ~np.isnan(pairs.sigmas).any(1)]
    if len(judged) < _FEWEST:
        return None
    sides = calibration(judged.errors, judged.sigmas)
    predicted, observed = binned_spread(judged.errors, judged.sigmas)
    return dict(
        pairs=len(judged), levels=series(sides.levels),
        coverage=series(sides.coverage.mean(1), 3),
        predicted=series(predicted), observed=series(observed),
        ece=round(float(sides.error.mean()), 3),
        z_std=round(float(np.sqrt(np.square(sides.z_std).mean())), 2),
        sharpness=round(float(sides.sharpness.mean()), 1))
