"""Clips of close neighbours and frames from anywhere."""
import numpy as np
from mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class NearFarClipSampler:
    """The key frame, one frame close on each side, the rest from further off.

    As InstanceFormer trains: the neighbours are 1 to ``near_range`` frames
    away (the ends of the video stand in for what lies beyond them), the
    others are drawn from the frames outside of the three, with repetition
    only where there are too few. Frames come in the order of time.

    Args:
        num_frames: Frames of a clip; of three and less, the first in time of
            the key and its neighbours are taken, a clip of one is the key.
        near_range: Largest distance of the neighbours. Defaults to 3.
    """

    def __init__(self, num_frames: int, near_range: int = 3) -> None:
        if num_frames < 1 or near_range < 1:
            raise ValueError(
                'NearFarClipSampler needs num_frames and near_range of at '
                f'least 1, got {num_frames} and {near_range}.')
        self.num_frames = num_frames
        self.near_range = near_range

    def sample(self, key: int, annotated: np.ndarray,
               num_frames: int) -> tuple[list[int], list[bool]]:
        """Draw a clip.

        Args:
            key: Position of the key frame.
            annotated: int64 (n,), positions of the frames with an object.
            num_frames: Frames of the video.

        Returns:
            ``self.num_frames`` positions in ascending order, and which of
            them is the key (one only, also where the key is repeated).
        """
        before, after = np.random.randint(1, self.near_range + 1, 2)
        low, high = max(0, key - before), min(num_frames - 1, key + after)
        clip = [low, key, high] if self.num_frames > 1 else [key]
        wanted = self.num_frames - len(clip)
        if wanted > 0:
            frames = np.arange(num_frames)
            far = frames[(frames < low) | (frames > high)]
            others = np.random.permutation(far)[:wanted]
            if len(others) < wanted:
                more = np.random.choice(frames, wanted - len(others))
                others = np.concatenate([others, more])
            clip += others.tolist()
        clip = sorted(int(t) for t in clip)[:self.num_frames]
        is_key = [False] * len(clip)
        is_key[clip.index(key)] = True
        return clip, is_key
