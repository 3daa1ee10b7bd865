"""What the tools that run a model ask of the command line."""
import argparse
from typing import Any

from mmengine.config import DictAction


class Overrides(DictAction):
    """mmengine's, which ends with a traceback where a word has no value."""

    def __call__(self, parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Take the words behind an option; ends the program for one that is
        not ``KEY=VALUE``."""
        for word in values:
            if not word.partition('=')[0] or '=' not in word:
                parser.error(f'{option_string} takes KEY=VALUE, got {word!r}: '
                             'write both with = between them and no space.')
        super().__call__(parser, namespace, values, option_string)


def add_config_options(parser: argparse.ArgumentParser,
                       example: str = 'model.score_thr=0.2',
                       more: str = '') -> None:
    """Add ``--cfg-options``, spelt alike in all tools.

    Args:
        parser: Parser of a tool; ``args.cfg_options`` is None or a dict.
        example: An override that makes sense there.
        more: What to say behind it.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE',
        help=f'override values of the config, such as {example}{more}')


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
