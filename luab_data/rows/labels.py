"""A label column in any of the common layouts -> class numbers.

One label per image is a class number, a `ClassLabel`, or a name. Several labels are a list of these, or a
multi-hot list with a 0 or 1 for each class.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.utils.logging import get_logger

from luab_data.console.names import few
from luab_data.console.text import printable
from luab_data.constants import NO_LABEL
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list, is_text_type, offsets_of, plain_list, require, valid
from luab_data.rows.label_values import text_labels, whole_numbers

logger = get_logger(__name__)

LabelFormat = Literal["auto", "indices", "multi_hot"]
MOST_CLASSES = 1_000_000  # a larger "class number" is some id
GAPS = "labels: class numbers in column"  # begins the note on numbers that do not occur
WHICH = "Say which: --label_format indices, or --label_format multi_hot."


class Labels(NamedTuple):
    """A label column as training reads it.

    Attributes:
        values: [N] class numbers, or lists of them.
        feature: int or `ClassLabel`, or a list of it.
        multi_hot: number of classes of multi-hot lists, or None.
        notes: messages on how an ambiguous column was read, one line each.
    """

    values: pa.ChunkedArray
    feature: Any
    multi_hot: int | None = None
    notes: tuple[str, ...] = ()


def names_no_class(label: Any) -> bool:
    """Whether the label of a point, box, mask, map or path says nothing: null, -1 and an empty text."""
    return label is None or label == NO_LABEL or (isinstance(label, str) and not label.strip())


def class_number(label: Any, column: str) -> int:
    """The class that an entry of a row names, where rows hold numbers.

    Raises:
        ValueError: it is no whole number, such as a name.
    """
    if isinstance(label, str) and label.strip().isdecimal():
        return int(label)
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        return int(label)
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return int(label)
    raise ValueError(
        f"column {column!r} has an entry with the label {label!r}; allowed are a class number, as in the "
        "column of the labels, and null."
    )


def read_labels(
    values: pa.ChunkedArray,
    feature: Any,
    column: str,
    label_format: LabelFormat = "auto",
    known: Sequence[str] | None = None,
) -> Labels:
    """Reads a label column of any layout, and checks every row.

    Args:
        values: [rows] the column as stored.
        feature: The column's feature in `datasets`.
        column: The column's name, for errors.
        label_format: How to read lists of 0 and 1.
        known: Names of all classes, if these rows are a part that may lack some. None: from the rows.

    Raises:
        SourceError: no labels, a row without a label, or ambiguous values.
    """
    row = np.arange(len(values))
    if not is_list(feature):
        if label_format != "auto":
            raise SourceError(
                f"--label_format is for lists of labels, but column {column!r} has one label an image."
            )
        if isinstance(feature, datasets.ClassLabel | datasets.Value):
            require(~valid(values), row, f"column {column!r} has no label", "Filter these rows out.")
        return class_numbers(values, row, feature, column, known)
    values = pa.chunked_array(
        [plain_list(chunk) for chunk in values.chunks], pa.list_(values.type.value_type)
    )
    require(
        ~valid(values),
        row,
        f"column {column!r} is null",
        "Filter these rows out; [] is 'none of the classes'.",
    )
    counts = pc.list_value_length(values).to_numpy()
    flat, row = pc.list_flatten(values), np.repeat(row, counts)
    require(~valid(flat), row, f"column {column!r} has null in its lists", "Leave it out of the lists.")
    layout = _multi_hot_note(flat, counts, feature.feature, column, label_format)
    if layout is not None:
        if known is not None and counts[0] != len(known):
            raise SourceError(f"column {column!r} has lists of {counts[0]} for {len(known)} classes.")
        return _from_multi_hot(values, counts[0], layout)
    labels = class_numbers(flat, row, feature.feature, column, known)
    lists = pa.ListArray.from_arrays(offsets_of(counts), _combined(labels.values))
    return labels._replace(values=pa.chunked_array([lists]), feature=datasets.List(labels.feature))


def with_names(labels: Labels, names: tuple[str, ...], column: str) -> Labels:
    """Labels with the names that the user gives. Raises SourceError if the column has other names."""
    several = is_list(labels.feature)
    feature = labels.feature.feature if several else labels.feature
    own = feature.names if isinstance(feature, datasets.ClassLabel) else None
    if own is not None and own != list(names) and labels.multi_hot is None:
        raise SourceError(
            f"--class_names: column {column!r} has names of its own: {few(own)}. Leave the option out."
        )
    feature = datasets.ClassLabel(names=list(names))
    note = f"labels: the {len(names):,} classes of column {column!r} are named by --class_names"
    notes = labels.notes if own is not None and labels.multi_hot is None else (*labels.notes, note)
    return labels._replace(feature=datasets.List(feature) if several else feature, notes=notes)


def say_notes(notes: Iterable[str]) -> None:
    """Says how ambiguous columns were read, for tools that have no place of their own for it."""
    for note in notes:
        logger.warning(f"{printable(note)}.")


def class_numbers(
    values: pa.ChunkedArray, row: np.ndarray, feature: Any, column: str, known: Sequence[str] | None = None
) -> Labels:
    """Class numbers or names [P], none null -> numbers [P]. `row`: [P] the row of each, for messages."""
    if not isinstance(feature, datasets.ClassLabel | datasets.Value):
        raise SourceError(f"column {column!r} holds {_kind(feature)}, but class numbers or names are needed.")
    if not len(values) and known is None and not isinstance(feature, datasets.ClassLabel):
        raise SourceError(f"column {column!r} holds no label at all.")
    if is_text_type(values.type):
        text = text_labels(values, row, column, known)
        return Labels(text.numbers, datasets.ClassLabel(names=text.names), notes=(text.note,))
    if pa.types.is_boolean(values.type):
        note = f"labels: the classes are false and true of column {column!r}"
        return Labels(values.cast(pa.int64()), datasets.ClassLabel(names=["false", "true"]), notes=(note,))
    notes: tuple[str, ...] = ()
    if pa.types.is_floating(values.type) and isinstance(feature, datasets.Value):
        values = whole_numbers(values, row, column)
        notes = (f"labels: column {column!r} has whole numbers as {feature.dtype}, read as class numbers",)
    if not pa.types.is_integer(values.type):
        raise SourceError(
            f"column {column!r} holds {_kind(feature)}, but class numbers or names are needed: cast it "
            f"with dataset.cast_column({column!r}, Value('int64'))."
        )
    declared = isinstance(feature, datasets.ClassLabel)
    count = len(feature.names) if declared else MOST_CLASSES if known is None else len(known)
    found = values.to_numpy()
    require(
        (found < 0) | (found >= count), row,
        f"column {column!r} has a label that is none of 0 to {count - 1}",
        _without_class(found, column, count) if known is None else f"The {count:,} classes are {few(known)}.",
        lambda first: str(found[first]),
    )  # fmt: skip
    notes += () if declared or known is not None else _gaps(found, column)
    return Labels(values.cast(pa.int64()), feature if declared else datasets.Value("int64"), notes=notes)


def _without_class(found: np.ndarray, column: str, count: int) -> str:
    """The fix for numbers that are not a class."""
    if (found >= count).any() and count == MOST_CLASSES:
        return f"Ids are read as names: dataset.cast_column({column!r}, Value('string'))."
    if set(np.unique(found).tolist()) == {-1, 1}:
        return "Lists of -1 and 1 are multi-hot with 0 instead of -1."
    return "Filter these rows out: they have no class."


def _gaps(found: np.ndarray, column: str) -> tuple[str, ...]:
    """A note on class numbers, from 0 to the largest, that do not occur."""
    absent = np.flatnonzero(np.bincount(found) == 0)
    if not len(absent):
        return ()
    return (
        f"{GAPS} {column!r} go up to {found.max()}, but no row has "
        f"{few(absent.tolist())}: such classes are counted all the same. Numbers stored as text are names, "
        "and only those that occur are classes",
    )


def _multi_hot_note(
    flat: pa.ChunkedArray, counts: np.ndarray, feature: Any, column: str, label_format: LabelFormat
) -> str | None:
    """A line that says that lists are read as multi-hot; None: they are lists of classes.

    Lists of classes name no class twice; multi-hot lists of three and more classes must have a value twice.
    """
    if label_format == "indices" or not len(counts):
        return None
    floats, bools = pa.types.is_floating(flat.type), pa.types.is_boolean(flat.type)
    if floats and label_format == "auto" and _whole_above_one(flat):
        return None
    certain = label_format == "multi_hot" or floats or bools
    size = int(counts[0])
    even = bool((counts == size).all())
    if is_text_type(flat.type) and even and size > 1 and set(pc.unique(flat).to_pylist()) <= {"0", "1"}:
        raise SourceError(
            f"column {column!r} holds lists of the texts '0' and '1'. Store them as numbers if they are "
            "multi-hot, a 0 or 1 for each class; --label_format indices takes them for two classes' names."
        )
    if not certain and not pa.types.is_integer(flat.type):
        return None
    binary = even and size > 0 and set(pc.unique(flat).to_pylist()) <= {0, 1}
    if certain:
        if not binary:
            odd = "values other than 0 and 1" if even else "lists of different lengths"
            raise SourceError(
                f"column {column!r} holds lists of {flat.type}, which can only be multi-hot, a 0 or 1 "
                f"for each class, but it has {odd}. Lists of classes hold class numbers (integers) or names."
                if label_format == "auto"
                else f"--label_format multi_hot: column {column!r} has {odd}."
            )
        return f"labels: column {column!r} is read as multi-hot, a 0 or 1 for each of {size} classes"
    declared = isinstance(feature, datasets.ClassLabel)
    if not binary or size < 2 or (declared and len(feature.names) > 2):
        return None
    pairs = flat.to_numpy().reshape(-1, size)[:, :2]
    if declared or (size == 2 and (pairs[:, 0] != pairs[:, 1]).all()):
        raise SourceError(
            f"column {column!r} can be read in two ways: its lists of {size} hold only 0 and 1, which may be "
            f"two classes, or a 0 or 1 for each of {size} classes. {WHICH}"
        )
    return (
        f"labels: column {column!r} is read as multi-hot, a 0 or 1 for each of {size} classes "
        "(label format indices reads lists of class numbers)"
    )


def _whole_above_one(flat: pa.ChunkedArray) -> bool:
    """Whether floats are class numbers: all are whole, and some are no 0 or 1."""
    found = flat.to_numpy()
    return bool(np.isfinite(found).all() and (found == np.round(found)).all() and (found > 1).any())


def _from_multi_hot(values: pa.ChunkedArray, size: int, note: str) -> Labels:
    """Lists of 0 and 1 -> lists of class numbers, chunk by chunk to save memory."""
    chunks = []
    for chunk in values.chunks:
        owner, number = np.nonzero(pc.list_flatten(chunk).to_numpy(zero_copy_only=False).reshape(-1, size))
        counts = np.bincount(owner, minlength=len(chunk))
        chunks.append(pa.ListArray.from_arrays(offsets_of(counts), pa.array(number, pa.int64())))
    names = [str(number) for number in range(size)]
    feature = datasets.List(datasets.ClassLabel(names=names))
    return Labels(pa.chunked_array(chunks, pa.list_(pa.int64())), feature, int(size), (note,))


def _combined(values: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _kind(feature: Any) -> str:
    if isinstance(feature, dict):
        return f"{{{', '.join(feature)}}}"
    return getattr(feature, "dtype", None) or str(feature)
