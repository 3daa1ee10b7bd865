"""Results of a data set as read from a submission file (results.json)."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...results.json_objects import parse_list
from ...results.json_rules import is_id, is_number
from ...results.rle import RLE, MaskError, short, to_rles
from .ground_truth import AnnotationFile


@dataclass
class ResultTrack:
    """One entry of a results file.

    Attributes:
        video_id: id of the video in the ground truth's json.
        category_id: category id of the json.
        score: any finite number; larger is surer.
        segmentations: compressed run-length codes or None, one a frame.
        name: file and position, for messages.
        checked: whether the codes were checked when they were read.
        bboxes: as in the file, unchecked; None: the file has none.
        box_std: the same; what the demo writes of calibrated models.
        category_name: the name of the class, which the demo writes: it knows
            no ids of a ground truth, and gives label + 1.
    """
    video_id: int
    category_id: int
    score: float
    segmentations: Sequence[RLE | None]
    name: str = 'a result'
    checked: bool = True
    bboxes: Any = None
    box_std: Any = None
    category_name: Any = None

    #: What to do about a bad mask.
    fix = 'write the masks anew, as pycocotools.mask.encode gives them'


def read_results(source: str | Path | Iterable[dict[str, Any]],
                 check_masks: bool = True) -> list[ResultTrack]:
    """Read a results file.

    Args:
        source: path of a ``results.json``, or its loaded list.  Codes may be
            uncompressed; polygons are not accepted, as by the official
            evaluator.
        check_masks: False leaves the masks as they are in the file, for
            `reduce_results`, which checks them as it decodes them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a list of results, naming the first entry
            that is wrong.
    """
    name = 'the results'
    if isinstance(source, (str, Path)):
        name = str(source)
        if not Path(source).is_file():
            raise FileNotFoundError(
                f'there is no results file {name}: check the path.')
        source = parse_list(source, 'video_id')
    if not isinstance(source, list):
        raise ValueError(f'{name} is not a list of results; pass the '
                         'results.json that tools/test.py writes.')
    return [read_entry(entry, f'{name}, entry {i}', check_masks)
            for i, entry in enumerate(source)]


def read_entry(entry: Any, where: str, check_masks: bool) -> ResultTrack:
    """Read one result.

    Args:
        entry: of the list.
        where: file and position, for messages.
        check_masks: see `read_results`.

    Raises:
        ValueError: if it is wrong.
    """
    keys = ('video_id', 'category_id', 'score', 'segmentations')
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is not an object.')
    lacking = [k for k in keys if k not in entry]
    if lacking:
        raise ValueError(f'{where} lacks {", ".join(lacking)}.')
    for key in ('video_id', 'category_id'):
        if not is_id(entry[key]):
            raise ValueError(f'{where}: its {key} is {short(entry[key])}; '
                             'give the id of the ground truth, a whole '
                             'number.')
    if not is_number(entry['score']):
        raise ValueError(f'{where}: its score is {short(entry["score"])}; '
                         'scores must be finite numbers.')
    masks = entry['segmentations']
    if not isinstance(masks, list):
        raise ValueError(f'{where}: segmentations is {short(masks)}; give a '
                         'list of one mask a frame, null where the object is '
                         'absent.')
    if check_masks:
        try:
            masks = to_rles(masks, None)
        except MaskError as error:
            raise ValueError(f'{where}, frame {error.frame}: the mask '
                             f'{error}; {ResultTrack.fix}.') from error
    return ResultTrack(entry['video_id'], entry['category_id'],
                       float(entry['score']), masks, where, check_masks,
                       entry.get('bboxes'), entry.get('box_std'),
                       entry.get('category_name'))


def check_results(gt: AnnotationFile, results: Iterable[ResultTrack]) -> None:
    """Compare results with the videos and categories of the ground truth.

    A result that names its class gets the id that the ground truth has for
    this name, if it has one. The sizes of masks that were not checked when
    they were read are left to who decodes them.

    Raises:
        ValueError: for an unknown video or category, a track whose number of
            frames is not that of its video, or a mask of another size.
    """
    ids = {name: number for number, name in gt.categories.items()}
    for track in results:
        video = gt.videos.get(track.video_id)
        if video is None:
            raise ValueError(
                f'{track.name} is of video {track.video_id}, which {gt.name} '
                'does not have: are the results of another data set or '
                'split?')
        if isinstance(track.category_name, str) and track.category_name != \
                gt.categories.get(track.category_id):
            track.category_id = ids.get(track.category_name,
                                        track.category_id)
        if track.category_id not in gt.categories:
            raise ValueError(
                f'{track.name} is of category {track.category_id}, which '
                f'{gt.name} does not have: category ids are those of the '
                'json, not class indices.')
        frames = gt.length(track.video_id)
        if len(track.segmentations) != frames:
            raise ValueError(
                f'{track.name} has {len(track.segmentations)} segmentations, '
                f'but video {track.video_id} has {frames} frames: give one a '
                'frame, null where the object is absent.')
        size = [*gt.size(track.video_id)]
        for frame, rle in enumerate(
                track.segmentations if track.checked else ()):
            if rle is not None and rle['size'] != size:
                raise ValueError(
                    f'{track.name}, frame {frame}: the mask has the size '
                    f'{short(rle["size"])}, but video {track.video_id} has '
                    f'{size} (height, width): write the masks at the size of '
                    'the video.')


def group_by_video(results: Iterable[ResultTrack]
                   ) -> dict[int, list[ResultTrack]]:
    """``{video id: its tracks}``, in file order."""
    by_video: dict[int, list[ResultTrack]] = {}
    for track in results:
        by_video.setdefault(track.video_id, []).append(track)
    return by_video
