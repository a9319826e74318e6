"""Where people looked at one image: fixations and densities on a grid of the whole image.

    fixations of an annotator --(Gaussians, exact area averages)--> density of sum 1 --(mean)--> people's map

Places are ratios of the image, x first. All maps are `[GRID, GRID]` over the whole image, so that models of
every input size are compared on the same cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from luab_eval.arrays import hash_of
from luab_eval.metrics.fixation_prediction.fixation_prediction import cells_of

VERSION = 5  # of the figures; increased when the same maps and people give others
GRID = 56  # cells a side: the grids of 7 and 14 of common models divide it
ROUNDING = 1e-6  # of its mean: a map that varies less is a constant one in float32


# `[GRID**2, 4]` 0 to 1, irregular: the sums of a map by these tell it from others.
_PROBES = np.outer(np.arange(GRID**2), np.sqrt([2, 3, 5, 7])) % 1


class Viewing(NamedTuple):
    """What one entry of the data says about one image.

    Attributes:
        annotator: Whose it is; None: unknown.
        xy: `[P, 2]` fixations or samples inside the image; empty for a map.
        shares: `[P]` how much each weighs in the density; some are above 0.
        area: `[GRID, GRID]` a map with some mass; None: it is made from the fixations.
        weight: Among the entries of its annotator, above 0.
        sigma: Deviation in x and y of the Gaussians around its fixations, or of the blur of its map; ratios
            of the image. None: a map is not blurred.
        entries: How many entries of the data it is.
    """

    annotator: str | None
    xy: np.ndarray
    shares: np.ndarray
    area: np.ndarray | None = None
    weight: float = 1.0
    sigma: tuple[float, float] | None = None
    entries: int = 1

    @property
    def density(self) -> np.ndarray:
        """`[GRID, GRID]` of sum 1."""
        if self.area is None:
            if self.sigma is None:
                raise ValueError("a density of fixations needs a sigma")
            return gaussians(self.xy, self.shares, self.sigma)
        area = self.area.astype(np.float64)  # in float32 a sum depends on its order
        area = area if self.sigma is None else blurred(area, self.sigma)
        return without_rounding(area / area.sum())


@dataclass(frozen=True)
class People:
    """All annotators of one image.

    Attributes:
        fixations: `[P, 2]` of all annotators; each counts once.
        owner: `[P]` the number of each fixation's annotator.
        maps: `[A, GRID, GRID]` the density of each annotator, of sum 1.
        told_apart: Whether these are known to be different people.
    """

    fixations: np.ndarray
    owner: np.ndarray
    maps: np.ndarray
    told_apart: bool

    @property
    def count(self) -> int:
        """Annotators that are known to be different people."""
        return len(self.maps) if self.told_apart else 1

    @property
    def fingerprint(self) -> int:
        """A signed int of 64 bits; the same for the same people.

        Also in another order, and on machines that round otherwise.
        """
        sums = (self.maps.reshape(len(self.maps), -1) @ _PROBES).round(6)
        content = []
        for annotator, own in enumerate(sums):
            xy = self.fixations[self.owner == annotator].astype(np.float64)
            content.append((xy[np.lexsort(xy.T)].tobytes(), own.tobytes()))
        return hash_of(repr((VERSION, self.told_apart, sorted(content))).encode())

    @cached_property
    def map(self) -> np.ndarray:
        """`[GRID, GRID]` the mean density of all annotators, each counting the same."""
        return self.maps.mean(axis=0)

    def cells(self, annotators: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows and columns of the fixated cells of some annotators (None: all); None without fixations."""
        xy = self.fixations if annotators is None else self.fixations[np.isin(self.owner, annotators)]
        return cells_of(xy[:, 0], xy[:, 1], (GRID, GRID)) if len(xy) else None


def people_of(viewings: Sequence[Viewing]) -> People:
    """The annotators of an image.

    All annotators count the same, however much each left; the viewings of one share that by their weight. A
    viewing without an annotator counts as one annotator, but two of these may be of the same person.

    Args:
        viewings: At least one, each with fixations or with a map.
    """
    groups: dict[object, list[Viewing]] = {}
    for number, viewing in enumerate(viewings):
        groups.setdefault(number if viewing.annotator is None else viewing.annotator, []).append(viewing)
    maps = []
    for own in groups.values():
        densities = [each.density for each in own]
        maps.append(np.average(densities, axis=0, weights=[each.weight for each in own]))
    sizes = [sum(len(each.xy) for each in own) for own in groups.values()]
    return People(
        fixations=np.concatenate([each.xy for own in groups.values() for each in own]),
        owner=np.repeat(np.arange(len(sizes)), sizes),
        maps=np.stack(maps),
        told_apart=all(viewing.annotator is not None for viewing in viewings),
    )


def united_areas(viewings: Sequence[Viewing]) -> Viewing:
    """The areas of one class in several rows of an image, as one: of each cell, the most that one covers."""
    areas = [each.area for each in viewings if each.area is not None]
    entries = sum(each.entries for each in viewings)
    return viewings[0]._replace(area=np.max(areas, axis=0), entries=entries)


def gaussians(xy: np.ndarray, shares: np.ndarray, sigma: tuple[float, float]) -> np.ndarray:
    """Gaussians around fixations, averaged over the area of each cell -> `[GRID, GRID]` of sum 1.

    Args:
        xy: `[P, 2]` inside the image.
        shares: `[P]` how much each weighs, some above 0.
        sigma: Deviations in x and y, above 0, ratios of the image. The mass outside the image is cut off.
    """
    across, down = (_cells_of_gaussians(xy[:, axis], sigma[axis]) for axis in (0, 1))  # [P, GRID]
    mixed = (down * shares[:, None]).T @ across
    return mixed / mixed.sum()


def blurred(area: np.ndarray, sigma: tuple[float, float]) -> np.ndarray:
    """A map `[GRID, GRID]` as `gaussians` around the centers of its cells."""
    centers = (np.arange(GRID) + 0.5) / GRID
    across, down = (_cells_of_gaussians(centers, sigma[axis]) for axis in (0, 1))  # [GRID, GRID]
    found: np.ndarray = down.T @ area @ across
    return found


def without_rounding(maps: np.ndarray) -> np.ndarray:
    """Maps `[..., GRID, GRID]`, those that are constant but for rounding made constant.

    Resizing moves a constant map by the last digits of its numbers, and metrics of ranks would rank these.
    """
    mean = maps.mean(axis=(-2, -1), keepdims=True)
    spread = np.ptp(maps, axis=(-2, -1), keepdims=True)
    return np.where(spread <= ROUNDING * mean, mean, maps)


def _cells_of_gaussians(centers: np.ndarray, sigma: float) -> np.ndarray:
    """The mass of Gaussians around centers `[P]` in each cell along an axis, `[P, GRID]`."""
    edges = np.linspace(0, 1, GRID + 1)
    masses: np.ndarray = np.diff(ndtr((edges - centers[:, None]) / sigma), axis=1)
    return masses
