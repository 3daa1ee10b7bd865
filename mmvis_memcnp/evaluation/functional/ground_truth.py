"""Ground truth of a YouTube-VIS style json, as the scores need it."""
from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...results.json_objects import JSONObjects, find_records
from ...results.json_rules import (
    FIX,
    check_faults,
    check_tracks,
    find_faults,
    length_note,
    num_frames,
    parse_json,
    read_masks,
)
from ...results.rle import RLE, short
from .rle import mean_area


@dataclass
class GTTrack:
    """One annotated object.

    Attributes:
        category_id: category id of the json.
        crowd: a crowd: may be found by several predictions, is never missed.
        area: mean area in pixels over the frames where it is visible; None:
            that of the masks.
        segmentations: compressed run-length codes or None, one a frame.
        name: file and record, for messages.
    """
    category_id: int
    crowd: bool
    area: float | None
    segmentations: list[RLE | None]
    name: str = 'a ground truth'

    #: What to do about a bad mask.
    fix = FIX


#: Bytes of a file from which on several processes read it sooner together;
#: shared, 13 MB took each of two 0.06 to 0.1 s more than was saved.
WORTH_SHARING = 32 << 20


class _ByVideo(Mapping[int, list[dict[str, Any]]]):
    """Annotations of each video, read and checked when they are asked for."""

    def __init__(self, objects: JSONObjects, gt: AnnotationFile) -> None:
        self._objects, self._gt = objects, gt
        self._places: dict[int, list[int]] = {}
        for place, video in enumerate(objects.places[:, 2].tolist()):
            self._places.setdefault(video, []).append(place)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, video: int) -> list[dict[str, Any]]:
        records = self._objects.parse(np.array(self._places[video]))
        check_tracks(records, {video: self._gt.videos[video]},
                     self._gt.categories, self._gt.name)
        return records


