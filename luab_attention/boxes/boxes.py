"""Boxes of an image: the common form of all formats, the check of boxes, and the hit test.

    CSV (csv_boxes), XML (ilsvrc_boxes), COCO's JSON (coco), column `objects` (row_boxes) -> ImageBoxes

`box_sources.load_boxes` chooses the format of a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import datasets
import numpy as np
from numpy.typing import ArrayLike

from luab_data.constants import IMAGE, IMAGE_ID, LABEL, LABELS, OBJECTS

WIDTH, HEIGHT = "width", "height"  # columns: pixels of the image
BBOX, CATEGORY = "bbox", "category"  # of the column `objects`

# A box may leave the image by this much: some tools count pixels from 1, others round up.
SLACK_PIXELS, SLACK_RATIO = 2.0, 0.01

# Why boxes are skipped; singular and plural.
NOT_FINITE, EMPTY, OUT = "not finite", "empty", "out"
REASONS = {
    NOT_FINITE: ("box that is not four numbers", "boxes that are not four numbers"),
    EMPTY: ("box without width or height", "boxes without width or height"),
    OUT: ("box that reaches out of its image", "boxes that reach out of their images"),
}


class ImageBoxes(NamedTuple):
    """The boxes of one image, [[x, y, w, h]], and its size, all in pixels."""

    bbox: list[list[float]]
    width: float
    height: float

    def ratios(self) -> np.ndarray:
        """[n, 4] x, y, w, h in ratios of the image."""
        boxes = np.asarray(self.bbox, np.float64).reshape(-1, 4)
        return boxes / (self.width, self.height, self.width, self.height)


def usable(bbox: np.ndarray, size: ArrayLike) -> tuple[np.ndarray, Counter[str]]:
    """The rule for all boxes: finite, with width and height, and inside the image.

    Args:
        bbox: [n, 4] x, y, w, h in pixels of the image.
        size: width and height of the image, [2]; or of each box's image, [n, 2].

    Returns:
        Which boxes are usable, bool [n], and the number of others for each of the `REASONS`.
    """
    finite = np.isfinite(bbox).all(axis=1)
    size = np.asarray(size, np.float64)
    slack = np.maximum(SLACK_PIXELS, SLACK_RATIO * size)
    with np.errstate(invalid="ignore"):  # NaN fails each of these tests
        full = (bbox[:, 2:] > 0).all(axis=1)
        inside = (bbox[:, :2] >= -slack).all(axis=1) & (bbox[:, :2] + bbox[:, 2:] <= size + slack).all(axis=1)
        inside &= (bbox[:, :2] < size).all(axis=1) & (bbox[:, :2] + bbox[:, 2:] > 0).all(axis=1)
    counts = {NOT_FINITE: ~finite, EMPTY: finite & ~full, OUT: finite & full & ~inside}
    left_out = Counter({reason: int(which.sum()) for reason, which in counts.items() if which.any()})
    return finite & full & inside, left_out


def inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The hit test: which points are in one of the boxes. The border belongs to the box.

    Args:
        points: [P, 2] x, y.
        boxes: [n, 4] x, y, w, h, in the same unit.

    Returns:
        bool [P].
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    points = np.asarray(points, np.float64).reshape(-1, 1, 2)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return np.any(np.all((points >= low) & (points <= high), axis=2), axis=1)


def box_features(classes: Sequence[str], several: bool = False) -> datasets.Features:
    """The columns of images with boxes of their class or classes."""
    label = datasets.ClassLabel(names=list(classes))
    return datasets.Features(
        {
            IMAGE: datasets.Image(),
            LABELS if several else LABEL: datasets.List(label) if several else label,
            IMAGE_ID: datasets.Value("string"),
            OBJECTS: {
                BBOX: datasets.List(datasets.List(datasets.Value("float32"), length=4)),
                CATEGORY: datasets.List(label),
            },
            WIDTH: datasets.Value("float32"),
            HEIGHT: datasets.Value("float32"),
        }
    )


def in_words(left_out: Counter[str], reasons: dict[str, tuple[str, str]]) -> str:
    """Counts in words: "2 boxes without width or height, 1 box that ..."."""
    counts = ((left_out[reason], words) for reason, words in reasons.items())
    return ", ".join(f"{count:,} {words[count > 1]}" for count, words in counts if count)
