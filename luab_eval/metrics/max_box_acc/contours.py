"""The boxes around all contours of an 8-bit map, at all its thresholds at once.

Equal to `cv2.findContours(map > t, RETR_TREE)` and `cv2.boundingRect` for each t, without a pass over the map
for each. The map is cut once into basins: every pixel belongs to the peak that it reaches by always going to
its highest neighbor. Above any threshold a basin is connected (the way to the peak never goes down), so the
components of `map > t` are groups of basins, which only grow as t falls.

A border of one pixel is put around the map, and then all pixels lie in one row: a neighbor is a fixed number
of places away. The neighbors that this adds, of a row's end and the next row's beginning, are in the border.
"""

import numpy as np

LEVELS = 255  # t = 0 .. 254; nothing is above 255


def contour_boxes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The contours of `image > t` for each t -> t [n] and box [n, 4] of all, box of the largest [LEVELS, 4].

    `image` is [H, W] uint8.
    A box is x, y, x + width, y + height in pixels. The largest contour encloses the largest area (measured
    through the centers of its pixels); of equal ones it is the one that OpenCV lists first. Where nothing is
    above t its box is 0, 0, 0, 0.
    """
    bordered = np.pad(image, 1)
    components = _Components(bordered, diagonal=True)
    extents = components.extents()
    name, level = np.nonzero(components.exist())
    boxes = extents[:, name, level].T + np.array([-1, -1, 0, 0])
    (hole_level, hole_boxes), filled = _holes(bordered)
    largest, certain = _largest(components, extents, _gain(bordered, filled))
    if not certain:
        components = _Components(filled, diagonal=True)
        largest, _ = _largest(components, components.extents(), np.zeros(LEVELS))
    return np.concatenate([level, hole_level]), np.concatenate([boxes, hole_boxes]), largest


class _Components:
    """The components of `image > t` for each level t.

    A component is named after one of its basins. `kept` and `gone` are one component at every t below the
    height at which they merge, and then `kept` is its name. Basin 0 always gives its component the name.

    Args:
        image: [H, W] uint8, with its border.
        diagonal: Whether pixels that touch at a corner are neighbors.

    Attributes:
        values: [H * W], the image.
        basin: [H * W], the basin of each pixel, 0 .. B-1; the first pixel's is 0.
        peak: [B], the largest value in each basin.
        merges: (height, kept, gone), highest first.
    """

    def __init__(self, image: np.ndarray, diagonal: bool):
        self.values, self.shape = image.ravel(), image.shape
        width = image.shape[1]
        # Half of the neighbors: the others are these backwards.
        steps = (1, width, width + 1, width - 1) if diagonal else (1, width)
        basin, peak = _basins(self.values, steps)
        height, one, other = _bridges(self.values, basin, len(peak), steps)
        number = _plateaus(peak, height, one, other, basin[0])
        self.count = int(number.max()) + 1
        self.basin, self.peak = number[basin], np.zeros(self.count, np.uint8)
        np.maximum.at(self.peak, number, peak)
        self.merges = _merges(height, number[one], number[other], self.count)

    def exist(self) -> np.ndarray:
        """[B, LEVELS] bool: whether a component of that name is above the level."""
        merged = np.zeros(self.count, np.int64)
        for height, _, gone in self.merges:
            merged[gone] = height
        level = np.arange(LEVELS)
        return (merged[:, None] <= level) & (level < self.peak[:, None])

    def extents(self) -> np.ndarray:
        """[4, B, LEVELS]: first x, first y, last x, last y of each component; nothing where none exists."""
        height, width = self.shape
        x, y = np.tile(np.arange(width), height), np.repeat(np.arange(height), width)
        corners = [-self.reduced(np.maximum, -axis, -max(self.shape)) for axis in (x, y)]
        corners += [self.reduced(np.maximum, axis, -1) for axis in (x, y)]
        return np.stack(corners)

    def reduced(self, reduce: np.ufunc, of_pixels: np.ndarray, start: int) -> np.ndarray:
        """[B, LEVELS]: what of a component's pixels `[H * W]` is reduced to."""
        table = np.full(self.count * (LEVELS + 1), start, np.int64)
        reduce.at(table, self.places(self.values, self.basin), of_pixels)
        return self.merged(reduce, table)

    @staticmethod
    def places(values: np.ndarray, basin: np.ndarray) -> np.ndarray:
        """Of each pixel the highest level that it is above, in a table of [B, LEVELS + 1]; column 0: none."""
        return basin * (LEVELS + 1) + values

    def merged(self, reduce: np.ufunc, table: np.ndarray) -> np.ndarray:
        """A table of basins and pixels just above each level -> [B, LEVELS] of components, all above it."""
        by_level = table.reshape(self.count, LEVELS + 1)[:, :0:-1]
        table = np.ascontiguousarray(reduce.accumulate(by_level, axis=1)[:, ::-1])
        for height, kept, gone in self.merges:
            own = table[kept, :height]
            reduce(own, table[gone, :height], out=own)
        return table


