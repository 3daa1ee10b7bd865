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


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no number') from None