@dataclass
class AnnotationFile:
    """A whole json file.

    Attributes:
        videos: ``{video id: record}`` with ``height``, ``width`` and
            ``file_names`` or, where these are missing, ``length``.
        categories: ``{category id: name}``.
        annotations: ``{video id: records}`` in file order; their
            ``segmentations`` are compressed run-length codes or None, or
            what the file has if it was loaded so.
        name: file name, for messages.
    """
    videos: dict[int, dict[str, Any]]
    categories: dict[int, str]
    annotations: Mapping[int, list[dict[str, Any]]] = field(
        default_factory=dict)
    name: str = 'the ground truth'

    @property
    def has_annotations(self) -> bool:
        """Whether there is anything to score against."""
        return bool(self.annotations)

    @classmethod
    def load(cls, source: str | Path | dict[str, Any],
             check_masks: bool = True,
             by_video: bool = False) -> AnnotationFile:
        """Read a YouTube-VIS / OVIS json.

        All masks are read here, so that a bad one is known before a model
        runs, unless what comes next reads them anyway.  Where ``length`` is
        not the number of ``file_names``, the names count, and a warning says
        so.

        Args:
            source: path, or the loaded content.  ``annotations`` may be
                missing, null or empty (public validation sets).
            check_masks: False leaves the masks as they are in the file, for
                `reduce_results`, which checks them as it decodes them.
            by_video: leaves all annotations in the file, where possible and
                `WORTH_SHARING`:
                those of a video are read when they are asked for, so that
                several processes share that, and what is wrong with them is
                said then.  `read_all` reads them now.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a json of this flavour, or against a
                rule that all readers keep
                (:mod:`mmvis_memcnp.results.json_rules`).
        """
        name = 'the ground truth'
        if not isinstance(source, dict):
            name = str(source)
            if not Path(source).is_file():
                raise FileNotFoundError(
                    f'there is no ground truth {name}: check the path.')
            large = by_video and Path(name).stat().st_size >= WORTH_SHARING
            found = cls._by_video(name) if large else None
            if found:
                return found
            source = parse_json(source)
        if not isinstance(source, dict) or 'videos' not in source:
            raise ValueError(
                f'{name} is not a YouTube-VIS json: it has no "videos". Pass '
                'the annotation file of a video data set.')
        check_faults(source, name)
        gt = cls._of(source, name)
        gt.annotations = gt._grouped(source, check_masks)
        return gt

    @classmethod
    def _of(cls, data: Mapping[str, Any], name: str) -> AnnotationFile:
        """Videos and categories of a json without faults."""
        gt = cls({v['id']: v for v in data['videos'] or []},
                 {c['id']: c['name'] for c in data.get('categories') or []},
                 name=name)
        for video in gt.videos.values():
            note = length_note(video)
            if note is not None:
                logging.getLogger(__name__).warning(
                    '%s: %s; file_names is used.', name, note)
        return gt

    def _grouped(self, data: Mapping[str, Any], check_masks: bool
                 ) -> dict[int, list[dict[str, Any]]]:
        """Annotations of a json without faults."""
        found: dict[int, list[dict[str, Any]]] = {}
        for record in data.get('annotations') or []:
            video = self.videos[record['video_id']]
            masks = (read_masks(record, video, self.name) if check_masks else
                     record['segmentations'])
            found.setdefault(video['id'], []).append(
                {**record, 'segmentations': masks})
        return found

    @classmethod
    def _by_video(cls, name: str) -> AnnotationFile | None:
        """What `load` reads where it leaves the annotations in the file."""
        found = find_records(name, 'annotations', ('video_id', 'id'))
        if found is None:
            return None
        data, objects, (videos, ids) = found
        if 'videos' not in data or any(find_faults(data)) or \
                len(np.unique(ids)) < len(ids):
            return None
        known = {video['id'] for video in data['videos'] or []}
        if not known >= set(videos.tolist()):
            return None
        gt = cls._of(data, name)
        gt.annotations = _ByVideo(objects, gt)
        return gt

    def read_all(self) -> None:
        """Read annotations that were left in the file.

        Raises:
            ValueError: see `load`.
        """
        if isinstance(self.annotations, _ByVideo):
            data = parse_json(self.name)
            check_faults(data, self.name)
            self.annotations = self._grouped(data, check_masks=False)

    def length(self, video_id: int) -> int:
        """Number of frames of a video."""
        return num_frames(self.videos[video_id])

    def tracks(self, video_id: int) -> list[GTTrack]:
        """Annotated objects of a video, in file order.

        Areas come from the json's ``areas``, as in the official evaluator,
        and from the masks where the json has none.
        """
        found = []
        for record in self.annotations.get(video_id, []):
            per_frame = record.get('areas')
            found.append(GTTrack(
                record['category_id'], bool(record.get('iscrowd')),
                None if per_frame is None else mean_area(per_frame),
                record['segmentations'],
                f'{self.name}: annotation {record["id"]}'))
        return found

    def size(self, video_id: int) -> tuple[int, int]:
        """Height and width of a video in pixels."""
        video = self.videos[video_id]
        return video['height'], video['width']


def read_video_ids(source: str | Path | Sequence[int],
                   gt: AnnotationFile) -> list[int]:
    """Video ids of a subset.

    Args:
        source: the ids, a text file of ids separated by white space, or a
            YouTube-VIS json (``*.json``), whose videos are taken.
        gt: ground truth that must have them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is none, or one is not a number or not in the
            ground truth.
    """
    name = source if isinstance(source, (str, Path)) else 'a subset'
    if isinstance(source, (str, Path)) and not Path(source).is_file():
        raise FileNotFoundError(
            f'There is no list of videos at {source}: correct the path '
            '(--videos or --subset, in a config subsets of the evaluator), or '
            'leave it out.')
    if str(source).endswith('.json'):
        source = list(AnnotationFile.load(str(source)).videos)
    elif isinstance(source, (str, Path)):
        try:
            words = Path(source).read_text('utf-8').split()
        except UnicodeDecodeError as error:
            raise ValueError(f'{source} is no text: give a text file of '
                             'video ids, or a json (*.json).') from error
        wrong = [w for w in words if not re.fullmatch('-?[0-9]{1,19}', w)]
        if wrong:
            raise ValueError(f'{source}: {short(wrong[0])} is not a video '
                             'id.')
        source = [int(w) for w in words]
    ids = list(source)
    if not ids:
        raise ValueError(f'{name} has no video: list the ids of those to '
                         'score.')
    unknown = [v for v in ids if v not in gt.videos]
    if unknown:
        raise ValueError(f'video {unknown[0]} of a subset is not in '
                         f'{gt.name}.')
    return ids
