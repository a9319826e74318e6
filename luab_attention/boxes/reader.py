"""Reads the boxes of a dataset's rows one by one, from wherever they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from luab_attention.boxes.boxes import (
    CATEGORY_NAMES,
    NOTHING,
    REASONS,
    TURNED,
    ImageBoxes,
    in_words,
    usable,
)
from luab_data.console.names import few
from luab_data.constants import IMAGE_ID, NO_LABEL
from luab_data.errors import SourceError
from luab_data.rows.same_classes import class_feature
from luab_vision.geometry import MEASURE_UPRIGHT, other_orientation

# Why images are skipped; singular and plural.
NO_BOXES, OTHER_CLASSES = "no boxes", "other classes"
IMAGE_REASONS = {
    NO_BOXES: ("image without a usable box", "images without a usable box"),
    OTHER_CLASSES: (
        "image whose boxes are all of other classes",
        "images whose boxes are all of other classes",
    ),
}

Row = Mapping[str, Any]
Size = Callable[[], tuple[float, float]]


class BoxReader(ABC):
    """Reads the usable boxes of one row after the other (see `boxes.usable`); counts the others.

    Args:
        label: column of the row's class or list of classes; None: all boxes are of one class, 0.

    Attributes:
        left_out: number of boxes and images skipped so far, by reason.
        fix: what to do about boxes of another orientation than the image's.
        turned: name of the first image that has another orientation than the one its boxes were measured on.
    """

    def __init__(self, label: str | None):
        self.label = label
        self.left_out: Counter[str] = Counter()
        self.fix = MEASURE_UPRIGHT
        self.turned = ""

    def read(self, row: Row, size: Size) -> tuple[ImageBoxes, np.ndarray | None]:
        """All usable boxes of a row, and the class number of each [n]; None: they have no categories.

        Args:
            row: The row; its image is not decoded.
            size: Returns the width and height of the image as it is read. Where the boxes' file or the row
                states a size too, it may raise SourceError: then the two are not compared.

        Raises:
            SourceError: invalid boxes.
        """
        size = cache(size)
        found, categories = self.stated(row, size)
        if found.bbox and _turned(found, size):
            self.left_out[TURNED] += len(found.bbox)
            self.turned = self.turned or _name(row)
            return NOTHING, None
        return found, categories

    @abstractmethod
    def stated(self, row: Row, size: Size) -> tuple[ImageBoxes, np.ndarray | None]:
        """`read`, whatever the orientation of the image. `size`: called if nothing else states a size."""

    def by_label(self, row: Row, size: Size) -> dict[int, ImageBoxes]:
        """Each class of the row that has boxes -> its boxes; -1 is no class.

        In a row of one class, boxes of no class are of that one, unless another box names it. Counts an image
        if none of its classes has a box.
        """
        labels: Any = row[self.label] if self.label is not None else 0
        labels = [] if labels is None else labels
        several = isinstance(labels, Sequence | np.ndarray) and not isinstance(labels, str)
        asked: list[int] = list(dict.fromkeys(labels)) if several else [labels]
        found, categories = self.read(row, size)
        if several and categories is None and found.bbox:
            raise SourceError(
                f"column {self.label!r} has several classes, so that the boxes need categories "
                f"({', '.join(CATEGORY_NAMES)})."
            )
        of_label = {}
        for label in asked:
            own = found
            if categories is not None:
                mine = np.flatnonzero(of_class(categories, label, len(asked) == 1))
                own = found._replace(bbox=[found.bbox[at] for at in mine])
            if own.bbox and label != NO_LABEL:
                of_label[label] = own
        if not of_label:
            self.left_out[OTHER_CLASSES if found.bbox else NO_BOXES] += 1
        return of_label

    def note(self) -> str:
        """The skipped boxes and images in words; "" if there are none."""
        return ", ".join(filter(None, (self.box_note(), in_words(self.left_out, IMAGE_REASONS))))

    def box_note(self) -> str:
        """The skipped boxes alone."""
        note = in_words(self.left_out, REASONS)
        return f"{note} (the first of {self.turned}: {self.fix})" if self.turned else note

    def _usable(self, bbox: np.ndarray, width: float, height: float) -> tuple[ImageBoxes, np.ndarray]:
        good, left_out = usable(bbox, (width, height))
        self.left_out.update(left_out)
        return ImageBoxes(bbox[good].tolist(), width, height), good


class BoxesById(BoxReader):
    """Boxes from files, found by the rows' ids, `<class>/<name>`.

    Args:
        label: see `BoxReader`.
        rows: the dataset that the rows come from.
        source: the file or the folder of the boxes.
        image_id: column of the ids.

    Raises:
        SourceError: no ids, rows with several classes, unreadable files.
    """

    def __init__(self, label: str | None, rows: datasets.Dataset, source: Path, image_id: str = IMAGE_ID):
        super().__init__(label)
        if image_id not in rows.column_names:
            raise SourceError(
                f"boxes are found in {source} by the rows' ids, <class>/<name>, but there is no column "
                f"{image_id!r}; the columns are {few(rows.column_names)}."
            )
        self._id = image_id
        feature = None if label is None else rows.features[label]
        if class_feature(feature) is not feature:
            raise SourceError(
                "rows with several classes need boxes with categories: their own column `objects`."
            )

    def stated(self, row: Row, size: Size) -> tuple[ImageBoxes, np.ndarray | None]:
        """See `BoxReader`: the files state the image's size."""
        return self.find(str(row[self._id]))

    @abstractmethod
    def find(self, image_id: str) -> tuple[ImageBoxes, np.ndarray | None]:
        """The usable boxes of an id, and the class number of each if the files have classes.

        Raises:
            SourceError: invalid boxes.
        """


def of_class(categories: np.ndarray, label: int, alone: bool = True) -> np.ndarray:
    """Which of an image's boxes are of its class `label`, bool [n].

    Args:
        categories: [n] class number of each box; -1: it names none.
        label: The class; -1 is none.
        alone: Whether the image has no other class. Then boxes that name none are of it, unless another one
            names it.
    """
    own: np.ndarray = (categories == label) & (label != NO_LABEL)
    if alone and label != NO_LABEL and not own.any():
        return np.asarray(categories == NO_LABEL)
    return own


def _turned(boxes: ImageBoxes, size: Size) -> bool:
    try:
        return bool(other_orientation((boxes.width, boxes.height), size()))
    except SourceError:  # whoever reads the pixels says what is wrong with the image
        return False


def _name(row: Row) -> str:
    paths = (value.get("path") for value in row.values() if isinstance(value, Mapping))
    return str(next(filter(None, paths), None) or row.get(IMAGE_ID) or "an image without a name")
