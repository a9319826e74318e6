"""The columns of gaze, boxes, masks and heat maps: checked before training, and counted, for all rows."""

from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_attention.boxes.counting import count_boxes, flat_lists
from luab_attention.boxes.rows import RowBoxes
from luab_attention.columns import DURATION, SEGMENT, TIME
from luab_attention.point_classes import of_own_or_no_class
from luab_attention.points import FAR_OUTSIDE, WEIGHT, GazeCounts, X, Y, count_gaze, require_ratios
from luab_attention.traces.dwell import in_image
from luab_data.constants import IMAGE, LABEL, NO_LABEL
from luab_data.errors import SourceError
from luab_data.rows.arrow import fields_of, is_list, plain_list, read_column, require, valid
from luab_data.rows.columns import AreaKind, Columns
from luab_data.rows.same_classes import class_feature

LAYOUT = {
    "scanpath": "a list of {x: [], y: []}, and optionally annotator, label, weight, time, duration, segment",
    "masks": "a list of {image}, and optionally label",
    "heatmap": "a list of {image}, and optionally annotator and label",
}
FIX = "`luab convert` makes such columns from the usual formats (docs/attention.md)."


def check_areas(rows: datasets.Dataset, kind: AreaKind, columns: Columns, whole: bool = True) -> list[str]:
    """Checks the column of a byproduct.

    Args:
        rows: The dataset.
        kind: The byproduct.
        columns: Names of the rows' columns.
        whole: Whether there are enough rows to judge the unit of gaze by its samples.

    Returns:
        notes for the user.

    Raises:
        SourceError: it is missing, has another layout or other classes than the labels, or unreadable values.
    """
    (column,) = columns.of_byproduct(kind)
    if column not in rows.column_names:
        raise SourceError(
            f"--byproduct {kind}: the dataset has no column {column!r}; it has "
            f"{', '.join(rows.column_names)}. {FIX}"
        )
    if kind == "boxes":
        RowBoxes(columns.label, rows)
        return []
    feature = rows.features[column]
    entry = feature.feature if is_list(feature) else None
    needed = (X, Y) if kind == "scanpath" else (IMAGE,)
    if not isinstance(entry, dict) or not set(needed) <= entry.keys():
        raise SourceError(
            f"--byproduct {kind}: column {column!r} has {fields_of(feature)}, but needed is {LAYOUT[kind]}. "
            f"{FIX}"
        )
    notes = []
    if kind == "scanpath":
        _check_paths(rows, column, entry)
        notes = far_note(rows, column) if whole else []
    elif not isinstance(entry[IMAGE], datasets.Image):
        raise SourceError(
            f"column {column!r} has images of the type {entry[IMAGE]}; needed is datasets.Image."
        )
    _check_classes(rows, column, entry, columns.label)
    return notes


def far_note(rows: datasets.Dataset, column: str) -> list[str]:
    """A note on samples of gaze far outside the image, which count nowhere.

    Raises:
        SourceError: more are than are in the image, so that they are in another unit.
    """
    counts = gaze_counts(rows, column)
    if not counts.are_ratios:
        require_ratios(*_places(rows, column), column, str(counts))
    return [f"{column}: {far_in_words(counts)}"] if counts.far else []


def far_in_words(counts: GazeCounts) -> str:
    """The samples far outside the image, in words."""
    lost = f", and {counts.lost_rows:,} of these rows have no others" if counts.lost_rows else ""
    return (
        f"{counts.far:,} of {counts.samples:,} samples, in {counts.far_rows:,} rows, are further than "
        f"{FAR_OUTSIDE:g} times the image's size from its corner; as all outside it, they do not count{lost}"
    )


def gaze_counts(rows: datasets.Dataset, column: str) -> GazeCounts:
    """Where the samples of a column of gaze are."""
    return count_gaze(*_places(rows, column))


def _places(rows: datasets.Dataset, column: str) -> tuple[np.ndarray, np.ndarray]:
    """All samples [P, 2], x first, NaN for missing ones; and the stored row of each."""
    entries, owner = flat_lists(read_column(rows, column))
    x, y, of = _positions(entries)
    return np.stack([x, y], axis=1), owner[of]


