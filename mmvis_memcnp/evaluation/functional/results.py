"""Results of a data set as read from a submission file (results.json)."""
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...results.rle import RLE, to_rle
from .ground_truth import AnnotationFile
from .track_iou import Cell, reduce_video


@dataclass
class ResultTrack:
    """One entry of a results file.

    Attributes:
        video_id: id of the video in the ground truth's json.
        category_id: category id of the json.
        score: any finite number; larger is surer.
        segmentations: compressed run-length codes or None, one a frame.
    """
    video_id: int
    category_id: int
    score: float
    segmentations: Sequence[RLE | None]


def read_results(
        source: str | Path | Iterable[dict[str, Any]]
) -> list[ResultTrack]:
    """Read a results file.

    Args:
        source: path of a ``results.json``, or its loaded list.  Codes may be
            uncompressed; polygons are not accepted, as by the official
            evaluator.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a list of results, naming the first entry
            that is wrong.
    """
    name = 'the results'
    if isinstance(source, (str, Path)):
        name = str(source)
        if not Path(source).is_file():
            raise FileNotFoundError(f'there is no {name}: check the path.')
        with open(source, encoding='utf-8') as file:
            try:
                source = json.load(file)
            except json.JSONDecodeError as error:
                raise ValueError(f'{name} is not valid json: {error}.'
                                 ) from error
    if not isinstance(source, list):
        raise ValueError(f'{name} is not a list of results; pass the '
                         'results.json that tools/test.py writes.')
    return [_read(entry, f'{name}, entry {i}')
            for i, entry in enumerate(source)]


def _read(entry: dict[str, Any], where: str) -> ResultTrack:
    keys = ('video_id', 'category_id', 'score', 'segmentations')
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is not an object.')
    lacking = [k for k in keys if k not in entry]
    if lacking:
        raise ValueError(f'{where} lacks {", ".join(lacking)}.')
    segmentations = []
    for segmentation in entry['segmentations']:
        if isinstance(segmentation, list) and segmentation:
            raise ValueError(f'{where} holds polygons; results need '
                             'run-length codes.')
        try:
            segmentations.append(to_rle(segmentation, 0, 0, same_size=False))
        except ValueError as error:
            raise ValueError(f'A mask of {where} {error}.') from error
    return ResultTrack(entry['video_id'], entry['category_id'],
                       float(entry['score']), segmentations)


def check_results(gt: AnnotationFile, results: Iterable[ResultTrack]) -> None:
    """Compare results with the videos and categories of the ground truth.

    Raises:
        ValueError: for an unknown video or category, or a track whose number
            of frames is not that of its video.
    """
    for track in results:
        if track.video_id not in gt.videos:
            raise ValueError(
                f'the results name video {track.video_id}, which {gt.name} '
                'does not have: are they of another data set or split?')
        if track.category_id not in gt.categories:
            raise ValueError(
                f'the results name category {track.category_id}, which '
                f'{gt.name} does not have: category ids are those of the '
                'json, not class indices.')
        frames = gt.length(track.video_id)
        if len(track.segmentations) != frames:
            raise ValueError(
                f'video {track.video_id} has {frames} frames, a result has '
                f'{len(track.segmentations)} segmentations: give one a '
                'frame, null where the object is absent.')


def reduce_results(
        gt: AnnotationFile,
        results: Iterable[ResultTrack],
        videos: Iterable[int] | None = None) -> dict[int, dict[int, Cell]]:
    """Reduce the videos of the ground truth, see `reduce_video`.

    Args:
        gt: the ground truth.
        results: predicted tracks of any of its videos, in file order.
        videos: ids of the videos, all if None; may be a progress bar.

    Returns:
        ``{video id: {category id: Cell}}``.
    """
    by_video: dict[int, list[ResultTrack]] = {}
    for track in results:
        by_video.setdefault(track.video_id, []).append(track)
    return {
        v: reduce_video(by_video.get(v, []), gt.tracks(v))
        for v in (gt.videos if videos is None else videos)
    }
