"""Converts the evaluation set's class numbers to those of the training set, by class name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.fingerprint import Hasher
from datasets.utils.logging import get_logger

from luab_data.adapters.hf_datasets import fingerprint_of
from luab_data.console.names import few
from luab_data.constants import CLASS_NAME, NO_LABEL, OTHER_CLASS
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list, offsets_of, plain_list, replace_column
from luab_data.rows.class_names import Names, match

logger = get_logger(__name__)


def with_classes_of(train: datasets.Dataset, other: datasets.Dataset, label: str) -> datasets.Dataset:
    """`other` with the class numbers of `train`; one line reports changes.

    Classes are matched by name (`class_names.match`); a column `class_name` has more names. All columns of
    `other` with class numbers change: labels, points, boxes.

    Args:
        train: The training set.
        other: The set to evaluate on.
        label: The column of the class or the list of classes, in both.

    Raises:
        SourceError: no such column, one label against several, numbers without names, or a row's class that
            is not in the training set.
    """
    if label not in other.column_names:
        raise SourceError(
            f"the evaluation set has no column {label!r}; it has {few(other.column_names)}. Give it the "
            "training set's column of classes."
        )
    one, two = train.features[label], other.features[label]
    if one == two:
        return other
    if is_list(one) != is_list(two):
        raise SourceError(
            f"column {label!r} holds {_count(one)} in the training set and {_count(two)} in the evaluation "
            "set. Both must be the same."
        )
    one, two = class_feature(one), class_feature(two)
    if _is_number(one) and _is_number(two):
        return other
    if _is_number(two) and _names_numbers(one):
        # Numbers stored as text there, as numbers here.
        own = datasets.ClassLabel(names=[str(k) for k in range(1 + max(_numbers(other, label), default=0))])
        other = _with_feature(other, label, _replaced(other.features[label], two, own))
        two = own
    elif _is_number(one) and _names_numbers(two):
        most = max(_numbers(train, label), default=0)
        numbered = datasets.ClassLabel(num_classes=1 + most)
        named = _with_feature(train, label, _replaced(train.features[label], one, numbered))
        return _with_feature(with_classes_of(named, other, label), label, train.features[label])
    if not (isinstance(one, datasets.ClassLabel) and isinstance(two, datasets.ClassLabel)):
        raise SourceError(
            f"column {label!r} holds {_kind(one)} in the training set and {_kind(two)} in the evaluation "
            "set, so that the classes cannot be compared. Both need names (datasets.ClassLabel): see "
            "dataset.class_encode_column and dataset.cast_column."
        )
    known, wanted = class_names_of(train, label), class_names_of(other, label)
    found = match(wanted, known, "class of the evaluation set", "the training set's")
    return _renumbered(other, label, one, two, found)


def _with_feature(rows: datasets.Dataset, column: str, feature: Any) -> datasets.Dataset:
    """The rows with this feature for a column of numbers, which stay."""
    values = rows.select_columns(column).with_format("arrow")[:][column]
    return replace_column(rows, column, values, feature)


def class_feature(feature: Any) -> Any:
    """The feature of one class: for a column of lists, of the list's items."""
    return feature.feature if is_list(feature) else feature


def class_names_of(rows: datasets.Dataset, label: str) -> list[Names]:
    """The names of each class: from the ClassLabel, then from the column `class_name`."""
    feature = rows.features[label]
    names: list[Names] = [(name,) for name in class_feature(feature).names]
    if CLASS_NAME not in rows.column_names or is_list(feature):
        return names
    table = rows.select_columns([label, CLASS_NAME]).with_format("arrow")[:]
    pairs = table.group_by([label, CLASS_NAME]).aggregate([]).to_pydict()
    for number, readable in zip(pairs[label], pairs[CLASS_NAME], strict=True):
        if number is not None and number >= 0 and readable and readable not in names[number]:
            names[number] = (*names[number], readable)
    return names


