"""Which pixels of a crop the background mix keeps of areas: boxes, masks, gaze and heat maps.

The light of an area is its density over the largest one in the image: 1 inside boxes and masks, less where
people looked less. Pixels whose light is above a level stay. `luab_trainer.data.background` mixes.
"""

import math
from collections.abc import Sequence

import numpy as np

from luab_attention.area_maps import GRID, Area, Gaze
from luab_attention.areas import rectangles
from luab_vision.geometry import WHOLE_IMAGE, View

# Light from which pixels stay; each crop draws its own. Of one Gaussian these are discs of 2.1 to 1.2 sigma.
LEVELS = (0.1, 0.5)
CELLS = 4  # in a Gaussian's sigma, where it is interpolated between them: off by at most 2 % of the peak
HOLES = (0.1, 0.4)  # area of a hole, over the area that stays


def kept(areas: Sequence[Area], view: View, size: tuple[int, int], level: float) -> np.ndarray:
    """How much of each pixel stays, `[h, w]`: 1 from 1.5 times the level of light, 0 below half of it.

    Args:
        areas: Of the image.
        view: The crop.
        size: Pixels of the crop, (h, w).
        level: Of light, above 0 and at most 0.5, so that boxes and masks stay in full.
    """
    return np.max([(0.5 + (_light(area, view, size) - level) / level).clip(0, 1) for area in areas], axis=0)


def covered(areas: Sequence[Area], view: View, size: tuple[int, int]) -> np.ndarray:
    """How much of each pixel is in the rectangle around an area, `[h, w]`.

    An outline could tell what it is of. A cell of `GRID` around it is covered too, as pixels blur the border.
    Where several objects are one area, so is what is between them.

    Args:
        areas: Of the image.
        view: The crop.
        size: Pixels of the crop, (h, w).
    """
    h, w = GRID
    boxes = []
    for area in areas:
        rows, columns = np.nonzero(_light(area, WHOLE_IMAGE, GRID) > LEVELS[0] / 2)
        left, top = (columns.min() - 1) / w, (rows.min() - 1) / h
        boxes.append((left, top, (columns.max() + 2) / w - left, (rows.max() + 2) / h - top))
    found = rectangles(np.array(boxes)).averages(view, size)
    return found[:, ::-1] if view.flipped else found


def hole(near: np.ndarray, view: View, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A disc in what stays: its center `[2]` in crop ratios, x first, and its radius in image ratios.

    Args:
        near: `[h, w]` how much of each pixel stays; not all 0.
        view: The crop.
        rng: Draws the disc.
    """
    share, total = rng.uniform(*HOLES), near.sum()
    place = rng.choice(near.size, p=near.ravel() / total)
    y, x = np.divmod(place, near.shape[1])
    area = share * near.mean() * view.width * view.height
    return np.array(((x + 0.5) / near.shape[1], (y + 0.5) / near.shape[0])), math.sqrt(area / math.pi)


def _light(area: Area, view: View, size: tuple[int, int]) -> np.ndarray:
    """The light of an area, 0 to 1, `[h, w]`."""
    whole = _density(area, WHOLE_IMAGE, GRID)
    found = whole if (view, size) == (WHOLE_IMAGE, GRID) else _density(area, view, size)
    light: np.ndarray = (found / whole.max()).clip(0, 1)
    return light


def _density(area: Area, view: View, size: tuple[int, int]) -> np.ndarray:
    """`Area.density`, of gaze on a coarser grid and interpolated: 600 samples a pixel take long."""
    gaze = [part for part in area.parts if isinstance(part, Gaze)]
    if len(gaze) < len(area.parts):
        return area.density(view, size)
    x, y = np.min([part.sigma for part in gaze], axis=0)
    h, w = size
    rows, down = _between(h, math.ceil(CELLS * view.height / y))
    columns, across = _between(w, math.ceil(CELLS * view.width / x))
    dy, dx = view.height / rows, view.width / columns  # of a cell: one more on each side
    around = View(view.left - dx, view.top - dy, view.width + 2 * dx, view.height + 2 * dy, view.flipped)
    found: np.ndarray = down @ area.density(around, (rows + 2, columns + 2)) @ across.T
    return found


def _between(pixels: int, cells: int) -> tuple[int, np.ndarray]:
    """The cells along an axis, at most the pixels, and their linear weights [pixels, cells + 2] in each."""
    cells = min(cells, pixels)
    places = (np.arange(pixels) + 0.5) / pixels * cells + 0.5
    return cells, (1 - np.abs(places[:, None] - np.arange(cells + 2))).clip(0)
