"""Makes cases.npz: 200 small videos and what reference tools say of them.

Run with an environment that has numpy, trackeval 1.3.0 and motmetrics 1.4.0:

    python tests/data/tracking_200/make.py
"""
from pathlib import Path

import motmetrics as mm
import numpy as np
from trackeval.metrics import HOTA

HOTA_NAMES = ('HOTA', 'DetA', 'AssA', 'LocA')
MOT_NAMES = ('num_objects', 'num_predictions', 'num_unique_objects',
             'num_matches', 'num_switches', 'num_misses',
             'num_false_positives', 'num_fragmentations', 'mostly_tracked',
             'partially_tracked', 'mostly_lost', 'idtp', 'idfp', 'idfn',
             'idp', 'idr', 'idf1', 'mota', 'motp', 'precision', 'recall')
GROUP = 5  # cases that are also scored together


def paths(rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
    """Boxes (count, frames, 4) of things that move; NaN where absent."""
    start = rng.uniform(0, 40, (count, 1, 2))
    speed = rng.uniform(-4, 4, (count, 1, 2))
    corner = start + speed * np.arange(frames)[:, None]
    sides = np.broadcast_to(rng.uniform(8, 30, (count, 1, 2)), corner.shape)
    boxes = np.concatenate([corner, sides], -1).round()
    boxes[rng.random((count, frames)) < rng.choice([0, .2, .5])] = np.nan
    return boxes


def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Objects (G, T, 4) and predictions (P, T, 4): the objects' boxes,
    shaken, with exchanged identities, and others; any of them may be none."""
    frames = int(rng.integers(1, 13))
    objects = paths(rng, int(rng.integers(0, 6)), frames)
    found = objects[rng.random(len(objects)) < .8]
    found = found + rng.normal(0, rng.choice([0, 1, 3]), found.shape).round()
    for _ in range(int(rng.integers(0, 3))):
        if len(found) > 1:
            a, b = rng.choice(len(found), 2, replace=False)
            t = rng.integers(frames)
            found[[a, b], t:] = found[[b, a], t:]
    other = paths(rng, int(rng.integers(0, 3)), frames)
    found = np.concatenate([found, other])
    found[..., 2:] = np.maximum(found[..., 2:], 1)
    return objects, found[rng.permutation(len(found))]


def similarity(objects: np.ndarray, found: np.ndarray) -> np.ndarray:
    """IoUs (G, P, T) of boxes x, y, w, h."""
    a, b = objects[:, None], found[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inter
    return inter / union


def hota(objects: np.ndarray, found: np.ndarray) -> dict:
    """TrackEval's result of one video."""
    ious = similarity(objects, found)
    there = [~np.isnan(x[..., 0]) for x in (objects, found)]
    seen = [np.flatnonzero(t.any(1)) for t in there]
    rows, columns = (
        [np.searchsorted(s, np.flatnonzero(t[:, k])) for k in
         range(t.shape[1])] for t, s in zip(there, seen, strict=True))
    return HOTA().eval_sequence(dict(
        num_gt_dets=int(there[0].sum()), num_tracker_dets=int(there[1].sum()),
        num_gt_ids=len(seen[0]), num_tracker_ids=len(seen[1]),
        gt_ids=rows, tracker_ids=columns,
        similarity_scores=[
            ious[seen[0][r][:, None], seen[1][c], k]
            for k, (r, c) in enumerate(zip(rows, columns, strict=True))]))


def accumulator(objects: np.ndarray, found: np.ndarray) -> mm.MOTAccumulator:
    """py-motmetrics' record of one video."""
    ious = similarity(objects, found)
    made = mm.MOTAccumulator(auto_id=True)
    for t in range(objects.shape[1]):
        rows, columns = (np.flatnonzero(~np.isnan(x[:, t, 0]))
                         for x in (objects, found))
        distance = 1 - ious[rows[:, None], columns, t]
        made.update(rows, columns, np.where(distance <= .5, distance, np.nan))
    return made


def main() -> None:
    rng = np.random.default_rng(14)
    cases = [case(rng) for _ in range(200)]
    results = [hota(*c) for c in cases]
    records = [accumulator(*c) for c in cases]
    arrays = {}
    for i, (objects, found) in enumerate(cases):
        arrays[f'objects_{i}'], arrays[f'found_{i}'] = objects, found
    arrays['hota'] = np.array([[np.mean(r[n]) for n in HOTA_NAMES]
                               for r in results])
    together = [HOTA().combine_sequences({
        str(i): r for i, r in enumerate(results[k:k + GROUP])})
        for k in range(0, 200, GROUP)]
    arrays['hota_groups'] = np.array([[np.mean(r[n]) for n in HOTA_NAMES]
                                      for r in together])
    host = mm.metrics.create()

    def compute(some: list) -> np.ndarray:
        table = host.compute_many(some, metrics=list(MOT_NAMES),
                                  generate_overall=True)
        return table.to_numpy(float)

    arrays['mot'] = np.concatenate([compute([r])[:1] for r in records])
    arrays['mot_groups'] = np.stack([
        compute(records[k:k + GROUP])[-1] for k in range(0, 200, GROUP)])
    np.savez_compressed(Path(__file__).with_name('cases.npz'), **arrays,
                        hota_names=HOTA_NAMES, mot_names=MOT_NAMES)


if __name__ == '__main__':
    main()
