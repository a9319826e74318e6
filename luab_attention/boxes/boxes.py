"""Boxes of an image: the common form of all formats, the check of boxes, and the hit test.

    CSV (csv_boxes), ImageNet's XML (ilsvrc), COCO's JSON (coco), column `objects` (rows) -> ImageBoxes

`formats` chooses the format of a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import ArrayLike

from luab_data.constants import HEIGHT, IMAGE, IMAGE_ID, LABEL, OBJECTS, WIDTH

BBOX, CATEGORY = "bbox", "category"  # of the column `objects`

# Names of an object's two parts in detection sets.
BBOX_NAMES = (BBOX, "bboxes", "boxes")
CATEGORY_NAMES = (CATEGORY, "categories", "label", "labels", "class")

MAX_SIDE = 2**16  # of an image whose size a file of boxes states: pixels

# A box may leave the image by this much: some tools count pixels from 1, others round up.
SLACK_PIXELS, SLACK_RATIO = 2.0, 0.01

# Why boxes are skipped; singular and plural.
NOT_FINITE, EMPTY, OUT, TURNED = "not finite", "empty", "out", "turned"
REASONS = {
    NOT_FINITE: ("box that is not four numbers", "boxes that are not four numbers"),
    EMPTY: ("box without width or height", "boxes without width or height"),
    OUT: ("box that reaches out of its image", "boxes that reach out of their images"),
    TURNED: (
        "box of an image of another orientation, portrait against landscape",
        "boxes of images of another orientation, portrait against landscape",
    ),
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


NOTHING = ImageBoxes([], 1, 1)  # of an image without boxes


class BoxedImage(NamedTuple):
    """An image file, its id, the number of its class, and its boxes of this class."""

    file: Path
    image_id: str
    label: int
    boxes: ImageBoxes


def from_pixels(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    """[x, y, w, h] of a box from its first to its last pixel, both of them in it."""
    return [x0, y0, x1 + 1 - x0, y1 + 1 - y0]


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


def box_rows(images: Sequence[BoxedImage], classes: Sequence[str]) -> datasets.Dataset:
    """One row for each image, in their order.

    Args:
        images: the images.
        classes: names of the labels in order.

    Returns:
        Dataset with image, label (ClassLabel), image_id, objects {"bbox": [[x, y, w, h]] pixels, "category":
        [label]}, and width and height of the image that the pixels are of.
    """
    label = datasets.ClassLabel(names=list(classes))
    size = datasets.Value("float32")
    features: dict[str, Any] = {IMAGE: datasets.Image(), LABEL: label, IMAGE_ID: datasets.Value("string")}
    features |= {OBJECTS: objects_feature(label), WIDTH: size, HEIGHT: size}
    columns = {
        IMAGE: [str(each.file) for each in images],
        LABEL: [each.label for each in images],
        IMAGE_ID: [each.image_id for each in images],
        OBJECTS: [{BBOX: each.boxes.bbox, CATEGORY: [each.label] * len(each.boxes.bbox)} for each in images],
        WIDTH: [each.boxes.width for each in images],
        HEIGHT: [each.boxes.height for each in images],
    }
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def objects_feature(label: datasets.ClassLabel) -> dict[str, Any]:
    """The type of the column `objects`."""
    bbox = datasets.List(datasets.Value("float32"), length=4)
    return {BBOX: datasets.List(bbox), CATEGORY: datasets.List(label)}


def in_words(left_out: Counter[str], reasons: dict[str, tuple[str, str]]) -> str:
    """Counts in words: "2 boxes without width or height, 1 box that ..."."""
    counts = ((left_out[reason], words) for reason, words in reasons.items())
    return ", ".join(f"{count:,} {words[count > 1]}" for count, words in counts if count)
