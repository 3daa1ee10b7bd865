"""One video of a ground truth and of result files, ready to be drawn."""
from collections.abc import Iterable, Sequence
from pathlib import Path

from pycocotools import mask as coco_mask

from ..annotations.flavours import parse_ytvis_json
from ..results.frame_arrays import FrameArrays
from ..results.json_rules import read_masks
from ..results.rle import RLE
from .functional import AnnotationFile, check_results, read_results


class AnnotatedVideo:
    """One video of a ground truth file.

    Args:
        ann_file (str | Path): YouTube-VIS style json.
        video_id (int | None): Its id; the first one by default.

    Attributes:
        id (int): Its id.
        file_names (list[str]): Its frames in order.
        classes (list[str]): Category names in the order of the file; labels
            count from 0 in this order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another flavour or has no such video.
    """

    def __init__(self, ann_file: str | Path,
                 video_id: int | None = None) -> None:
        path = str(ann_file)
        if not Path(path).is_file():
            raise FileNotFoundError(f'There is no json {path}: check the '
                                    'path.')
        # Masks of other videos are not looked at.
        self._gt = AnnotationFile.load(parse_ytvis_json(path),
                                       check_masks=False)
        self._gt.name = path
        if video_id is None:
            video_id = next(iter(self._gt.videos), -1)
        if video_id not in self._gt.videos:
            known = list(self._gt.videos)
            raise ValueError(f'{path} has no video {video_id}: it has '
                             f'{known[:10]} and {max(0, len(known) - 10)} '
                             'more.')
        video = self._gt.videos[video_id]
        if video.get('file_names') is None:
            raise ValueError(f'{path}: video {video_id} has no file_names; '
                             'list its frames by their file names.')
        self.id = video_id
        self.file_names: list[str] = video['file_names']
        self.classes = list(self._gt.categories.values())
        self._labels = {c: i for i, c in enumerate(self._gt.categories)}

    def ground_truth(self, frames: Sequence[int]) -> list[FrameArrays]:
        """The annotated objects, with score 1.

        Args:
            frames (Sequence[int]): Numbers of the frames, from 0.
        """
        video = self._gt.videos[self.id]
        return self._at([
            (record['id'], record['category_id'], 1.,
             read_masks(record, video, self._gt.name))
            for record in self._gt.annotations.get(self.id, [])
        ], frames)

    def results(self, path: str | Path,
                frames: Sequence[int]) -> list[FrameArrays]:
        """The tracks of a results.json, with their scores.

        Args:
            path (str | Path): As ``tools/test.py`` and the demo write it.
            frames (Sequence[int]): Numbers of the frames, from 0.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a list of results for this ground truth.
        """
        tracks = {i: track for i, track in enumerate(read_results(path))
                  if track.video_id == self.id}
        check_results(self._gt, tracks.values())
        return self._at([(i, t.category_id, t.score, t.segmentations)
                         for i, t in tracks.items()], frames)

    def _at(self, tracks: Iterable[tuple[int, int, float,
                                         Sequence[RLE | None]]],
            frames: Sequence[int]) -> list[FrameArrays]:
        """Cut tracks (id, category, score, a code a frame) at some frames."""
        found = []
        for frame in frames:
            rows = [(i, self._labels[category], score, code)
                    for i, category, score, codes in tracks
                    if (code := codes[frame]) and coco_mask.area(code)]
            ids, labels, scores, masks = zip(
                *rows, strict=True) if rows else ((), (), (), ())
            found.append(FrameArrays.of_masks(ids, labels, scores, masks))
        return found
