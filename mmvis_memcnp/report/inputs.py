"""What a page is made of: results, and ground truth where there is one."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..evaluation.functional import (
    AnnotationFile,
    GTTrack,
    ResultTrack,
    check_results,
    group_by_video,
    read_results,
)
from ..results.json_rules import is_number
from ..results.rle import short

# No coordinate of a frame is larger.
_FAR = 1 << 31


@dataclass
class Video:
    """One video with its tracks.

    Attributes:
        id: its id in the json.
        name: what the page calls it.
        size: height and width in pixels.
        length: number of frames.
        predictions: predicted tracks, in file order.
        truth: annotated tracks, in file order.
        files: names of the frames, relative to a folder; None: unknown.
    """
    id: int
    name: str
    size: tuple[int, int]
    length: int
    predictions: list[ResultTrack]
    truth: list[GTTrack] = field(default_factory=list)
    files: list[str] | None = None


@dataclass
class Inputs:
    """The files of a page.

    Attributes:
        videos: by id, in file order.
        classes: names by category id; may lack some.
        gt: the ground truth; None where there are no annotations.
        results: all predicted tracks.
    """
    videos: dict[int, Video]
    classes: dict[int, str]
    gt: AnnotationFile | None
    results: list[ResultTrack]

    def class_name(self, category: int) -> str:
        """Name of a category, or its number."""
        return self.classes.get(category, f'class {category}')


def read_inputs(results: str | Path, gt: str | Path | None = None,
                classes: Sequence[str] = ()) -> Inputs:
    """Read and check the files of a page.

    Args:
        results: a results.json, perhaps with ``bboxes`` and ``box_std``.
        gt: YouTube-VIS json with the videos, with or without annotations.
        classes: names of the categories 1, 2, ... where ``gt`` is None.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file breaks a rule, or the two do not belong
            together.
        UserError: if there is nothing to show.
    """
    tracks = read_results(results)
    if gt is None:
        if not tracks:
            raise UserError(f'{results} has no track, so there is nothing to '
                            'show: give --gt, whose videos are shown without '
                            'tracks.')
        return Inputs(_videos_of_results(tracks),
                      dict(enumerate(classes, 1)), None, tracks)
    truth = AnnotationFile.load(gt)
    check_results(truth, tracks)
    if not truth.videos:
        raise UserError(f'{gt} has no videos, so there is nothing to show.')
    by_video = group_by_video(tracks)
    videos = {}
    for number, record in truth.videos.items():
        files = record.get('file_names')
        folder = (files or [''])[0].rpartition('/')[0]
        videos[number] = Video(
            number, folder or f'video {number}', truth.size(number),
            truth.length(number), by_video.get(number, []),
            truth.tracks(number), files)
    return Inputs(videos, dict(truth.categories),
                  truth if truth.has_annotations else None, tracks)


def _videos_of_results(tracks: Sequence[ResultTrack]) -> dict[int, Video]:
    """Videos that are known by their tracks alone."""
    videos = {}
    for number, own in group_by_video(tracks).items():
        sizes = {tuple(rle['size']): track for track in own
                 for rle in track.segmentations if rle is not None}
        lengths = {len(track.segmentations): track for track in own}
        _check_one(sizes, f'the tracks of video {number} have two sizes')
        _check_one(lengths, f'the tracks of video {number} have two numbers '
                   'of frames')
        if sizes and 0 not in lengths:
            height, width = next(iter(sizes))
            videos[number] = Video(number, f'video {number}', (height, width),
                                   next(iter(lengths)), own)
    if not videos:
        raise UserError('No track of the results has a mask, so neither the '
                        'size of a frame nor anything else is known: give '
                        '--gt with the videos.')
    return videos


def _check_one(found: Mapping[Any, ResultTrack], what: str) -> None:
    """Refuse tracks of one video that differ in something."""
    if len(found) > 1:
        one, other = list(found)[:2]
        raise UserError(f'{found[other].name}: {what}, {one} and {other}: '
                        'give results of one run.')


def box_columns(track: ResultTrack, length: int
                ) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Boxes of a track and their standard deviations, where a file has them.

    Args:
        track: of a results file.
        length: frames of its video.

    Returns:
        float64 (T, 4) x, y, w, h, and (T, 4) of left, upper, right and lower
        side, in pixels; NaN where the track is absent, None without.

    Raises:
        UserError: if one is no list of four numbers or null a frame.
    """
    columns: list[np.ndarray | None] = []
    for name, values, low in (('bboxes', track.bboxes, None),
                              ('box_std', track.box_std, 0)):
        if values is None:
            columns.append(None)
            continue
        if not isinstance(values, list) or len(values) != length:
            raise UserError(
                f'{track.name}: {name} is {short(values)}; give a list of one '
                f'entry a frame, which are {length}, or leave it out.')
        rows = np.full((length, 4), np.nan)
        for frame, row in enumerate(values):
            if row is None:
                continue
            if not (isinstance(row, list) and len(row) == 4
                    and all(map(is_number, row))
                    and max(map(abs, row)) < _FAR
                    and (low is None or min(row) >= low)):
                raise UserError(
                    f'{track.name}, frame {frame}: {name} has {short(row)}; '
                    'give four numbers of pixels, or null.')
            rows[frame] = row
        columns.append(rows)
    return columns[0], columns[1]


def choose_videos(inputs: Inputs, order: Sequence[int], count: int,
                  wanted: Sequence[int] | None = None) -> list[Video]:
    """The videos that are shown, in order.

    Args:
        inputs: the files.
        order: ids of all videos, the worst first.
        count: how many are shown if none are named.
        wanted: ids that the user names.

    Raises:
        UserError: if one that is named is not there.
    """
    if not wanted:
        return [inputs.videos[v] for v in order[:count]]
    for number in wanted:
        if number not in inputs.videos:
            raise UserError(f'There is no video {number}: --video takes ids '
                            f'of {_some(inputs.videos)}.')
    return [inputs.videos[v] for v in order if v in set(wanted)]


def _some(videos: Mapping[int, Video]) -> str:
    names = ', '.join(map(str, list(videos)[:8]))
    return names + (', ...' if len(videos) > 8 else '')
