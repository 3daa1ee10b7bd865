"""Official YouTube-VIS evaluator: every array, from the product's scores."""
from typing import Any, Dict, Tuple

import numpy as np

from mmvis_memcnp.evaluation.functional import (
    AREA_RANGES,
    IOU_THRS,
    MAX_DET_LIMITS,
    RECALL_THRS,
    AnnotationFile,
    average_precision,
    read_results,
    reduce_results,
)
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture


def compute(fixture: Fixture) -> Dict[Tuple[str, str, str], Any]:
    """All that ``run.arrays`` of an evaluator fixture can name."""
    test, part = fixture.run['test'], fixture.run['inputs'][0]['part']
    _check_protocol(test)
    files = fixture.inputs(part)['files']
    gt = AnnotationFile.load(fixture.folder / files['ground_truth'])
    cells = reduce_results(
        gt, read_results(fixture.folder / files['results']))
    result = average_precision(cells, list(gt.categories))
    long_ids = test['long_video_ids']
    long_result = average_precision({v: cells[v] for v in long_ids},
                                    list(gt.categories))
    stats = result.stats()
    named: Dict[Tuple[str, str], Any] = {
        ('expected.npz', 'stats'): np.asarray(list(stats.values())),
        ('expected.npz', 'precision'): result.precision,
        ('expected.npz', 'recall'): result.recall,
        ('expected.npz', 'scores'): result.scores,
    }
    for v, video in cells.items():
        for c, cell in video.items():
            named['expected.npz', f'iou_v{v}_c{c}'] = cell.ious
    for name, value in stats.items():
        named['expected.json', f'stats/{name}'] = value
    for name, value in long_result.stats().items():
        named['expected_long.json', f'stats/{name}'] = value
    for c, scores in result.per_class().items():
        for name, value in scores.items():
            named['expected.json', f'per_category/{c}/{name}'] = value
    return {(part, file, key): value for (file, key), value in named.items()}


def _check_protocol(test: Dict[str, Any]) -> None:
    """The product has one protocol; another one must not pass unnoticed."""
    same = (
        np.allclose(test['iou_thresholds'], IOU_THRS)
        and test['recall_points'] == len(RECALL_THRS)
        and tuple(test['max_dets']) == MAX_DET_LIMITS
        and {k: tuple(v) for k, v in test['areas'].items()} == AREA_RANGES)
    if not same:
        raise ManifestError('the fixture has other thresholds, areas or '
                            'limits than the YouTube-VIS protocol')
