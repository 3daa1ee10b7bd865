"""Videos and their objects as a YouTube-VIS style json."""
from collections.abc import Iterable, Mapping

from pycocotools import mask as mask_utils

from .videos import LabelledVideo, ObjectTrack


class Writer:
    """Collects videos.

    Ids of videos and categories are those of the source, where it has them.

    Args:
        categories: Video -> key of an object -> name of its category;
            objects that are not in it keep their own label.
    """

    def __init__(self, categories: Mapping[str, Mapping[str, str]]) -> None:
        self.categories = categories
        self._ids: dict[str, int] = {}
        self._videos: list[dict] = []
        self._annotations: list[dict] = []

    def add(self, video: LabelledVideo) -> list[str]:
        """Add a video; objects are numbered in the order given.

        Returns:
            What must be said about it, a line each: how many objects it has,
            or that it has none.
        """
        said = list(video.said)
        length = len(video.file_names)
        names = self.categories.get(video.name, {})
        said += _unknown(names, video)
        number = len(self._videos) + 1 if video.id is None else video.id
        if not self._videos:  # after those that the source numbers
            self._ids.update(video.categories)
            for objects in self.categories.values():
                for name in objects.values():
                    self._category(name)
        self._videos.append(dict(
            id=number, width=video.size[1],
            height=video.size[0], length=length,
            file_names=video.file_names))
        kept = 0
        for track in video.tracks:
            lists = _lists(track, length)
            lost = len(track.codes) - length + lists['areas'].count(None)
            if lost:
                end = ('any frame and is left out.'
                       if lost == len(track.codes) else
                       f'{lost} of its frames, where it counts as out of '
                       'sight.')
                said.append(f'Warning: {video.name}: the object {track.key} '
                            f'has no pixel in {end}')
            if lost == len(track.codes):
                continue
            kept += 1
            self._annotations.append(dict(
                id=len(self._annotations) + 1, video_id=number,
                category_id=self._category(names.get(track.key, track.label)),
                iscrowd=0, width=video.size[1], height=video.size[0],
                length=length, **lists))
        said.append(f'{video.name}: {length} frames, {kept} objects.'
                    if kept else f'Warning: {video.name}: no object in its '
                    f'{length} frames.')
        return said

    def _category(self, name: str) -> int:
        return self._ids.setdefault(name, max(self._ids.values(), default=0)
                                    + 1)

    def json(self, description: str) -> dict:
        """The json.

        Args:
            description: Where it comes from.
        """
        return dict(
            info=dict(description=description), licenses=[],
            videos=self._videos,
            categories=[dict(id=i, name=name, supercategory='object')
                        for name, i in sorted(self._ids.items(),
                                              key=lambda item: item[1])],
            annotations=self._annotations)


def _lists(track: ObjectTrack, length: int) -> dict[str, list]:
    """Segmentations, boxes and areas, None where there is no pixel."""
    lists: dict[str, list] = {
        key: [None] * length for key in ('segmentations', 'bboxes', 'areas')}
    for t, rle in track.codes.items():
        area = int(mask_utils.area(rle))
        if area:
            lists['segmentations'][t] = dict(
                size=[int(side) for side in rle['size']],
                counts=rle['counts'].decode())
            lists['bboxes'][t] = mask_utils.toBbox(rle).tolist()
            lists['areas'][t] = area
    return lists


def _unknown(names: Iterable[str], video: LabelledVideo) -> list[str]:
    known = [track.key for track in video.tracks]
    alien = [key for key in names if key not in known]
    if not alien:
        return []
    return [f'Warning: {video.name}: --categories names {_listed(alien)}, '
            f'but its objects are {_listed(known) or "none"}.']


def _listed(keys: list[str]) -> str:
    return ', '.join(keys[:20]) + (', ...' if len(keys) > 20 else '')
