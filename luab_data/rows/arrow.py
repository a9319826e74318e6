"""Columns of a dataset as Arrow: by name, or by a path into a nested one (`json.click`)."""

from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.fingerprint import Hasher

from luab_data.adapters.hf_datasets import fingerprint_of, stored_order
from luab_data.errors import SourceError


class OddRows(SourceError):
    """Some rows are unreadable.

    Attributes:
        plain: the message without row numbers, for callers that number rows differently.
    """

    def __init__(self, what: str, where: str, shown: str, fix: str):
        super().__init__(f"{what} ({where}{f': {shown}' if shown else ''}). {fix}")
        self.plain = f"{what}{f' ({shown})' if shown else ''}. {fix}"


# The fix for a missing column, besides setting its option.
FIXES = {
    "point_column": "Set --point_column, or --x_column and --y_column, give a table of points with "
    "--points_file, or take --loss none.",
    "annotations_column": "Set --annotations_column, or take --byproduct click.",
}


def column_path(names: list[str], wanted: str) -> tuple[str, list[str]] | None:
    """A column and the fields below it that `wanted` names: "json.click" -> ("json", ["click"]).

    The longest column name wins, because names may contain dots. None: there is no such column.
    """
    parts = wanted.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in names:
            return name, parts[end:]
    return None


def has_column(features: datasets.Features, wanted: str) -> bool:
    """Whether there is such a column or nested field."""
    return _feature(features, wanted) is not None


def require_column(
    features: datasets.Features, wanted: str, option: str
) -> datasets.features.features.FeatureType:
    """The column's feature.

    Raises:
        SourceError: there is no such column or field; the message lists the existing ones.
    """
    feature = _feature(features, wanted)
    if feature is None:
        path = column_path(list(features), wanted)
        there = f"it has {', '.join(features)}"
        if path is not None:
            there = f"{path[0]!r} holds {fields_of(features[path[0]])}"
        fix = FIXES.get(option, f"Set --{option}.")
        raise SourceError(f"the dataset has no column {wanted!r}; {there}. {fix}")
    return feature


def _feature(features: datasets.Features, wanted: str) -> datasets.features.features.FeatureType | None:
    path = column_path(list(features), wanted)
    if path is None:
        return None
    feature = features[path[0]]
    for field in path[1]:
        feature = _field(feature, field)
        if feature is None:
            return None
    return feature


def _field(
    feature: datasets.features.features.FeatureType, name: str
) -> datasets.features.features.FeatureType | None:
    """The feature of a field, also inside lists."""
    if isinstance(feature, dict):
        return feature.get(name)
    if is_list(feature):
        inner = _field(feature.feature, name)
        return None if inner is None else datasets.List(inner)
    return None


def is_list(feature: datasets.features.features.FeatureType) -> bool:
    """Whether a column holds lists, including Polars' large lists."""
    return isinstance(feature, datasets.List | datasets.LargeList)


def fields_of(feature: datasets.features.features.FeatureType) -> str:
    """The content of a column in words, for messages."""
    while is_list(feature):
        feature = feature.feature
    if isinstance(feature, dict):
        return f"the fields {', '.join(feature)}" if feature else "no fields"
    return str(getattr(feature, "dtype", feature))


def read_column(rows: datasets.Dataset, wanted: str) -> pa.ChunkedArray:
    """The values of a column or nested field, as stored.

    `in_order` brings results into the order of the rows. With the formatting of `datasets`, each row of a
    shuffled dataset would be a separate array.
    """
    path = column_path(rows.column_names, wanted)
    if path is None:
        raise KeyError(f"there is no column {wanted!r}; the columns are {', '.join(rows.column_names)}")
    name, fields = path
    return nested(rows.data.column(name), fields)


def in_order(rows: datasets.Dataset, stored: np.ndarray) -> np.ndarray:
    """Results for the stored rows -> results for the rows, in their order."""
    order = stored_order(rows)
    return stored if order is None else stored[order]


def nested(values: pa.ChunkedArray, fields: list[str]) -> pa.ChunkedArray:
    """A nested field of a column's values, also inside lists."""
    chunks = list(values.chunks) or [pa.array([], values.type)]
    for field in fields:
        chunks = [_field_values(chunk, field) for chunk in chunks]
    return pa.chunked_array(chunks)


def _field_values(values: pa.Array, field: str) -> pa.Array:
    if not is_list_type(values.type):
        return pc.struct_field(values, field)
    values = plain_list(values)
    counts = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    inner = _field_values(pc.list_flatten(values), field)
    return pa.ListArray.from_arrays(
        offsets_of(counts), inner, mask=values.is_null() if values.null_count else None
    )


def is_list_type(kind: pa.DataType) -> bool:
    """list, large_list (Polars), fixed_size_list."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_number_type(kind: pa.DataType) -> bool:
    """Integers and floats."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def is_text_type(kind: pa.DataType) -> bool:
    """Whether it is string or large_string."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def plain_list(values: pa.Array) -> pa.Array:
    """Any kind of list as `pa.list_`: the functions of Arrow treat null entries of the others differently."""
    return values if pa.types.is_list(values.type) else values.cast(pa.list_(values.type.value_type))


def offsets_of(counts: np.ndarray) -> pa.Array:
    """Numbers of entries [N] -> the offsets [N + 1] of a list array."""
    return pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())


def replace_column(
    rows: datasets.Dataset,
    name: str,
    values: pa.ChunkedArray,
    feature: datasets.features.features.FeatureType,
    fingerprint: str | None = None,
) -> datasets.Dataset:
    """The rows with this column added or replaced; the other columns are not copied.

    Args:
        rows: The dataset.
        name: The column.
        values: [rows] its values, in the order of the rows.
        feature: Their type in `datasets`.
        fingerprint: Fingerprint of the result. Default: `datasets` computes it from all bytes of the column.
    """
    if name in rows.column_names:
        rows = rows.remove_columns(name)
    feature_type = datasets.Features({name: feature}).arrow_schema.field(name).type
    return rows.add_column(name, values.cast(feature_type), feature=feature, new_fingerprint=fingerprint)


def with_feature(rows: datasets.Dataset, name: str, feature: Any) -> datasets.Dataset:
    """The rows with another feature of the same stored type for a column, such as images that stay files."""
    features = rows.features.copy()
    features[name] = feature
    table = rows.data.cast(features.arrow_schema)
    fingerprint = Hasher.hash([fingerprint_of(rows), name, repr(feature)])  # not of all bytes of the table
    found = datasets.Dataset(table, info=datasets.DatasetInfo(features=features), fingerprint=fingerprint)
    order = stored_order(rows)
    return found if order is None else found.select(order)


def require(
    odd: np.ndarray, row: np.ndarray, what: str, fix: str, show: Callable[[int], str] | None = None
) -> None:
    """Check entries of a column.

    Args:
        odd: [P] which entries are wrong.
        row: [P] the row of each.
        what: the problem, beginning with the column.
        fix: what to do.
        show: formats entry number i for the message.

    Raises:
        OddRows: some are wrong; the message has the number of rows, and the first.
    """
    found = np.flatnonzero(odd)
    if not len(found):
        return
    count, first = len(np.unique(row[found])), found[0]
    where = f"in {count} rows, the first is row {row[first]}" if count > 1 else f"in row {row[first]}"
    raise OddRows(what, where, "" if show is None else show(first), fix)


def valid(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Which values are not null, bool [N]."""
    found = pc.is_valid(values)
    return found.to_numpy() if isinstance(found, pa.ChunkedArray) else found.to_numpy(zero_copy_only=False)
