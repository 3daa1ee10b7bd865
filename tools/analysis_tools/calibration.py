"""What a model's uncertainty says about its failures, on its test data.

Runs the test data of the config as tools/test.py does and pairs every
predicted box with the object of its frame that it meets best. A box fails
below IoU 0.5. Printed are AUROC (does uncertainty tell failures? 0.5 = no),
AUSE (area between the sparsification curve and its bound, 0 = perfect) and the
coverage of the intervals that the standard deviations promise; scores are
judged beside the sigmas. OUT_DIR gets calibration.json (with the curves) and
calibration.png.
"""
import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.evaluation.functional import (
    Pairs,
    calibration,
    reliability,
    sparsification,
)
from mmvis_memcnp.visualization.files import replacing
from mmvis_memcnp.visualization.reliability import plot_reliability


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights to judge')
    parser.add_argument('--out-dir', default='outputs/calibration',
                        help='folder (default: %(default)s)')
    parser.add_argument(
        '--score-thr', type=float, default=.3,
        help='judge instances with at least this score (default: 0.3)')
    add_config_options(parser)
    return parser.parse_args()


def collect(cfg: Config, checkpoint: str, score_thr: float) -> Pairs:
    """Run the test data; every instance with its truth.

    Args:
        cfg (Config): Of the model, with a work_dir; changed.
        checkpoint (str): Its weights.
        score_thr (float): Lowest score of an instance.

    Raises:
        UserError: If the test data have no annotations.
    """
    preflight.set_test_checkpoint(cfg, checkpoint)
    for metric in preflight.metrics(cfg, 'test_evaluator'):
        metric['reliability_thr'] = score_thr
    runner = Runner.from_cfg(cfg)
    scoring = [metric for metric in runner.test_evaluator.metrics
               if getattr(metric, 'scoring', False)]
    if not scoring:
        raise UserError(
            'The test data have no annotations, so no prediction has a truth: '
            'set ann_file of test_evaluator and of test_dataloader.dataset to '
            'a json with them.')
    runner.test()
    return scoring[0].pairs


def curves(pairs: Pairs, iou_thr: float = .5) -> dict[str, Any]:
    """What the plots are made of.

    Args:
        pairs (Pairs): At least one.
        iou_thr (float): Coverage is that of boxes with at least this IoU.

    Returns:
        dict: ``fractions`` (F,), ``sparsification`` (by what was dropped
        first, each (F,)) and, with standard deviations, ``levels`` (L,) and
        ``coverage`` (L, 4).
    """
    errors = 1 - pairs.ious
    by_score = sparsification(errors, -pairs.scores)
    lines = {'lowest score first': by_score.by_uncertainty}
    found: dict[str, Any] = dict(
        fractions=by_score.fractions, sparsification=lines)
    known = ~np.isnan(pairs.sigmas).any(1)
    if known.all():
        lines['largest sigma first'] = sparsification(
            errors, pairs.sigmas.mean(1)).by_uncertainty
    lines['largest error first'] = by_score.by_error
    judged = known & (pairs.ious >= iou_thr)
    if judged.any():
        sides = calibration(pairs.errors[judged], pairs.sigmas[judged])
        found.update(levels=sides.levels, coverage=sides.coverage)
    return found


def plain(value: Any) -> Any:
    """What json can hold: arrays as lists, NaN as null."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if value != value else value


def main() -> None:
    args = parse_args()
    if not 0 <= args.score_thr < 1:
        raise UserError(f'--score-thr must lie in [0, 1), got '
                        f'{args.score_thr}.')
    cfg = preflight.load_config(args.config, args.cfg_options)
    preflight.check_parts(cfg, args.config, 'model', 'test_dataloader',
                          'test_evaluator', 'test_cfg')
    preflight.set_work_dir(cfg, args.config, None)
    preflight.set_results_folder(cfg, 'test_evaluator')
    pairs = collect(cfg, args.checkpoint, args.score_thr)
    if not len(pairs):
        raise UserError(f'No instance scores {args.score_thr} or more: lower '
                        '--score-thr.')
    numbers = reliability(pairs)
    for name, number in numbers.items():
        print(f'{name:16} {number:10.4g}')
    lines = curves(pairs)
    out = Path(args.out_dir)
    with replacing(out / 'calibration.json') as path:
        path.write_text(json.dumps(plain(dict(numbers, **lines))) + '\n')
    plot_reliability(out / 'calibration.png', lines['fractions'],
                     lines['sparsification'], lines.get('levels'),
                     lines.get('coverage'))
    print(f'{out}/calibration.json, {out}/calibration.png')


if __name__ == '__main__':
    run_tool(main)
