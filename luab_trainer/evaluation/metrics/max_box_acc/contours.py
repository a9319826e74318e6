"""The boxes around all contours of an 8-bit map, at all its thresholds at once.

Equal to `cv2.findContours(map > t, RETR_TREE)` and `cv2.boundingRect` for each t, without a pass over the map
for each. The map is cut once into basins: every pixel belongs to the peak that it reaches by always going to
its highest neighbour. Above any threshold a basin is connected (the way to the peak never goes down), so the
components of `map > t` are groups of basins, which only grow as t falls.
"""

import numpy as np

LEVELS = 255  # t = 0 .. 254; nothing is above 255
_FOUR = ((0, 1), (1, 0))  # half of the neighbours: the others are these backwards
_EIGHT = (*_FOUR, (1, 1), (1, -1))


def contour_boxes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The contours of `image > t` for each t -> t [n] and box [n, 4] of all, box of the largest [LEVELS, 4].

    `image` is [H, W] uint8.
    A box is x, y, x + width, y + height in pixels. The largest contour encloses the largest area (measured
    through the centres of its pixels); of equal ones it is the one that OpenCV lists first. Where nothing is
    above t its box is 0, 0, 0, 0.
    """
    components = _Components(image, _EIGHT)
    (hole_level, hole_boxes), filled = _holes(image)
    level, boxes = components.boxes()
    if not np.array_equal(filled, image):
        components = _Components(filled, _EIGHT)
    return (
        np.concatenate([level, hole_level]),
        np.concatenate([boxes, hole_boxes]),
        _largest(filled, components),
    )


class _Components:
    """The components of `image > t` for each level t.

    Attributes:
        basin: [H, W], the basin of each pixel, 0 .. B-1.
        component: [LEVELS, B], the component of each basin (named after one of its basins).
    """

    def __init__(self, image: np.ndarray, neighbours: tuple[tuple[int, int], ...]):
        self.image = image
        self.basin = _basins(image, neighbours)
        self.count = int(self.basin.max()) + 1
        self.component = np.empty((LEVELS, self.count), np.int64)
        bridges = iter(_bridges(image, self.basin, self.count, neighbours))
        height, first, second = next(bridges)
        current = np.arange(self.count)
        for level in reversed(range(LEVELS)):
            while height > level:
                if current[first] != current[second]:
                    current[current == current[second]] = current[first]
                height, first, second = next(bridges)
            self.component[level] = current

    def gather(
        self, reduce: np.ufunc, start: int, image: np.ndarray, basin: np.ndarray, values: np.ndarray
    ) -> np.ndarray:
        """`values` of a component's basins where `image > t`, reduced to one: [LEVELS, B]; none: `start`.

        A component's result stands at the basin that it is named after.
        """
        table = np.full((LEVELS, self.count), start, np.int64)
        above = image > 0
        highest = image[above].astype(np.int64) - 1  # the highest t that a pixel is above
        reduce.at(table.reshape(-1), highest * self.count + basin[above], values[above])
        table = reduce.accumulate(table[::-1], axis=0)[::-1]  # above t are also those above t + 1
        result = np.full((LEVELS, self.count), start, np.int64)
        of_component = self.component + np.arange(LEVELS)[:, None] * self.count
        reduce.at(result.reshape(-1), of_component.reshape(-1), table.reshape(-1))
        return result

    def extents(self) -> np.ndarray:
        """[LEVELS, B, 4]: first x, first y, last x, last y of each component; last -1: none."""
        y, x = np.indices(self.image.shape)
        far = max(self.image.shape)
        first = [self.gather(np.minimum, far, self.image, self.basin, axis) for axis in (x, y)]
        last = [self.gather(np.maximum, -1, self.image, self.basin, axis) for axis in (x, y)]
        return np.stack([*first, *last], axis=-1)

    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Of all components at all levels: t [n], box [n, 4]."""
        extents = self.extents()
        level, name = np.nonzero(extents[:, :, 2] >= 0)
        return level, extents[level, name] + [0, 0, 1, 1]


