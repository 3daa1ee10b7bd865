"""Writing a MovingShapes data set to disk."""
import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils
from tqdm import tqdm

from ...results.ownership import new_folder
from .levels import LEVELS
from .preview import Preview
from .render import render
from .scene import Scene, make_scene
from .shapes import CLASSES

JPEG_QUALITY = 92


def generate(out: str | Path,
             videos: int,
             frames: int,
             size: tuple[int, int],
             seed: int,
             level: str,
             overwrite: bool = False) -> Path:
    """Make a data set in the form of YouTube-VIS.

    Writes ``instances.json``, ``JPEGImages/<video>/<frame>.jpg`` and
    ``preview.png``. The same arguments give the same bytes of json; video k
    depends on ``seed``, ``level`` and k alone, not on the number of videos.
    Everything is written next to ``out`` first and moved there at the end.

    Args:
        out: Folder to make.
        videos: Number of videos.
        frames: Frames of a video.
        size: Height and width in pixels.
        seed: Seed; validation data takes another one than training data.
        level: One of ``LEVELS``.
        overwrite: Whether to replace a data set that was generated in
            ``out``; anything else stays.

    Returns:
        Path of the json.

    Raises:
        ValueError: If a number is out of range or the level unknown.
        OutputError: If ``out`` has something in it, or cannot be made.
    """
    out = Path(out)
    height, width = size
    if videos < 1 or frames < 1:
        raise ValueError(f'{videos} videos of {frames} frames cannot be made; '
                         'both must be at least 1.')
    if min(height, width) < 48:
        raise ValueError(f'A frame of {height}x{width} is too small for the '
                         'shapes; use at least 48 pixels each way.')
    if seed < 0:
        raise ValueError(f'The seed is {seed}; use 0 or more.')
    if level not in LEVELS:
        raise ValueError(f'There is no level {level!r}; the levels are '
                         f'{", ".join(LEVELS)}.')
    with new_folder(out, overwrite, 'OUT') as made:
        _write(made, videos, frames, size, seed, level)
    return out / 'instances.json'


def _write(out: Path, videos: int, frames: int, size: tuple[int, int],
           seed: int, level: str) -> None:
    height, width = size
    records: list[dict] = []
    tracks: list[dict] = []
    preview = Preview(videos, frames)
    with tqdm(total=videos * frames, unit='frame', desc=out.stem) as progress:
        for index in range(videos):
            # Not the built-in hash: it differs from process to process.
            rng = np.random.default_rng(
                [seed, list(LEVELS).index(level), index])
            scene = make_scene(rng, LEVELS[level], frames, height, width)
            folder = f'{index + 1:04d}'
            (out / 'JPEGImages' / folder).mkdir(parents=True)
            names, rles = [], []
            for t, (frame, masks) in enumerate(render(scene)):
                names.append(f'{folder}/{t:05d}.jpg')
                _write_jpeg(out / 'JPEGImages' / names[-1], frame)
                rles.append(mask_utils.encode(np.asfortranarray(masks)))
                preview.add(index, t, frame, masks, scene.actors)
                progress.update()
            records.append(
                dict(
                    id=index + 1,
                    width=width,
                    height=height,
                    length=frames,
                    file_names=names,
                    license=0,
                    flickr_url='',
                    coco_url='',
                    date_captured=''))
            tracks.extend(_tracks(scene, rles, index + 1, len(tracks) + 1))
    preview.write(out / 'preview.png')
    data = dict(
        info=dict(
            description='MovingShapes, generated',
            level=level,
            seed=seed),
        licenses=[],
        videos=records,
        categories=[
            dict(id=label + 1, name=name, supercategory='shape')
            for label, name in enumerate(CLASSES)
        ],
        annotations=tracks)
    with (out / 'instances.json').open('w', encoding='utf-8') as file:
        json.dump(data, file)


def _write_jpeg(path: Path, frame: np.ndarray) -> None:
    done, data = cv2.imencode('.jpg', frame,
                              [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f'{path} could not be encoded.')
    path.write_bytes(data.tobytes())


def _tracks(scene: Scene, rles: list[list[dict]], video_id: int,
            first_id: int) -> list[dict]:
    """Annotations of the objects that are visible at least once."""
    tracks: list[dict] = []
    for i, actor in enumerate(scene.actors):
        segmentations: list[dict | None] = []
        boxes: list[list[float] | None] = []
        areas: list[int | None] = []
        for frame in rles:
            area = int(mask_utils.area(frame[i]))
            if area == 0:
                segmentations.append(None)
                boxes.append(None)
                areas.append(None)
                continue
            segmentations.append(
                dict(
                    size=[scene.height, scene.width],
                    counts=frame[i]['counts'].decode()))
            boxes.append(mask_utils.toBbox(frame[i]).tolist())
            areas.append(area)
        if any(areas):
            tracks.append(
                dict(
                    id=first_id + len(tracks),
                    video_id=video_id,
                    category_id=actor.label + 1,
                    iscrowd=0,
                    width=scene.width,
                    height=scene.height,
                    length=len(rles),
                    segmentations=segmentations,
                    bboxes=boxes,
                    areas=areas))
    return tracks
