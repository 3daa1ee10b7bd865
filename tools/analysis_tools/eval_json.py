"""Score a results.json against a YouTube-VIS style ground truth.

No model and no config: what the official evaluator computes, and tracking
scores, for any pair of jsons of this form (YouTube-VIS, OVIS, your own).

Example:

    python tools/analysis_tools/eval_json.py gt.json results.json --classwise
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from mmvis_memcnp.cli.numbers import share
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.evaluation.functional import (
    OCCLUSION,
    SHAPES,
    TRACKING,
    AnnotationFile,
    ResultTrack,
    VideoScores,
    average_precision,
    check_results,
    format_table,
    headline,
    keep_level,
    leave_out_broken,
    occlusion_levels,
    precision,
    read_results,
    read_video_ids,
    score_videos,
    tracking,
)

Numbers = dict[str, Any]
#: Tracks that are left out and named.
SHOWN = 20


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ground_truth', help='json with annotations')
    parser.add_argument('results', help='results.json')
    parser.add_argument('--json', action='store_true',
                        help='all numbers, in 0..1, as an object in the last '
                        'line')
    parser.add_argument('--classwise', action='store_true',
                        help='AP and AR of every class')
    parser.add_argument('--per-video', action='store_true',
                        help='a row for every video, the worst first')
    parser.add_argument('--videos', metavar='IDS',
                        help='score these videos alone: a text file of ids, '
                        'or a json whose videos are taken')
    parser.add_argument('--long', metavar='IDS',
                        help='also score these videos and the others apart, '
                        'as for YouTube-VIS 2022')
    parser.add_argument('--occlusion', action='store_true',
                        help='also AP of slightly, moderately and heavily '
                        'occluded objects, for a json that has "occlusion" '
                        'as OVIS')
    parser.add_argument('--skip-broken', action='store_true',
                        help='leave out tracks with a mask that cannot be '
                        'read, say which, and score the others; without it '
                        'such a file is refused')
    parser.add_argument('--score-thr', type=share, default=.3,
                        help='the tracking scores leave out what scores less '
                        '(default: %(default)s)')
    parser.add_argument('--processes', type=int, default=1,
                        help='processes that share the videos (default: '
                        '%(default)s)')
    return parser.parse_args()


def read_pair(args: argparse.Namespace
              ) -> tuple[AnnotationFile, str | list[ResultTrack],
                         dict[str, int]]:
    """The two files, masks unread, and how many tracks were left out.

    Several processes read the results later.
    """
    together = args.processes > 1 and not args.skip_broken
    gt = AnnotationFile.load(args.ground_truth, check_masks=False,
                             by_video=together and not args.occlusion)
    if not gt.has_annotations:
        raise UserError(f'{gt.name} has no annotations: there is nothing to '
                        'score against.')
    if together:
        return gt, args.results, {}
    results = read_results(args.results, check_masks=False)
    check_results(gt, results)
    if not args.skip_broken:
        return gt, results, {}
    gt, results, left_out = leave_out_broken(gt, results)
    for name, sentences in left_out.items():
        for sentence in sentences[:SHOWN]:
            print(f'left out: {sentence}')
        if sentences:
            more = len(sentences) - SHOWN
            print(f'{len(sentences)} tracks of the '
                  f'{name.replace("_", " ")} were left out'
                  + (f', {more} of them not shown.' if more > 0 else '.'))
    if not gt.has_annotations:
        raise UserError(f'{gt.name} has no annotation that can be read: '
                        'there is nothing to score against.')
    return gt, results, {k: len(v) for k, v in left_out.items()}


def all_numbers(videos: Mapping[int, VideoScores],
                cat_ids: list[int]) -> dict[str, Numbers]:
    """Every number of some videos, by masks and by boxes."""
    return {shape: {**precision(videos, cat_ids, shape).stats(),
                    **tracking(videos.values(), shape)} for shape in SHAPES}


def occlusion_numbers(gt: AnnotationFile, videos: Mapping[int, VideoScores]
                      ) -> dict[str, dict[str, float]]:
    """AP and AR of the objects of each occlusion level, by masks."""
    levels = occlusion_levels(gt)
    return {level: headline(average_precision({
        v: keep_level(s.cells['masks'], gt.tracks(v), levels.get(v, []),
                      level) for v, s in videos.items()
    }, list(gt.categories)).stats()) for level in OCCLUSION}


def video_numbers(gt: AnnotationFile,
                  videos: Mapping[int, VideoScores]) -> list[Numbers]:
    """Numbers of each video, by masks, the worst first.

    Sorted by AP, then HOTA; videos without objects come last.
    """
    found = []
    for video, scores in videos.items():
        names = gt.videos[video].get('file_names') or ['']
        counts = scores.counts['masks']
        cells = scores.cells['masks']
        found.append(dict(
            video_id=video, folder=names[0].rpartition('/')[0],
            **headline(average_precision(
                {video: cells}, [c for c in gt.categories if c in cells]
            ).stats()), **tracking([scores]),
            objects=counts.num_unique_objects, missed=counts.num_misses,
            false=counts.num_false_positives))
    return sorted(found, key=lambda n: (n['AP'] < 0, n['AP'], n['HOTA'],
                                        n['video_id']))


def report(args: argparse.Namespace) -> Numbers:
    """Print the tables and return all numbers."""
    print(f'{args.results} against {args.ground_truth}', flush=True)
    whole, results, left_out = read_pair(args)
    gt = whole
    long = None if args.long is None else set(read_video_ids(args.long, gt))
    if args.videos:
        ids = set(read_video_ids(args.videos, gt))
        gt = replace(gt, videos={
            v: r for v, r in gt.videos.items() if v in ids})
    if args.occlusion:
        occlusion_levels(gt)  # refused before the work
    videos: Iterable[int] = tqdm(gt.videos, 'videos', disable=None,
                                 leave=False)
    scores = score_videos(whole, results, videos, args.score_thr,
                          args.processes)
    cat_ids = list(gt.categories)
    by_shape = all_numbers(scores, cat_ids)
    rows = dict(by_shape)
    numbers: Numbers = {**by_shape['masks'], 'boxes': by_shape['boxes']}
    if args.skip_broken:
        numbers['left_out'] = left_out
    if long is not None:
        numbers['subsets'] = {}
        for name, part in (('long', long), ('short', scores.keys() - long)):
            found = all_numbers({v: scores[v] for v in scores if v in part},
                                cat_ids)
            numbers['subsets'][name] = {**found['masks'],
                                        'boxes': found['boxes']}
            rows.update({f'{name}, {s}': n for s, n in found.items()})
    tracked = dict(rows)
    if args.occlusion:
        numbers['occlusion'] = occlusion_numbers(gt, scores)
        rows.update({f'{level} occlusion': n
                     for level, n in numbers['occlusion'].items()})
    if args.classwise:
        numbers['classes'] = {
            gt.categories[c]: s for c, s in
            precision(scores, cat_ids).per_class().items()}
        # A class may be called as another row is.
        rows.update({f'class {name}': n
                     for name, n in numbers['classes'].items()})
    print(format_table(rows), end='\n\n')
    print(format_table(tracked, TRACKING, ['switches']))
    print(f'(tracking: classes not told apart, score >= {args.score_thr})')
    if args.per_video:
        numbers['videos'] = video_numbers(gt, scores)
        print()
        print(format_table(
            {f'{n["video_id"]} {n["folder"]}': n for n in numbers['videos']},
            ['AP', 'AP50', 'HOTA', 'IDF1', 'MOTA', 'switches', 'objects',
             'missed', 'false'],
            ['switches', 'objects', 'missed', 'false']))
    return numbers


def finite(value: Any) -> Any:
    """NaN, which json lacks, as null."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if value != value else value


def main() -> None:
    """Score."""
    args = parse_args()
    if args.processes < 1:
        sys.exit('--processes must be 1 or more.')
    numbers = report(args)
    if args.json:
        print(json.dumps(finite(numbers)))


if __name__ == '__main__':
    run_tool(main, 'nothing was written.')
