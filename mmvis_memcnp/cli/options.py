"""What the tools that run a model ask of the command line."""
import argparse

from mmengine.config import DictAction


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, spelt as in ``tools/test.py``.

    Args:
        parser: Parser of a tool; ``args.cfg_options`` is None or a dict.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override values of the config, such as model.score_thr=0.2')


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` and ``--cfg-options``.

    Args:
        parser: Parser of a tool that runs a model.
    """
    parser.add_argument('--device', default='auto',
                        help='auto, cpu, cuda or cuda:1 '
                        '(default: %(default)s)')
    add_config_options(parser)


def add_backend_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--backend``: ``'torch'`` or ``'onnx'``.

    Args:
        parser: Parser of a tool that takes a checkpoint and does not train.
    """
    parser.add_argument(
        '--backend', choices=['torch', 'onnx'], default='torch',
        help='onnx: the checkpoint is a file of '
        'tools/deployment/export_onnx.py')


def add_optimize_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--optimize [LEVEL]``: None, ``'exact'`` or ``'mixed'``.

    Args:
        parser: Parser of a tool that runs a model and does not train it.
    """
    parser.add_argument(
        '--optimize', nargs='?', const='exact', choices=['exact', 'mixed'],
        help='faster: exact (what --optimize alone stands for) changes '
        'results by rounding alone, mixed also runs the network in mixed '
        'precision; see docs/speed.md')
