"""What a run on a video leaves behind, all of it or nothing."""
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from ..annotations.mots import IGNORED
from ..errors import OutputError
from ..results import (
    FileSink,
    VideoResult,
    decode_masks,
    encode_masks,
    rle_to_json,
)
from ..results.files import undisturbed, work_folder
from ..results.ownership import (
    check_file,
    check_folder,
    put_in_place,
    remove_own,
)
from ..results.results_json import box_entry, result_entry, write_entries
from ..visualization.files import CODECS, VideoWriter, find_codec, write_image
from ..visualization.overlay import draw_frame
from ..visualization.uncertainty import plot_uncertainty

# What the names of the files end with, by kind; that of the video is the
# suffix of its codec.
SUFFIXES = dict(results='.json', uncertainty='_uncertainty.png',
                masks='_masks', mots='_mots.txt')


class VideoOutputs:
    """Writes pictures and files of a video while its frames pass by.

    Everything goes into a hidden folder inside ``out_dir`` first; only
    :meth:`publish` gives the files their names. Used as a context manager,
    the hidden folder is gone afterwards in any case. An input and what was
    not written by this package are never replaced.

    Args:
        out_dir (str | Path): Folder of the outputs, made if needed.
        name (str): Stem of their names.
        classes (Sequence[str]): Names of the labels.
        score_thr (float): Instances below are neither drawn nor written as
            PNG or MOTS; the json has all.
        fps (float): Of the video that is written.
        video (bool): Write the annotated video.
        codec (str): See
            :func:`~mmvis_memcnp.visualization.files.find_codec`.
        png_masks (bool): Write a PNG (0 and 255) an instance and frame.
        mots (bool): Write a MOTS txt.
        overwrite (bool): Whether outputs of an earlier run may be replaced.
        inputs (Sequence[Path]): Files that are read.

    Attributes:
        sink (FileSink): Where the session must put its results.
        codec (str): Of the video.

    Raises:
        OutputError: If an output may not be written, or ``out_dir`` takes no
            files. Nothing is made before.
        ValueError: If there is no such codec.
    """

    def __init__(self,
                 out_dir: str | Path,
                 name: str,
                 classes: Sequence[str] = (),
                 score_thr: float = 0.3,
                 fps: float = 10.,
                 video: bool = True,
                 codec: str = 'auto',
                 png_masks: bool = False,
                 mots: bool = False,
                 overwrite: bool = False,
                 inputs: Sequence[Path] = ()) -> None:
        self.out_dir, self.name = Path(out_dir), name
        self.classes, self.score_thr, self.fps = classes, score_thr, fps
        self.codec = find_codec(codec) if video else codec
        self._with_video, self._with_pngs = video, png_masks
        self._with_mots = mots
        self._writer: VideoWriter | None = None
        self._count = 0
        self._overwrite, self._inputs = overwrite, inputs
        self._stack = ExitStack()
        self._mots: TextIO | None = None
        if len(inputs) > 1 and inputs[0].parent.resolve() == \
                self.out_dir.resolve():
            raise OutputError(f'{out_dir} is the folder of the frames, where '
                              'a picture of ours would be the next frame: '
                              'give --out-dir another folder.')
        wanted = dict(results=True, uncertainty=True, video=video,
                      masks=png_masks, mots=mots)
        self._check([kind for kind, want in wanted.items() if want])

    def _check(self, kinds: Sequence[str]) -> None:
        """Refuse to write where something is that must stay."""
        for kind in kinds:
            check = check_folder if kind == 'masks' else check_file
            check(self.target(kind), '--out-dir', self._overwrite,
                  self._inputs)

    def target(self, kind: str) -> Path:
        """Where the output of a kind will be."""
        suffix = CODECS[self.codec][1] if kind == 'video' else SUFFIXES[kind]
        return self.out_dir / f'{self.name}{suffix}'

    def __enter__(self) -> 'VideoOutputs':
        with self._stack as stack:
            self._work = stack.enter_context(
                work_folder(self.out_dir, self.name))
            self.sink = FileSink(str(self._work / 'tracks.bin'))
            stack.callback(self.sink.close)
            if self._with_mots:
                self._mots = open(self._work / 'mots.part', 'w+')
            stack.callback(self._close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, frame: np.ndarray, result: InstanceData) -> np.ndarray:
        """Take the next frame.

        Args:
            frame (np.ndarray): (H, W, 3), uint8, BGR.
            result (InstanceData): Its FrameResult.

        Returns:
            np.ndarray: The annotated frame.
        """
        picture = draw_frame(frame, result, self.classes, self.score_thr)
        if self._with_video:
            if self._writer is None:
                self._writer = VideoWriter(
                    self._work / f'video{CODECS[self.codec][1]}', self.fps,
                    frame.shape[:2], self.codec)
            self._writer.write(picture)
        if self._with_pngs or self._mots is not None:
            shown = result[result.scores >= self.score_thr]
            masks = decode_masks(shown.masks, frame.shape[:2])
            ids = shown.instances_id.tolist()
            if self._with_pngs:
                self._write_pngs(ids, masks)
            if self._mots is not None:
                self._spool_mots(ids, masks, shown.scores.numpy())
        self._count += 1
        return picture

    def publish(self, video: VideoResult,
                cat_ids: Sequence[int] | None = None) -> dict[str, Path]:
        """Write what needs the whole video and give all files their names.

        Args:
            video (VideoResult): Result of the session.
            cat_ids (Sequence[int], optional): Category id of each label;
                label + 1 without, as in YouTube-VIS and OVIS.

        Returns:
            dict[str, Path]: The outputs by kind: ``video``, ``results``,
            ``uncertainty``, ``masks``, ``mots``; only those that exist.
        """
        if cat_ids is None:
            labels = [track.label for track in video.tracks]
            cat_ids = range(1, max(labels, default=0) + 2)
        made = {}
        with open(self._work / 'results.json', 'wb') as file:
            write_entries(file, ([json.dumps(entry).encode()] for entry in
                                 self._entries(video, cat_ids)))
        made['results'] = self._work / 'results.json'
        plot = self._work / 'uncertainty.png'
        if plot_uncertainty(video, plot, self.classes):
            made['uncertainty'] = plot
        if self._mots is not None:
            self._finish_mots(video, cat_ids)
            made['mots'] = self._work / 'mots.txt'
        self._close()
        if self._writer is not None:
            made['video'] = self._work / f'video{CODECS[self.codec][1]}'
        if self._with_pngs:
            self._finish_pngs(video)
            made['masks'] = self._work / 'masks'
        self._check(list(made))
        with undisturbed():
            for kind, source in made.items():
                put_in_place(source,
                             Path(os.path.realpath(self.target(kind))))
            if 'uncertainty' not in made:
                # One of an earlier run is not that of these results.
                remove_own(self.target('uncertainty'))
            if self._overwrite and 'video' in made:
                self._remove_other_videos()
        return {kind: self.target(kind) for kind in made}

    def _entries(self, video: VideoResult,
                 cat_ids: Sequence[int]) -> Iterator[dict]:
        """Of the json: with a map also boxes and how exact they are."""
        for track in video.tracks:
            entry = result_entry(1, cat_ids[track.label], track)
            if track.label < len(self.classes):
                entry['category_name'] = self.classes[track.label]
            if video.sigma_map is not None and video.ori_shape is not None:
                entry.update(box_entry(track.records(), video.num_frames,
                                       video.ori_shape))
            yield entry

    def _remove_other_videos(self) -> None:
        """That of an earlier run with another codec is not of these results.
        """
        kept = {os.path.realpath(path) for path in
                (*self._inputs, self.target('video'))}
        for _, suffix in CODECS.values():
            path = self.out_dir / f'{self.name}{suffix}'
            if os.path.realpath(path) not in kept:
                remove_own(path)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._mots is not None:
            self._mots.close()

    def _write_pngs(self, ids: list[int], masks: np.ndarray) -> None:
        for identity, mask in zip(ids, masks, strict=True):
            if not mask.any():
                continue  # a clip system names identities that are hidden
            path = self._work / 'masks' / f'{identity:04d}'
            write_image(path / f'{self._count:06d}.png',
                        mask.astype(np.uint8) * 255)

    def _finish_pngs(self, video: VideoResult) -> None:
        """Drop the pictures of what is no track now that the video ended."""
        masks = self._work / 'masks'
        masks.mkdir(exist_ok=True)
        begin = _first_frames(video)
        for folder in masks.iterdir():
            identity = int(folder.name)
            if identity not in begin:
                shutil.rmtree(folder)
                continue
            for file in folder.iterdir():
                if int(file.stem) < begin[identity]:
                    file.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()

    def _spool_mots(self, ids: list[int], masks: np.ndarray,
                    scores: np.ndarray) -> None:
        """Lines without the class, which is known at the end."""
        assert self._mots is not None
        apart = separate_masks(masks, scores)
        for identity, rle in zip(ids, encode_masks(apart), strict=True):
            if coco_mask.area(rle) > 0:
                code = rle_to_json(rle)
                height, width = code['size']
                self._mots.write(f'{self._count} {identity} {height} {width} '
                                 f'{code["counts"]}\n')

    def _finish_mots(self, video: VideoResult,
                     cat_ids: Sequence[int]) -> None:
        """Frame, class * 1000 + identity, class, height, width, code.

        Category ids from 10 on are one higher: readers leave out class 10.
        """
        assert self._mots is not None
        # The best of its labels, where an identity has several.
        of_track = {track.id: cat_ids[track.label]
                    for track in sorted(video.tracks, key=lambda t: t.score)}
        begin = _first_frames(video)
        # More than a thousand identities need a larger factor to stay unique.
        factor = 10**max(3, len(str(max(of_track, default=0))))
        self._mots.seek(0)
        with open(self._work / 'mots.txt', 'w') as file:
            for line in self._mots:
                frame, identity, rest = line.split(' ', 2)
                if int(frame) < begin.get(int(identity), self._count):
                    continue  # dropped by the time the video ended
                category = of_track[int(identity)]
                category += category >= IGNORED
                file.write(f'{frame} {category * factor + int(identity)} '
                           f'{category} {rest}')


def _first_frames(video: VideoResult) -> dict[int, int]:
    """Where each identity of the result begins; earlier ones were noise."""
    return {track.id: track.first_frame for track in video.tracks}


def separate_masks(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Give every pixel to the best mask that claims it, as MOTS demands.

    Args:
        masks (np.ndarray): (n, H, W), bool.
        scores (np.ndarray): (n, ).

    Returns:
        np.ndarray: (n, H, W), bool; no two overlap.
    """
    order = np.argsort(-scores, kind='stable')
    ranked = masks[order]
    taken = np.logical_or.accumulate(ranked, axis=0)
    apart = np.empty_like(masks)
    apart[order[:1]] = ranked[:1]
    apart[order[1:]] = ranked[1:] & ~taken[:-1]
    return apart
