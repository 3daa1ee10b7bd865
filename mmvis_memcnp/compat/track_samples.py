"""Annotated clips that are made without being printed.

Cause: where mmdet 3.3 sets the frames of a ``TrackDataSample``, a part of an
error message stands alone behind the check and is made whether or not there
is an error: all tensors of the first frame are turned into text, at every
copy of a clip. It took a tenth of a small model's training step, and a GPU
waits for it.
"""
from typing import Any


def install() -> None:
    """Set frames without the text, if the installed mmdet makes it."""
    # Not at the top: it imports mmcv.ops, which must come after its shim.
    from mmdet.structures import DetDataSample, TrackDataSample

    printed = []

    class Probe(DetDataSample):

        def __repr__(self) -> str:
            printed.append(self)
            return ''

    TrackDataSample().video_data_samples = [Probe()]
    if not printed:
        return
    plain: Any = TrackDataSample.video_data_samples

    def set_frames(sample: TrackDataSample, frames: Any) -> None:
        if isinstance(frames, DetDataSample):
            frames = [frames]
        if isinstance(frames, list) and frames and isinstance(
                frames[0], DetDataSample):
            sample.set_field(frames, '_video_data_samples', dtype=list)
        else:
            plain.fset(sample, frames)  # refuses

    TrackDataSample.video_data_samples = property(
        plain.fget, set_frames, plain.fdel)