def _basins(image: np.ndarray, neighbours: tuple[tuple[int, int], ...]) -> np.ndarray:
    """[H, W]: the number of the peak that each pixel climbs to.

    Of equal neighbours the later one in reading order counts as higher.
    """
    rank = image.astype(np.int64) * image.size + np.arange(image.size).reshape(image.shape)
    highest = rank.copy()
    for step in neighbours:
        here, there = _shifted(step)
        highest[here] = np.maximum(highest[here], rank[there])
        highest[there] = np.maximum(highest[there], rank[here])
    peak = (highest % image.size).reshape(-1)
    while True:
        further = peak[peak]
        if np.array_equal(further, peak):
            number = np.cumsum(peak == np.arange(image.size)) - 1  # peaks are their own
            return number[peak].reshape(image.shape)
        peak = further


def _bridges(
    image: np.ndarray, basin: np.ndarray, count: int, neighbours: tuple[tuple[int, int], ...]
) -> list[tuple[int, int, int]]:
    """(height, basin, basin) where two basins touch, highest first; then (-1, 0, 0).

    They are connected above every t < height.
    """
    found = []
    for step in neighbours:
        here, there = _shifted(step)
        pair = np.stack([basin[here], basin[there]])
        height = np.minimum(image[here], image[there]).astype(np.int64)
        border = (pair[0] != pair[1]) & (height > 0)
        first, second = pair.min(axis=0)[border], pair.max(axis=0)[border]
        found.append((first * count + second) * 256 + 255 - height[border])
    code = np.unique(np.concatenate(found))
    code = code[np.diff(code // 256, prepend=-1) > 0]  # of each pair the highest
    code = code[np.argsort(code % 256, kind="stable")]
    columns = (255 - code % 256, code // 256 // count, code // 256 % count)
    return [*zip(*(column.tolist() for column in columns), strict=True), (-1, 0, 0)]


def _shifted(step: tuple[int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Two views of a map, such that the second's pixels are the first's moved by `step` (dy, dx)."""
    here = tuple(slice(max(0, -d), -d if d > 0 else None) for d in step)
    there = tuple(slice(max(0, d), d if d < 0 else None) for d in step)
    return here, there


def _holes(image: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The contours around holes (t [n], box [n, 4]), and `image` with its holes filled [H, W] uint8.

    Holes are the 4-connected components of `image <= t`, that is of `255 - image > 254 - t`, that do not
    reach the border.
    """
    background = _Components(255 - np.pad(image, 1), _FOUR)
    outside = background.component == background.component[:, background.basin[0, 0], None]
    extents = background.extents()
    level, name = np.nonzero((extents[:, :, 2] >= 0) & ~outside)
    # The contour runs on the pixels around the hole, one further on each side; the padding moved all by one.
    boxes = extents[level, name] + [-2, -2, 1, 1]
    enclosed_below = (~outside).sum(axis=0)  # a basin is not part of the outside at every t below this
    filled = np.maximum(image, enclosed_below[background.basin[1:-1, 1:-1]])
    return (LEVELS - 1 - level, boxes), filled.astype(np.uint8)


def _largest(filled: np.ndarray, components: _Components) -> np.ndarray:
    """[LEVELS, 4]: the box of the component with the largest area, in a map without holes.

    Four pixels in a square enclose the area 1, three of them the triangle of 1/2; summed over all squares.
    """
    padded, basin = np.pad(filled, 1), np.pad(components.basin, 1)
    height, width = padded.shape
    squares = [np.s_[y : height - 1 + y, x : width - 1 + x] for y in (0, 1) for x in (0, 1)]
    corners = np.stack([padded[square] for square in squares])
    top = np.stack([basin[square] for square in squares])
    top = np.take_along_axis(top, corners.argmax(axis=0)[None], axis=0).repeat(2, axis=0)
    halves = np.sort(corners, axis=0)[:2]  # 1/2 where the third highest is above t, 1/2 more where all are
    area = components.gather(np.add, 0, halves, top, np.ones(halves.shape, np.int64))
    position = np.arange(filled.size).reshape(filled.shape)
    first = components.gather(np.minimum, filled.size, filled, components.basin, position)
    # OpenCV lists the contour that begins last in reading order first.
    rank = np.where(first < filled.size, area * filled.size + first, -1)
    name, levels = rank.argmax(axis=1), np.arange(LEVELS)
    boxes = components.extents()[levels, name] + [0, 0, 1, 1]
    return np.where((rank[levels, name] >= 0)[:, None], boxes, 0)
