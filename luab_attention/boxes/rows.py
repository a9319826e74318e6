"""Boxes in a dataset's own column `objects`, in the common layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import datasets
import numpy as np
from PIL import Image

from luab_attention.boxes.boxes import BBOX_NAMES, CATEGORY_NAMES, NOTHING, ImageBoxes
from luab_attention.boxes.reader import BoxReader, Row, Size
from luab_data import constants
from luab_data.console.names import few
from luab_data.constants import HEIGHT, NO_LABEL, OBJECTS, OTHER_CLASS, WIDTH
from luab_data.errors import SourceError
from luab_data.images.pillow import open_file
from luab_data.rows.arrow import is_list
from luab_data.rows.class_names import match
from luab_data.rows.labels import names_no_class
from luab_data.rows.same_classes import class_feature, class_names_of
from luab_vision.images import open_image, read_file


class RowBoxes(BoxReader):
    """Boxes in the rows' own column.

    `objects` is `{"bbox": [[x, y, w, h]], "category": [class]}` or a list of `{"bbox": [x, y, w, h],
    "category": class}`, in pixels; other usual names work too. Pixels refer to the columns `width` and
    `height`, or without these to the row's upright image. Categories are class numbers or names; without
    categories all boxes are of the row's class.

    Args:
        label: see `BoxReader`.
        rows: the dataset; its features define the categories. Without it they are class numbers.
    """

    def __init__(self, label: str | None, rows: datasets.Dataset | None = None):
        super().__init__(label)
        self._number: dict[Any, int] | None = None
        if rows is None:
            return
        if OBJECTS not in rows.column_names:
            raise SourceError(
                f"there is no column {OBJECTS!r}, which holds the boxes; the columns are "
                f"{few(rows.column_names)}."
            )
        feature = _part(rows.features[OBJECTS], CATEGORY_NAMES)
        several = label is not None and is_list(rows.features[label])
        if feature is None and several:
            raise SourceError(
                f"column {label!r} has several classes, so that column {OBJECTS!r} must say which box is of "
                f"which: it has {_fields(rows.features[OBJECTS])}, and none of {', '.join(CATEGORY_NAMES)}."
            )
        if feature is not None and label is not None:
            self._number = _numbers(rows, label, feature)

    def stated(self, row: Row, size: Size) -> tuple[ImageBoxes, np.ndarray | None]:
        """See `BoxReader`."""
        bbox, categories = _objects(row.get(OBJECTS))
        if self.label is None:
            categories = None
        if not len(bbox):
            return NOTHING, None if categories is None else np.zeros(0, np.int64)
        width, height = _stated_size(row) or size()
        boxes, good = self._usable(bbox, width, height)
        return boxes, None if categories is None else self.class_numbers(categories)[good]

    def class_numbers(self, categories: Sequence[Any]) -> np.ndarray:
        """The rows' class number of each category: `NO_LABEL` for none, `OTHER_CLASS` for none of the rows'.

        Raises:
            SourceError: class numbers are needed, and these are none.
        """
        stated = [NO_LABEL if names_no_class(category) else category for category in categories]
        if self._number is not None:
            known = {NO_LABEL: NO_LABEL} | self._number
            return np.array([known.get(category, OTHER_CLASS) for category in stated], np.int64)
        if not all(_is_whole(category) for category in stated):
            raise SourceError(f"categories of boxes are {few(categories)}, but class numbers are needed.")
        return np.array(stated, np.int64)


def row_size(row: Row, image: str = constants.IMAGE, upright: bool = True) -> tuple[int, int]:
    """Width and height in pixels of a row's image.

    Args:
        row: The row, with its image as in `datasets.Image(decode=False)`, or with none.
        image: The column of the image.
        upright: Whether the EXIF orientation is applied.

    Raises:
        SourceError: the image is missing or unreadable.
    """
    if image not in row:
        raise SourceError("boxes are in pixels, and rows have neither width and height nor the image.")
    try:
        if not upright:
            return open_file(row[image]["bytes"] or read_file(row[image]["path"])).size
        opened = open_image(row[image])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"cannot read the image: {error}") from error
    return opened.width, opened.height


class ImageSizes:
    """`row_size` for many rows, which opens each file once.

    Datasets often have a row for each annotator or object.

    Args:
        image: The column of the image.
    """

    def __init__(self, image: str = constants.IMAGE):
        self._image = image
        self._of_path: dict[str, tuple[int, int]] = {}

    def __call__(self, row: Row) -> tuple[int, int]:
        """Width and height in pixels of a row's image. Raises SourceError as `row_size`."""
        value = row.get(self._image)
        path = value.get("path") if isinstance(value, Mapping) and not value.get("bytes") else None
        if path is None:
            return row_size(row, self._image)
        if path not in self._of_path:
            self._of_path[path] = row_size(row, self._image)
        return self._of_path[path]


def field_names(feature: Any) -> tuple[str, str | None]:
    """The names of the fields of the boxes and of their categories, which there may not be.

    Raises:
        SourceError: the column's feature has no such fields, or several.
    """
    _part(feature, CATEGORY_NAMES)
    _part(feature, BBOX_NAMES)
    fields = class_feature(feature)
    bbox = next(name for name in BBOX_NAMES if name in fields)
    return bbox, next((name for name in CATEGORY_NAMES if name in fields), None)


