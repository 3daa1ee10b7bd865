"""Drawing the frames of a training clip around a key frame.

A sampler is configured at the data set (``clip_sampler=dict(type=...)``) and
draws from NumPy's global generator, like the transforms of mmcv.
"""
import numpy as np
from mmdet.registry import TASK_UTILS


def frames_near(frames: np.ndarray, key: int,
                frame_range: int | None) -> np.ndarray:
    """Frames other than ``key`` at most ``frame_range`` away from it."""
    frames = frames[frames != key]
    if frame_range is None:
        return frames
    return frames[np.abs(frames - key) <= frame_range]


@TASK_UTILS.register_module()
class KeyRefSampler:
    """A key frame and one reference frame, as SipMask and MemCNP train.

    The reference is drawn uniformly from the other annotated frames at most
    ``frame_range`` away. If there is none, it is drawn from all annotated
    frames of the video; if the key frame is the only one, it is the key
    frame itself.

    Args:
        frame_range: Largest distance in frames; 5 in MemCNP. None: the whole
            video, as in SipMask.
    """

    def __init__(self, frame_range: int | None = 5) -> None:
        if frame_range is not None and frame_range < 1:
            raise ValueError(
                f'frame_range of KeyRefSampler is {frame_range}; it must be '
                'at least 1, or None for the whole video.')
        self.frame_range = frame_range

    def sample(self, key: int, annotated: np.ndarray,
               num_frames: int) -> tuple[list[int], list[bool]]:
        """Draw a clip.

        Args:
            key: Position of the key frame.
            annotated: int64 (n,), positions of the frames with an object.
            num_frames: Frames of the video.

        Returns:
            Positions ``[key, reference]`` and which of them is the key.
        """
        near = frames_near(annotated, key, self.frame_range)
        candidates = near if len(near) else annotated
        return [key, int(np.random.choice(candidates))], [True, False]


@TASK_UTILS.register_module()
class ClipSampler:
    """A clip of ``num_frames`` frames around the key frame, in time order.

    Or in the opposite order, with probability ``reverse_prob``.

    The others are drawn from the frames at most ``frame_range`` away, without
    repetition unless ``replace`` is set. Where there are too few, all of them
    are taken and the rest is drawn from them, and the key frame, with
    repetition.

    Args:
        num_frames: Frames of a clip, the key frame included.
        frame_range: Largest distance in frames; None: the whole video; 0:
            the key frame again and again, of which a pipeline may make a
            pseudo-video.
        empty_frames: Whether frames without any object may be drawn. The key
            frame always has one.
        replace: Draw with repetition, as SeqFormer does. Defaults to False.
        reverse_prob: In [0, 1]; clips that run backwards are other motions.
            Defaults to 0.
    """

    def __init__(self,
                 num_frames: int,
                 frame_range: int | None = None,
                 empty_frames: bool = False,
                 replace: bool = False,
                 reverse_prob: float = 0.) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames of ClipSampler is {num_frames}; '
                             'a clip has at least 1 frame.')
        self.num_frames = num_frames
        self.frame_range = frame_range
        self.empty_frames = empty_frames
        self.replace = replace
        self.reverse_prob = reverse_prob

    def sample(self, key: int, annotated: np.ndarray,
               num_frames: int) -> tuple[list[int], list[bool]]:
        """Draw a clip.

        Args:
            key: Position of the key frame.
            annotated: int64 (n,), positions of the frames with an object.
            num_frames: Frames of the video.

        Returns:
            ``self.num_frames`` positions in order of time, and which of
            them is the key (one only, also where the key is repeated).
        """
        frames = np.arange(num_frames) if self.empty_frames else annotated
        near = frames_near(frames, key, self.frame_range)
        wanted = self.num_frames - 1
        if self.replace and len(near):
            others = np.random.choice(near, wanted)
        else:
            others = np.random.permutation(near)[:wanted]
        if len(others) < wanted:
            more = np.random.choice(
                np.append(near, key), wanted - len(others), replace=True)
            others = np.concatenate([others, more])
        clip = sorted([key, *others.tolist()])
        if self.reverse_prob and np.random.rand() < self.reverse_prob:
            clip.reverse()
        is_key = [False] * len(clip)
        is_key[clip.index(key)] = True
        return clip, is_key
