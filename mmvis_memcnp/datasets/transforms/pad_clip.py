"""Frames of a clip that were cropped differently, made one size."""
import mmcv
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PadClip(BaseTransform):
    """Pad every frame at the right and bottom to the largest of its clip.

    Works on the whole clip, between the last ``TransformBroadcaster`` and
    ``PackTrackInputs``. ``img_shape`` stays what it was: models treat what
    was added as padding. The preprocessor pads the masks.

    Args:
        pad_val (tuple[int, int, int]): What is added, in the image's order of
            channels (BGR): about the mean, so that it is about 0 after
            normalisation. Defaults to (104, 116, 124).
    """

    def __init__(
            self,
            pad_val: tuple[int, int, int] = (104, 116, 124)) -> None:
        self.pad_val = tuple(pad_val)

    def transform(self, results: dict) -> dict:
        """Pad ``results['img']``, a list of (H, W, 3)."""
        frames = results['img']
        size = tuple(max(f.shape[i] for f in frames) for i in (0, 1))
        results['img'] = [
            frame if frame.shape[:2] == size else mmcv.impad(
                frame, shape=size, pad_val=self.pad_val) for frame in frames
        ]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(pad_val={self.pad_val})'
