"""Train a model."""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import os

from mmengine.config import Config

from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.config_numbers import check_numbers
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.cli.runner import Training
from mmvis_memcnp.cli.work_dir import check_work_dir, config_kept
from mmvis_memcnp.datasets.class_counts import sync_classes


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder of logs and checkpoints (default: '
        'work_dirs/<name of the config>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint exactly where it stopped; without a '
        'path, from the newest one in the work dir, or from the start if '
        'there is none yet')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='start again in a work dir that holds a training, whose '
        'checkpoints are replaced')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision; needs a CUDA device')
    parser.add_argument(
        '--seed',
        type=int,
        help='seed of everything random (default: that of the config, else '
        'drawn and written to the log)')
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='deterministic kernels only: the same losses every time, slower')
    add_config_options(
        parser, 'train_dataloader.batch_size=4',
        '; where a config tests on what it validates on, an override of '
        'val_dataloader or val_evaluator holds for test_dataloader or '
        'test_evaluator too, unless the same key of these is given')
    preflight.add_launcher_options(parser)
    return parser.parse_args()


def choose_start(cfg: Config, resume: str | None) -> None:
    """Decide what the weights start from: a run, a checkpoint or neither."""
    if resume is None and cfg.get('resume') and cfg.get('load_from') is None:
        resume = 'auto'
    if resume == 'auto':
        resume = preflight.last_checkpoint(cfg.work_dir)
        cfg.resume = resume is not None
        if resume is None:
            print(f'Nothing to resume in {cfg.work_dir}: training starts '
                  'from the beginning.')
    elif resume is not None:
        cfg.resume = True
    if resume is not None:
        cfg.load_from = resume
    if cfg.get('load_from') is not None:
        preflight.check_checkpoint_path(
            cfg.load_from, '--resume' if cfg.get('resume') else 'load_from')


def main() -> None:
    """Train."""
    args = parse_args()
    cfg = preflight.load_config(args.config, args.cfg_options)
    preflight.check_parts(cfg, args.config, 'model', 'train_dataloader',
                          'train_cfg', 'optim_wrapper')
    check_numbers(cfg)
    cfg.launcher = args.launcher
    preflight.set_work_dir(cfg, args.config, args.work_dir)
    preflight.set_results_folder(cfg, 'val_evaluator', 'test_evaluator')
    if args.amp:
        preflight.enable_amp(cfg)
    preflight.set_randomness(cfg, args.seed, args.deterministic)
    preflight.check_annotations(cfg, 'train_dataloader', 'val_dataloader')
    sync_classes(cfg)
    choose_start(cfg, args.resume)
    check_work_dir(cfg, args.overwrite)
    preflight.let_overwrite(cfg, args.overwrite or bool(cfg.get('resume')),
                            'val_evaluator', 'test_evaluator')
    preflight.prepare_initial_weights(cfg)
    preflight.add_hook(cfg, 'CheckpointCheckHook',
                       strict=bool(cfg.get('resume')))
    preflight.add_hook(cfg, 'NaNStopHook')
    preflight.add_hook(cfg, 'ProgressHook')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    with config_kept(cfg):
        runner = Training.from_cfg(cfg)
    runner.train()


if __name__ == '__main__':
    run_tool(main, stopped='the same command with --resume goes on from the '
             'newest checkpoint, if there is one.')
