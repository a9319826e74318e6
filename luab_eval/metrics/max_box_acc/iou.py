"""Intersection over union of boxes in whole pixels, both ends included."""

import numpy as np

from .compiled import compiled


@compiled
def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[n, 4] and [m, 4] boxes x0, y0, x1, y1 -> [n, m] intersection over union."""
    found = np.empty((len(first), len(second)))
    for i in range(len(first)):
        for j in range(len(second)):
            found[i, j] = _iou(first[i], second[j])
    return found


@compiled
def highest_iou(
    boxes: np.ndarray, low: np.ndarray, high: np.ndarray, second: np.ndarray, levels: int
) -> np.ndarray:
    """[levels]: the highest IoU with `second` [m, 4] of the `boxes` [n, 4] with low <= level < high."""
    highest = np.zeros(levels)
    for i in range(len(boxes)):
        best = 0.0
        for j in range(len(second)):
            best = max(best, _iou(boxes[i], second[j]))
        for level in range(low[i], high[i]):
            highest[level] = max(highest[level], best)
    return highest


@compiled
def _iou(one: np.ndarray, other: np.ndarray) -> float:
    width = max(min(one[2], other[2]) - max(one[0], other[0]) + 1, 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]) + 1, 0)
    both = width * height
    area = (one[2] - one[0] + 1) * (one[3] - one[1] + 1)
    other_area = (other[2] - other[0] + 1) * (other[3] - other[1] + 1)
    return both / (area + other_area - both)