def _basins(values: np.ndarray, steps: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The number of the peak that each pixel climbs to [N], and the peaks' values [B].

    Of equal neighbors the later one counts as higher.
    """
    place = np.arange(len(values))
    rank = (values.astype(np.int64) << 32) | place
    highest = rank.copy()
    for step in steps:
        np.maximum(highest[:-step], rank[step:], out=highest[:-step])
        np.maximum(highest[step:], rank[:-step], out=highest[step:])
    target = highest & 0xFFFFFFFF
    while True:
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    is_peak = target == place  # peaks are their own
    return (np.cumsum(is_peak) - 1)[target], values[is_peak]


def _bridges(
    values: np.ndarray, basin: np.ndarray, count: int, steps: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where two basins touch, highest first: height, basin, basin. They are connected above t < height."""
    found = []
    for step in steps:
        here = np.flatnonzero(basin[:-step] != basin[step:])
        height = np.minimum(values[here], values[here + step]).astype(np.int64)
        here, height = here[height > 0], height[height > 0]  # a height of 0 connects nothing
        one, other = basin[here], basin[here + step]
        found.append(((np.minimum(one, other) * count + np.maximum(one, other)) << 8) + 255 - height)
    code = np.sort(np.concatenate(found))
    code = code[np.diff(code >> 8, prepend=-1) > 0]  # of each pair the highest
    code = code[np.argsort(code & 255, kind="stable")]
    return 255 - (code & 255), (code >> 8) // count, (code >> 8) % count


def _plateaus(
    peak: np.ndarray, height: np.ndarray, one: np.ndarray, other: np.ndarray, first: int
) -> np.ndarray:
    """[B]: new numbers of the basins, the same for two where a bridge as high as the lower peak joins them.

    `first`: the basin that gets the number 0.
    The lower one is no component of its own at any level. Most are such: a plateau has several peaks.
    """
    name = np.arange(len(peak))
    rank = peak.astype(np.int64) * len(peak) + name
    while True:
        here, there = name[one], name[other]
        swapped = rank[here] > rank[there]
        low, high = np.where(swapped, there, here), np.where(swapped, here, there)
        flat = (low != high) & (height == peak[low])
        if not flat.any():
            break
        name[low[flat]] = high[flat]
        while not np.array_equal(name, name[name]):
            name = name[name]
    name[name == name[first]] = -1
    return np.unique(name, return_inverse=True)[1]


def _merges(height: np.ndarray, one: np.ndarray, other: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """(height, kept, gone) of the bridges that connect what was not yet connected; 0 is never gone."""
    names = list(
        range(count)
    )  # of each basin a basin of its component that is nearer to the component's name
    merges = []
    new = one != other
    for at, first, second in zip(height[new].tolist(), one[new].tolist(), other[new].tolist(), strict=True):
        kept, gone = sorted((_name(names, first), _name(names, second)))
        if kept != gone:
            names[gone] = kept
            merges.append((at, kept, gone))
    return merges


def _name(names: list[int], basin: int) -> int:
    while names[basin] != basin:
        names[basin] = basin = names[names[basin]]
    return basin


def _holes(bordered: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The contours around holes (t [n], box [n, 4]), and the map with its holes filled [H, W] uint8.

    Holes are the 4-connected components of `image <= t`, that is of `255 - image > 254 - t`, that do not
    reach the border.
    """
    background = _Components(255 - bordered, diagonal=False)
    exist = background.exist()
    exist[0] = False  # the outside
    name, level = np.nonzero(exist)
    # The contour runs on the pixels around the hole, one further on each side; the border moved all by one.
    boxes = background.extents()[:, name, level].T + np.array([-2, -2, 1, 1])
    joined = np.zeros(background.count, np.int64)  # below this level a basin is part of the outside
    joined[0] = LEVELS
    for height, kept, gone in reversed(background.merges):
        joined[gone] = min(height, joined[kept])
    depth = (LEVELS - joined).astype(np.uint8)[background.basin].reshape(bordered.shape)
    return (LEVELS - 1 - level, boxes), np.maximum(bordered, depth)


def _gain(image: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """[LEVELS]: the most area that filling its holes can add to a component, in halves.

    A pixel is in four squares, and each of them may become one.
    """
    counts = [np.bincount(each.ravel(), minlength=LEVELS + 1) for each in (filled, image)]
    above = np.cumsum((counts[0] - counts[1])[::-1])[::-1]  # pixels of that value or a higher one
    return 8 * above[1:]


def _largest(components: _Components, extents: np.ndarray, gain: np.ndarray) -> tuple[np.ndarray, bool]:
    """[LEVELS, 4]: the box of the component with the largest area; whether it certainly is, at all levels.

    Its area is that of a map with its holes filled, which adds at most `gain` [LEVELS] to a component. Where
    two are closer than that, it is not certain.

    Four pixels in a square enclose the area 1, three of them the triangle of 1/2; summed over all squares.
    """
    width, size = components.shape[1], len(components.values)
    ends = [slice(start, size - width - 1 + start) for start in (0, 1, width, width + 1)]
    a, b, c, d = (components.values[end] for end in ends)
    low, high = np.minimum(a, b), np.maximum(a, b)
    other_low, other_high = np.minimum(c, d), np.maximum(c, d)
    # 1/2 where the third highest corner is above t, 1/2 more where all are.
    third = np.minimum(np.maximum(low, other_low), np.minimum(high, other_high))
    corners = [components.basin[end] for end in ends]
    top = np.where(high >= other_high, np.where(a >= b, *corners[:2]), np.where(c >= d, *corners[2:]))
    counts = np.zeros(components.count * (LEVELS + 1), np.int64)
    for halves in (third, np.minimum(low, other_low)):
        counts += np.bincount(components.places(halves, top), minlength=len(counts))
    area = components.merged(np.add, counts)
    first = -components.reduced(np.maximum, -np.arange(size), -size)
    # OpenCV lists the contour that begins last in reading order first.
    rank = np.where(components.exist(), area * size + first, -1)
    name, levels = rank.argmax(axis=0), np.arange(LEVELS)
    others = np.where(components.exist(), area, 0)
    others[name, levels] = 0
    certain = (gain == 0) | (area[name, levels] - others.max(axis=0) > gain)
    boxes = extents[:, name, levels].T + np.array([-1, -1, 0, 0])
    return np.where((rank[name, levels] >= 0)[:, None], boxes, 0), bool(certain.all())
