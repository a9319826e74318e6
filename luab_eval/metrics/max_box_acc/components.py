"""The components of `map > t` for all t at once, and those of `map <= t`.

As t falls, pixels join the mask `map > t`, the highest first. A pixel starts a component or joins its
neighbors' components, which become one (union-find). So every pixel is visited once, and a component has a
new box only where it grew.

`map <= t` is the mask of the inverted map: its pixels join in the opposite order, and those neighbors of a
pixel are there already that come later in the other. So one order and one set of neighbors serve both.
"""

import numpy as np

from .compiled import compiled

FRAME = 2  # pixels around the map: what is outside of it, and pixels that never join

# The neighbors of a pixel, clockwise from the upper left. A set of them is a number: bit i is neighbor i.
RING = np.array([(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)])  # y, x
CORNERS, SIDES = (0, 2, 4, 6), (1, 3, 5, 7)

# A component: its box in the map (the ends behind the last pixels), t = LOW .. HIGH - 1 at which it is like
# this, its area in halves, and its first pixel in reading order.
X0, Y0, X1, Y1, LOW, HIGH, AREA, FIRST = range(8)
COLUMNS = 8
# While it grows: its last column and its first and last pixel, all in the framed map.
LAST = Y1

# A component consists of parts: each began at a pixel of its own. Of a part: the component, which is named
# after one of its parts; the component's next part, in a circle; the value at which it got this name. And of
# the part that gives the name, the number of parts; OUTSIDE or more: what is outside of the map.
WHOLE, NEXT, SINCE, SIZE = range(4)
OUTSIDE = 1 << 30


def _sets() -> np.ndarray:
    """[256, 8] bool: the members of each set of neighbors."""
    return (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)


def _links(by_corners: bool) -> np.ndarray:
    """[256, 4, 2]: of each set of neighbors one of each group that is connected along `RING`; then 0, 0."""
    table = np.zeros((256, 4, 2), np.int64)
    for row, here in zip(table, _sets(), strict=True):
        if here.all():
            first = [SIDES[0]]
        elif by_corners:
            first = [i for i in range(8) if here[i] and not here[i - 1]]
        else:
            first = [i for i in SIDES if here[i] and not (here[i - 1] and here[i - 2])]
        row[: len(first)] = RING[first]
    return table


def _halves() -> np.ndarray:
    """[256]: the area that a pixel adds to its neighbors: 1/2 as a square's third, and as its fourth."""
    squares = [[corner - 1, corner, corner + 1] for corner in CORNERS]
    return (_sets()[:, squares].sum(axis=2) >= 2).sum(axis=1)


BY_CORNERS, BY_SIDES, HALVES = _links(True), _links(False), _halves().astype(np.int32)
FOREGROUND, BACKGROUND = 0, 255  # what a value and a set of neighbors is combined with, by exclusive or


def framed(image: np.ndarray) -> tuple[np.ndarray, int]:
    """`image` in a frame of 0, in a frame of 255, as one row of pixels; and log2 of a row's pixels."""
    height, width = image.shape
    shift = int(width + 2 * FRAME - 1).bit_length()
    values = np.full((height + 2 * FRAME, 1 << shift), 255, np.uint8)
    values[1:-1, 1 : width + 3] = 0
    values[FRAME:-FRAME, FRAME : width + FRAME] = image
    return values.ravel(), shift


def steps(links: np.ndarray, shift: int) -> np.ndarray:
    """[256, 4] int32: the links as steps from pixel to pixel."""
    return ((links[:, :, 0] << shift) + links[:, :, 1]).astype(np.int32)


@compiled
def ascending(values: np.ndarray, shift: int, width: int) -> np.ndarray:
    """The pixels of the map and its inner frame, the lowest first; equal ones in reading order."""
    rows = len(values) >> shift
    end = np.zeros(257, np.int64)
    for y in range(1, rows - 1):
        for value in values[(y << shift) + 1 : (y << shift) + width + 3]:
            end[value + 1] += 1
    for i in range(256):
        end[i + 1] += end[i]
    order = np.empty(end[256], np.int32)
    for y in range(1, rows - 1):
        for pixel in range((y << shift) + 1, (y << shift) + width + 3):
            value = values[pixel]
            order[end[value]] = pixel
            end[value] += 1
    return order


@compiled
def neighbors(values: np.ndarray, shift: int) -> np.ndarray:
    """[N] uint8: of each pixel the set of neighbors that come later in `ascending`."""
    row = 1 << shift
    n = len(values) - 2 * row - 2
    sets = np.zeros(len(values), np.uint8)
    inner, here = sets[row + 1 : row + 1 + n], values[row + 1 : row + 1 + n]
    a, b, c = values[:n], values[1 : 1 + n], values[2 : 2 + n]
    h, d = values[row : row + n], values[row + 2 : row + 2 + n]
    g, f, e = values[2 * row : 2 * row + n], values[2 * row + 1 : 2 * row + 1 + n], values[2 * row + 2 :]
    for i in range(n):
        v = here[i]
        inner[i] = (
            np.uint8(a[i] > v)
            | np.uint8(b[i] > v) << 1
            | np.uint8(c[i] > v) << 2
            | np.uint8(d[i] >= v) << 3
            | np.uint8(e[i] >= v) << 4
            | np.uint8(f[i] >= v) << 5
            | np.uint8(g[i] >= v) << 6
            | np.uint8(h[i] > v) << 7
        )
    return sets


