"""Loading a frame and its objects."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks
from mmengine import fileio
from pycocotools import mask as mask_utils

from ...images import decode_image


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """Read the image of a frame.

    mmcv's ``LoadImageFromFile`` takes a truncated JPEG without a word; this
    refuses it, and an image whose size is not that of the json. It reads as
    all tools do: see :mod:`mmvis_memcnp.images`.

    Adds ``img`` (uint8 (H, W, 3), BGR), ``img_shape`` and ``ori_shape``
    (both (H, W)).

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is cut off, no image, or of another size.
    """

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']``."""
        path = results['img_path']
        try:
            data = fileio.get(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'The frame {path} does not exist; check data_root and '
                'data_prefix of the data set.') from error
        img = decode_image(data, path)
        size = (results.get('height', img.shape[0]),
                results.get('width', img.shape[1]))
        if img.shape[:2] != size:
            raise ValueError(
                f'The frame {path} is {img.shape[1]}x{img.shape[0]} pixels, '
                f'but the json says {size[1]}x{size[0]} (width x height); '
                'its masks do not fit.')
        results['img'] = img
        results['img_shape'] = img.shape[:2]
        results['ori_shape'] = img.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadVISAnnotations(BaseTransform):
    """Decode the objects of a frame.

    Takes ``instances``, ``height`` and ``width``. Adds, for n objects,
    ``gt_bboxes`` float32 (n, 4) xyxy in pixels, ``gt_bboxes_labels`` int64
    (n,), ``gt_instances_ids`` int64 (n,) track ids, ``gt_ignore_flags`` bool
    (n,) and ``gt_masks``, BitmapMasks of (n, H, W).

    mmdet's ``LoadTrackAnnotations`` decodes mask by mask and gives 32-bit
    ids; the rest of the pipeline is mmdet's.
    """

    def transform(self, results: dict) -> dict:
        """Decode ``results['instances']``."""
        objects = results['instances']
        height, width = results['height'], results['width']
        if objects:
            masks = mask_utils.decode([o['mask'] for o in objects])
            masks = np.ascontiguousarray(masks.transpose(2, 0, 1))
        else:
            masks = np.zeros((0, height, width), dtype=np.uint8)

        def column(key: str, dtype: type) -> np.ndarray:
            return np.array([o[key] for o in objects], dtype=dtype)

        results['gt_bboxes'] = column('bbox', np.float32).reshape(-1, 4)
        results['gt_bboxes_labels'] = column('bbox_label', np.int64)
        results['gt_instances_ids'] = column('instance_id', np.int64)
        results['gt_ignore_flags'] = column('ignore_flag', bool)
        results['gt_masks'] = BitmapMasks(masks, height, width)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
