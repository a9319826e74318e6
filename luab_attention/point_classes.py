"""Points with classes: the class number of each, and the row's for those that name none."""

from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_attention.points import FlatPoints
from luab_data.console.names import few
from luab_data.constants import NO_LABEL
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list_type, is_number_type, is_text_type, plain_list, require, valid
from luab_data.rows.class_names import match
from luab_data.rows.labels import class_numbers


def of_own_classes(labels: pa.ChunkedArray, row: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which points are of a class of their row, bool [P].

    Args:
        labels: [N] class numbers, or lists of them.
        row: [P] row of each point.
        numbers: [P] class of each point.
    """
    if not is_list_type(labels.type):
        found = pc.fill_null(labels, NO_LABEL).to_numpy().astype(np.int64)
        return np.asarray(found[row] == numbers)
    lists = pa.chunked_array([plain_list(chunk) for chunk in labels.chunks], pa.list_(labels.type.value_type))
    owner = np.repeat(np.arange(len(lists)), pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
    flat = pc.list_flatten(lists).to_numpy().astype(np.int64)
    size = 1 + max(flat.max(initial=0), numbers.max(initial=0))
    return (numbers >= 0) & np.isin(row * size + numbers, owner * size + flat)


def only_classes(labels: pa.ChunkedArray) -> np.ndarray:
    """The class of each row that has just one, int64 [N]; `NO_LABEL` of the others.

    Args:
        labels: [N] class numbers, or lists of them.
    """
    if not is_list_type(labels.type):
        return np.asarray(pc.fill_null(labels, NO_LABEL).to_numpy().astype(np.int64))
    counts = pc.fill_null(pc.list_value_length(labels), 0).to_numpy()
    flat = pc.list_flatten(pa.chunked_array([plain_list(chunk) for chunk in labels.chunks]))
    found = np.full(len(labels), NO_LABEL, np.int64)
    one = counts == 1
    found[one] = pc.fill_null(flat, NO_LABEL).to_numpy()[(np.cumsum(counts) - counts)[one]]
    return found


def of_own_or_no_class(labels: pa.ChunkedArray, row: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """`of_own_classes`, and those of no class (-1) in a row of one class."""
    single: np.ndarray = np.ones(len(labels), bool)
    if is_list_type(labels.type):
        single = pc.fill_null(pc.list_value_length(labels), 0).to_numpy() == 1
    return of_own_classes(labels, row, numbers) | ((numbers == NO_LABEL) & single[row])


def number_points(points: FlatPoints, feature: Any, classes: Any, column: str) -> np.ndarray:
    """The class number [P] of each point of a column of `{label, x, y}`; `NO_LABEL` of null, -1 and "".

    Args:
        points: The column's points.
        feature: Feature of the points' labels: names or numbers.
        classes: Feature of the label column: `ClassLabel`, or int for classes without names.
        column: The column's name, for errors.
    """
    label = points.label
    assert label is not None
    named = valid(label)
    if is_number_type(label.type):
        named &= pc.fill_null(pc.not_equal(label, NO_LABEL), False).to_numpy(zero_copy_only=False)
    elif is_text_type(label.type):
        named &= pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(label), ""), False).to_numpy(
            zero_copy_only=False
        )
    found = np.full(len(named), NO_LABEL, np.int64)
    if named.any():
        found[named] = _numbered(points.only(named), feature, classes, column)
    return found


def _numbered(points: FlatPoints, feature: Any, classes: Any, column: str) -> np.ndarray:
    """`number_points` where each point names a class."""
    labels = class_numbers(pa.chunked_array([points.label]), points.row, feature, column)
    numbers = labels.values.to_numpy()
    if isinstance(labels.feature, datasets.ClassLabel) and labels.feature != classes:
        if not isinstance(classes, datasets.ClassLabel) and all(map(str.isdecimal, labels.feature.names)):
            return np.array([int(name) for name in labels.feature.names])[numbers]
        if not isinstance(classes, datasets.ClassLabel):
            raise SourceError(f"column {column!r} names classes, but the labels are numbers without names.")
        own, used = labels.feature.names, np.unique(numbers)
        found = match(
            [(own[k],) for k in used], [(name,) for name in classes.names], "point's class", "the labels'"
        )
        odd = [own[k] for k, at in zip(used, found, strict=True) if at is None]
        if odd:
            raise SourceError(
                f"column {column!r} has points of classes that are none of the labels': {few(odd)}. "
                f"These are {few(classes.names)}."
            )
        numbers = np.array(found)[np.searchsorted(used, numbers)]
    elif isinstance(classes, datasets.ClassLabel):
        count = len(classes.names)
        require(
            numbers >= count, points.row,
            f"column {column!r} has points of a class that is none of 0 to {count - 1}",
            "Number them as the labels.", lambda first: str(numbers[first]),
        )  # fmt: skip
    return numbers


def of_unnamed(
    points: FlatPoints, numbers: np.ndarray, labels: pa.ChunkedArray, name: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What becomes of points that name no class: class numbers [P], which points count [P], and a note.

    In a row of one class they are of that one, unless another point names it, as with gaze and masks: one
    that says where it is. The others do not count: of which class of several they are is not known.

    Args:
        points: The points.
        numbers: [P] see `number_points`.
        labels: [N] class numbers of the rows, or lists of them.
        name: The column's name.
    """
    unnamed = numbers == NO_LABEL
    if not unnamed.any() or len(labels) != points.count:  # labels that were not read, as training would
        return numbers, np.ones(len(numbers), bool), []
    own = only_classes(labels)[points.row]
    names = ~unnamed & (numbers == own)
    if points.here is not None:
        names &= points.here
    if points.weight is not None:
        names &= points.weight > 0
    count = unnamed & (own != NO_LABEL) & ~np.isin(points.row, points.row[names])
    numbers = np.where(count, own, numbers)
    kept = ~unnamed | count
    named, several = ~kept & (own != NO_LABEL), ~kept & (own == NO_LABEL)
    why = "which of their image's classes they are of is not known"
    ends = [
        *([f"{count.sum():,} count for the class of their image"] if count.any() else []),
        *([f"{named.sum():,} are left out, as others name its class"] if named.any() else []),
        *([f"{several.sum():,} are left out, as {why}"] if several.any() else []),
    ]
    note = f"{name}: {unnamed.sum():,} of {len(unnamed):,} points name no class: {', '.join(ends)}"
    return numbers, kept, [note]


def strangers_note(points: FlatPoints, numbers: np.ndarray, labels: pa.ChunkedArray, name: str) -> list[str]:
    """A note on points of classes that their row does not have, which training leaves out."""
    if len(labels) != points.count:  # labels that were not read, as training would
        return []
    others = int((~of_own_classes(labels, points.row, numbers)).sum())
    if not others:
        return []
    return [
        f"{name}: {others:,} of {len(points.row):,} points are of a class that their image does not have; "
        "they are left out"
    ]