def require_upright(rows: datasets.Dataset, image: str = constants.IMAGE) -> None:
    """Refuses boxes that were all measured on images of another orientation, so that none could be scored.

    Images are opened, not decoded, up to the first whose boxes fit.

    Args:
        rows: Rows with boxes.
        image: The column of the image.

    Raises:
        SourceError: names the first image, and the fix.
    """
    if not {WIDTH, HEIGHT} <= set(rows.column_names):
        return
    rows = rows.select_columns([image, OBJECTS, WIDTH, HEIGHT])
    reader = RowBoxes(None, rows)
    for row in rows.cast_column(image, datasets.Image(decode=False)):
        if reader.read(row, partial(row_size, row, image))[0].bbox:
            return
    if reader.turned:
        raise SourceError(f"no row has boxes that can be scored: {reader.box_note()}.")


def _stated_size(row: Row) -> tuple[float, float] | None:
    if WIDTH not in row or HEIGHT not in row:
        return None
    width, height = row[WIDTH], row[HEIGHT]
    if not (isinstance(width, int | float) and isinstance(height, int | float) and width > 0 and height > 0):
        raise SourceError(
            f"columns {WIDTH!r} and {HEIGHT!r} are the image's size in pixels; got {width} x {height}."
        )
    return width, height


def _objects(objects: Any) -> tuple[np.ndarray, list[Any] | None]:
    """A value of the column -> boxes [n, 4], categories; in both layouts."""
    if objects is None or len(objects) == 0:
        return np.zeros((0, 4)), None
    if isinstance(objects, Mapping):
        bbox, categories = _named(objects, BBOX_NAMES), _named(objects, CATEGORY_NAMES, needed=False)
    else:
        bbox = [_named(each, BBOX_NAMES) for each in objects]
        categories = [_named(each, CATEGORY_NAMES, needed=False) for each in objects]
        categories = None if all(category is None for category in categories) else categories
    bbox = [] if bbox is None else bbox
    if categories is not None and len(categories) != len(bbox):
        raise SourceError(f"column {OBJECTS!r} has {len(bbox)} boxes and {len(categories)} categories.")
    try:
        # A null in a box is not a number either.
        boxes = np.array([[np.nan if edge is None else edge for edge in box] for box in bbox], np.float64)
        return boxes.reshape(len(bbox), 4), categories
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"column {OBJECTS!r} has boxes such as {str(next(iter(bbox)))[:60]}; each must be four numbers, "
            "[x, y, width, height], in pixels."
        ) from error


def _named(value: Any, names: Sequence[str], needed: bool = True) -> Any:
    found = [name for name in names if isinstance(value, Mapping) and name in value]
    if len(found) > 1 or (needed and not found):
        raise SourceError(_which(_fields(value), found, names))
    return value[found[0]] if found else None


def _is_whole(category: Any) -> bool:
    """Whether it is a class number: a table with an empty cell turns whole numbers into floats."""
    return isinstance(category, int) or (isinstance(category, float) and category.is_integer())


def _part(feature: Any, names: Sequence[str]) -> Any:
    """The feature of the field of the column that is one of `names`, in both layouts; None if absent."""
    fields = class_feature(feature)
    if not isinstance(fields, dict):
        raise SourceError(_which(_fields(feature), [], BBOX_NAMES))
    if not any(name in fields for name in BBOX_NAMES):
        raise SourceError(_which(_fields(feature), [], BBOX_NAMES))
    found = [name for name in names if name in fields]
    if len(found) > 1:
        raise SourceError(_which(_fields(feature), found, names))
    return class_feature(fields[found[0]]) if found else None


def _which(has: str, found: Sequence[str], names: Sequence[str]) -> str:
    if found:
        return (
            f"column {OBJECTS!r} has {has}: it is not clear which of {', '.join(found)} is meant. Keep one."
        )
    return f"column {OBJECTS!r} has {has}, but none of {', '.join(names)}: [x, y, width, height] in pixels."


def _fields(value: Any) -> str:
    value = value.feature if isinstance(value, datasets.List | datasets.LargeList) else value
    return f"the fields {few(list(value))}" if isinstance(value, Mapping) else str(value)[:60]


def _numbers(rows: datasets.Dataset, label: str, category: Any) -> dict[Any, int] | None:
    """Category -> class number, by name if the two columns number classes differently; else None."""
    own = class_feature(rows.features[label])
    if category == own or not isinstance(own, datasets.ClassLabel):
        return None
    if isinstance(category, datasets.ClassLabel):
        names: list[str] = category.names
        keys: Sequence[Any] = range(len(names))
    elif isinstance(category, datasets.Value) and category.dtype in ("string", "large_string"):
        names = keys = sorted(_strings(rows))
    else:
        return None
    found = match([(name,) for name in names], class_names_of(rows, label), "category", "the rows'")
    return {key: OTHER_CLASS if at is None else at for key, at in zip(keys, found, strict=True)}


def _strings(rows: datasets.Dataset) -> set[str]:
    """The categories in the column, of all rows."""
    return {
        category
        for objects in rows.select_columns(OBJECTS)[:][OBJECTS]
        for category in _objects(objects)[1] or ()
        if not names_no_class(category)
    }
