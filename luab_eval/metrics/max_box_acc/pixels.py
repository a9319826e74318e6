"""The pixels of an 8-bit map in the order of their values, and which of its neighbors come before each."""

from typing import NamedTuple

import numpy as np

from .compiled import compiled

FRAME = 2  # pixels around the map: what is outside of it, and pixels that never join

# The neighbors of a pixel, clockwise from the upper left. A set of them is a number: bit i is neighbor i.
RING = np.array([(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)])  # y, x
CORNERS, SIDES = (0, 2, 4, 6), (1, 3, 5, 7)


class Pixels(NamedTuple):
    """The framed map as one row of N pixels.

    Attributes:
        values: [N] uint8, see `framed`.
        shift: log2 of the pixels in a row of the framed map.
        order: [n] int32, the pixels of the map and its inner frame, the lowest first; equal ones in reading
            order.
        begin: [257], where those of each value begin in `order`, and where the last ones end.
        later: [N] uint8, of each pixel the set of neighbors that come later in `order`.
    """

    values: np.ndarray
    shift: int
    order: np.ndarray
    begin: np.ndarray
    later: np.ndarray


def pixels_of(image: np.ndarray) -> Pixels:
    """The pixels of `image` [H, W] uint8."""
    values, shift = framed(image)
    return Pixels(values, shift, *ascending(values, shift, image.shape[1]), neighbors(values, shift))


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
    """[256]: the area that a pixel adds to its neighbors: 1/2 as a square's third, and as its fourth.

    It adds as much to a hole when it joins the others: 1/2 as a square's first, and as its second. So holes
    and components together have the area of the map.
    """
    squares = [[corner - 1, corner, corner + 1] for corner in CORNERS]
    return (_sets()[:, squares].sum(axis=2) >= 2).sum(axis=1)


BY_CORNERS, BY_SIDES, HALVES = _links(True), _links(False), _halves().astype(np.int32)


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
def ascending(values: np.ndarray, shift: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the map and its inner frame, the lowest first; equal ones in reading order.

    Returns:
        The pixels; [257] where those of each value begin, and where the last ones end.
    """
    rows = len(values) >> shift
    begin = np.zeros(257, np.int64)
    for y in range(1, rows - 1):
        for value in values[(y << shift) + 1 : (y << shift) + width + 3]:
            begin[value + 1] += 1
    begin = np.cumsum(begin)
    free = begin.copy()
    order = np.empty(begin[256], np.int32)
    for y in range(1, rows - 1):
        for pixel in range((y << shift) + 1, (y << shift) + width + 3):
            value = values[pixel]
            order[free[value]] = pixel
            free[value] += 1
    return order, begin


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
