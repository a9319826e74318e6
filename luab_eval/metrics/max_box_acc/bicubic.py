"""OpenCV's bicubic interpolation, to the last bit: a = -0.75, borders repeated, no smoothing."""

from functools import lru_cache

import numpy as np

from .compiled import compiled


def resized(scores: np.ndarray, size: int) -> np.ndarray:
    """[h, w] float64 -> [size, size].

    Raises:
        ValueError: a map that is not 2-D, or empty.
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"a score map has the shape {scores.shape}, but it must be [height, width].")
    if scores.shape[1] != size:  # OpenCV's order: along the rows first
        scores = _along_rows(scores, *_cubic(scores.shape[1], size))
    if scores.shape[0] != size:
        scores = _along_columns(scores, *_cubic(scores.shape[0], size))
    return scores


@lru_cache(maxsize=64)
def _cubic(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each of `new` cells: the 4 `old` cells around its center [new, 4], and their weights [new, 4]."""
    # float32, as in OpenCV: the last bits decide which of 256 levels a value falls into.
    position = ((np.arange(new) + 0.5) * (1 / (new / old)) - 0.5).astype(np.float32)
    left = np.floor(position)
    a, x = np.float32(-0.75), position - left
    one = np.float32(1)
    first = ((a * (x + one) - 5 * a) * (x + one) + 8 * a) * (x + one) - 4 * a
    second = ((a + 2) * x - (a + 3)) * x * x + one
    third = ((a + 2) * (one - x) - (a + 3)) * (one - x) * (one - x) + one
    cells = (left.astype(int)[:, None] + np.arange(-1, 3)).clip(0, old - 1)
    weights = np.column_stack([first, second, third, one - first - second - third])
    return cells, weights.astype(np.float64)


@compiled
def _along_rows(scores: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
    found = np.empty((len(scores), len(cells)))
    for y in range(len(scores)):
        row = scores[y]
        for x in range(len(cells)):
            total = row[cells[x, 0]] * weights[x, 0]
            for i in range(1, 4):
                total += row[cells[x, i]] * weights[x, i]
            found[y, x] = total
    return found


@compiled
def _along_columns(scores: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
    found = np.empty((len(cells), scores.shape[1]))
    for y in range(len(cells)):
        a, b, c, d = scores[cells[y, 0]], scores[cells[y, 1]], scores[cells[y, 2]], scores[cells[y, 3]]
        u, v, w, z = weights[y, 0], weights[y, 1], weights[y, 2], weights[y, 3]
        for x in range(scores.shape[1]):
            found[y, x] = a[x] * u + b[x] * v + c[x] * w + d[x] * z
    return found
