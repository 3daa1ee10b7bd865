"""Numbers of a command line, refused before the work begins."""
import argparse


def share(text: str) -> float:
    """A number in [0, 1], such as a score.

    Raises:
        argparse.ArgumentTypeError: For anything else.
    """
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text} is not in 0..1')
    return value


def positive(text: str) -> float:
    """A number above 0.

    Raises:
        argparse.ArgumentTypeError: For anything else.
    """
    value = _number(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return value


def pixels(text: str) -> int:
    """Side of a picture, a whole number of pixels in 16..8192.

    Raises:
        argparse.ArgumentTypeError: For anything else.
    """
    value = _number(text)
    if not 16 <= value <= 8192 or value % 1:
        raise argparse.ArgumentTypeError(
            f'{text} is not a whole number in 16..8192')
    return int(value)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no number') from None
