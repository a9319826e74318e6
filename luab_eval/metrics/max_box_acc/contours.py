"""The boxes around all contours of an 8-bit map, at all its thresholds at once.

Equal to `cv2.findContours(map > t, RETR_TREE)` and `cv2.boundingRect` for each t, without a pass over the
map for each. OpenCV's contours are:

* the outer borders of the mask's components, in which pixels that touch at a corner are connected;
* the borders of its holes: the components of `map <= t` that do not reach the outside of the map, in which
  only pixels that share a side are connected.

`cv2.contourArea` measures through the centers of the pixels, and an outer border encloses the holes. So the
area is that of a component of the map with its holes filled: every square of four pixels is 1, three of
them are 1/2.
"""

import threading

import numpy as np

from .compiled import compiled
from .components import BACKGROUND, COMPONENT, FOREGROUND, Closings, Space, components, space_of
from .pixels import BY_CORNERS, BY_SIDES, Pixels, pixels_of, steps

LEVELS = 255  # t = 0 .. 254; nothing is above 255

# Each thread's memory, used again for the next map: new pages would take longer than the work in them.
_kept = threading.local()


def contour_boxes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The contours of `image > t` for each t: low [n], high [n], box [n, 4]; the largest [LEVELS, 4].

    A contour has its box at all low <= t < high. A box is x, y, x + width, y + height in pixels. The largest
    contour encloses the largest area; of equal ones it is the one that OpenCV lists first. Where nothing is
    above t its box is 0, 0, 0, 0.

    Args:
        image: [H, W] uint8.
    """
    pixels = pixels_of(image)
    foreground, background, nowhere = _memory(len(pixels.values))
    none = Closings(background, np.empty(0, np.int32), nowhere)
    by_corners, by_sides = steps(BY_CORNERS, pixels.shift), steps(BY_SIDES, pixels.shift)
    parts, end = components(background, pixels, by_sides, BACKGROUND, none)
    holes = background.found[1:end]
    _, end = components(foreground, pixels, by_corners, FOREGROUND, _closings(background, parts, pixels))
    outer = foreground.found[1:end]
    largest = _largest(outer).view(np.int32).reshape(LEVELS, -1)[:, :4]
    return *_contours(outer, holes), largest


def _memory(pixels: int) -> tuple[Space, Space, np.ndarray]:
    """For framed maps of so many pixels: two spaces, and zeros."""
    if getattr(_kept, "pixels", None) != pixels:
        _kept.pixels = pixels
        _kept.memory = space_of(pixels), space_of(pixels), np.zeros(pixels, np.uint8)
    memory: tuple[Space, Space, np.ndarray] = _kept.memory
    return memory


@compiled
def _closings(holes: Space, number: int, pixels: Pixels) -> Closings:
    """Where holes close, after all `components` of the background; each part gets its hole's entry."""
    names, parts, values = holes.names, holes.parts[:number], pixels.values
    for i in range(1, number):
        if parts[i].whole != 0:  # it never opens
            parts[i].entry, parts[i].since = parts[parts[i].whole].entry, 0
    entries = np.unique(parts["entry"][1:])
    enclosed = np.zeros(len(values), np.uint8)
    for i in range(len(values)):
        if values[i] < LEVELS and names[i] > 0:  # not outside from the beginning
            enclosed[i] = values[i] < LEVELS - parts[names[i]].since
    entries = entries[entries > 0]
    keys = np.empty(len(entries), np.int64)
    for i in range(len(entries)):
        hole = holes.found[entries[i]]
        keys[i] = (hole.low + 1) * len(enclosed) - hole.first
    return Closings(holes, entries[np.argsort(keys)], enclosed)


@compiled
def _contours(outer: np.ndarray, holes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Low, high and box of the borders of components and holes."""
    n = len(outer) + len(holes)
    low, high, boxes = np.empty(n, np.int32), np.empty(n, np.int32), np.empty((n, 4), np.int32)
    for i in range(len(outer)):
        each = outer[i]
        low[i], high[i] = each.low, each.high
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = each.x0, each.y0, each.x1, each.y1
    for i in range(len(holes)):
        each, k = holes[i], len(outer) + i
        low[k], high[k] = LEVELS - each.high, LEVELS - each.low
        boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = (
            each.x0 - 1,
            each.y0 - 1,
            each.x1 + 1,
            each.y1 + 1,
        )
    return low, high, boxes


@compiled
def _largest(components: np.ndarray) -> np.ndarray:
    """[LEVELS] COMPONENT: the largest component; of equal ones the one that begins last; 0: none."""
    largest = np.zeros(LEVELS, COMPONENT)
    for i in range(len(components)):
        component = components[i]
        for level in range(component.low, component.high):
            best = largest[level]
            if component.area > best.area or (component.area == best.area and component.first > best.first):
                largest[level] = component
    return largest