def has_area(rows: datasets.Dataset, kind: AreaKind, columns: Columns) -> np.ndarray:
    """Which stored rows have an area of one of their classes, bool [N].

    Of gaze, paths of weight 0 and samples outside the image give none, as in `mixture`; how long a sample is
    held is not asked. No image is opened: a mask may be empty. Of boxes,
    `luab_attention.boxes.counting.count_boxes` says more.
    """
    if kind == "boxes":
        return count_boxes(rows, columns).found
    (column,) = columns.of_byproduct(kind)
    values = read_column(rows, column)
    entries, owner = flat_lists(values)
    counts = np.ones(len(owner), bool)
    if kind == "scanpath":
        x, y, of = _positions(entries)
        seen = in_image(np.stack([x, y], axis=1))
        counts = np.bincount(of[seen], minlength=len(owner)).astype(bool)
        if entries.type.get_field_index(WEIGHT) >= 0:
            counts &= pc.fill_null(pc.struct_field(entries, WEIGHT), 1).to_numpy(zero_copy_only=False) > 0
    else:
        image = pc.struct_field(entries, IMAGE)
        parts = [name for name in ("bytes", "path") if image.type.get_field_index(name) >= 0]
        counts = np.any([valid(pc.struct_field(image, name)) for name in parts], axis=0)
    if entries.type.get_field_index(LABEL) >= 0:
        numbers = pc.fill_null(pc.struct_field(entries, LABEL), NO_LABEL).to_numpy(zero_copy_only=False)
        counts &= of_own_or_no_class(read_column(rows, columns.label), owner, numbers.astype(np.int64))
    found = np.zeros(len(values), bool)
    found[owner[counts]] = True
    return found


def _check_paths(rows: datasets.Dataset, column: str, entry: dict[str, Any]) -> None:
    entries, owner = flat_lists(read_column(rows, column))
    lengths = {
        name: pc.fill_null(pc.list_value_length(pc.struct_field(entries, name)), 0).to_numpy(
            zero_copy_only=False
        )
        for name in (X, Y, TIME, DURATION, SEGMENT)
        if name in entry
    }
    for name, own in lengths.items():
        absent = ~valid(pc.struct_field(entries, name)) & (name not in (X, Y))
        require(
            (own != lengths[X]) & ~absent,
            owner,
            f"column {column!r} has paths whose lists {X} and {name} have different lengths",
            "Each sample needs one value in each list.",
        )
    if WEIGHT in entry:
        weight = pc.struct_field(entries, WEIGHT)
        own = pc.cast(weight, pa.float64()).to_numpy(zero_copy_only=False)
        require(
            valid(weight) & ~(np.isfinite(own) & (own >= 0)), owner,
            f"column {column!r} has paths whose weight is not 0 or more", "Give each one, or null for 1.",
            lambda first: f"{own[first]:g}",
        )  # fmt: skip
    if DURATION in entry:
        lists = plain_list(pc.struct_field(entries, DURATION))
        flat = pc.cast(pc.list_flatten(lists), pa.float64()).to_numpy(zero_copy_only=False)
        require(
            ~(np.isfinite(flat) & (flat >= 0)), owner[pc.list_parent_indices(lists).to_numpy()],
            f"column {column!r} has paths with a duration that is not 0 ms or more",
            "Leave such samples out, or the field.", lambda first: f"{flat[first]:g}",
        )  # fmt: skip


def _check_classes(rows: datasets.Dataset, column: str, entry: dict[str, Any], label: str) -> None:
    """Raises SourceError for entries of other classes than the labels', or of none if images have several."""
    feature = rows.features[label]
    own, classes = entry.get(LABEL), class_feature(feature)
    if own is None:
        if is_list(feature):
            raise SourceError(
                f"column {column!r} does not say which class its entries are of, but an image has several "
                f"(column {label!r}): each entry needs a label. Which of them people looked for is not "
                "known: repeat an entry for each class that it is about."
            )
        return
    integers = isinstance(own, datasets.Value) and "int" in own.dtype
    if not integers and own != classes:
        raise SourceError(
            f"the labels in column {column!r} are {own}, but those of column {label!r} are {classes}: number "
            "the classes of both the same way."
        )


def _positions(entries: pa.StructArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X and y of all samples, NaN for missing ones, and the entry of each."""
    lists = [plain_list(pc.struct_field(entries, name)) for name in (X, Y)]
    x, y = (
        pc.cast(pc.list_flatten(each), pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        for each in lists
    )
    return x, y, pc.list_parent_indices(lists[0]).to_numpy()
