"""Test a model: score its videos, or write them for a server."""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import os

from mmengine.config import Config

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import (
    add_backend_option,
    add_config_options,
    add_optimize_option,
)
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.cli.runner import Test
from mmvis_memcnp.cli.work_dir import config_kept
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.files import check_place
from mmvis_memcnp.results.ownership import check_file, check_folder


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights to test')
    parser.add_argument(
        '--work-dir',
        help='folder of the log and, where nothing can be scored, of '
        'vis_results.json and vis_results.zip (default: work_dirs/<name of '
        'the config>)')
    parser.add_argument(
        '--ann-file',
        help='YouTube-VIS style json to test on instead of the one in the '
        'config; it may be without annotations')
    parser.add_argument(
        '--out',
        metavar='RESULTS.json',
        help='also write the tracks in the form of the YouTube-VIS servers')
    parser.add_argument(
        '--format-only',
        action='store_true',
        help='score nothing, write the tracks and the archive to submit')
    parser.add_argument(
        '--classwise', action='store_true', help='also score each class')
    parser.add_argument(
        '--reliability',
        type=float,
        nargs='?',
        const=.3,
        metavar='SCORE',
        help='also judge scores and predicted standard deviations, of '
        'instances with at least this score (default: 0.3); '
        'tools/analysis_tools/calibration.py draws them')
    parser.add_argument(
        '--show-dir',
        help='folder for pictures of the results, a folder a video')
    add_overwrite_option(parser)
    add_backend_option(parser)
    add_optimize_option(parser)
    add_config_options(parser, 'test_dataloader.num_workers=4')
    preflight.add_launcher_options(parser)
    return parser.parse_args()


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Write the options that concern data and scores into the config."""
    if args.out is not None and not args.out.endswith('.json'):
        raise UserError(f'--out must name a .json file, got {args.out}.')
    if args.out is not None:
        check_file(args.out, '--out', args.overwrite)
    if args.show_dir is not None:
        check_folder(args.show_dir, '--show-dir', args.overwrite)
    if args.ann_file is not None:
        # Relative paths of a config are taken from its data_root.
        path = os.path.abspath(args.ann_file)
        for dataset in preflight.datasets(cfg, 'test_dataloader'):
            dataset['ann_file'] = path
        for metric in preflight.metrics(cfg, 'test_evaluator'):
            metric['ann_file'] = path
    for metric in preflight.metrics(cfg, 'test_evaluator'):
        if args.out is not None:
            metric['outfile_prefix'] = args.out.removesuffix('.json')
        if args.format_only:
            metric['format_only'] = True
        if args.classwise:
            metric['classwise'] = True
        if args.reliability is not None:
            metric['reliability_thr'] = args.reliability


def main() -> None:
    """Test."""
    args = parse_args()
    if args.backend == 'onnx' and args.optimize is not None:
        raise UserError('onnxruntime runs the network as it was exported: '
                        'leave --optimize or --backend out.')
    cfg = preflight.load_config(args.config, args.cfg_options)
    preflight.check_parts(cfg, args.config, 'model', 'test_dataloader',
                          'test_evaluator', 'test_cfg')
    cfg.launcher = args.launcher
    preflight.set_work_dir(cfg, args.config, args.work_dir)
    preflight.set_results_folder(cfg, 'test_evaluator')
    apply_options(cfg, args)
    preflight.let_overwrite(cfg, args.overwrite, 'test_evaluator')
    check_place(cfg.work_dir, '--work-dir')
    preflight.set_test_checkpoint(cfg, args.checkpoint, args.backend)
    if args.show_dir is not None:
        preflight.add_hook(cfg, 'DrawResultsHook', out_dir=args.show_dir)
    if args.optimize is not None:
        preflight.add_hook(cfg, 'OptimizeHook')
    if args.optimize == 'mixed':
        cfg.test_cfg.fp16 = True
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    with config_kept(cfg):
        runner = Test.from_cfg(cfg)
    runner.test()


if __name__ == '__main__':
    run_tool(main)
