"""Maps, masks and boxes of an image -> the crop that the model sees, as `luab_vision.geometry` takes points.

    image --(view)--> crop --(moves of a policy)--> crop

Points are in `luab_attention.targets.target_in_view`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from luab_vision.geometry import View, moved, render, to_view, warp


def map_in_crop(
    values: ArrayLike, view: View, size: int | tuple[int, int], moves: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """A map or mask of an image in the crop, float32 `[h, w]`; 0 where the crop shows nothing of the image.

    Args:
        values: `[H, W]`, of the whole image in any resolution.
        view: The crop, within the image.
        size: Pixels of the result: a square's side or `(height, width)`. The moves of a crop that is not
            square need its own aspect ratio.
        moves: What moved the crop's pixels; see `luab_vision.geometry.moved`.
    """
    picture = render(Image.fromarray(np.asarray(values, np.float32)), view, size, Image.Resampling.BILINEAR)
    for move in moves:
        picture = warp(picture, move, Image.Resampling.BILINEAR)
    return np.array(picture)


def boxes_in_crop(
    boxes: ArrayLike, view: View, moves: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in the crop, float64 `[N, 4]` crop ratios, and which of them it shows, bool `[N]`.

    Of a box that is turned or sheared it is the smallest upright one around it. What leaves the crop is cut
    off, after the view and after each move. A box that is not shown is all 0.

    Args:
        boxes: `[N, 4]` left, top, right, bottom in ratios of the image.
        view: The crop.
        moves: What moved the crop's pixels; see `luab_vision.geometry.moved`.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    corners = to_view(boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]], view)  # [N, 4, 2]
    found, shown = _cut(corners)
    for move in moves:
        found, still = _cut(moved(found[:, [[0, 1], [2, 1], [0, 3], [2, 3]]], move))
        shown &= still
    return np.where(shown[:, None], found, 0.0), shown


def _cut(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The upright boxes around corners `[N, 4, 2]` within the crop, and which have an area there."""
    low, high = corners.min(1).clip(0, 1), corners.max(1).clip(0, 1)
    return np.concatenate((low, high), 1), (high > low).all(1)
