"""The same work for the results of many videos, in one process or several.

Processes that share a file read it together, too: each reads the entries of
its own videos, and their annotations, if those were left in their file.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...results.json_objects import find_objects
from ...results.json_rules import collected_later
from .ground_truth import AnnotationFile
from .parallel import each_video, in_processes
from .results import (
    ResultTrack,
    check_results,
    group_by_video,
    read_entry,
    read_results,
)

Result = TypeVar('Result')
_Work = Callable[[int, list[ResultTrack]], Result]


def each_result(work: _Work[Result], gt: AnnotationFile,
                results: str | Path | Iterable[ResultTrack],
                videos: Iterable[int] | None = None,
                processes: int = 1) -> dict[int, Result]:
    """Call a function for every video.

    Args:
        work: gets a video id and the predicted tracks, in file order.
        gt: the ground truth.
        results: predicted tracks of any of its videos, or the file that has
            them, whose masks `work` checks. Several processes read a file
            faster than a list is read before.
        videos: ids of the videos, all if None; may be a progress bar.
        processes: processes that share the videos.

    Returns:
        ``{video id: what was found}``, in the order of the videos.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is wrong; see `read_results` and `check_results`.
    """
    videos = gt.videos if videos is None else videos
    if isinstance(results, (str, Path)):
        if processes > 1:
            found = _read_together(work, gt, Path(results), videos, processes)
            if found is not None:
                return found
        gt.read_all()
        results = read_results(results, check_masks=False)
        check_results(gt, results)
    gt.read_all()
    by_video = group_by_video(results)
    return dict(each_video(
        lambda video: work(video, by_video.get(video, [])), videos,
        processes))


def _read_together(work: _Work[Result], gt: AnnotationFile, path: Path,
                   videos: Iterable[int], processes: int
                   ) -> dict[int, Result] | None:
    """What `each_result` finds; None if anything is unusual or wrong."""
    with find_objects(path, 'video_id') as objects:
        if objects is None or not gt.videos.keys() >= set(
                objects.places[:, 2].tolist()):
            return None
        videos = list(videos)
        owners = _deal(objects.places, gt.videos, processes)
        numbers = np.array([owners[v] for v in objects.places[:, 2].tolist()])

        def share(number: int) -> dict[int, Result]:
            own = np.flatnonzero(numbers == number)
            tracks = [read_entry(entry, f'{path}, entry {i}', False)
                      for i, entry in zip(own.tolist(), objects.parse(own),
                                          strict=True)]
            check_results(gt, tracks)
            by_video = group_by_video(tracks)
            return {v: work(v, by_video.get(v, [])) for v in videos
                    if owners[v] == number}

        # What they read, video by video, would set off the search for
        # garbage in all the rest.
        with collected_later():
            shares = in_processes(share, processes)
    if shares is None:
        return None
    return {v: shares[owners[v]][v] for v in videos}


def _deal(places: np.ndarray, videos: Iterable[int],
          processes: int) -> dict[int, int]:
    """The process of each video, so that all have the same to read."""
    ids, index = np.unique(places[:, 2], return_inverse=True)
    sizes = dict(zip(ids.tolist(), np.bincount(
        index, places[:, 1] - places[:, 0]).tolist(), strict=True))
    loads = [0.] * processes
    owners = {}
    for video in sorted(videos, key=lambda v: -sizes.get(v, 0)):
        owners[video] = loads.index(min(loads))
        loads[owners[video]] += sizes.get(video, 0) + 1
    return owners
