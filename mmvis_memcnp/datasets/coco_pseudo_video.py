"""Still images as clips, for training before or beside video data."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from mmengine.logging import print_log
from pycocotools import mask as mask_utils

from ..annotations.flavours import FLAVOUR_FIXES, flavour
from ..results.json_rules import parse_json
from ..results.rle import to_rle
from .coco_classes import CLASS_MAPS, TARGET_CLASSES
from .vis_dataset import VISDataset


@DATASETS.register_module()
class CocoPseudoVideo(VISDataset):
    """COCO's instances as videos of ``num_frames`` times the same image.

    An item is an image; what the pipeline gets, and so what comes out of
    it, is as for :class:`VISDataset`. A ``TransformBroadcaster`` without
    ``share_random_params`` flips, resizes, rotates and crops every frame on
    its own, which is all the motion that there is; ``PackTrackInputs`` wants
    the frames of a clip to be of one size in the end. An object has the same
    id in all frames, its position among the annotations of its image. Crowds
    are left out, and so are objects whose class the map does not name (without
    a map those of no class, which is said); images without any other object
    are skipped. A box that is missing is that of the mask.

    Args:
        ann_file: COCO's instances json as released, relative to
            ``data_root``.
        num_frames: Frames of the pseudo video. Defaults to 2.
        class_map: 'ytvis2019', 'ytvis2021' or 'ovis' train the classes of
            that data set (:mod:`.coco_classes`); None trains classes under
            their own names, by default all of COCO's.
        paste: Also give the pipeline another image, drawn at random, as
            ``paste``; for :class:`ClipPaste`. Defaults to False.
        clip_sampler: As for :class:`VISDataset`; the first frame is the key
            frame. None: all frames.
        indices: Keep these images only, as for :class:`VISDataset`.
        kwargs: Arguments of :class:`mmengine.dataset.BaseDataset`. With
            ``metainfo=dict(classes=...)`` the label space is any other, such
            as the classes of your own images; names that are not in it are
            left out.

    Raises:
        FileNotFoundError: If the json does not exist.
        ValueError: If the json is of another flavour or has no object of
            these classes, or a setting is impossible.
    """

    def __init__(self,
                 ann_file: str,
                 num_frames: int = 2,
                 class_map: str | None = None,
                 paste: bool = False,
                 metainfo: Mapping | None = None,
                 test_mode: bool = False,
                 **kwargs: Any) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames of CocoPseudoVideo is {num_frames}; '
                             'a clip has at least 1 frame.')
        if test_mode:
            raise ValueError('CocoPseudoVideo has nothing to follow, so it '
                             'serves training only: take test_mode out.')
        self.class_map = class_map
        self.paste = paste
        #: Frames of every pseudo video.
        self._length = num_frames
        classes = self.classes_of(
            dict(class_map=class_map, metainfo=metainfo or {}))
        super().__init__(
            ann_file=ann_file,
            metainfo={**(metainfo or {}), 'classes': classes},
            **kwargs)

    @classmethod
    def classes_of(cls, config: Mapping) -> tuple[str, ...]:
        """Label space that a config of this data set asks for.

        Args:
            config (Mapping): Arguments of the data set.

        Returns:
            tuple[str]: The class names.

        Raises:
            ValueError: If there is no such ``class_map``.
        """
        name = config.get('class_map')
        if name not in CLASS_MAPS:
            known = ', '.join(repr(key) for key in CLASS_MAPS)
            raise ValueError(
                f'class_map of CocoPseudoVideo is {name!r}; use one of '
                f'{known}.')
        own = (config.get('metainfo') or {}).get('classes')
        return tuple(TARGET_CLASSES[name] if own is None else own)

    def load_data_list(self) -> list[dict]:
        """Read the json: a record an image. Also sets ``videos``."""
        data = self._read()
        classes = self._metainfo['classes']
        names: Mapping[str, str] = CLASS_MAPS[self.class_map]
        if self.class_map is None:
            names = {name: name for name in classes}
        labels = {name: label for label, name in enumerate(classes)}
        label_of = {
            category['id']: labels[names[category['name']]]
            for category in data['categories']
            if names.get(category['name']) in labels
        }
        if self.class_map is None:
            self._say_left_out(data, label_of)
        sizes = {image['id']: (int(image['height']), int(image['width']))
                 for image in data['images']}
        objects = self._objects(data['annotations'], label_of, sizes)
        images = [image for image in data['images'] if image['id'] in objects]
        chosen = self._chosen_videos
        if isinstance(chosen, int):
            images = images[:chosen]
        elif chosen is not None:
            images = [images[i] for i in chosen]
        if not images:
            raise ValueError(
                f'{self.ann_file} has no object to train on, crowds and all '
                f'but the classes {short_list(classes)} '
                f'(class_map={self.class_map!r}) left out; its categories '
                f'are {short_list([c["name"] for c in data["categories"]])}: '
                'correct metainfo or class_map, or give the instances json '
                'of a training split.')
        folder = Path(self.data_prefix.get('img_path', ''))
        self.videos = [
            dict(
                video_id=image['id'],
                length=self._length,
                height=int(image['height']),
                width=int(image['width']),
                file_names=[image['file_name']] * self._length)
            for image in images
        ]
        self._items = np.stack(
            [np.arange(len(images)),
             np.zeros(len(images), dtype=np.int64)], axis=1)
        return [
            dict(
                img_path=str(folder / video['file_names'][0]),
                video_id=video['video_id'],
                video_length=self._length,
                ori_video_length=self._length,
                height=video['height'],
                width=video['width'],
                instances=objects[video['video_id']])
            for video in self.videos
        ]

    def _read(self) -> dict:
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'The annotation file {path} does not exist; set data_root '
                'and ann_file of the data set.')
        data = parse_json(path)
        kind = flavour(data)
        if kind != 'coco':
            why = ('is a YouTube-VIS style json; its data set type reads it'
                   if kind == 'ytvis' else FLAVOUR_FIXES[kind])
            raise ValueError(f'{path} {why}. CocoPseudoVideo reads the '
                             'instances json of COCO.')
        return data

    def _say_left_out(self, data: dict, label_of: Mapping[int, int]) -> None:
        """Name categories that have objects and no class."""
        used = {a['category_id'] for a in data['annotations']}
        names = [c['name'] for c in data['categories']
                 if c['id'] in used and c['id'] not in label_of]
        if names:
            print_log(
                f'{self.ann_file}: objects of {short_list(names)} are left '
                'out, which are none of the classes; add them to '
                'metainfo=dict(classes=...) to train them.', 'current', 30)

    def _objects(self, annotations: list[dict], label_of: Mapping[int, int],
                 sizes: Mapping[int, tuple[int, int]]
                 ) -> dict[int, list[dict]]:
        """Objects of every image; masks stay as they are in the json."""
        table: dict[int, list[dict]] = {}
        position: dict[int, int] = {}
        flat = unseen = 0
        for annotation in annotations:
            image = annotation['image_id']
            track = position[image] = position.get(image, -1) + 1
            box, mask = annotation.get('bbox'), annotation.get('segmentation')
            label = label_of.get(annotation['category_id'])
            if annotation.get('iscrowd') or label is None:
                continue
            if mask and isinstance(mask, list) and all(
                    isinstance(p, list) and len(p) < 6 for p in mask):
                flat += 1
                continue
            if mask and box is None and image in sizes:
                box = mask_utils.toBbox(to_rle(mask, *sizes[image])).tolist()
            if not mask or box is None or box[2] < 1 or box[3] < 1:
                unseen += 1
                continue
            x, y, w, h = map(float, box)
            table.setdefault(image, []).append(
                dict(
                    bbox=[x, y, x + w, y + h],
                    bbox_label=label,
                    mask=mask,
                    instance_id=track,
                    ignore_flag=0))
        if unseen:
            print_log(
                f'{self.ann_file}: {unseen} objects without a mask, or whose '
                'box is less than a pixel wide or high, are left out.',
                'current', 30)
        if flat:
            print_log(
                f'{self.ann_file}: {flat} objects without a polygon of three '
                'points are left out.', 'current', 30)
        return table

    def prepare_data(self, idx: int | tuple[int, int]) -> Any:
        """Serve an image as a clip through the pipeline.

        Args:
            idx: Number of an item, or (image, frame) as positions.
        """
        video, key = (int(i) for i in (
            idx if isinstance(idx, tuple) else self._items[idx]))
        if not 0 <= key < self._length:
            raise IndexError(f'Pseudo video {video} has {self._length} '
                             f'frames; there is no frame {key}.')
        frames = list(range(self._length))
        is_key = [frame == key for frame in frames]
        if self.clip_sampler is not None:
            frames, is_key = self.clip_sampler.sample(
                key, np.arange(self._length), self._length)
        image = self.get_data_info(video)
        image['instances'] = self._with_masks(image)
        results: dict[str, list] = {
            name: [value] * len(frames)
            for name, value in image.items()
        }
        # Each frame owns its list: transforms may change it.
        results['instances'] = [[dict(o) for o in image['instances']]
                                for _ in frames]
        results['frame_id'] = frames
        results['img_id'] = [video * self._length + f for f in frames]
        results['key_frame_flags'] = is_key
        if self.paste:
            other = self.get_data_info(np.random.randint(len(self.videos)))
            other['instances'] = self._with_masks(other)
            results['paste'] = [other] * len(frames)
        return self.pipeline(results)

    def _with_masks(self, image: dict) -> list[dict]:
        """Objects with compressed masks; those without a pixel are gone."""
        objects = []
        for one in image['instances']:
            try:
                mask = to_rle(one['mask'], image['height'], image['width'])
            except ValueError as error:
                raise ValueError(
                    f'The mask of object {one["instance_id"]} of image '
                    f'{image["video_id"]} of {self.ann_file} {error}.'
                ) from error
            if mask is not None and mask_utils.area(mask) > 0:
                objects.append({**one, 'mask': mask})
        return objects

    def get_cat_ids(self, idx: int | tuple[int, int]) -> list[int]:
        """Labels of the objects in the image of an item."""
        video = idx[0] if isinstance(idx, tuple) else self._items[idx][0]
        objects = self.get_data_info(int(video))['instances']
        return [one['bbox_label'] for one in objects]


def short_list(names: Sequence[str]) -> str:
    """The first of some names."""
    more = ', ...' if len(names) > 5 else ''
    return ', '.join(map(repr, names[:5])) + more
