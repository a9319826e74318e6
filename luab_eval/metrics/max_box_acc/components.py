"""The components of `map > t` for all t at once, and those of `map <= t`.

As t falls, pixels join the mask `map > t`, the highest first. A pixel starts a component or joins its
neighbors' components, which become one (union-find). So every pixel is visited once, and a component has a
new box only where it grew.

`map <= t` is the mask of the inverted map: its pixels join in the opposite order, and those neighbors of a
pixel are there already that come later in the other. So one order and one set of neighbors serve both.

The area of a component of `map > t` is measured with its holes filled. When a hole closes, the component
around it gains all that is inside: the hole and the components in it. What joins there later adds nothing.
Components in holes keep an area that is too small, which does not matter: the one around them is larger.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .pixels import FRAME, HALVES, Pixels

FOREGROUND, BACKGROUND = 0, 255  # what a value and a set of neighbors is combined with, by exclusive or

# A component: its box in the map (the ends behind the last pixels), t = low .. high - 1 at which it is like
# this, its area in halves, and its first pixel in reading order.
COMPONENT = np.dtype([(name, np.int32) for name in ("x0", "y0", "x1", "y1", "low", "high", "area", "first")])

# A component consists of parts: each began at a pixel of its own. `whole` is the component, which is named
# after one of its parts, and `since` the value at which the part got this name; `next` is the component's
# next part, in a circle. The part that gives the name also holds the component as it grows: its columns and
# its first and last pixel in the framed map, its area in halves, the last value at which it grew, its last
# entry in the list of components, and the number of its parts; OUTSIDE or more: what is outside of the map.
_PART = ("whole", "next", "since", "x0", "x1", "first", "last", "area", "value", "entry", "size")
PART = np.dtype([(name, np.int32) for name in _PART])
OUTSIDE = 1 << 30


class Space(NamedTuple):
    """Memory for the components of one kind.

    Attributes:
        names: [N] int32, the part that each pixel of the framed map joined.
        parts: [N] PART.
        living: [N] int32, the names of the components.
        found: [N + 1] COMPONENT, the list of components; the first is none.
    """

    names: np.ndarray
    parts: np.ndarray
    living: np.ndarray
    found: np.ndarray


class Closings(NamedTuple):
    """Where holes close as t falls.

    Attributes:
        holes: The background's components.
        order: [n], their entries just before they open, in the order in which they close; those that close
            at once from the inside out.
        enclosed: [N] uint8, 1: the pixel is in a hole before it joins.
    """

    holes: Space
    order: np.ndarray
    enclosed: np.ndarray


def space_of(pixels: int) -> Space:
    """Memory for framed maps of so many pixels."""
    return Space(
        np.empty(pixels, np.int32),
        np.empty(pixels, PART),
        np.empty(pixels, np.int32),
        np.empty(pixels + 1, COMPONENT),  # each pixel adds at most one
    )


@compiled
def components(
    space: Space, pixels: Pixels, steps: np.ndarray, ground: int, closings: Closings
) -> tuple[int, int]:
    """Lists all components of one kind; those of the background without the outside.

    Args:
        space: The result is written there.
        pixels: The map.
        steps: [256, 4], see `steps`.
        ground: FOREGROUND or BACKGROUND.
        closings: Of the background: none.

    Returns:
        The number of parts, and the length of the list.
    """
    # Fields of tuples stay out of loops: numba counts each use as a new reference.
    order, begin, later, shift = pixels.order, pixels.begin, pixels.later, pixels.shift
    enclosed, living = closings.enclosed, space.living
    parts = alive = closed = 0
    length = 1
    for value in range(255, 0, -1):
        known = parts
        start, end = begin[value ^ ground], begin[(value ^ ground) + 1]
        parts = _grow(space, parts, order[start:end], later, shift, value, steps, ground, enclosed)
        for name in range(max(known, 1) if ground else known, parts):
            living[alive] = name
            alive += 1
        if closed < len(closings.order):
            closed = _close(space, alive, closings, closed, value, shift)
        alive, length = _list(space, alive, length, value, shift)
    return parts, length


@compiled
def _grow(
    space: Space,
    number: int,
    pixels: np.ndarray,
    later: np.ndarray,
    shift: int,
    value: int,
    steps: np.ndarray,
    ground: int,
    enclosed: np.ndarray,
) -> int:
    """The pixels of one value join. Takes and returns the number of parts."""
    names, parts = space.names, space.parts
    for i in range(len(pixels)):
        pixel = pixels[i] if ground else pixels[len(pixels) - 1 - i]
        around = later[pixel] ^ ground
        x = pixel & ((1 << shift) - 1)
        step = steps[around, 0]
        if step == 0:
            name, number = number, number + 1
            part = parts[name]
            part.whole = part.next = name
            part.size = OUTSIDE if ground and name == 0 else 1
            part.x0 = part.x1 = x
            part.first = part.last = pixel
            part.area = part.entry = part.since = 0
        else:
            name = parts[names[pixel + step]].whole
            if steps[around, 1] != 0:
                for k in range(1, 4):
                    step = steps[around, k]
                    if step == 0:
                        break
                    other = parts[names[pixel + step]].whole
                    if other != name:
                        name = _join(parts, space.found, name, other, value, enclosed[pixel])
        names[pixel] = name
        if ground and name == 0:
            continue  # the outside
        part = parts[name]
        # With conditions, because few pixels extend their component: faster than to write each minimum.
        if x < part.x0:
            part.x0 = x
        elif x > part.x1:
            part.x1 = x
        if pixel < part.first:
            part.first = pixel
        elif pixel > part.last:
            part.last = pixel
        if not enclosed[pixel]:
            part.area += HALVES[later[pixel]]
        part.value = value
    return number


@compiled
def _join(parts: np.ndarray, found: np.ndarray, name: int, other: int, value: int, enclosed: int) -> int:
    """The name of the component that two become: that of the one with more parts."""
    if parts[name].size < parts[other].size:
        name, other = other, name
    one, two = parts[name], parts[other]
    index = other
    while True:
        part = parts[index]
        if part.since != value:
            part.entry, part.since = two.entry, value
        part.whole = name
        index = part.next
        if index == other:
            break
    one.next, two.next = two.next, one.next
    one.size += two.size
    one.x0, one.x1 = min(one.x0, two.x0), max(one.x1, two.x1)
    one.first, one.last = min(one.first, two.first), max(one.last, two.last)
    # In a hole, the larger one is around it, and has gained the other already; or both have no area any more.
    one.area = max(one.area, two.area) if enclosed else one.area + two.area
    found[two.entry].low = value
    return name


@compiled
def _close(space: Space, alive: int, closings: Closings, closed: int, value: int, shift: int) -> int:
    """The holes that close at this value. Takes and returns how many are closed."""
    living, parts = space.living, space.parts
    order, enclosed = closings.order, closings.enclosed
    hole_names, hole_parts, holes = closings.holes.names, closings.holes.parts, closings.holes.found
    while closed < len(order):
        entry = order[closed]
        hole = holes[entry]
        if 255 - hole.low < value:
            break
        area = hole.area
        for i in range(alive):
            part = parts[living[i]]
            above = part.first - (1 << shift)
            if part.whole == living[i] and enclosed[above] and hole_parts[hole_names[above]].entry == entry:
                area += part.area
        parts[parts[space.names[hole.first - 1]].whole].area += area
        closed += 1
    return closed


@compiled
def _list(space: Space, alive: int, length: int, value: int, shift: int) -> tuple[int, int]:
    """Lists the components that grew at this value. Takes and returns their number and that of the listed."""
    living, parts, found = space.living, space.parts, space.found
    kept = 0
    for i in range(alive):
        name = living[i]
        part = parts[name]
        if part.whole != name:
            continue
        living[kept] = name
        kept += 1
        if part.value == value:
            found[part.entry].low = value
            part.entry, entry = length, found[length]
            length += 1
            entry.x0, entry.x1 = part.x0 - FRAME, part.x1 + 1 - FRAME
            entry.y0, entry.y1 = (part.first >> shift) - FRAME, (part.last >> shift) + 1 - FRAME
            entry.low, entry.high = 0, value
            entry.area, entry.first = part.area, part.first
    return kept, length
