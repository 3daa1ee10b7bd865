"""Ground truth of a YouTube-VIS style json, as the scores need it."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...results.rle import RLE, to_rle
from .rle import areas, mean_area

_NEEDED = ('video_id', 'category_id', 'segmentations')


@dataclass
class GTTrack:
    """One annotated object.

    Attributes:
        category_id: category id of the json.
        crowd: a crowd: may be found by several predictions, is never missed.
        area: mean area in pixels over the frames where it is visible.
        segmentations: compressed run-length codes or None, one a frame.
    """
    category_id: int
    crowd: bool
    area: float
    segmentations: list[RLE | None]


@dataclass
class AnnotationFile:
    """A whole json file.

    Attributes:
        videos: ``{video id: record}`` with ``height``, ``width``, ``length``.
        categories: ``{category id: name}``.
        annotations: ``{video id: records}`` in file order.
        name: file name, for messages.
    """
    videos: dict[int, dict[str, Any]]
    categories: dict[int, str]
    annotations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    name: str = 'the ground truth'

    @property
    def has_annotations(self) -> bool:
        """Whether there is anything to score against."""
        return bool(self.annotations)

    @classmethod
    def load(cls, source: str | Path | dict[str, Any]) -> AnnotationFile:
        """Read a YouTube-VIS / OVIS json.

        Args:
            source: path, or the loaded content.  ``annotations`` may be
                missing, null or empty (public validation sets).

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a json of this flavour.
        """
        name = 'the ground truth'
        if not isinstance(source, dict):
            name = str(source)
            if not Path(source).is_file():
                raise FileNotFoundError(
                    f'there is no ground truth {name}: check the path.')
            with open(source, encoding='utf-8') as file:
                try:
                    source = json.load(file)
                except json.JSONDecodeError as error:
                    raise ValueError(f'{name} is not valid json: {error}. '
                                     'Download or export it again.') from error
        if not isinstance(source, dict) or 'videos' not in source:
            raise ValueError(
                f'{name} is not a YouTube-VIS json: it has no "videos". Pass '
                'the annotation file of a video data set.')
        gt = cls(
            videos={v['id']: v for v in source['videos']},
            categories={
                c['id']: c['name'] for c in source.get('categories') or []
            },
            name=name)
        for record in source.get('annotations') or []:
            lacking = [k for k in _NEEDED if k not in record]
            if lacking:
                raise ValueError(
                    f'{name}: annotation {record.get("id")} lacks '
                    f'{", ".join(lacking)}; a YouTube-VIS json has one '
                    'annotation a track, with a mask or null a frame.')
            if record['video_id'] not in gt.videos:
                raise ValueError(
                    f'{name}: annotation {record.get("id")} names video '
                    f'{record["video_id"]}, which "videos" lacks.')
            gt.annotations.setdefault(record['video_id'], []).append(record)
        return gt

    def length(self, video_id: int) -> int:
        """Number of frames of a video."""
        video = self.videos[video_id]
        return int(video.get('length') or len(video['file_names']))

    def tracks(self, video_id: int) -> list[GTTrack]:
        """Annotated objects of a video, in file order.

        Areas come from the json's ``areas``, as in the official evaluator,
        and from the masks where the json has none.
        """
        video = self.videos[video_id]
        found = []
        for record in self.annotations.get(video_id, []):
            try:
                track = [
                    to_rle(s, video['height'], video['width'],
                           same_size=False)
                    for s in record['segmentations']
                ]
            except ValueError as error:
                raise ValueError(
                    f'A mask of annotation {record.get("id")} of video '
                    f'{video_id} {error}.') from error
            per_frame = record.get('areas')
            if per_frame is None:
                per_frame = areas(track).tolist()
            found.append(
                GTTrack(record['category_id'], bool(record.get('iscrowd')),
                        mean_area(per_frame), track))
        return found


def read_video_ids(source: str | Path | Sequence[int],
                   gt: AnnotationFile) -> list[int]:
    """Video ids of a subset.

    Args:
        source: the ids, a text file of ids separated by white space, or a
            YouTube-VIS json (``*.json``), whose videos are taken.
        gt: ground truth that must have them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if an id is not a number or not in the ground truth.
    """
    if isinstance(source, (str, Path)) and not Path(source).is_file():
        raise FileNotFoundError(
            f'There is no list of videos at {source}: correct the path in '
            'subsets of the evaluator, or set subsets to None.')
    if str(source).endswith('.json'):
        source = list(AnnotationFile.load(str(source)).videos)
    elif isinstance(source, (str, Path)):
        words = Path(source).read_text().split()
        wrong = [w for w in words if not w.isdigit()]
        if wrong:
            raise ValueError(f'{source}: {wrong[0]!r} is not a video id.')
        source = [int(w) for w in words]
    unknown = [v for v in source if v not in gt.videos]
    if unknown:
        raise ValueError(f'video {unknown[0]} of a subset is not in '
                         f'{gt.name}.')
    return list(source)


def stack_areas(tracks: list[list[RLE | None]]) -> np.ndarray:
    """Areas of several tracks: int64 (n, longest), zero padded."""
    longest = max((len(t) for t in tracks), default=0)
    found = np.zeros((len(tracks), longest), np.int64)
    for row, track in zip(found, tracks, strict=False):
        row[:len(track)] = areas(track)
    return found
