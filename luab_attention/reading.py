"""Any dataset -> the rows that training reads: an image, class numbers, points in ratios.

Columns in other layouts are converted here, by Arrow for all rows at once. So every value is checked before
training, and the loader reads only one layout.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
from datasets.fingerprint import Hasher

from luab_attention.area_columns import check_areas
from luab_attention.facts import has_image
from luab_attention.point_classes import number_points, of_unnamed, strangers_note
from luab_attention.point_sizes import sized_points, stated_sizes
from luab_attention.point_text import parsed_points
from luab_attention.points import (
    LABEL,
    SIGN,
    WEIGHT,
    PointUnits,
    X,
    Y,
    flat_points,
    point_column,
    to_ratios,
)
from luab_attention.points_file import join_points
from luab_data import constants
from luab_data.adapters.hf_datasets import fingerprint_of
from luab_data.errors import SourceError
from luab_data.rows.arrow import (
    has_column,
    is_list,
    is_number_type,
    is_text_type,
    read_column,
    replace_column,
    require,
    require_column,
)
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_data.rows.image_columns import folder_labels, readable_images, require_class_folders
from luab_data.rows.image_paths import check_image_paths
from luab_data.rows.label_values import given_names
from luab_data.rows.labels import LabelFormat, Labels, read_labels, with_names


@dataclass(frozen=True)
class Reading:
    """How to read the columns of a dataset: the options of `run.py` with the same names.

    Attributes:
        image, label, point, x, y, annotations: columns, or fields of nested columns ("json.click"). The
            default is the usual names.
        point_units: unit of x and y.
        label_format: how to read lists of 0 and 1.
        points_file: a separate table of the images' points.
        classes: names of all classes, if the rows are a part of a stream and may lack some, or if the user
            gives them.
        named: whether the user gives them: they name class numbers, too.
        whole: whether there are enough rows to conclude what no row has.
    """

    image: str = constants.IMAGE
    label: str | None = None
    point: str | None = None
    x: str | None = None
    y: str | None = None
    annotations: str | None = constants.ANNOTATIONS
    point_units: PointUnits = "ratio"
    label_format: LabelFormat = "auto"
    points_file: str | None = None
    classes: tuple[str, ...] | None = None
    named: bool = False
    whole: bool = True


# Attribute of `Reading` -> the option that gives it, in `run.py`, `luab show` and `luab byproducts`.
_OPTIONS = {
    "image": "image_column",
    "label": "label_column",
    "point": "point_column",
    "x": "x_column",
    "y": "y_column",
    "annotations": "annotations_column",
    "point_units": "point_units",
    "label_format": "label_format",
    "points_file": "points_file",
}


def reading_of(options: object) -> Reading:
    """How options say that the columns are read.

    Args:
        options: Has the options of `run.py` as attributes, or some of them.
    """
    given = vars(options)
    reading = Reading(**{name: given[option] for name, option in _OPTIONS.items() if option in given})
    names = given.get("class_names")
    return reading if names is None else replace(reading, classes=given_names(names), named=True)


OTHER_POINTS = ("point", "clicks", "keypoint", "keypoints")  # columns, after `click` and `points`
# What stands before x and y in names of columns of points, without a separator.
POINT_STEMS = (
    "", "p", "pos", "position", "point", "keypoint", "click", "tap", "mouse", "cursor", "gaze", "fixation",
)  # fmt: skip


class ReadRows(NamedTuple):
    """Rows as training reads them.

    Attributes:
        rows: the dataset, with other columns unchanged.
        columns: names of its columns.
        multi_hot: number of classes of multi-hot lists, or None.
        notes: messages on how ambiguous columns were read, one line each.
        left_out: number of images whose points are left out, as a note says.
        pair: the columns x and y that the points were made from, or None.
    """

    rows: datasets.Dataset
    columns: Columns
    multi_hot: int | None
    notes: list[str]
    left_out: int = 0
    pair: tuple[str, str] | None = None


def read_rows(
    rows: datasets.Dataset,
    reading: Reading,
    byproduct: ByproductKind | None,
    root: Path | None = None,
    required: bool = True,
) -> ReadRows:
    """Reads and checks every row.

    Args:
        rows: The dataset.
        reading: Its columns, and how to read them.
        byproduct: The byproduct to learn from; None: points are not read.
        root: The folder of relative image paths, which they must not leave.
        required: Whether the byproduct must have a column.

    Raises:
        SourceError: a missing column, or one with unreadable values; names the column and a row.
    """
    of_points = byproduct is not None and "click" in byproduct
    reading, said = with_usual_points(rows, reading) if of_points else (reading, [])
    rows, image = _images(rows, reading.image, root)
    rows, label, labels = _labels(rows, image, reading)
    notes = [*labels.notes, *said]
    columns = Columns(image, label, point_name(rows, reading, labels), reading.annotations)
    if byproduct in AREA_KINDS:
        if required or set(columns.of_byproduct(byproduct)) <= set(rows.column_names):
            notes += check_areas(rows, byproduct, columns, reading.whole)
        return ReadRows(rows, columns, labels.multi_hot, notes)
    needed, left_out = columns.of_byproduct(byproduct), 0
    made = reading.x is not None or reading.points_file is not None  # the point column is made here
    if required and not (is_list(labels.feature) and byproduct != "click"):  # which check_task refuses
        options = {columns.point: "point_column", columns.annotations: "annotations_column"}
        for name in needed:
            if name != columns.point or not made:
                require_column(rows.features, name, options[name])
    if columns.point in needed and (made or has_column(rows.features, columns.point)):
        rows, more, left_out = read_points(rows, columns, labels, reading, root, required)
        notes += more
    traces = columns.annotations
    if traces in needed and traces not in rows.column_names and has_column(rows.features, traces):  # nested
        feature = require_column(rows.features, traces, "annotations_column")
        rows = replace_column(rows, traces, read_column(rows, traces), feature)
    pair = None if reading.x is None or reading.y is None else (reading.x, reading.y)
    return ReadRows(rows, columns, labels.multi_hot, notes, left_out, pair)


def label_name(rows: datasets.Dataset, reading: Reading) -> str:
    """The name of the label column, which may not exist."""
    usual = (constants.LABEL, constants.LABELS)
    return reading.label or next((name for name in usual if name in rows.column_names), constants.LABEL)


def with_usual_points(rows: datasets.Dataset, reading: Reading) -> tuple[Reading, list[str]]:
    """Points in columns with other usual names, if the reading names none; and a note on these."""
    given = (reading.point, reading.x, reading.y, reading.points_file)
    usual = (constants.CLICK, constants.POINTS)
    if any(each is not None for each in given) or any(has_column(rows.features, name) for name in usual):
        return reading, []
    for name in OTHER_POINTS:
        if has_column(rows.features, name):
            return replace(reading, point=name), [f"points: they are read from column {name!r}"]
    if (pair := _pair_of_columns(rows.features)) is not None:
        x, y = pair
        return replace(reading, x=x, y=y), [f"points: they are read from the columns {x!r} and {y!r}"]
    return reading, []


def _pair_of_columns(features: datasets.Features) -> tuple[str, str] | None:
    """`x` and `y`, or the only columns of numbers with such ends, if named as points: `click_x`, `click_y`.

    None: there are none or several. Other names, such as of a box's corner or a screen, are not guessed.
    """
    if {X, Y} <= features.keys():
        return X, Y
    numbers = {name for name, each in features.items() if _is_number(each)}
    pairs = []
    for name in numbers:
        stem, end = name[:-1], name[-1:]
        other = f"{stem}{'Y' if end == 'X' else 'y'}"
        if end in ("x", "X") and other in numbers:
            pairs.append((name, other))
    if len(pairs) != 1 or (pairs[0] == ("X", "Y") and {"W", "H"} & features.keys()):  # a box's
        return None
    return pairs[0] if pairs[0][0][:-1].rstrip("_.- ").lower() in POINT_STEMS else None


def _is_number(feature: Any) -> bool:
    dtype = feature.dtype if isinstance(feature, datasets.Value) else ""
    return dtype.startswith(("int", "uint", "float"))


def points_as_in(training: ReadRows, rows: datasets.Dataset, reading: Reading) -> Reading:
    """How evaluation rows' points are read: from the training rows' column or columns, or from x and y."""
    point = training.columns.point
    given = (reading.point, reading.x, reading.y, reading.points_file)
    if all(each is None for each in given) and (point is None or not has_column(rows.features, point)):
        for x, y in filter(None, (training.pair, (X, Y))):
            if {x, y} <= rows.features.keys():
                return replace(reading, x=x, y=y)
    return replace(reading, point=point)


def point_name(rows: datasets.Dataset, reading: Reading, labels: Labels) -> str:
    """The name of the point column, which may not exist."""
    usual = (
        [constants.POINTS, constants.CLICK]
        if is_list(labels.feature)
        else [constants.CLICK, constants.POINTS]
    )
    return reading.point or next((name for name in usual if has_column(rows.features, name)), usual[0])


def _images(rows: datasets.Dataset, column: str, root: Path | None) -> tuple[datasets.Dataset, str]:
    feature = require_column(rows.features, column, "image_column")
    if column not in rows.column_names or not isinstance(feature, datasets.Image):
        values = readable_images(rows, feature, column, root)
        fingerprint = Hasher.hash([fingerprint_of(rows), column, str(root)])  # not of the images' bytes
        rows = replace_column(rows, column, values, datasets.Image(), fingerprint)
        if root is not None:
            check_image_paths(rows.select_columns(column), str(root))  # also of links
    absent = ~has_image(rows, column)
    require(absent, np.arange(len(absent)), f"column {column!r} has no image", "Filter these rows out.")
    return rows, column


def _labels(rows: datasets.Dataset, image: str, reading: Reading) -> tuple[datasets.Dataset, str, Labels]:
    """Rows with class numbers, the column of the numbers, and the labels as read."""
    column = label_name(rows, reading)
    if column == constants.LABEL and not has_column(rows.features, column):
        labels = folder_labels(rows, image, reading.classes)
        if labels is not None:
            return replace_column(rows, column, labels.values, labels.feature), column, labels
        if reading.label is None:
            require_class_folders(rows, image)
    feature = require_column(rows.features, column, "label_column")
    values = read_column(rows, column)
    labels = read_labels(values, feature, column, reading.label_format, reading.classes)
    if reading.named and reading.classes is not None:
        labels = with_names(labels, reading.classes, column)
    if column not in rows.column_names or feature != labels.feature:
        rows = replace_column(rows, column, labels.values, labels.feature)
    return rows, column, labels


def read_points(
    rows: datasets.Dataset,
    columns: Columns,
    labels: Labels,
    reading: Reading,
    root: Path | None,
    required: bool,
) -> tuple[datasets.Dataset, list[str], int]:
    """Rows with points in ratios, in the column `columns.point`, notes, and `left_out`. See `ReadRows`."""
    (point,) = columns.of_byproduct("click")
    notes: list[str] = []
    left_out = 0
    source = rows
    joined = None
    if reading.points_file is not None:
        joined = join_points(rows, columns.image, reading.points_file, root, required)
        source = joined.table
        notes.append(joined.note)
    values, feature, name = point_values(source, reading, point)
    points = flat_points(values, name, with_negative=True)
    if points.negative:
        notes.append(f"{name}: {points.negative:,} points say where a class is not (sign -1)")
    sizes = stated_sizes(source, points.row) if reading.point_units == "pixels" else None
    if joined is not None:
        points, order = joined.of_rows(points)
        sizes = None if sizes is None else sizes[order]
    if reading.point_units == "pixels" and (sizes is None or columns.image in rows.column_names):
        points, sizes, more, left_out = sized_points(points, sizes, rows, columns.image, reading.whole)
        notes += more
    ratios = to_ratios(points, reading.point_units, name, sizes, reading.whole)
    several = is_list(labels.feature)
    if several and points.label is None and len(points.row):
        raise SourceError(
            f"column {name!r} has points without a class, but an image has several labels (column "
            f"{columns.label!r}): give points as a list of {{label, x, y}}."
        )
    numbers, class_feature, all_named = None, None, True
    if points.label is not None:
        class_feature = labels.feature.feature if several else labels.feature
        numbers = number_points(points, feature, class_feature, name)
        all_named = bool((numbers != constants.NO_LABEL).all())
        numbers, kept, more = of_unnamed(points, numbers, labels.values, name)
        numbers, ratios = numbers[kept], ratios[kept]
        points = points.only(kept)._replace(several=True)
        notes += more
        notes += strangers_note(points, numbers, labels.values, name)
    if joined is None and all_named and _is_plain(rows, point, reading, class_feature):
        return rows, notes, left_out
    array = point_column(points, ratios, numbers)
    feature = _point_feature(array, class_feature)
    return replace_column(rows, point, pa.chunked_array([array]), feature), notes, left_out


def point_values(source: datasets.Dataset, reading: Reading, point: str) -> tuple[pa.ChunkedArray, Any, str]:
    """The points' values, the feature of a point's label, and the column's name for messages.

    Args:
        source: The rows, or the table of the points.
        reading: Where its points are.
        point: The point column, if the reading names no columns of x and y.

    Raises:
        SourceError: a missing column, text that is no point, x and y that are no numbers.
    """
    x, y = reading.x, reading.y
    if reading.points_file is not None and reading.point is None:
        x, y = x or X, y or Y
    if (x is None) != (y is None):
        raise SourceError("--x_column and --y_column go together; give both.")
    if x is None or y is None:
        feature = require_column(source.features, point, "point_column")
        values = read_column(source, point)
        if is_text_type(values.type):
            values, feature = parsed_points(values, point)
            return values, feature.get(constants.LABEL), point
        while is_list(feature):
            feature = feature.feature
        label = feature.get(constants.LABEL) if isinstance(feature, dict) else None
        return values, label, point
    fields: dict[str, tuple[str, str]] = {X: (x, "x_column"), Y: (y, "y_column")}
    features = {name: require_column(source.features, *each) for name, each in fields.items()}
    if reading.points_file is not None:
        for name in (LABEL, WEIGHT, SIGN):
            if name in source.column_names:
                fields[name], features[name] = (name, ""), source.features[name]
    arrays = {name: read_column(source, each[0]) for name, each in fields.items()}
    table = pa.table({name: each.combine_chunks() for name, each in arrays.items()})
    for name, option in ((X, "x_column"), (Y, "y_column")):
        kind = table.schema.field(name).type
        while is_list(features[name]):
            features[name], kind = features[name].feature, kind.value_type
        if not (is_number_type(kind) or pa.types.is_null(kind)):
            raise SourceError(
                f"--{option} {fields[name][0]}: the column holds {kind}, but numbers are needed."
            )
    return table.to_struct_array(), features.get(constants.LABEL), f"{x}, {y}"


def _is_plain(rows: datasets.Dataset, column: str, reading: Reading, class_feature: Any) -> bool:
    """Whether training can read the column as stored."""
    if reading.x is not None or reading.point_units != "ratio" or column not in rows.column_names:
        return False
    feature = rows.features[column]
    if isinstance(feature, datasets.List):
        feature = feature.feature
        if (
            isinstance(feature, dict)
            and constants.LABEL in feature
            and feature[constants.LABEL] != class_feature
        ):
            return False
    elif class_feature is not None:
        return False
    if isinstance(feature, dict) and SIGN in feature:  # rows of a stream lose it all alike
        return False
    return isinstance(feature, dict) and all(
        isinstance(feature.get(name), datasets.Value) and "float" in feature[name].dtype for name in (X, Y)
    )


def _point_feature(array: pa.Array, class_feature: Any) -> Any:
    feature = datasets.Features.from_arrow_schema(pa.schema({"point": array.type}))["point"]
    if class_feature is not None:
        feature.feature[constants.LABEL] = class_feature
    return feature
