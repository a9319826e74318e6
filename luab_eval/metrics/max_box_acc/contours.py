"""The boxes around all contours of an 8-bit map, at all its thresholds at once.

Equal to `cv2.findContours(map > t, RETR_TREE)` and `cv2.boundingRect` for each t, without a pass over the
map for each. As t falls, pixels join the mask `map > t`, the highest first. A pixel starts a component or
joins its neighbors' components, which become one (union-find). So every pixel is visited once, and a
component has a new box only where it grew. OpenCV's contours are:

* the outer borders of the mask's components, in which pixels that touch at a corner are connected;
* the borders of its holes: the components of `map <= t` that do not reach the outside of the map, in which
  only pixels that share a side are connected. They are components of the inverted map.

`cv2.contourArea` measures through the centers of the pixels, and an outer border encloses the holes. So the
area is that of a component of the map with its holes filled: every square of four pixels is 1, three of
them are 1/2. Holes are filled only where that could decide which component is the largest.

The loops are compiled by numba, when they are first called (5 s), and kept for later processes.
"""

import numba
import numpy as np

LEVELS = 255  # t = 0 .. 254; nothing is above 255
FRAME = 2  # pixels around the map, so that all of its pixels have neighbors

# The neighbors of a pixel, clockwise from the upper left. A set of them is a number: bit i is neighbor i.
RING = np.array([(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)])  # y, x
CORNERS, SIDES = (0, 2, 4, 6), (1, 3, 5, 7)

# What is known of a component: its first and last column, its first and last pixel in reading order, and its
# area in halves. It is like this in the masks of t = LOW .. HIGH - 1.
X0, X1, FIRST, LAST, AREA, LOW, HIGH, COLUMNS = range(8)


def contour_boxes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The contours of `image > t` for each t: low [n], high [n], box [n, 4]; the largest [LEVELS, 4].

    A contour has its box at all low <= t < high. A box is x, y, x + width, y + height in pixels. The largest
    contour encloses the largest area; of equal ones it is the one that OpenCV lists first. Where nothing is
    above t its box is 0, 0, 0, 0.

    Args:
        image: [H, W] uint8.
    """
    width = image.shape[1] + 2 * FRAME
    outer, _ = _components(_framed(image, 0), width, CONNECTED_BY_CORNERS)
    holes, outside = _components(_framed(255 - image, 255), width, CONNECTED_BY_SIDES)
    holes = holes[holes[:, X0] >= FRAME]  # without the outside itself

    low = np.concatenate([outer[:, LOW], LEVELS - holes[:, HIGH]])
    high = np.concatenate([outer[:, HIGH], LEVELS - holes[:, LOW]])
    # The border of a hole is on the pixels around it.
    boxes = np.concatenate([_boxes(outer, width), _boxes(holes, width) + np.array([-1, -1, 1, 1])])

    # A pixel that is outside of the components of `image > t` for all t >= v is v in the map without holes.
    filled = 255 - outside.reshape(-1, width)[FRAME:-FRAME, FRAME:-FRAME]
    largest = _largest(outer)
    uncertain = _uncertain(outer, width, largest, _gain(image, filled))
    if uncertain < LEVELS:
        filled[filled <= uncertain] = 0
        of_filled = _largest(_components(_framed(filled, 0), width, CONNECTED_BY_CORNERS)[0])
        largest[uncertain:] = of_filled[uncertain:]
    return low, high, boxes, _boxes(largest, width) * (largest[:, HIGH:] > 0)


def _gain(image: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """[LEVELS]: the most that filling holes adds to an area, in halves: a pixel is in four squares."""
    more = np.bincount(filled.ravel(), minlength=256) - np.bincount(image.ravel(), minlength=256)
    return 8 * np.cumsum(more[:0:-1])[::-1]


def _framed(image: np.ndarray, outside: int) -> np.ndarray:
    """`image` in a frame of `outside`, in a frame of 0, as one row of pixels."""
    height, width = image.shape
    framed = np.zeros((height + 2 * FRAME, width + 2 * FRAME), np.uint8)
    framed[1:-1, 1:-1] = outside
    framed[FRAME:-FRAME, FRAME:-FRAME] = image
    return framed.ravel()


def _boxes(components: np.ndarray, width: int) -> np.ndarray:
    first, last = components[:, FIRST] // width, components[:, LAST] // width
    return np.column_stack([components[:, X0], first, components[:, X1] + 1, last + 1]) - FRAME


def _links(by_corners: bool) -> np.ndarray:
    """[256, 4]: of each set of neighbors one of each group that is connected along `RING`; then -1."""
    table = np.full((256, 4), -1, np.int8)
    for row, here in zip(table, _sets(), strict=True):
        if here.all():
            first = [SIDES[0]]
        elif by_corners:
            first = [i for i in range(8) if here[i] and not here[i - 1]]
        else:
            first = [i for i in SIDES if here[i] and not (here[i - 1] and here[i - 2])]
        row[: len(first)] = first
    return table


def _halves() -> np.ndarray:
    """[256]: the area that a pixel adds to its neighbors: 1/2 as a square's third, and as its fourth."""
    squares = [[corner - 1, corner, corner + 1] for corner in CORNERS]
    return (_sets()[:, squares].sum(axis=2) >= 2).sum(axis=1)


def _sets() -> np.ndarray:
    """[256, 8] bool: the members of each set of neighbors."""
    return (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)


CONNECTED_BY_CORNERS, CONNECTED_BY_SIDES, HALVES = _links(True), _links(False), _halves()


def _compiled(function):
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # numba finds no folder that it can write to: compiled anew in each process
        return numba.njit(function)


