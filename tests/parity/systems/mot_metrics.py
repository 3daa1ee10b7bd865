"""py-motmetrics on tight boxes around masks."""
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
from pycocotools import mask as mask_utils

from mmvis_memcnp.evaluation.functional import (
    AnnotationFile,
    TrackingCounts,
    count_tracking,
    measure_video,
    read_results,
    stack_boxes,
)
from tests.parity.fixture import Fixture

Counts = Dict[str, TrackingCounts]


def compute(fixture: Fixture) -> Dict[Tuple[str, str, str], Any]:
    """Scores of every accumulator that ``run.arrays`` can name."""
    item, test = fixture.run['inputs'][0], fixture.run['test']
    if item.get('files'):
        named: Dict[str, Any] = {
            f'{group}/{name}/{metric}': value
            for group, counts in _from_json(fixture, item, test)
            for name, scores in _score(counts, test).items()
            for metric, value in scores.items()
        }
    else:
        counts = _from_masks(fixture.arrays(item['part']), test)
        named = {
            f'metrics_{name}': np.asarray([scores[m] for m in test['metrics']])
            for name, scores in _score(counts, test).items()
        }
    return {e.id: named[e.key] for e in fixture.entries() if e.key in named}


def _score(counts: Counts,
           test: Dict[str, Any]) -> Dict[str, Dict[str, float]]:
    total = sum(counts.values(), TrackingCounts())
    return {
        name: c.scores()
        for name, c in {**counts, test['overall_key']: total}.items()
    }


def _from_masks(arrays: Dict[str, Any], test: Dict[str, Any]) -> Counts:
    return {
        f'v{v}': count_tracking(
            _mask_boxes(gt), _mask_boxes(arrays['pred'][v]),
            test['max_distance'])
        for v, gt in arrays['gt'].items()
    }


def _mask_boxes(masks: np.ndarray) -> np.ndarray:
    """Tight boxes (n, T, 4) of boolean masks (n, T, H, W)."""
    return stack_boxes([[
        mask_utils.encode(np.asfortranarray(m.astype(np.uint8)))
        for m in track
    ] for track in masks], masks.shape[1])


def _from_json(fixture: Fixture, item: Dict[str, Any],
               test: Dict[str, Any]) -> Iterator[Tuple[str, Counts]]:
    gt = AnnotationFile.load(fixture.folder / item['files']['ground_truth'])
    results: Dict[int, List] = {}
    for p in read_results(fixture.folder / item['files']['results']):
        if test['score_thr'] is None or p.score >= test['score_thr']:
            results.setdefault(p.video_id, []).append(p)
    agnostic: Counts = {}
    per_class: Counts = {}
    limit = test['max_distance']
    for v in gt.videos:
        tracks = [
            g for g in gt.tracks(v) if not (test['skip_crowd'] and g.crowd)
        ]
        found = results.get(v, [])
        agnostic[f'v{v}'] = _follow(tracks, found, gt.size(v), limit)
        for c in gt.categories:
            mine = [g for g in tracks if g.category_id == c]
            theirs = [p for p in found if p.category_id == c]
            if mine or theirs:
                per_class[f'v{v}_c{c}'] = _follow(
                    mine, theirs, gt.size(v), limit)
    yield 'class_agnostic', agnostic
    yield 'per_class', per_class


def _follow(objects: List, found: List, size: Tuple[int, int],
            limit: float) -> TrackingCounts:
    overlaps = measure_video(found, objects, size, boxes=True)
    return count_tracking(overlaps.gt_boxes, overlaps.boxes, limit)