@compiled
def components(
    values: np.ndarray, sets: np.ndarray, order: np.ndarray, steps: np.ndarray, ground: int, shift: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All components of one kind; those of the background without the outside.

    Args:
        values: [N] uint8, see `framed`.
        sets: [N], see `neighbors`.
        order: See `ascending`.
        steps: [256, 4], see `steps`.
        ground: FOREGROUND or BACKGROUND.
        shift: See `framed`.

    Returns:
        The components [n, COLUMNS] int32; the part that each pixel joined [N]; the parts [m, 4] int32.
    """
    names = np.empty(len(values), np.int32)
    parts = np.empty((len(order), 4), np.int32)
    growing = np.empty((len(order), COLUMNS), np.int32)
    found = np.empty((len(order), COLUMNS), np.int32)  # each pixel adds at most one
    count = number = 0
    for i in range(len(order)):
        pixel = order[i] if ground else order[len(order) - 1 - i]
        value = values[pixel] ^ ground
        if value == 0:
            break
        around = sets[pixel] ^ ground
        x = pixel & ((1 << shift) - 1)
        step = steps[around, 0]
        if step == 0:
            name, number = number, number + 1
            _start(growing, parts, name, pixel, x)
            if ground and name == 0:
                parts[name, SIZE] = OUTSIDE
        else:
            name = parts[names[pixel + step], WHOLE]
            if growing[name, HIGH] > value:  # it was like this down to here
                count = _keep(growing, name, value, found, count, shift)
            for k in range(1, 4):
                step = steps[around, k]
                if step == 0:
                    break
                other = parts[names[pixel + step], WHOLE]
                if other != name:
                    if growing[other, HIGH] > value:
                        count = _keep(growing, other, value, found, count, shift)
                    name = _join(growing, parts, name, other, value)
        names[pixel] = name
        if ground and name == 0:
            continue  # the outside; its HIGH stays 0, so that it is never kept
        _extend(growing, name, pixel, x)
        growing[name, AREA] += HALVES[around]
        growing[name, HIGH] = value
    for name in range(number):
        if parts[name, WHOLE] == name and growing[name, HIGH] > 0:
            count = _keep(growing, name, 0, found, count, shift)
    return found[:count], names, parts[:number]


@compiled
def _start(growing: np.ndarray, parts: np.ndarray, name: int, pixel: int, x: int) -> None:
    parts[name, WHOLE] = parts[name, NEXT] = name
    parts[name, SIZE] = 1
    growing[name, X0] = growing[name, X1] = x
    growing[name, FIRST] = growing[name, LAST] = pixel
    growing[name, AREA] = growing[name, HIGH] = 0


@compiled
def _extend(growing: np.ndarray, name: int, pixel: int, x: int) -> None:
    # With conditions, because few pixels extend their component: faster than to write each minimum.
    if x < growing[name, X0]:
        growing[name, X0] = x
    elif x > growing[name, X1]:
        growing[name, X1] = x
    if pixel < growing[name, FIRST]:
        growing[name, FIRST] = pixel
    elif pixel > growing[name, LAST]:
        growing[name, LAST] = pixel


@compiled
def _join(growing: np.ndarray, parts: np.ndarray, name: int, other: int, value: int) -> int:
    """The name of the component that two become: that of the one with more parts."""
    if parts[name, SIZE] < parts[other, SIZE]:
        name, other = other, name
    part = other
    while True:
        parts[part, WHOLE], parts[part, SINCE] = name, value
        part = parts[part, NEXT]
        if part == other:
            break
    parts[name, NEXT], parts[other, NEXT] = parts[other, NEXT], parts[name, NEXT]
    parts[name, SIZE] += parts[other, SIZE]
    growing[name, X0] = min(growing[name, X0], growing[other, X0])
    growing[name, X1] = max(growing[name, X1], growing[other, X1])
    growing[name, FIRST] = min(growing[name, FIRST], growing[other, FIRST])
    growing[name, LAST] = max(growing[name, LAST], growing[other, LAST])
    growing[name, AREA] += growing[other, AREA]
    return name


@compiled
def _keep(growing: np.ndarray, name: int, low: int, found: np.ndarray, count: int, shift: int) -> int:
    found[count, X0] = growing[name, X0] - FRAME
    found[count, Y0] = (growing[name, FIRST] >> shift) - FRAME
    found[count, X1] = growing[name, X1] + 1 - FRAME
    found[count, Y1] = (growing[name, LAST] >> shift) + 1 - FRAME
    found[count, LOW] = low
    found[count, HIGH] = growing[name, HIGH]
    found[count, AREA] = growing[name, AREA]
    found[count, FIRST] = growing[name, FIRST]
    return count + 1
