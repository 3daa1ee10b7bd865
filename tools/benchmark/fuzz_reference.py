"""Scores of a pair of jsons, read slowly and with no code of the package.

The evaluation of youtubevos/cocoapi on decoded masks, pixel by pixel, for
the small files of fuzz_jsons.py.
"""
import json

import numpy as np
from pycocotools import mask as mask_utils


def runs_of(text: str) -> list[int]:
    """Runs of a compressed code, one character after the other."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        while True:
            group = ord(text[at]) - 48
            if not 0 <= group < 64:
                raise ValueError(f'no run-length code: {text!r}')
            at += 1
            value |= (group & 31) << shift
            shift += 5
            if not group & 32:
                break
        if group & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
    return runs


def mask_of(code: object, height: int, width: int) -> np.ndarray:
    """Pixels (height * width,) of a mask; none for null and no polygon."""
    flat = np.zeros(height * width, bool)
    if code is None or code == []:
        return flat
    if isinstance(code, list):
        polygons = [p for p in code if len(p) >= 6]
        assert polygons
        found = mask_utils.decode(mask_utils.merge(
            mask_utils.frPyObjects(polygons, height, width)))
        return found.ravel(order='F').astype(bool)
    assert isinstance(code, dict)
    assert code['size'] == [height, width]
    counts = code['counts']
    runs = runs_of(counts) if isinstance(counts, str) else counts
    assert all(run >= 0 for run in runs) and sum(runs) == height * width
    at = 0
    for i, run in enumerate(runs):
        flat[at:at + run] = i % 2
        at += run
    return flat


def track_iou(track: np.ndarray, other: np.ndarray) -> float:
    """IoU of two tracks (T, pixels)."""
    union = (track | other).sum()
    return (track & other).sum() / union if union else 0.


def reference_scores(gt_path: str, results_path: str) -> dict[str, float]:
    """AP, AP50, AP75, AR1 and AR10.

    Args:
        gt_path: the ground truth.
        results_path: the results.
    """
    with open(gt_path, encoding='utf-8') as file:
        gt = json.load(file)
    with open(results_path, encoding='utf-8') as file:
        results = json.load(file)
    sides = {v['id']: (v['height'], v['width']) for v in gt['videos']}

    def masks(record: dict) -> np.ndarray:
        side = sides[record['video_id']]
        return np.array([mask_of(c, *side) for c in record['segmentations']]
                        ).reshape(len(record['segmentations']), -1)

    truth: dict = {}
    found: dict = {}
    for record in gt['annotations']:
        areas = record.get('areas')
        tracks = masks(record)
        areas = tracks.sum(1).tolist() if areas is None else areas
        seen = [a for a in areas if a]
        mean = sum(seen) / len(seen) if seen else 0
        truth.setdefault((record['video_id'], record['category_id']),
                         []).append((bool(record.get('iscrowd')), mean > 1e10,
                                     tracks))
    for record in results:
        found.setdefault((record['video_id'], record['category_id']),
                         []).append((record['score'], masks(record)))
    kinds = sorted({c['id'] for c in gt['categories']})
    curves = {limit: [curve(kind, limit, sorted(sides), truth, found)
                      for kind in kinds] for limit in (1, 10, 100)}

    def mean(values: list) -> float:
        cells = np.concatenate([np.ravel(v) for v in values]) \
            if values else np.zeros(0)
        cells = cells[cells > -1]
        return float(cells.mean()) if len(cells) else -1.

    full = curves[100]
    return dict(AP=mean([p for p, _ in full]),
                AP50=mean([p[0] for p, _ in full]),
                AP75=mean([p[5] for p, _ in full]),
                AR1=mean([r for _, r in curves[1]]),
                AR10=mean([r for _, r in curves[10]]))


def curve(kind: int, limit: int, videos: list, truth: dict,
          found: dict) -> tuple[np.ndarray, np.ndarray]:
    """Precision (10, 101) and recall (10,) of a category; -1 = no object."""
    precision, recall = np.full((10, 101), -1.), np.full(10, -1.)
    for t, threshold in enumerate(np.linspace(.5, .95, 10)):
        rows, number = [], 0
        for video in videos:
            objects = sorted(truth.get((video, kind), []),
                             key=lambda o: o[0] or o[1])
            number += sum(not (o[0] or o[1]) for o in objects)
            predictions = sorted(found.get((video, kind), []),
                                 key=lambda p: -p[0])[:100]
            taken = [False] * len(objects)
            for score, track in predictions[:limit]:
                best, which = min(threshold, 1 - 1e-10), -1
                for i, (crowd, away, other) in enumerate(objects):
                    if taken[i] and not crowd:
                        continue
                    if which > -1 and (crowd or away) and not (
                            objects[which][0] or objects[which][1]):
                        break
                    iou = track_iou(track, other)
                    if iou >= best:
                        best, which = iou, i
                if which > -1:
                    taken[which] = True
                rows.append((score, which > -1, which > -1 and (
                    objects[which][0] or objects[which][1])))
        if not number:
            continue
        rows = [r for r in sorted(rows, key=lambda r: -r[0])]
        tp = np.cumsum([hit and not out for _, hit, out in rows])
        fp = np.cumsum([not hit and not out for _, hit, out in rows])
        precision[t], recall[t] = 0, 0
        if rows:
            recalls = tp / number
            ratio = tp / (tp + fp + np.spacing(1))
            recall[t] = recalls[-1]
            for k, wanted in enumerate(np.linspace(0, 1, 101)):
                reached = np.searchsorted(recalls, wanted)
                if reached < len(recalls):
                    precision[t, k] = ratio[reached:].max()
    return precision, recall
