"""What a model's uncertainty says about its failures, on its test data.

Runs the test data of the config as tools/test.py does and pairs every
predicted box with the object of its frame that it meets best. Judged are
uncertainty as an ordering (does it tell boxes that fail, below IoU 0.5? what
does it know that class probability and centre-ness do not?) and, for boxes
that do not fail, as standard deviations of their sides in pixels; docs/
uncertainty.md says what each number means. OUT_DIR gets calibration.json (with
the curves) and calibration.png.

A network's own standard deviations are an ordering alone. --fit OUT.pth fits
a monotone map to the errors on these data and writes the checkpoint with that
map; whatever runs OUT.pth then gives mapped ones. Judge them on other data:

    python tools/analysis_tools/calibration.py CONFIG CHECKPOINT \\
        --fit OUT.pth --ann-file DEV.json --img-prefix DEV_FRAMES
    python tools/analysis_tools/calibration.py CONFIG OUT.pth
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.evaluation.functional import (
    Pairs,
    binned_spread,
    calibration,
    fit_sigma_map,
    reliability,
    sparsification,
)
from mmvis_memcnp.results import SigmaMap
from mmvis_memcnp.results.ownership import check_file, new_file
from mmvis_memcnp.results.sigma_map import KEY
from mmvis_memcnp.visualization.reliability import plot_reliability


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights to judge')
    parser.add_argument('--out-dir', default='outputs/calibration',
                        help='folder (default: %(default)s)')
    parser.add_argument(
        '--score-thr', type=float, default=.3,
        help='judge instances with at least this score (default: 0.3)')
    parser.add_argument('--ann-file', help='json to run instead of that of '
                        'the config, with annotations')
    parser.add_argument('--img-prefix', help='folder of its frames')
    parser.add_argument(
        '--fit', metavar='OUT.pth', type=Path,
        help='fit a map of the standard deviations to these data, and write '
        'the checkpoint with it')
    add_overwrite_option(parser)
    add_config_options(parser)
    return parser.parse_args()


def use_data(cfg: Config, ann_file: str | None,
             img_prefix: str | None) -> None:
    """Put other data in the place of the config's test data.

    Args:
        cfg (Config): Changed.
        ann_file (str | None): YouTube-VIS style json.
        img_prefix (str | None): Folder of the frames.
    """
    for dataset in preflight.datasets(cfg, 'test_dataloader'):
        if ann_file is not None:
            dataset['ann_file'] = os.path.abspath(ann_file)
        if img_prefix is not None:
            dataset['data_prefix'] = dict(
                img_path=os.path.abspath(img_prefix))
    for metric in preflight.metrics(cfg, 'test_evaluator'):
        if ann_file is not None:
            metric['ann_file'] = os.path.abspath(ann_file)


def collect(cfg: Config, checkpoint: str,
            score_thr: float) -> tuple[Pairs, SigmaMap | None]:
    """Run the test data; every instance with its truth.

    Args:
        cfg (Config): Of the model, with a work_dir; changed.
        checkpoint (str): Its weights.
        score_thr (float): Lowest score of an instance.

    Returns:
        tuple[Pairs, SigmaMap | None]: The pairs, and what mapped their
        standard deviations.

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
    settings = cfg.model.get(KEY)
    return scoring[0].pairs, SigmaMap(**settings) if settings else None


def curves(pairs: Pairs, dof: float | None,
           iou_thr: float = .5) -> dict[str, Any]:
    """What the plots are made of.

    Args:
        pairs (Pairs): At least one.
        dof (float | None): Of the intervals.
        iou_thr (float): Coverage is that of boxes with at least this IoU.

    Returns:
        dict: ``fractions`` (F,), ``sparsification`` (by what was dropped
        first, each (F,)) and, with standard deviations, ``levels`` (L,),
        ``coverage`` (L, 4) and ``spread``, predicted and observed, (B,) each.
    """
    errors = 1 - pairs.ious
    by_score = sparsification(errors, -pairs.scores)
    lines = {'lowest score first': by_score.by_uncertainty}
    found: dict[str, Any] = dict(
        fractions=by_score.fractions, sparsification=lines)
    if not np.isnan(pairs.uncertainties).any():
        lines['largest uncertainty first'] = sparsification(
            errors, pairs.uncertainties).by_uncertainty
    lines['largest error first'] = by_score.by_error
    judged = pairs[(pairs.ious >= iou_thr) & ~np.isnan(pairs.sigmas).any(1)]
    if len(judged):
        sides = calibration(judged.errors, judged.sigmas, dof=dof)
        found.update(
            levels=sides.levels, coverage=sides.coverage,
            spread=binned_spread(judged.errors, judged.sigmas))
    return found


def write_checkpoint(args: argparse.Namespace, fitted: SigmaMap) -> None:
    """Write the checkpoint anew, with a map in its ``meta``."""
    saved = load_checkpoint_file(args.checkpoint)
    saved['meta'] = {**(saved.get('meta') or {}), KEY: fitted.settings()}
    with new_file(args.fit, args.overwrite, '--fit') as name:
        torch.save(saved, name)
    print(f'{args.fit}: the checkpoint with the map; judge it on other data')


def plain(value: Any) -> Any:
    """What json can hold: arrays as lists, NaN as null."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if value != value else value


def main() -> None:
    args = parse_args()
    if not 0 <= args.score_thr < 1:
        raise UserError(f'--score-thr must lie in [0, 1), got '
                        f'{args.score_thr}.')
    if args.fit is not None:
        check_file(args.fit, '--fit', args.overwrite, [args.checkpoint])
    files = [Path(args.out_dir) / f'calibration.{kind}'
             for kind in ('json', 'png')]
    for file in files:
        check_file(file, '--out-dir', args.overwrite)
    cfg = preflight.load_config(args.config, args.cfg_options)
    preflight.check_parts(cfg, args.config, 'model', 'test_dataloader',
                          'test_evaluator', 'test_cfg')
    preflight.set_work_dir(cfg, args.config, None)
    preflight.set_results_folder(cfg, 'test_evaluator')
    use_data(cfg, args.ann_file, args.img_prefix)
    if args.fit is not None:
        cfg.model[KEY] = None  # one that is there already is not mapped again
    pairs, mapping = collect(cfg, args.checkpoint, args.score_thr)
    if not len(pairs):
        raise UserError(f'No instance scores {args.score_thr} or more: lower '
                        '--score-thr.')
    if args.fit is not None:
        mapping = fit_sigma_map(pairs)
        write_checkpoint(args, mapping)
        pairs.sigmas = mapping.pixels(pairs.sigmas, pairs.frames, pairs.sides)
    dof = mapping.dof if mapping else None
    numbers = reliability(pairs, dof=dof)
    for name, number in numbers.items():
        print(f'{name:16} {number:10.4g}')
    lines = curves(pairs, dof)
    with new_file(files[0], args.overwrite, '--out-dir') as path:
        path.write_text(json.dumps(plain(dict(
            numbers, sigma_map=mapping.settings() if mapping else None,
            **lines))) + '\n')
    with new_file(files[1], args.overwrite, '--out-dir') as path:
        plot_reliability(path, lines['fractions'],
                         lines['sparsification'], lines.get('levels'),
                         lines.get('coverage'), lines.get('spread'))
    print(', '.join(map(str, files)))


if __name__ == '__main__':
    run_tool(main)
