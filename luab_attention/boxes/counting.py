"""The boxes of all rows of a dataset, counted before training: which can be used, and why not the others."""

from collections import Counter
from functools import partial
from typing import NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_attention.boxes.boxes import OUT, REASONS, TURNED, in_words, usable
from luab_attention.boxes.rows import RowBoxes, field_names
from luab_attention.point_classes import of_own_or_no_class
from luab_attention.point_sizes import image_sizes
from luab_data.adapters.hf_datasets import stored_order
from luab_data.console.names import few
from luab_data.constants import HEIGHT, NO_LABEL, OBJECTS, WIDTH
from luab_data.rows.arrow import (
    is_list_type,
    is_number_type,
    nested,
    plain_list,
    read_column,
    require,
    valid,
)
from luab_data.rows.columns import Columns
from luab_data.rows.same_classes import class_feature
from luab_vision.geometry import MEASURE_UPRIGHT, other_orientation

# Beside the reasons of a box alone: those that its row or all boxes tell.
OTHERS, FIRST_PIXEL = "other class", "first pixel"
WHY = REASONS | {
    OTHERS: (
        "box of a class that its image does not have",
        "boxes of classes that their images do not have",
    ),
    FIRST_PIXEL: (
        "box within the first pixel of its image, as ratios would be",
        "boxes within the first pixel of their images, as ratios would be",
    ),
}
NOT_RATIOS = "boxes are in pixels; with ratios, the columns width and height are 1"
NOT_CORNERS = "each box would fit as [x0, y0, x1, y1], but needed is [x, y, width, height]"


class BoxCounts(NamedTuple):
    """What training can use of the boxes.

    Attributes:
        found: Which stored rows have a usable box of one of their classes, bool [N].
        note: How many boxes are left out, and why; "" if none is.
    """

    found: np.ndarray
    note: str


class _Boxes(NamedTuple):
    """All boxes.

    Attributes:
        bbox: [n, 4] as stated.
        row: [n] stored row of each.
        number: [n] class number of each, as `RowBoxes.class_numbers`.
        category: [n] which of the `categories` each has; -1: none.
        categories: Those that occur, as the column names them.
    """

    bbox: np.ndarray
    row: np.ndarray
    number: np.ndarray
    category: np.ndarray
    categories: list[str]


def count_boxes(rows: datasets.Dataset, columns: Columns) -> BoxCounts:
    """Checks and counts the boxes of the rows, by the rules of `RowBoxes` and `luab_attention.areas`.

    Headers of images are read for sizes that no column states, and to find the boxes that were measured on
    images of another orientation.

    Raises:
        SourceError: values that are no boxes, or an image that cannot be read.
    """
    stored = len(rows.data)
    order = stored_order(rows)
    position = np.full(stored, -1)  # of each stored row among the rows
    position[np.arange(stored) if order is None else order] = np.arange(len(rows))
    boxes = _stated(rows, columns, position)
    sizes, turned = _sizes(rows, columns, boxes.row, position)
    left, why = usable(boxes.bbox, sizes)
    hints = []
    if why[OUT] and _are_corners(boxes.bbox, sizes):
        hints.append(NOT_CORNERS)
    turned &= left
    if turned.any():
        why[TURNED] = int(turned.sum())
        name = _name(rows, columns.image, int(position[boxes.row[turned][0]]))
        hints.append(f"the first of {name}: {MEASURE_UPRIGHT}")
    left &= ~turned
    others = left & ~of_own_or_no_class(read_column(rows, columns.label), boxes.row, boxes.number)
    if others.any():
        why[OTHERS] = int(others.sum())
        hints.append(_classes(rows, columns, boxes, others))
    left &= ~others
    small = left & (boxes.bbox[:, :2] + boxes.bbox[:, 2:] <= 1).all(axis=1) & (sizes > 1).all(axis=1)
    first = Counter({FIRST_PIXEL: int(small.sum())})
    if small.any() and small.sum() == left.sum():
        why += first
        hints.append(NOT_RATIOS)
        left &= ~small
    found = np.zeros(stored, bool)
    found[boxes.row[left]] = True
    shown = f" ({'; '.join(hints)})" if hints else ""
    notes = []
    if why.total():
        notes.append(f"{why.total():,} of {len(left):,} boxes are left out: {in_words(why, WHY)}{shown}")
    if first.total() and not why[FIRST_PIXEL]:
        notes.append(f"trained on are {in_words(first, WHY)}: {NOT_RATIOS}")
    return BoxCounts(found, "; ".join(notes))


