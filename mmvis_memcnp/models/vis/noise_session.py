"""A session that takes short-lived tracks out of the result."""
from mmengine.structures import InstanceData

from .base import VISSession


class NoiseFilterSession(VISSession):
    """Drops identities that were seen too rarely and then not again.

    From the tenth frame on, an identity that was missing in the last two
    frames and found in fewer than three leaves the result. The tracker still
    remembers it: if it comes back, its result starts afresh under the same
    number. As the released IDOL and CTVIS do.
    """

    NOISE_FROM_FRAME = 9
    MAX_MISSING = 2
    MIN_DETECTIONS = 3

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # Last frame of each identity that may still turn out to be noise.
        self._doubtful: dict[int, int] = {}

    def record(self, result: InstanceData) -> None:
        """Keep a frame's result and drop what has become noise.

        Args:
            result (InstanceData): See :meth:`OnlineVIS.render`.
        """
        super().record(result)
        frame = len(self.store) - 1
        for track_id in result.instances_id.tolist():
            self._doubtful.pop(track_id, None)
            if self.store.num_detections(track_id) < self.MIN_DETECTIONS:
                self._doubtful[track_id] = frame
        if frame < self.NOISE_FROM_FRAME:
            return
        noise = [track_id for track_id, last in self._doubtful.items()
                 if frame - last >= self.MAX_MISSING]
        for track_id in noise:
            self.store.drop(track_id)
            del self._doubtful[track_id]
