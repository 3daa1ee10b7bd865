"""Ground truth and result files as FrameResults, ready to be drawn."""
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from ..evaluation.functional import (
    AnnotationFile,
    check_results,
    read_results,
)
from ..results import frame_result
from .ytvis_json import parse_track, parse_videos, read_ytvis_json


class AnnotatedVideo:
    """One video of a ground truth file.

    Args:
        ann_file (str | Path): YouTube-VIS style json.
        video_id (int, optional): Its id; the first one by default.

    Attributes:
        video (dict): ``video_id``, ``length``, ``height``, ``width`` and
            ``file_names``.
        classes (list[str]): Category names in the order of the file; labels
            count from 0 in this order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another flavour or has no such video.
    """

    def __init__(self, ann_file: str | Path,
                 video_id: int | None = None) -> None:
        self._path = str(ann_file)
        data = read_ytvis_json(ann_file)
        videos = {v['video_id']: v
                  for v in parse_videos(data['videos'], self._path)}
        if video_id is None:
            video_id = next(iter(videos), None)
        if video_id not in videos:
            raise ValueError(f'{self._path} has no video {video_id}: it has '
                             f'{sorted(videos)[:10]} and '
                             f'{max(0, len(videos) - 10)} more.')
        self.video = videos[video_id]
        self.classes = [c['name'] for c in data['categories']]
        self._labels = {c['id']: i for i, c in enumerate(data['categories'])}
        self._scored_against = AnnotationFile(
            {self.video['video_id']: self.video},
            {c['id']: c['name'] for c in data['categories']}, name=self._path)
        self._annotations = [a for a in data['annotations']
                             if a['video_id'] == video_id]

    def ground_truth(self, frames: Sequence[int]) -> list[InstanceData]:
        """FrameResults of the annotations, with score 1.

        Args:
            frames (Sequence[int]): Numbers of the frames, from 0.
        """
        tracks = [(a['id'], self._labels[a['category_id']], 1.,
                   [v and v[0] for v in parse_track(a, self.video,
                                                    self._path)])
                  for a in self._annotations]
        return self._at(tracks, frames)

    def results(self, path: str | Path,
                frames: Sequence[int]) -> list[InstanceData]:
        """FrameResults of a results.json, with the scores of the tracks.

        Args:
            path (str | Path): As ``tools/test.py`` and the demo write it.
            frames (Sequence[int]): Numbers of the frames, from 0.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a list of results for this ground truth.
        """
        entries = {
            number: entry for number, entry in enumerate(read_results(path))
            if entry.video_id == self.video['video_id']
        }
        check_results(self._scored_against, entries.values())
        tracks = [(number, self._labels[e.category_id], e.score,
                   e.segmentations) for number, e in entries.items()]
        return self._at(tracks, frames)

    def _at(self, tracks: list[tuple],
            frames: Sequence[int]) -> list[InstanceData]:
        """Cut (id, label, score, codes a frame) rows at some frames."""
        results = []
        for frame in frames:
            rows = [(i, label, score, codes[frame])
                    for i, label, score, codes in tracks if codes[frame]]
            ids, labels, scores, rles = zip(*rows, strict=True) if rows else (
                (), (), (), ())
            boxes = torch.as_tensor(
                coco_mask.toBbox(list(rles)) if rles else [])
            if len(boxes):
                boxes[:, 2:] += boxes[:, :2]
            results.append(
                frame_result(
                    torch.tensor(ids), boxes, torch.tensor(scores),
                    torch.tensor(labels), list(rles), frame_id=frame,
                    ori_shape=(self.video['height'], self.video['width'])))
        return results
