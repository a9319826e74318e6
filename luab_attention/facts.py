"""Counts how much of a dataset a run can use: from the columns, and for boxes from the images' headers."""

from typing import NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_attention.area_columns import has_area
from luab_attention.boxes.counting import count_boxes
from luab_attention.point_classes import of_own_classes
from luab_attention.points import MARGIN, flat_points
from luab_data.constants import NO_LABEL
from luab_data.errors import SourceError
from luab_data.rows.arrow import has_column, in_order, is_list, plain_list, read_column, valid
from luab_data.rows.classes import classes_of
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns

TRACE_FIELDS = ("selected", "selected_record", "mouse_tracking")


class RowFacts(NamedTuple):
    """Numbers of rows.

    Attributes:
        rows: all rows.
        with_image: rows with an image or its path.
        with_target: rows with a byproduct that a loss can use. None: the byproduct's column is missing, or no
            byproduct is requested. A click may still be outside a crop, and a trace entirely after its click.
        classes: number of classes that occur.
        left_out: why parts of byproducts cannot be used, in words; "" if all can, or nothing is known of it.
    """

    rows: int
    with_image: int
    with_target: int | None
    classes: int
    left_out: str = ""

    @property
    def target_share(self) -> float | None:
        """Share of the rows with a usable byproduct."""
        return None if self.with_target is None else self.with_target / max(self.rows, 1)


def describe_rows(rows: datasets.Dataset, columns: Columns, byproduct: ByproductKind | None) -> RowFacts:
    """Count the rows, as read by `luab_attention.reading`; a million take a second.

    Raises:
        SourceError: annotations without the fields of a trace.
    """
    usable, left_out = None, ""
    if byproduct is not None and set(columns.of_byproduct(byproduct)) <= set(rows.column_names):
        usable = np.zeros(len(rows.data), bool)
        if byproduct == "boxes":
            counts = count_boxes(rows, columns)
            usable |= counts.found
            left_out = counts.note
        elif byproduct in AREA_KINDS:
            usable |= has_area(rows, byproduct, columns)
        if "click" in byproduct:
            usable |= has_point(rows, columns)
        if "trace" in byproduct:
            (annotations,) = columns.of_byproduct("trace")
            usable |= has_trace(rows, annotations)
    return RowFacts(
        rows=len(rows),
        with_image=int(in_order(rows, has_image(rows, columns.image)).sum()),
        with_target=None if usable is None else int(in_order(rows, usable).sum()),
        classes=len(classes_of(rows, columns.label)),
        left_out=left_out,
    )


def no_target(which: str, columns: Columns, byproduct: ByproductKind, why: str = "") -> SourceError:
    """The error if no training row has a usable byproduct.

    Args:
        which: Such as "none of the 8".
        columns: Where it is read from.
        byproduct: The byproduct.
        why: Why none can be used, if that is known.
    """
    reason = f"{why}. " if why else ""
    options = "--byproduct" if byproduct in AREA_KINDS else "--point_column or --byproduct"
    return SourceError(
        f"--byproduct {byproduct}: {which} training rows has a usable one in column "
        f"{', '.join(columns.of_byproduct(byproduct))}, so that nothing can be learned from it. "
        f"{reason}Set {options}, or take --loss none."
    )


def has_image(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Which stored rows have an image or its path, bool [N]. Does not read the images' bytes."""
    values = read_column(rows, column)
    found = valid(values)
    if pa.types.is_struct(values.type):
        parts = [name for name in ("bytes", "path") if values.type.get_field_index(name) >= 0]
        found &= np.any([valid(pc.struct_field(values, name)) for name in parts], axis=0)
    return found


def has_label(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Which rows have a class, bool [N]; null and -1 are no class. All rows if there is no class column."""
    if not has_column(rows.features, column):
        return np.ones(len(rows), bool)
    values = read_column(rows, column)
    found = valid(values)
    if pa.types.is_integer(values.type):
        found &= pc.fill_null(values, NO_LABEL).to_numpy() != NO_LABEL
    return in_order(rows, found)


def has_point(rows: datasets.Dataset, columns: Columns) -> np.ndarray:
    """Which stored rows have a usable point, bool [N]; with several labels, of a class of the row."""
    (point,) = columns.of_byproduct("click")
    points = flat_points(read_column(rows, point), point)
    # No crop shows a point far outside the image; a click on the border may be slightly outside.
    counts = np.all((points.xy >= -MARGIN) & (points.xy <= 1 + MARGIN), axis=1)
    if points.weight is not None:
        counts &= points.weight > 0
    if points.label is not None and has_column(rows.features, columns.label):
        own = points.label.to_numpy(zero_copy_only=False).astype(np.int64)
        counts &= of_own_classes(read_column(rows, columns.label), points.row, own)
    found = np.zeros(len(rows.data), bool)
    found[points.row[counts]] = True
    return found


def has_trace(rows: datasets.Dataset, column: str) -> np.ndarray:
    """Which stored rows have an annotation that ended selected, with a click and with positions, bool [N]."""
    feature = rows.features[column]
    fields = feature.feature if is_list(feature) else feature
    if not isinstance(fields, dict) or not set(TRACE_FIELDS) <= set(fields):
        there = ", ".join(fields) if isinstance(fields, dict) else str(feature)
        raise SourceError(
            f"column {column!r} holds no traces: it needs a list of annotations with "
            f"{', '.join(TRACE_FIELDS)}; it has {there}. Set --annotations_column, or take --byproduct click."
        )
    found = np.zeros(len(rows.data), bool)
    start = 0
    for chunk in read_column(rows, column).chunks:
        chunk = plain_list(chunk)
        annotations, owner = pc.list_flatten(chunk), pc.list_parent_indices(chunk).to_numpy()
        selected, *lists = (pc.struct_field(annotations, name) for name in TRACE_FIELDS)
        usable = pc.fill_null(selected, False).to_numpy(zero_copy_only=False).astype(bool)
        for each in lists:
            usable &= pc.fill_null(pc.list_value_length(each), 0).to_numpy(zero_copy_only=False) > 0
        found[start + owner[usable]] = True
        start += len(chunk)
    return found
