"""py-motmetrics on tight boxes around masks."""
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from mmvis_memcnp.evaluation.functional import (GroundTruth, TrackingCounts,
                                                count_tracking, read_results,
                                                stack_boxes)
from tests.parity.fixture import Fixture

Boxes = Tuple[np.ndarray, np.ndarray]


def compute(fixture: Fixture) -> Dict[Tuple[str, str, str], Any]:
    """Scores of every accumulator that ``run.arrays`` can name."""
    item, test = fixture.run['inputs'][0], fixture.run['test']
    part = item['part']
    if item.get('files'):
        return {
            (part, 'expected.json', f'{group}/{name}/{metric}'): value
            for group, found in _from_json(fixture, item, test)
            for name, scores in _score(found, test).items()
            for metric, value in scores.items()
        }
    return {
        (part, 'outputs.npz', f'metrics_{name}'):
        np.asarray([scores[m] for m in test['metrics']])
        for name, scores in _score(_from_masks(fixture, part), test).items()
    }


def _score(boxes: Dict[str, Boxes],
           test: Dict[str, Any]) -> Dict[str, Dict[str, float]]:
    counts = {
        name: count_tracking(*pair, test['max_distance'])
        for name, pair in boxes.items()
    }
    total = sum(counts.values(), TrackingCounts())
    return {
        name: c.scores()
        for name, c in {**counts, test['overall_key']: total}.items()
    }


def _from_masks(fixture: Fixture, part: str) -> Dict[str, Boxes]:
    arrays = fixture.arrays(part)
    return {
        f'v{v}': (_mask_boxes(gt), _mask_boxes(arrays['pred'][v]))
        for v, gt in arrays['gt'].items()
    }


def _mask_boxes(masks: np.ndarray) -> np.ndarray:
    """Tight boxes (n, T, 4) of boolean masks (n, T, H, W)."""
    from pycocotools import mask as mask_utils
    frames = masks.shape[1]
    return stack_boxes([[
        mask_utils.encode(np.asfortranarray(m.astype(np.uint8)))
        for m in track
    ] for track in masks], frames)


def _from_json(fixture: Fixture, item: Dict[str, Any],
               test: Dict[str, Any]) -> Iterator[Tuple[str, Dict]]:
    gt = GroundTruth.load(fixture.folder / item['files']['ground_truth'])
    results: Dict[int, List] = {}
    for p in read_results(fixture.folder / item['files']['results']):
        if p.score >= test['score_thr']:
            results.setdefault(p.video_id, []).append(p)
    agnostic: Dict[str, Boxes] = {}
    per_class: Dict[str, Boxes] = {}
    for v in gt.videos:
        tracks = [
            g for g in gt.tracks(v) if not (test['skip_crowd'] and g.crowd)
        ]
        found, frames = results.get(v, []), gt.length(v)
        agnostic[f'v{v}'] = _pair(tracks, found, frames)
        for c in gt.categories:
            mine = [g for g in tracks if g.category_id == c]
            theirs = [p for p in found if p.category_id == c]
            if mine or theirs:
                per_class[f'v{v}_c{c}'] = _pair(mine, theirs, frames)
    yield 'class_agnostic', agnostic
    yield 'per_class', per_class


def _pair(tracks: List, found: List, frames: int) -> Boxes:
    return (stack_boxes([g.segmentations for g in tracks], frames),
            stack_boxes([p.segmentations for p in found], frames))


