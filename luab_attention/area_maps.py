"""Areas over an image -> maps on a grid over the crop.

An area is what people looked at, or where an object is, as a function over the image. Each cell of the grid
gets its exact mean over the part of the image that it shows. `luab_attention.areas` makes areas from rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from luab_vision.geometry import View, warp

LEAST = 0.05  # share of an area that a crop must show of it to be a target
MAP_SIDE = 56  # cells: maps of samples have at least as many on each side
GRID = (MAP_SIDE, MAP_SIDE)  # of the maps of samples: a multiple of the usual models' grids


class Picture(NamedTuple):
    """A function over the image that is constant in each of its cells.

    Attributes:
        values: [m, n], 0 or more.
        x: [n + 1] edges of the columns, ratios of the image.
        y: [m + 1] edges of the rows.
    """

    values: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def mass(self) -> float:
        """The sum over the whole image."""
        return float(np.diff(self.y) @ self.values @ np.diff(self.x))

    def averages(self, view: View, grid: tuple[int, int]) -> np.ndarray:
        """The mean over each cell of a grid over the view, [h, w]; 0 outside the image."""
        h, w = grid
        columns, across = _shares(self.x, view.left, view.width, w)
        rows, down = _shares(self.y, view.top, view.height, h)
        found: np.ndarray = down @ self.values[rows, columns].astype(np.float64) @ across.T
        return found


class Gaze(NamedTuple):
    """Gaussians around points: sum of weights * N(point, sigma).

    Attributes:
        points: [P, 2] ratios of the image, x first.
        weights: [P], sum 1.
        sigma: in x and in y, ratios of the image.
    """

    points: np.ndarray
    weights: np.ndarray
    sigma: tuple[float, float]

    @property
    def mass(self) -> float:
        """The sum over the plane; the tails outside the image are part of it."""
        return float(self.weights.sum())

    def averages(self, view: View, grid: tuple[int, int]) -> np.ndarray:
        """The mean over each cell of a grid over the view, [h, w]."""
        h, w = grid
        across = _gaussian_shares(self.points[:, 0], self.sigma[0], view.left, view.width, w)
        down = _gaussian_shares(self.points[:, 1], self.sigma[1], view.top, view.height, h)
        found: np.ndarray = (down * self.weights[:, None]).T @ across
        return found


class Mean(NamedTuple):
    """The mean of several pictures, each of mass 1: those of one annotator."""

    pictures: tuple[Picture, ...]

    @property
    def mass(self) -> float:
        """The sum over the whole image."""
        return 1.0

    def averages(self, view: View, grid: tuple[int, int]) -> np.ndarray:
        """The mean over each cell of a grid over the view, [h, w]; 0 outside the image."""
        found: np.ndarray = np.mean([each.averages(view, grid) / each.mass for each in self.pictures], axis=0)
        return found


Part = Picture | Gaze | Mean


class Area(NamedTuple):
    """Where people looked at one class of an image, or where it is: the mean of its parts, each of mass 1.

    `label`: the class, or `ROW_LABEL`.
    """

    label: int
    parts: tuple[Part, ...]

    def density(self, view: View, grid: tuple[int, int]) -> np.ndarray:
        """The mean over each cell of a grid over the crop, [h, w]; over the whole image 1 on average."""
        found: np.ndarray = np.mean([part.averages(view, grid) / part.mass for part in self.parts], axis=0)
        return found[:, ::-1] if view.flipped else found

    def is_in(self, view: View, moves: Sequence[np.ndarray] = ()) -> bool:
        """Whether the crop shows `LEAST` of it or more. Arguments as for `area_in_view`."""
        if moves:
            return bool(area_in_view(self, view, GRID, moves).any())
        return bool(self.density(view, (1, 1))[0, 0] * view.width * view.height >= LEAST)


def area_in_view(
    area: Area, view: View, grid: tuple[int, int], moves: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """An area in the crop: [h, w] float32 with peak 1, or all 0 if less than `LEAST` of it is in the crop.

    Args:
        area: Of the image.
        view: The crop.
        grid: Cells over the crop, (h, w).
        moves: What moved the crop's pixels after that; see `luab_vision.geometry.moved`. They move the map as
            the pixels, by bilinear interpolation.
    """
    found = area.density(view, grid)
    if moves:
        picture = Image.fromarray(found.astype(np.float32))
        for move in moves:
            picture = warp(picture, move, Image.Resampling.BILINEAR)
        found = np.asarray(picture).clip(0)
    if found.mean() * view.width * view.height < LEAST:
        return np.zeros(grid, np.float32)
    return of_peak_1(found)


def of_peak_1(values: np.ndarray) -> np.ndarray:
    """A map as float32 with a largest value of 1, or all 0."""
    peak = values.max(initial=0)
    return (values / peak if peak > 0 else values).astype(np.float32)


def map_grid(grid: tuple[int, int]) -> tuple[int, int]:
    """The grid of the samples' maps for a model's grid: cells of it are whole cells of the model's."""
    return (grid[0] * -(-MAP_SIDE // grid[0]), grid[1] * -(-MAP_SIDE // grid[1]))


def _shares(edges: np.ndarray, start: float, length: float, cells: int) -> tuple[slice, np.ndarray]:
    """How much of each cell of a grid over part of an axis is in each interval between edges.

    Returns:
        the intervals that the part meets, and their shares [cells, their number], sum 1 inside the image.
    """
    borders = start + length * np.arange(cells + 1) / cells
    first = max(int(np.searchsorted(edges, borders[0], side="right")) - 1, 0)
    last = min(int(np.searchsorted(edges, borders[-1], side="left")), len(edges) - 1)
    own = edges[first : last + 1]
    low = np.maximum(borders[:-1, None], own[None, :-1])
    high = np.minimum(borders[1:, None], own[None, 1:])
    return slice(first, max(last, first)), (high - low).clip(0) * cells / length


def _gaussian_shares(
    centers: np.ndarray, sigma: float, start: float, length: float, cells: int
) -> np.ndarray:
    """The mean of Gaussians along an axis over the cells of a grid over part of it, [P, cells]."""
    borders = start + length * np.arange(cells + 1) / cells
    below = torch.special.ndtr(torch.from_numpy((borders - centers[:, None]) / sigma)).numpy()
    shares: np.ndarray = np.diff(below, axis=1) * cells / length
    return shares
