"""The boxes around all contours of an 8-bit map, at all its thresholds at once.

Equal to `cv2.findContours(map > t, RETR_TREE)` and `cv2.boundingRect` for each t, without a pass over the
map for each. OpenCV's contours are:

* the outer borders of the mask's components, in which pixels that touch at a corner are connected;
* the borders of its holes: the components of `map <= t` that do not reach the outside of the map, in which
  only pixels that share a side are connected.

`cv2.contourArea` measures through the centers of the pixels, and an outer border encloses the holes. So the
area is that of a component of the map with its holes filled: every square of four pixels is 1, three of
them are 1/2. Holes are filled only where that could decide which component is the largest.
"""

import numpy as np

from .compiled import compiled
from .components import (
    AREA,
    BACKGROUND,
    BY_CORNERS,
    BY_SIDES,
    COLUMNS,
    FIRST,
    FOREGROUND,
    HIGH,
    LOW,
    SINCE,
    WHOLE,
    X0,
    X1,
    Y0,
    Y1,
    ascending,
    components,
    framed,
    neighbors,
    steps,
)

LEVELS = 255  # t = 0 .. 254; nothing is above 255


def contour_boxes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The contours of `image > t` for each t: low [n], high [n], box [n, 4]; the largest [LEVELS, 4].

    A contour has its box at all low <= t < high. A box is x, y, x + width, y + height in pixels. The largest
    contour encloses the largest area; of equal ones it is the one that OpenCV lists first. Where nothing is
    above t its box is 0, 0, 0, 0.

    Args:
        image: [H, W] uint8.
    """
    values, shift = framed(image)
    sets, order = neighbors(values, shift), ascending(values, shift, image.shape[1])
    outer, _, _ = components(values, sets, order, steps(BY_CORNERS, shift), FOREGROUND, shift)
    holes, names, parts = components(values, sets, order, steps(BY_SIDES, shift), BACKGROUND, shift)

    largest = _largest(outer)
    filled, gain = _filled(values, names, parts)
    uncertain = _uncertain(outer, largest, gain)
    if uncertain < LEVELS:
        largest[uncertain:] = _largest(_above(filled, uncertain, image.shape[1], shift))[uncertain:]

    contours = np.concatenate([outer, holes])
    contours[len(outer) :, [LOW, HIGH]] = LEVELS - holes[:, [HIGH, LOW]]
    contours[len(outer) :, : Y1 + 1] += np.array([-1, -1, 1, 1], np.int32)  # on the pixels around the hole
    return contours[:, LOW], contours[:, HIGH], contours[:, : Y1 + 1], largest[:, : Y1 + 1]


def _above(values: np.ndarray, lowest: int, width: int, shift: int) -> np.ndarray:
    """The components of `values > t` for t >= lowest."""
    values[values <= lowest] = 0
    sets, order = neighbors(values, shift), ascending(values, shift, width)
    return components(values, sets, order, steps(BY_CORNERS, shift), FOREGROUND, shift)[0]


@compiled
def _filled(values: np.ndarray, names: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The framed map without holes, and how much they can add to an area at each t, in halves [LEVELS]."""
    filled = values.copy()
    more = np.zeros(LEVELS + 1, np.int64)
    for pixel in range(len(values)):
        if values[pixel] == LEVELS:
            continue
        part = names[pixel]
        if part > 0:  # not outside from the beginning: a hole down to where it became part of the outside
            value = LEVELS - parts[part, SINCE] if parts[part, WHOLE] == 0 else LEVELS
            if value > values[pixel]:
                more[values[pixel]] += 8  # a pixel is in four squares
                more[value] -= 8
                filled[pixel] = value
    return filled, np.cumsum(more)[:LEVELS]


@compiled
def _largest(components: np.ndarray) -> np.ndarray:
    """[LEVELS, COLUMNS]: the largest component; of equal ones the one that begins last; 0: none."""
    largest = np.zeros((LEVELS, COLUMNS), np.int32)
    for i in range(len(components)):
        area, first = components[i, AREA], components[i, FIRST]
        for level in range(components[i, LOW], components[i, HIGH]):
            best, begins = largest[level, AREA], largest[level, FIRST]
            if area > best or (area == best and first > begins):
                largest[level] = components[i]
    return largest


@compiled
def _uncertain(components: np.ndarray, largest: np.ndarray, gain: np.ndarray) -> int:
    """The lowest level at which with filled holes another component than `largest` could be the largest.

    A component gains at most `gain`, and does not become larger than its box.
    """
    lowest = LEVELS
    for i in range(len(components)):
        rows = components[i, Y1] - components[i, Y0] - 1
        box = 2 * rows * (components[i, X1] - components[i, X0] - 1)
        area, first = components[i, AREA], components[i, FIRST]
        for level in range(components[i, LOW], min(components[i, HIGH], lowest)):
            most = min(area + gain[level], box)
            if gain[level] and most >= largest[level, AREA] and first != largest[level, FIRST]:
                lowest = level
                break
    return lowest
