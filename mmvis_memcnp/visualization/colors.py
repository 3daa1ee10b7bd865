"""Colours that stay with an identity."""
import colorsys
from functools import lru_cache

_GOLDEN = 0.618033988749895
# Three rounds of hues that differ in strength, so that neighbours in number
# differ and the hundredth identity still has a colour of its own.
_ROUNDS = ((.85, 1.), (.6, .95), (.95, .75))


@lru_cache(maxsize=4096)
def color_of(identity: int) -> tuple[int, int, int]:
    """Colour of an identity, the same in every frame, file and run.

    Hues step by the golden ratio, which keeps any few successive numbers far
    apart.

    Args:
        identity (int): Any integer.

    Returns:
        tuple[int, int, int]: Blue, green, red in 0..255, as OpenCV wants it.
    """
    hue = (.58 + identity * _GOLDEN) % 1.
    saturation, value = _ROUNDS[identity // 8 % len(_ROUNDS)]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def rgb_of(identity: int) -> tuple[float, float, float]:
    """The same colour as red, green, blue in 0..1, as matplotlib wants it."""
    blue, green, red = color_of(identity)
    return red / 255, green / 255, blue / 255


def text_color_on(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever reads better on a BGR colour."""
    blue, green, red = color
    bright = .299 * red + .587 * green + .114 * blue > 140
    return (0, 0, 0) if bright else (255, 255, 255)
