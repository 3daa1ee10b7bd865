"""What the tools that write files ask of the command line."""
import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from ..errors import OutputError
from ..results.ownership import check_file, new_file
from ..visualization.files import save_image


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``.

    Args:
        parser: Parser of a tool that writes.
    """
    parser.add_argument(
        '--overwrite', action='store_true',
        help='replace what an earlier run wrote there; a file that was not '
        'made by this package, or was changed since, is never replaced')


def add_picture_options(parser: argparse.ArgumentParser,
                        default: str) -> None:
    """Add ``--out`` for a picture, and ``--overwrite``.

    Args:
        parser: Parser of a tool that draws one picture.
        default: Default of ``--out``.
    """
    parser.add_argument('--out', default=default,
                        help='picture (default: %(default)s)')
    add_overwrite_option(parser)


def check_picture(args: argparse.Namespace,
                  inputs: Iterable[str | Path] = ()) -> None:
    """Find out now whether ``--out`` may be written later.

    Args:
        args: With what :func:`add_picture_options` adds.
        inputs: Files that are read and must stay.

    Raises:
        OutputError: If OpenCV does not know the suffix, or see
            :func:`~mmvis_memcnp.results.ownership.check_file`.
    """
    suffix = Path(args.out).suffix
    if not suffix or not cv2.haveImageWriter(f'a{suffix}'):
        raise OutputError(f'{args.out} cannot be written as a picture: give '
                          '--out the suffix .png or .jpg.')
    check_file(args.out, '--out', args.overwrite, inputs)


def save_picture(args: argparse.Namespace, picture: np.ndarray) -> None:
    """Write the picture of a tool and say where it is.

    Args:
        args: With what :func:`add_picture_options` adds.
        picture: (H, W, 3), uint8, BGR.
    """
    with new_file(args.out, args.overwrite, '--out') as path:
        save_image(path, picture)
    print(args.out)