def _renumbered(
    rows: datasets.Dataset,
    label: str,
    known: datasets.ClassLabel,
    own: datasets.ClassLabel,
    found: Sequence[int | None],
) -> datasets.Dataset:
    """`rows` with the number `found[k]` in place of k, in all columns of the class feature `own`."""
    used = _numbers(rows, label)
    strangers = [own.names[number] for number in used if found[number] is None]
    if strangers:
        raise SourceError(
            f"{len(strangers):,} of the {len(used):,} classes in the evaluation set are none of the training "
            f"set's {len(known.names):,}: {few(strangers)}. The training set has {few(known.names)}. Leave "
            "their rows out, or give the classes the training set's names."
        )
    # A box or a point may be of a class that is no row's label. No class, -1, would be the image's own.
    mapping = np.array([OTHER_CLASS if number is None else number for number in found])
    mapping = np.append(mapping, [OTHER_CLASS, NO_LABEL])  # of -2 and -1
    for column in rows.column_names:
        feature = rows.features[column]
        if _holds(feature, own):
            values = rows.select_columns(column).with_format("arrow")[:][column]
            renumbered = [_mapped(chunk, feature, own, mapping) for chunk in values.chunks]
            values = pa.chunked_array(renumbered, None if renumbered else values.type)
            fingerprint = Hasher.hash([fingerprint_of(rows), column, mapping.tolist(), known.names])
            rows = replace_column(rows, column, values, _replaced(feature, own, known), fingerprint)
    moved = [number for number in used if found[number] != number]
    renamed = [number for number in used if own.names[number] != known.names[found[number]]]
    if moved or renamed:
        shown = [f"{own.names[k]} is {known.names[found[k]]} ({k} -> {found[k]})" for k in (renamed or moved)]
        logger.warning(
            f"The evaluation set's classes are matched by name to the training set's: {few(shown, 3)}."
        )
    return rows


def _numbers(rows: datasets.Dataset, label: str) -> list[int]:
    """The class numbers that occur."""
    values = rows.select_columns(label).with_format("arrow")[:][label].combine_chunks()
    if is_list(rows.features[label]):
        values = values.flatten()
    return sorted(number for number in values.unique().to_pylist() if number is not None and number >= 0)


def _names_numbers(feature: Any) -> bool:
    """Whether the names of the classes are numbers."""
    return isinstance(feature, datasets.ClassLabel) and all(map(str.isdecimal, feature.names))


def _holds(feature: Any, own: datasets.ClassLabel) -> bool:
    if isinstance(feature, dict):
        return any(_holds(part, own) for part in feature.values())
    return _holds(feature.feature, own) if is_list(feature) else feature == own


def _replaced(feature: Any, own: Any, known: datasets.ClassLabel) -> Any:
    if isinstance(feature, dict):
        return {name: _replaced(part, own, known) for name, part in feature.items()}
    if is_list(feature):
        length = {"length": feature.length} if isinstance(feature, datasets.List) else {}
        return type(feature)(_replaced(feature.feature, own, known), **length)
    return known if feature == own else feature


def _mapped(values: pa.Array, feature: Any, own: datasets.ClassLabel, mapping: np.ndarray) -> pa.Array:
    """Values as Arrow stores them, with other class numbers; images beside these stay files."""
    if not _holds(feature, own):
        return values
    mask = values.is_null()
    if isinstance(feature, dict):
        parts = [_mapped(pc.struct_field(values, name), part, own, mapping) for name, part in feature.items()]
        return pa.StructArray.from_arrays(parts, names=list(feature), mask=mask)
    if is_list(feature):
        values = plain_list(values)
        counts = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        inner = _mapped(pc.list_flatten(values), feature.feature, own, mapping)
        return pa.ListArray.from_arrays(offsets_of(counts), inner, mask=mask)
    numbers = pc.fill_null(values, NO_LABEL).to_numpy(zero_copy_only=False)
    return pa.array(mapping[numbers], mask=mask.to_numpy(zero_copy_only=False))


def _is_number(feature: Any) -> bool:
    return isinstance(feature, datasets.Value) and "int" in feature.dtype


def _count(feature: Any) -> str:
    return "a list of classes" if is_list(feature) else "one class"


def _kind(feature: Any) -> str:
    if isinstance(feature, datasets.ClassLabel):
        return f"{len(feature.names):,} named classes ({few(feature.names)})"
    return "class numbers without names" if _is_number(feature) else str(feature)
