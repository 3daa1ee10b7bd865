"""Scoring what can be read of files with broken masks."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...results.json_rules import read_masks
from ...results.rle import MaskError, to_rles
from .ground_truth import AnnotationFile
from .results import ResultTrack, check_results


def leave_out_broken(
    gt: AnnotationFile, results: Iterable[ResultTrack]
) -> tuple[AnnotationFile, list[ResultTrack], dict[str, list[str]]]:
    """Take out the tracks with a mask that cannot be read.

    Everything else that is wrong with the files is refused before, by
    `AnnotationFile.load` and `check_results`.

    Args:
        gt: ground truth, loaded without a look at its masks.
        results: tracks of it, read without a look at their masks.

    Returns:
        Both without such tracks, all masks read; and what was left out, a
        sentence each, by 'ground_truth' and 'results'.
    """
    left: dict[str, list[str]] = dict(ground_truth=[], results=[])
    annotations: dict[int, list[dict]] = {}
    for video, records in gt.annotations.items():
        for record in records:
            try:
                masks = read_masks(record, gt.videos[video], gt.name)
            except ValueError as error:
                left['ground_truth'].append(str(error))
                continue
            annotations.setdefault(video, []).append(
                {**record, 'segmentations': masks})
    kept = []
    for track in results:
        try:
            read = replace(track, segmentations=to_rles(
                track.segmentations, None), checked=True)
            check_results(gt, [read])
        except MaskError as error:
            left['results'].append(f'{track.name}, frame {error.frame}: the '
                                   f'mask {error}.')
        except ValueError as error:  # of another size than the video
            left['results'].append(str(error))
        else:
            kept.append(read)
    return replace(gt, annotations=annotations), kept, left
