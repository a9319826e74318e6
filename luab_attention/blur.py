"""How wide a fixation is: the sigma of the Gaussian around it, round in pixels, in ratios of the image."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from luab_attention.columns import ATTENTION_SOURCE


class Usual(NamedTuple):
    """The sigma where the source does not name one.

    Attributes:
        degrees: of visual angle, if the pixels in a degree are known.
        ratio: of the image's width, if nothing is known.
    """

    degrees: float
    ratio: float


# Of a target: the two degrees that the fovea sees, if the image fills 20 degrees.
TARGET = Usual(degrees=2.0, ratio=0.1)
# Of a map of where people looked: one degree is usual, or 19 pixels of 640, as SALICON's authors blur.
PEOPLE = Usual(degrees=1.0, ratio=0.03)


def fixation_sigma(
    source: Any, size: tuple[float, float], given: float | None, usual: Usual
) -> tuple[float, float]:
    """The sigma in x and in y, ratios of the image. In pixels both are the same.

    In this order: as given, as the source's authors blur, some degrees of visual angle, the usual ratio.

    Args:
        source: The row's `attention_source`, or None.
        size: Width and height of the image, pixels.
        given: A ratio of the width.
        usual: If the source names none.

    Raises:
        ValueError: the source's numbers are not above 0.
    """
    known = source if isinstance(source, Mapping) else {}
    for name, scale in (("sigma", 1.0), ("pixels_per_degree", usual.degrees / size[0])):
        value = known.get(name)
        if given is None and value is not None:
            if not 0 < value < math.inf:
                raise ValueError(f"{ATTENTION_SOURCE}.{name} is {value}; it is above 0, or null")
            given = value * scale
    across = usual.ratio if given is None else given
    return across, across * size[0] / size[1]
