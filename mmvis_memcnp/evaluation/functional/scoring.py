"""All scores of a results file: average precision and tracking."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .ground_truth import AnnotationFile, GTTrack
from .hota import HOTACounts, count_hota
from .mot import TrackingCounts, count_matches
from .results import ResultTrack
from .shares import each_result
from .track_iou import Cell, measure_video, reduce_video
from .ytvis_ap import APResult, average_precision, matched

#: What tracks are compared by.
SHAPES = ('masks', 'boxes')
TRACKING = ('HOTA', 'DetA', 'AssA', 'LocA', 'IDF1', 'IDP', 'IDR', 'MOTA',
            'switches')
#: Upper ends of an object's mean occlusion over the frames where it is seen,
#: of which a frame without any counts 0, slight .25 and severe .75.
OCCLUSION = {'slight': .25, 'moderate': .5, 'heavy': 1.}
_OCCLUDED = {'no_occlusion': 0., 'slight_occlusion': .25,
             'severe_occlusion': .75}


@dataclass
class VideoScores:
    """What is kept of a video, by masks and by boxes.

    Attributes:
        cells: of each category, see :func:`reduce_video`.
        counts: identities and switches.
        hota: for HOTA.
    """
    cells: dict[str, dict[int, Cell]]
    counts: dict[str, TrackingCounts]
    hota: dict[str, HOTACounts]


def score_video(predictions: Sequence[ResultTrack],
                ground_truths: Sequence[GTTrack], size: tuple[int, int],
                score_thr: float = .3) -> VideoScores:
    """Measure one video.

    Args:
        predictions: predicted tracks.
        ground_truths: annotated tracks.
        size: height and width of the video in pixels.
        score_thr: the tracking scores leave out predictions that score less,
            and do not tell classes apart. Crowds are left out, too.

    Raises:
        ValueError: see :func:`measure_video`.
    """
    masks = measure_video(predictions, ground_truths, size,
                          same_category=False, by_frame=True, boxes=True)
    scores = VideoScores({}, {}, {})
    sure = np.array([p.score >= score_thr for p in predictions], bool)
    real = np.array([not g.crowd for g in ground_truths], bool)
    for shape, overlaps in zip(SHAPES, (masks, masks.filled_boxes()),
                               strict=True):
        scores.cells[shape] = matched(reduce_video(
            predictions, ground_truths, size, overlaps))
        tracks = (overlaps.similarity()[real][:, sure],
                  overlaps.gt_areas[real] > 0, overlaps.areas[sure] > 0)
        scores.counts[shape] = count_matches(*tracks)
        scores.hota[shape] = count_hota(*tracks)
    return scores


def reduce_results(
        gt: AnnotationFile,
        results: str | Path | Iterable[ResultTrack],
        videos: Iterable[int] | None = None,
        processes: int = 1) -> dict[int, dict[int, Cell]]:
    """Reduce the videos of the ground truth, see `reduce_video`.

    Args:
        gt: the ground truth.
        results: see `each_result`.
        videos: ids of the videos, all if None; may be a progress bar.
        processes: processes that share the videos.

    Returns:
        ``{video id: {category id: Cell}}``.
    """
    def reduce(video: int, tracks: list[ResultTrack]) -> dict[int, Cell]:
        return matched(reduce_video(tracks, gt.tracks(video),
                                    gt.size(video)))

    return each_result(reduce, gt, results, videos, processes)


def score_videos(gt: AnnotationFile,
                 results: str | Path | Iterable[ResultTrack],
                 videos: Iterable[int] | None = None, score_thr: float = .3,
                 processes: int = 1) -> dict[int, VideoScores]:
    """Measure the videos of a ground truth, see :func:`score_video`.

    Args:
        gt: the ground truth.
        results: see `each_result`.
        videos: ids of the videos, all if None; may be a progress bar.
        score_thr: see :func:`score_video`.
        processes: processes that share the videos.
    """
    def score(video: int, tracks: list[ResultTrack]) -> VideoScores:
        return score_video(tracks, gt.tracks(video), gt.size(video),
                           score_thr)

    return each_result(score, gt, results, videos, processes)


def precision(videos: Mapping[int, VideoScores], cat_ids: Sequence[int],
              shape: str = 'masks') -> APResult:
    """Average precision of some videos.

    Args:
        videos: by video id.
        cat_ids: categories that count.
        shape: one of `SHAPES`.
    """
    return average_precision({v: s.cells[shape] for v, s in videos.items()},
                             cat_ids)


def tracking(videos: Iterable[VideoScores],
             shape: str = 'masks') -> dict[str, float]:
    """The `TRACKING` numbers of some videos, from summed counts.

    Args:
        videos: what was measured.
        shape: one of `SHAPES`.

    Returns:
        Ratios in 0..1 (MOTA may be less than 0), NaN without a denominator,
        and the number of switches.
    """
    counts, hota = TrackingCounts(), HOTACounts()
    for video in videos:
        counts += video.counts[shape]
        hota += video.hota[shape]
    scores = counts.scores()
    return {**hota.scores(), 'IDF1': scores['idf1'], 'IDP': scores['idp'],
            'IDR': scores['idr'], 'MOTA': scores['mota'],
            'switches': counts.num_switches}


def occlusion_levels(gt: AnnotationFile) -> dict[int, list[str | None]]:
    """Levels of the tracks of each video, in file order.

    The json of OVIS says for every frame how much of an object is hidden;
    the grouping by the mean of that is ours, see `OCCLUSION`.

    Returns:
        Names of `OCCLUSION`; None for tracks without such a list.

    Raises:
        ValueError: if no track has one, or a word in it is unknown.
    """
    levels: dict[int, list[str | None]] = {}
    for video, records in gt.annotations.items():
        for record in records:
            words = record.get('occlusion')
            level = None
            if words is not None:
                level = _level(words, f'{gt.name}: annotation {record["id"]}')
            levels.setdefault(video, []).append(level)
    if not any(level for found in levels.values() for level in found):
        raise ValueError(f'{gt.name} does not say how occluded objects are: '
                         'annotations need the field occlusion, as those of '
                         'OVIS have it.')
    return levels


def _level(words: object, name: str) -> str | None:
    if not isinstance(words, list):
        raise ValueError(f'{name}: occlusion is not a list.')
    wrong = [w for w in words
             if w is not None and (not isinstance(w, str)
                                   or w not in _OCCLUDED)]
    if wrong:
        raise ValueError(f'{name}: occlusion has {str(wrong[0])[:40]!r}, not '
                         f'one of {", ".join(_OCCLUDED)}.')
    seen = [_OCCLUDED[w] for w in words if w is not None]
    mean = sum(seen) / len(seen) if seen else 0.
    return next(name for name, end in OCCLUSION.items() if mean <= end)


def keep_level(cells: Mapping[int, Cell], tracks: Sequence[GTTrack],
               levels: Sequence[str | None], level: str) -> dict[int, Cell]:
    """Cells in which the objects of other levels are ignored.

    As those out of an area range are: found or not, they do not count.

    Args:
        cells: of one video, by category.
        tracks: its annotated tracks.
        levels: theirs.
        level: the one that counts.
    """
    found = {}
    for category, cell in cells.items():
        other = np.array([kind != level for track, kind in zip(
            tracks, levels, strict=True) if track.category_id == category],
            bool)
        found[category] = replace(
            cell, gt_areas=np.where(other, -1, cell.gt_areas), matches=None)
    return found