@_compiled
def _components(values, width, links):
    """The components of `values > t` of all t, and up to which v each pixel is connected to the first one.

    Args:
        values: [N] uint8, the pixels of an image, row after row, with a frame of 0.
        width: Of the image with its frames, pixels.
        links: Which neighbors are connected.

    Returns:
        [n, COLUMNS] int32, and [N] uint8: the highest v for which pixels of `values >= v` connect this pixel
        with the first one of all pixels of the highest value.
    """
    order = _descending(values)
    ring = RING[:, 0] * width + RING[:, 1]
    joined = np.zeros(len(values), np.uint8)
    names = np.zeros(len(values), np.int32)  # of each pixel the component that it joined
    parent = np.empty(len(values), np.int32)  # of each component one that it is part of by now
    kept = np.empty(len(values), np.int32)  # the first that it became part of; an earlier one
    since = np.zeros(len(values), np.uint8)  # the value at which it did
    state = np.empty((len(values), COLUMNS), np.int32)
    found = np.empty((len(values), COLUMNS), np.int32)  # each pixel adds at most one
    count = number = 0
    for pixel in order:
        value = values[pixel]
        neighbors = _neighbors(joined, pixel, width)
        joined[pixel] = 1
        name = -1
        for i in range(4):
            link = links[neighbors, i]
            if link < 0:
                break
            other = _name(parent, names[pixel + ring[link]])
            if other == name:
                continue
            if state[other, HIGH] > value:  # it was like this down to here, and now it grows
                _copy(state, other, found, count)
                found[count, LOW] = value
                count += 1
            if name < 0:
                name = other
                continue
            name, other = min(name, other), max(name, other)
            parent[other] = kept[other] = name
            since[other] = value
            one = state[other]
            _include(state, name, one[X0], one[X1], one[FIRST], one[LAST], one[AREA])
        x = pixel % width
        if name < 0:
            name, number = number, number + 1
            parent[name] = kept[name] = name
            state[name, X0] = state[name, X1] = x
            state[name, FIRST] = state[name, LAST] = pixel
            state[name, AREA] = state[name, LOW] = 0
        names[pixel] = name
        _include(state, name, x, x, pixel, pixel, HALVES[neighbors])
        state[name, HIGH] = value
    since[0] = 255
    for name in range(number):
        since[name] = min(since[name], since[kept[name]])
        if parent[name] == name:
            _copy(state, name, found, count)
            count += 1
    connected = np.empty(len(values), np.uint8)
    for pixel in range(len(values)):
        connected[pixel] = min(values[pixel], since[names[pixel]])
    return found[:count], connected


@_compiled
def _neighbors(joined, pixel, width):
    """The set of the pixel's neighbors that joined."""
    above, below = pixel - width, pixel + width
    return (
        joined[above - 1]
        | joined[above] << 1
        | joined[above + 1] << 2
        | joined[pixel + 1] << 3
        | joined[below + 1] << 4
        | joined[below] << 5
        | joined[below - 1] << 6
        | joined[pixel - 1] << 7
    )


@_compiled
def _include(state, name, x0, x1, first, last, area):
    """Makes a component larger."""
    state[name, X0] = min(state[name, X0], x0)
    state[name, X1] = max(state[name, X1], x1)
    state[name, FIRST] = min(state[name, FIRST], first)
    state[name, LAST] = max(state[name, LAST], last)
    state[name, AREA] += area


@_compiled
def _copy(state, row, found, to):
    for i in range(COLUMNS):
        found[to, i] = state[row, i]


@_compiled
def _name(parent, name):
    while parent[name] != name:
        parent[name] = parent[parent[name]]
        name = parent[name]
    return name


@_compiled
def _descending(values):
    """The places of all values above 0, the highest value first; equal ones in reading order."""
    end = np.zeros(257, np.int64)
    for value in values:
        end[256 - value] += 1
    for i in range(256):
        end[i + 1] += end[i]
    order = np.empty(end[255], np.int32)
    for place in range(len(values)):
        value = values[place]
        if value > 0:
            order[end[255 - value]] = place
            end[255 - value] += 1
    return order


@_compiled
def _largest(components):
    """[LEVELS, COLUMNS]: the largest component; of equal ones the one that begins last; 0: none."""
    largest = np.zeros((LEVELS, COLUMNS), np.int32)
    for i in range(len(components)):
        area, first = components[i, AREA], components[i, FIRST]
        for level in range(components[i, LOW], components[i, HIGH]):
            best, begins = largest[level, AREA], largest[level, FIRST]
            if area > best or (area == best and first > begins):
                _copy(components, i, largest, level)
    return largest


@_compiled
def _uncertain(components, width, largest, gain):
    """The lowest level at which with filled holes another component than `largest` could be the largest.

    A component gains at most `gain`, and does not become larger than its box.
    """
    lowest = LEVELS
    for i in range(len(components)):
        rows = components[i, LAST] // width - components[i, FIRST] // width
        box = 2 * rows * (components[i, X1] - components[i, X0])
        for level in range(components[i, LOW], min(components[i, HIGH], lowest)):
            most = min(components[i, AREA] + gain[level], box)
            if gain[level] and most >= largest[level, AREA] and components[i, FIRST] != largest[level, FIRST]:
                lowest = level
                break
    return lowest


@_compiled
def highest_at(low, high, values):
    """[LEVELS]: the highest of all `values` [n] that hold at a level, low <= level < high; 0: none does."""
    highest = np.zeros(LEVELS)
    for i in range(len(values)):
        for level in range(low[i], high[i]):
            highest[level] = max(highest[level], values[i])
    return highest
