"""Positions in the viewport -> ratios of an image, by the layout that held when they were measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from luab_collect.events import PLACE, RATIO

TOLERANCE = 0.5  # CSS pixels by which a position that the page sent may differ from its recomputation

Rectangle = Sequence[float]  # left, top, width, height in CSS pixels of the viewport


def ratios(box: Rectangle, cx: float, cy: float) -> tuple[float, float] | None:
    """The position (cx, cy) as ratios of the box; None for a box without an area.

    Limited to what an event may hold (`events.RATIO`), as a drag can end far outside of a small image.
    """
    left, top, width, height = box
    if not (width > 0 and height > 0):
        return None
    return _limited((cx - left) / width), _limited((cy - top) / height)


def in_image(x: float, y: float) -> bool:
    """Whether ratios are a place in the image (`events.PLACE`)."""
    return PLACE[0] <= x <= PLACE[1] and PLACE[0] <= y <= PLACE[1]


def position(fields: Mapping[str, Any], box: Rectangle | None) -> tuple[float, float, bool]:
    """An event's x and y, and whether they are recomputed because they do not fit its pixels and layout.

    Args:
        fields: x, y, cx, cy as in `luab_collect.events`.
        box: The image's content box in the layout that the event names; None: unknown, x and y stay.
    """
    x, y = float(fields["x"]), float(fields["y"])
    again = None if box is None else ratios(box, fields["cx"], fields["cy"])
    if box is None or again is None:
        return x, y, False
    # The page rounds pixels to 0.01 and ratios to 0.00001: what it sent is the more exact of the two.
    off = math.hypot((x - again[0]) * box[2], (y - again[1]) * box[3])
    slack = TOLERANCE + 1e-5 * math.hypot(box[2], box[3])
    return (x, y, False) if off <= slack else (*again, True)


def _limited(ratio: float) -> float:
    return min(RATIO[1], max(RATIO[0], ratio))
