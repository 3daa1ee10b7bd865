"""Score a results.json against a YouTube-VIS style ground truth.

No model and no config: what the official evaluator computes, for any json of
this format (YouTube-VIS, OVIS, your own).
"""
import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from mmvis_memcnp.evaluation.functional import (
    AnnotationFile,
    ResultTrack,
    TrackingCounts,
    average_precision,
    check_results,
    count_tracks,
    format_table,
    read_results,
    read_video_ids,
    reduce_results,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('results', help='results.json')
    parser.add_argument('ground_truth', help='annotation json')
    parser.add_argument(
        '--classwise', action='store_true', help='a row for every class')
    parser.add_argument(
        '--videos',
        help='text file of video ids: score these videos alone')
    parser.add_argument(
        '--tracking',
        action='store_true',
        help='IDF1, MOTA and identity switches at box IoU 0.5')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=.3,
        help='lowest score of predictions in --tracking (default: 0.3)')
    parser.add_argument(
        '--json',
        action='store_true',
        help='a JSON object of all numbers as the last line')
    return parser.parse_args()


def tracking_scores(gt: AnnotationFile, results: Iterable[ResultTrack],
                    videos: Iterable[int],
                    score_thr: float) -> dict[str, float]:
    """Tracking scores over videos; classes are not told apart."""
    found: dict[int, list[ResultTrack]] = {}
    for track in results:
        if track.score >= score_thr:
            found.setdefault(track.video_id, []).append(track)
    counts = (
        count_tracks([g for g in gt.tracks(v) if not g.crowd],
                     found.get(v, []), gt.length(v)) for v in videos)
    return sum(counts, TrackingCounts()).scores()


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Print the tables and return all numbers."""
    gt = AnnotationFile.load(args.ground_truth)
    if not gt.has_annotations:
        raise ValueError(f'{gt.name} has no annotations: there is nothing to '
                         'score against.')
    results = read_results(args.results)
    check_results(gt, results)
    if args.videos:
        ids = set(read_video_ids(args.videos, gt))
        gt.videos = {v: r for v, r in gt.videos.items() if v in ids}
        results = [r for r in results if r.video_id in ids]
    videos = tqdm(gt.videos, 'videos', disable=None, leave=False)
    result = average_precision(
        reduce_results(gt, results, videos), list(gt.categories))
    numbers: dict[str, Any] = dict(result.stats())
    rows = {'all': result.stats()}
    if args.classwise:
        per_class = result.per_class()
        rows.update({gt.categories[c]: s for c, s in per_class.items()})
        numbers['classes'] = {
            gt.categories[c]: s for c, s in per_class.items()
        }
    print(format_table(rows))
    if args.tracking:
        tracking = tracking_scores(gt, results, gt.videos, args.score_thr)
        numbers['tracking'] = tracking
        print(f'IDF1 {tracking["idf1"] * 100:.1f}  IDP '
              f'{tracking["idp"] * 100:.1f}  IDR {tracking["idr"] * 100:.1f}'
              f'  MOTA {tracking["mota"] * 100:.1f}  identity switches '
              f'{tracking["num_switches"]:.0f}  (score >= {args.score_thr})')
    return numbers


def finite(value: Any) -> Any:
    """NaN, which json lacks, as null."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return None if value != value else value


def main() -> str | None:
    args = parse_args()
    try:
        numbers = report(args)
    except (ValueError, OSError) as error:
        return f'error: {error}'
    if args.json:
        print(json.dumps(finite(numbers)))
    return None


if __name__ == '__main__':
    sys.exit(main())