def _stated(rows: datasets.Dataset, columns: Columns, position: np.ndarray) -> _Boxes:
    """All boxes of the rows that have a position."""
    reader = RowBoxes(columns.label, rows)
    bbox, category = field_names(rows.features[OBJECTS])
    values = read_column(rows, OBJECTS)
    stated, row = flat_lists(nested(values, [bbox]))
    fix = "Each box must be four numbers, [x, y, width, height], in pixels."
    if len(stated) and not (is_list_type(stated.type) and is_number_type(stated.type.value_type)):
        require(np.ones(len(row), bool), row, f"column {OBJECTS!r} has boxes that are {stated.type}", fix)
    wrong = np.zeros(len(row), bool)
    if len(stated):
        counts = pc.fill_null(pc.list_value_length(stated), 0).to_numpy(zero_copy_only=False)
        wrong = counts != 4
    require(
        wrong, row, f"column {OBJECTS!r} has boxes that are not four numbers", fix,
        lambda first: str(stated[first].as_py())[:60],
    )  # fmt: skip
    edges = np.zeros((0, 4))
    if len(stated):
        flat = pc.cast(pc.list_flatten(plain_list(stated)), pa.float64())
        edges = flat.to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, 4)
    number, which, categories = np.full(len(row), NO_LABEL), np.full(len(row), -1), []
    if category is not None:
        named, of = flat_lists(nested(values, [category]))
        has = valid(nested(values, [category]))
        one, two = (np.bincount(each, minlength=len(values)) for each in (row, of))
        require(
            has & (one != two), np.arange(len(values)),
            f"column {OBJECTS!r} has other numbers of boxes and of categories", "Give each box one.",
            lambda first: f"{one[first]} boxes and {two[first]} categories",
        )  # fmt: skip
        encoded = named.dictionary_encode()
        categories = encoded.dictionary.to_pylist()
        index = pc.fill_null(encoded.indices, len(categories)).to_numpy(zero_copy_only=False)
        numbers = np.append(reader.class_numbers(categories), NO_LABEL).astype(np.int64)
        number[has[row]] = numbers[index]
        which[has[row]] = np.where(numbers[index] == NO_LABEL, -1, index)
    known = position[row] >= 0
    names = (
        _names(class_feature(class_feature(rows.features[OBJECTS])[category]), categories) if category else []
    )
    return _Boxes(edges[known], row[known], number[known], which[known], names)


def flat_lists(values: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The items of a column of lists, and the stored row of each."""
    chunks = [plain_list(chunk) for chunk in values.chunks]
    starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])
    owner = [start + pc.list_parent_indices(c).to_numpy() for start, c in zip(starts, chunks, strict=False)]
    flat = [pc.list_flatten(chunk) for chunk in chunks]
    items = pa.chunked_array(flat, values.type.value_type).combine_chunks()
    return items, np.concatenate([np.zeros(0, np.int64), *owner])


def _sizes(
    rows: datasets.Dataset, columns: Columns, row: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Width and height that each box refers to [n, 2], and which were measured on another orientation [n]."""
    turned = np.zeros(len(row), bool)
    if not {WIDTH, HEIGHT} <= set(rows.column_names):
        return image_sizes(rows, columns.image, position[row]), turned
    numbers = []
    for name in (WIDTH, HEIGHT):
        values = read_column(rows, name)
        odd = np.full(len(row), not is_number_type(values.type))
        fix = "They are the size in pixels of the image that the boxes were measured on."
        require(odd, row, f"column {name!r} holds {values.type}, and not numbers", fix)
        stated = pc.cast(values, pa.float64()).to_numpy()[row]
        require(
            ~(stated > 0), row, f"column {name!r} holds sizes of images that are not above 0", fix,
            partial(_shown, stated),
        )  # fmt: skip
        numbers.append(stated)
    sizes = np.stack(numbers, axis=1)
    oblong = sizes[:, 0] != sizes[:, 1]  # a square has both orientations
    upright = image_sizes(rows, columns.image, position[row[oblong]])
    turned[oblong] = other_orientation(sizes[oblong], upright)
    return sizes, turned


def _shown(values: np.ndarray, at: int) -> str:
    return f"{values[at]:g}"


def _are_corners(bbox: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether all boxes that are numbers would be usable as [x0, y0, x1, y1]."""
    finite = np.isfinite(bbox).all(axis=1)
    corners = np.concatenate([bbox[:, :2], bbox[:, 2:] - bbox[:, :2]], axis=1)
    return bool(usable(corners[finite], sizes[finite])[0].all())


def _name(rows: datasets.Dataset, image: str, at: int) -> str:
    images = rows.select_columns(image).cast_column(image, datasets.Image(decode=False))
    return images[at][image]["path"] or f"row {at}"


def _names(feature: datasets.features.features.FeatureType, numbers: list[object]) -> list[str]:
    names = feature.names if isinstance(feature, datasets.ClassLabel) else []
    return [names[k] if isinstance(k, int) and 0 <= k < len(names) else str(k) for k in numbers]


def _classes(rows: datasets.Dataset, columns: Columns, boxes: _Boxes, others: np.ndarray) -> str:
    """Classes of boxes that their images do not have, beside the classes of the labels."""
    used = [boxes.categories[k] if k >= 0 else "none" for k in np.unique(boxes.category[others])]
    own = class_feature(rows.features[columns.label])
    labels = few(own.names) if isinstance(own, datasets.ClassLabel) else "numbers"
    return f"they are of {few(used)}; the classes of column {columns.label!r} are {labels}"
