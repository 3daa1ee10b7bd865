"""Base class of the VIS data sets: reads the released json, serves clips."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import DATASETS, TASK_UTILS
from mmengine.dataset import BaseDataset, force_full_init

from .classes import check_classes
from .ytvis_json import (
    category_names,
    match_categories,
    parse_track,
    parse_videos,
    read_ytvis_json,
)


@DATASETS.register_module()
class VISDataset(BaseDataset):
    """Video instance segmentation data in the form of YouTube-VIS.

    The json is read as released. An item is a (video, frame) pair:

    * in training, every annotated frame is an item, the key frame, and
      ``clip_sampler`` draws the other frames of its clip;
    * in test mode, every frame is an item, in the order of the videos and
      their frames, and is served alone.

    An item is taken by its number or as ``dataset[video, frame]``, both
    positions counted from 0. The pipeline gets a dict of lists, an entry a
    frame: ``img_path``, ``img_id`` (position among all frames), ``video_id``
    (id in the json), ``frame_id`` (position in the video), ``video_length``
    and ``ori_video_length`` (frames of the video), ``height``, ``width``,
    ``key_frame_flags`` and ``instances``, a list of dicts ``bbox``
    ``[x1, y1, x2, y2]`` in pixels, ``bbox_label``, ``mask`` (compressed RLE),
    ``instance_id`` (track id of the json) and ``ignore_flag`` (1 for crowd).
    Masks stay compressed until the pipeline decodes those that it needs.
    Crowd tracks are left out in training.

    Args:
        ann_file: The json, relative to ``data_root``.
        clip_sampler: Config of what draws a training clip around a key
            frame (:class:`KeyRefSampler`, :class:`ClipSampler`). None: the
            key frame alone.
        indices: Keep these videos only: a number (the first ones) or a list
            of positions.
        frame_share: Part of the frames with an object that is trained on,
            in (0, 1], the same in every video, which keeps one at least;
            they are spread evenly. The others are no key frames and are not
            drawn into clips, unless the sampler has ``empty_frames``.
            Defaults to 1.
        kwargs: Arguments of :class:`mmengine.dataset.BaseDataset`. The label
            space is ``metainfo['classes']``; it defaults to ``METAINFO`` of
            the class, else to the categories of the json in the
            order of their ids.

    Raises:
        FileNotFoundError: If the json does not exist.
        ValueError: If the json is of another flavour, has a category that
            the classes do not name, or has nothing to serve, or if
            ``frame_share`` is out of range.
    """

    # Other spellings of a class: name in the json -> name in the classes.
    ALIASES: Mapping[str, str] = {}

    def __init__(self,
                 ann_file: str,
                 clip_sampler: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 frame_share: float = 1.,
                 **kwargs: Any) -> None:
        if not 0 < frame_share <= 1:
            raise ValueError(f'frame_share is {frame_share}; it must be above '
                             '0 and at most 1.')
        self._chosen_videos = indices
        self.frame_share = frame_share
        self.clip_sampler = (
            None if clip_sampler is None else TASK_UTILS.build(clip_sampler))
        super().__init__(ann_file=ann_file, **kwargs)

    @classmethod
    def classes_of(cls, config: Mapping) -> tuple[str, ...] | None:
        """Label space that a config of this data set asks for.

        Args:
            config (Mapping): Arguments of the data set.

        Returns:
            tuple[str] | None: The class names; None if only the json could
            say them and it is not there.
        """
        own = (config.get('metainfo') or {}).get(
            'classes', cls.METAINFO.get('classes'))
        if own is not None:
            return check_classes(own)
        path = Path(config.get('data_root') or '',
                    config.get('ann_file') or '')
        if not path.is_file():
            return None
        return category_names(read_ytvis_json(path)['categories'], str(path))

    def load_data_list(self) -> list[dict]:
        """Read the json.

        Returns:
            A record a frame, video after video. Also sets ``videos``,
            ``cat_ids`` and the table of items.
        """
        data = read_ytvis_json(self.ann_file)
        classes = self._metainfo.get('classes')
        if classes is None:
            classes = category_names(data['categories'], self.ann_file)
        classes = check_classes(classes)
        self._metainfo['classes'] = classes
        labels = match_categories(data['categories'], classes, self.ann_file,
                                  dict(self.ALIASES))
        ids = {label: category for category, label in labels.items()}
        #: Category id of each label in the json; -1 where it has none.
        self.cat_ids = [ids.get(label, -1) for label in range(len(classes))]
        if self.test_mode:  # for the scores; joined data sets have no one
            self._metainfo['cat_ids'] = self.cat_ids

        videos = parse_videos(data['videos'], self.ann_file)
        chosen = self._chosen_videos
        if isinstance(chosen, int):
            videos = videos[:chosen]
        elif chosen is not None:
            videos = [videos[i] for i in chosen]
        #: One dict a video: video_id, length, height, width, file_names.
        self.videos = videos
        instances = self._instances(data['annotations'], labels)
        frames = self._frames(instances)
        self._index(frames, data['has_annotations'])
        return frames

    def _instances(self, annotations: list[dict],
                   labels: dict[int, int]) -> dict[tuple[int, int], list]:
        """Instances of every frame, by (video id, position of the frame)."""
        by_id = {video['video_id']: video for video in self.videos}
        table: dict[tuple[int, int], list] = {}
        for annotation in annotations:
            video_id = annotation['video_id']
            if video_id not in by_id:  # of a video that was not chosen
                continue
            crowd = int(bool(annotation.get('iscrowd')))
            if crowd and not self.test_mode:
                continue
            track = parse_track(annotation, by_id[video_id], self.ann_file)
            for frame, visible in enumerate(track):
                if visible is None:
                    continue
                table.setdefault((video_id, frame), []).append(
                    dict(
                        bbox=visible[1],
                        bbox_label=labels[annotation['category_id']],
                        mask=visible[0],
                        instance_id=annotation['id'],
                        ignore_flag=crowd))
        return table

    def _frames(self, instances: dict[tuple[int, int], list]) -> list[dict]:
        """A record a frame, video after video."""
        folder = self.data_prefix.get('img_path', '')
        frames: list[dict] = []
        for video in self.videos:
            for position, name in enumerate(video['file_names']):
                frames.append(
                    dict(
                        img_path=str(Path(folder) / name),
                        img_id=len(frames),
                        video_id=video['video_id'],
                        frame_id=position,
                        video_length=video['length'],
                        ori_video_length=video['length'],
                        height=video['height'],
                        width=video['width'],
                        instances=instances.get(
                            (video['video_id'], position), [])))
        return frames

    def _index(self, frames: list[dict], has_annotations: bool) -> None:
        """Set the table of items and, a video, the annotated frames."""
        lengths = np.array([v['length'] for v in self.videos], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        annotated = np.array([len(f['instances']) > 0 for f in frames],
                             dtype=bool)
        self._annotated = [
            spread(np.flatnonzero(annotated[start:start + length]),
                   self.frame_share)
            for start, length in zip(self._starts, lengths, strict=False)
        ]
        served = ([np.arange(length) for length in lengths]
                  if self.test_mode else self._annotated)
        self._items = np.array(
            [(video, frame) for video, own in enumerate(served)
             for frame in own], dtype=np.int64).reshape(-1, 2)
        if len(frames) == 0:
            raise ValueError(f'{self.ann_file} has no video with a frame; '
                             'there is nothing to read.')
        if len(self._items) == 0:
            reason = ('every track is empty or crowd'
                      if has_annotations else 'it has no annotations, like '
                      'the released validation and test files')
            raise ValueError(f'{self.ann_file} has no object to train on: '
                             f'{reason}; give the json of a training split.')

    @force_full_init
    def __len__(self) -> int:
        """Number of items: key frames in training, frames in test mode."""
        return len(self._items)

    @force_full_init
    def num_frames(self, video: int) -> int:
        """Number of frames of the video at a position."""
        return self.videos[video]['length']

    def prepare_data(self, idx: int | tuple[int, int]) -> Any:
        """Serve an item through the pipeline.

        Args:
            idx: Number of an item, or (video, frame) as positions.

        Returns:
            What the pipeline makes of the clip.
        """
        video, key = (int(i) for i in (
            idx if isinstance(idx, tuple) else self._items[idx]))
        if not 0 <= key < self.videos[video]['length']:
            raise IndexError(f'Video {video} has {self.num_frames(video)} '
                             f'frames; there is no frame {key}.')
        if self.test_mode or self.clip_sampler is None:
            clip, is_key = [key], [True]
        else:
            clip, is_key = self.clip_sampler.sample(
                key, self._annotated[video], self.num_frames(video))
        start = int(self._starts[video])
        frames = [self.get_data_info(start + frame) for frame in clip]
        results: dict[str, list] = {
            name: [frame[name] for frame in frames]
            for name in frames[0]
        }
        results['key_frame_flags'] = is_key
        return self.pipeline(results)

    def get_cat_ids(self, idx: int | tuple[int, int]) -> list[int]:
        """Labels of the objects in the key frame of an item."""
        video, key = (idx if isinstance(idx, tuple) else self._items[idx])
        frame = self.get_data_info(int(self._starts[video] + key))
        return [i['bbox_label'] for i in frame['instances']]


def spread(frames: np.ndarray, share: float) -> np.ndarray:
    """A part of some frames, spread evenly; one at least if there is any.

    Args:
        frames (np.ndarray): Shape (n,).
        share (float): In (0, 1].
    """
    count = min(len(frames), max(1, round(share * len(frames))))
    middles = (np.arange(count) + .5) * len(frames) / max(count, 1)
    return frames[middles.astype(np.int64)]
