"""The page: its data, and the one file that holds all of it."""
from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ..visualization.colors import color_of
from .frames import FrameReader, encode_frames, shown_frames, shrink
from .identities import KINDS, Tracks, find_cases, runs
from .inputs import Inputs, Video, choose_videos
from .scores import (
    reliability_plots,
    rows_without_truth,
    score_inputs,
    table,
    truth_tables,
    video_rows,
)
from .shapes import series, track_shapes

Json = dict[str, Any]
Progress = Callable[[Iterable, str], Iterable]

#: Tracks of a video that are drawn, the best ones.
MAX_TRACKS = 50
#: Cases of all videos that are listed.
MAX_CASES = 60
# Share of a video's bytes that outlines may take.
_OUTLINES = .6
_SCRIPTS = ('viewer.js', 'timeline.js', 'tables.js', 'main.js')


def page_data(inputs: Inputs, title: str, place: str | None,
              score_thr: float = .3, count: int = 12,
              wanted: Sequence[int] | None = None, side: int = 640,
              max_bytes: int = 25_000_000, processes: int = 1,
              progress: Progress = lambda items, _: items) -> Json:
    """Everything that the page shows.

    Args:
        inputs: the files.
        title: what the page is about.
        place: where the frames are, see :class:`~.frames.FrameReader`.
        score_thr: tracks that score less are hidden at first and follow
            nothing.
        count: videos that are shown, the worst ones.
        wanted: ids of the videos that are shown instead.
        side: longer side of a frame in pixels. Higher: sharper and larger.
        max_bytes: of the videos.
        processes: processes that score the videos.
        progress: wraps what takes long, with its name.

    Raises:
        UserError: if frames and results do not belong together.
        ValueError: if a mask cannot be compared.
    """
    tables, plots = [], None
    if inputs.gt is not None:
        scores = score_inputs(inputs, progress(inputs.gt.videos, 'scores'),
                              score_thr, processes)
        rows = video_rows(inputs, scores)
        tables = truth_tables(inputs, scores, rows, score_thr)
        plots = reliability_plots(inputs, score_thr)
    else:
        rows = rows_without_truth(inputs, score_thr)
        tables = [table('Videos', 'The one with the lowest scores first; '
                        'score is the mean of its tracks.', rows,
                        ('score', 'tracks', 'frames'))]
    videos = choose_videos(inputs, [r['id'] for r in rows], count, wanted)
    reader = FrameReader(place, videos)
    found, cases, left = [], [], max_bytes
    notes = [] if place else ['There are no pictures: --frames says where '
                              'they are.']
    for k, video in enumerate(progress(videos, 'pictures')):
        tracks = Tracks.of(video, score_thr)
        cases += find_cases(inputs, video, tracks)
        text, said = _video_text(inputs, video, tracks, reader, side,
                                 left // (len(videos) - k))
        left -= len(text)
        notes += said
        found.append(json.loads(text))
    if len(videos) < len(inputs.videos):
        notes.append(f'{len(videos)} of {len(inputs.videos)} videos are '
                     'shown; the tables have all.')
    cases = sorted(cases, key=lambda c: -c.cost)
    if len(cases) > MAX_CASES:
        notes.append(f'The {MAX_CASES} worst of {len(cases)} cases are '
                     'listed.')
    return dict(
        title=title, about=_about(inputs, score_thr),
        truth=inputs.gt is not None, threshold=score_thr,
        tables=tables, plots=plots, videos=found, kinds=KINDS, notes=notes,
        cases=[c.plain() for c in cases[:MAX_CASES]])


def _about(inputs: Inputs, score_thr: float) -> str:
    """One line on what the page was made of."""
    against = ('without ground truth' if inputs.gt is None else
               f'against {Path(inputs.gt.name).name}')
    count = len(inputs.videos)
    return (f'{len(inputs.results)} tracks in {count} '
            f'video{"s" if count != 1 else ""}, '
            f'{against}; tracks that score {score_thr:g} or more.')


def _video_text(inputs: Inputs, video: Video, tracks: Tracks,
                reader: FrameReader, side: int,
                limit: int) -> tuple[str, list[str]]:
    """The json of a video, of so many bytes, and what was left out."""
    numbers = shown_frames(video.length)
    notes = []
    best = sorted(range(len(video.predictions)),
                  key=lambda p: -video.predictions[p].score)
    # What cannot be seen in a picture of this size need not be drawn.
    fine = .55 * max(1., max(video.size) / side)
    data = _video_data(inputs, video, tracks, best[:MAX_TRACKS], numbers,
                       fine)
    drawn = _drop_outlines(data, round(limit * _OUTLINES))
    if drawn < len(best):
        notes.append(f'{video.name}: the best {drawn} of {len(best)} tracks '
                     'are drawn.')
    text = json.dumps(data)
    if reader.place is not None and numbers:
        frames = {t: shrink(frame, side) for t, frame in zip(
            numbers, reader.read(video, numbers), strict=True)}
        encoded, less = encode_frames(frames, max(limit - len(text), 0))
        if less:
            notes.append(f'{video.name}: pictures are coarser or fewer, to '
                         'keep the page small.')
        if encoded:
            data['at'] = list(encoded)
            data['pictures'] = list(encoded.values())
    if len(data['at']) < video.length:
        notes.append(f'{video.name}: {len(data["at"])} of {video.length} '
                     'frames are shown.')
    return json.dumps(data), notes


def _video_data(inputs: Inputs, video: Video, tracks: Tracks,
                kept: Sequence[int], numbers: Sequence[int],
                fine: float) -> Json:
    deviation = tracks.deviation()
    followed = np.unique(tracks.found[tracks.found >= 0])
    return dict(
        id=video.id, name=video.name, width=video.size[1],
        height=video.size[0], length=video.length, at=list(numbers),
        pictures=None,
        tracks=[dict(
            place=p, name=inputs.class_name(track.category_id),
            score=round(track.score, 4), color=_hex(p + 1),
            follows=bool(p in followed), runs=runs(tracks.predicted[p]),
            std=None if np.isnan(deviation[p]).all() else series(deviation[p]),
            shapes=track_shapes(track.segmentations, tracks.boxes[p],
                                tracks.spreads[p], numbers, fine))
            for p, track in ((p, video.predictions[p]) for p in kept)],
        objects=[dict(
            place=g, name=inputs.class_name(truth.category_id),
            crowd=truth.crowd, found=tracks.found[g].tolist(),
            switches=np.flatnonzero(tracks.switches()[g]).tolist(),
            runs=runs(~np.isnan(tracks.gt_boxes[g, :, 0])),
            shapes=track_shapes(truth.segmentations, tracks.gt_boxes[g], None,
                                numbers, fine))
            for g, truth in enumerate(video.truth)])


def _drop_outlines(data: Json, limit: int) -> int:
    """Take away the shapes that make a video too large.

    Args:
        data: of a video, changed in place; the best tracks come first.
        limit: bytes of all shapes.

    Returns:
        How many tracks have kept theirs.
    """
    drawn = 0
    for item in (*data['objects'], *data['tracks']):
        limit -= len(json.dumps(item['shapes']))
        if limit < 0:
            item['shapes'] = {}
        else:
            drawn += 'score' in item
    return drawn


def _hex(identity: int) -> str:
    blue, green, red = color_of(identity)
    return f'#{red:02x}{green:02x}{blue:02x}'


def write_page(data: Json, path: str | Path) -> None:
    """Write the page to a name that nobody else reads.

    Args:
        data: see :func:`page_data`.
        path: the html file.
    """
    parts = files(__package__)
    # The data stand inside an element of a script, which '</' would end.
    text = json.dumps(data, separators=(',', ':'), allow_nan=False)
    text = text.replace('<', '\\u003c')
    values = dict(
        title=html.escape(data['title']),
        style=parts.joinpath('page.css').read_text(encoding='utf-8'),
        script='\n'.join(parts.joinpath(name).read_text(encoding='utf-8')
                         for name in _SCRIPTS),
        data=text)
    page = parts.joinpath('page.html').read_text(encoding='utf-8')
    pieces = page.split('@@')  # text and names take turns
    with open(path, 'w', encoding='utf-8') as file:
        for i, piece in enumerate(pieces):
            file.write(values[piece] if i % 2 else piece)
