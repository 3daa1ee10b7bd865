"""Colour threshold and IoU linking: what a data set yields without learning.

The colours of the background are the dominant ones of the median of the
frames. What differs from all of them, by Otsu's threshold over the video, is
foreground; a connected piece is an object; pieces of consecutive frames that
overlap are linked. The class is a guess: the most frequent one of the json,
or a random one.

Example:

    python tools/analysis_tools/colour_baseline.py \
        data/moving_shapes/hard/val/instances.json \
        data/moving_shapes/hard/val/JPEGImages --out results.json

The results file is scored like that of any model.
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from mmvis_memcnp.annotations.flavours import parse_ytvis_json
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.images import read_image
from mmvis_memcnp.results.ownership import check_file, new_file

# Colour distances below this (CIE Lab) count as noise.
LEAST_DISTANCE = 12
# Smallest piece, as a share of the frame.
LEAST_AREA = 0.002
LINK_IOU = 0.3
# Clusters of colours, and the share of the frame that one must cover to be
# background.
CLUSTERS = 4
LEAST_SHARE = 0.15


def foreground(frames: np.ndarray) -> np.ndarray:
    """What has other colours than the background.

    Args:
        frames: uint8 (T, H, W, 3), BGR.

    Returns:
        uint8 (T, H, W), 0 or 1.
    """
    lab = np.stack([_lab(frame) for frame in frames])
    colours = dominant_colours(np.median(lab, axis=0))
    gaps = np.linalg.norm(lab[..., None, :] - colours, axis=-1).min(axis=-1)
    gaps = np.clip(gaps, 0, 255).astype(np.uint8)
    otsu, _ = cv2.threshold(
        gaps.reshape(len(gaps), -1), 0, 1, cv2.THRESH_OTSU)
    masks = (gaps > max(otsu, LEAST_DISTANCE)).astype(np.uint8)
    kernel = np.ones((3, 3), dtype=np.uint8)
    for mask in masks:
        cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel, dst=mask)
        cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel, dst=mask)
    return masks


def dominant_colours(image: np.ndarray) -> np.ndarray:
    """Colours that each cover a good part of an image.

    Args:
        image: float32 (H, W, 3).

    Returns:
        float32 (k, 3).
    """
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    pixels = image.reshape(-1, 3).astype(np.float32)
    unknown = np.zeros((len(pixels), 1), dtype=np.int32)
    _, owner, centres = cv2.kmeans(pixels, CLUSTERS, unknown, stop, 2,
                                   cv2.KMEANS_PP_CENTERS)
    share = np.bincount(np.ravel(owner), minlength=CLUSTERS) / len(pixels)
    return np.asarray(centres)[share >= LEAST_SHARE]


def _lab(image: np.ndarray) -> np.ndarray:
    # Smoothed, so that noise and fine texture count less.
    smooth = cv2.GaussianBlur(image, (5, 5), 0).astype(np.float32) / 255
    return cv2.cvtColor(smooth, cv2.COLOR_BGR2Lab)


def pieces(mask: np.ndarray) -> np.ndarray:
    """Connected pieces, uint8 (n, H, W), without the small ones."""
    count, labels = cv2.connectedComponents(mask)
    areas = np.bincount(labels.ravel(), minlength=count)
    keep = np.flatnonzero(areas >= LEAST_AREA * mask.size)
    keep = keep[keep > 0]
    return (labels[None] == keep[:, None, None]).astype(np.uint8)


def link(per_frame: list[np.ndarray]) -> list[dict[int, np.ndarray]]:
    """Link the pieces of consecutive frames.

    Args:
        per_frame: uint8 (n_t, H, W) a frame.

    Returns:
        Tracks: frame -> mask.
    """
    tracks: list[dict[int, np.ndarray]] = []
    alive: list[int] = []
    for t, masks in enumerate(per_frame):
        owner = [-1] * len(masks)
        if alive and len(masks):
            before = np.stack([tracks[i][t - 1] for i in alive])
            a = before.reshape(len(before), -1).astype(np.float32)
            b = masks.reshape(len(masks), -1).astype(np.float32)
            shared = a @ b.T
            iou = shared / (a.sum(1)[:, None] + b.sum(1)[None] - shared)
            for row, column in zip(
                    *linear_sum_assignment(-iou), strict=True):
                if iou[row, column] > LINK_IOU:
                    owner[column] = alive[row]
        for k, mask in enumerate(masks):
            if owner[k] < 0:
                owner[k] = len(tracks)
                tracks.append({})
            tracks[owner[k]][t] = mask
        alive = owner
    return tracks


def read_frames(paths: list[Path]) -> np.ndarray:
    """Read images, uint8 (T, H, W, 3).

    Raises:
        OSError, ValueError: If one cannot be read.
    """
    return np.stack([read_image(path) for path in paths])


def run_video(video: dict, images: Path) -> list[dict]:
    """Results of a video, without class."""
    if not video.get('file_names'):
        raise ValueError(f'Video {video["id"]} has no file_names: list its '
                         'frames by their file names.')
    frames = read_frames([images / name for name in video['file_names']])
    tracks = link([pieces(mask) for mask in foreground(frames)])
    results = []
    for track in tracks:
        segmentations: list[dict | None] = [None] * len(frames)
        for t, mask in track.items():
            rle = mask_utils.encode(np.asfortranarray(mask))
            segmentations[t] = dict(
                size=rle['size'], counts=rle['counts'].decode())
        results.append(
            dict(
                video_id=video['id'],
                score=len(track) / len(frames),
                segmentations=segmentations))
    return results


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path)
    parser.add_argument('images', type=Path)
    parser.add_argument('--out', type=Path, default=Path('results.json'))
    parser.add_argument(
        '--guess', choices=('frequent', 'random'), default='frequent')
    parser.add_argument('--seed', type=int, default=0)
    add_overwrite_option(parser)
    return parser.parse_args()


def main() -> None:
    """Run the baseline."""
    args = parse_args()
    check_file(args.out, '--out', args.overwrite, [args.json])
    try:
        data = parse_ytvis_json(args.json)
        ids = [category['id'] for category in data.get('categories') or []]
        if not ids:
            raise ValueError(f'{args.json} has no categories: results need '
                             'one.')
        results = [
            entry for video in tqdm(data['videos'] or [], unit='video')
            for entry in run_video(video, args.images)
        ]
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    counts = Counter(a['category_id'] for a in data.get('annotations') or [])
    frequent = max(ids, key=lambda i: (counts[i], -i))
    rng = np.random.default_rng(args.seed)
    for entry in results:
        entry['category_id'] = (
            frequent
            if args.guess == 'frequent' else int(rng.choice(ids)))
    with new_file(args.out, args.overwrite, '--out') as name:
        name.write_text(json.dumps(results), encoding='utf-8')
    print(f'{len(results)} tracks in {args.out}')


if __name__ == '__main__':
    run_tool(main)
