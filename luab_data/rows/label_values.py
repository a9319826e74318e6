"""Labels stored as text or as floats -> names or whole numbers. What is in doubt is an error."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_data.console.names import few
from luab_data.console.text import did_you_mean
from luab_data.errors import SourceError
from luab_data.files.table_text import utf8
from luab_data.rows.arrow import require, valid
from luab_data.rows.class_names import plain

_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_WHOLE = re.compile(r"([0-9]{1,18})(\.0{1,18})?")


class TextLabels(NamedTuple):
    """Labels that are text.

    Attributes:
        numbers: [P] int64, the position of each among the names.
        names: the class names.
        note: how they were read, in one line.
    """

    numbers: pa.ChunkedArray
    names: list[str]
    note: str


def text_labels(
    values: pa.ChunkedArray, row: np.ndarray, column: str, known: Sequence[str] | None = None
) -> TextLabels:
    """Names [P], none null -> their numbers.

    Surrounding spaces are left out, and the note says so. Names that are numbers are sorted by number.

    Args:
        values: [P] the names.
        row: [P] the row of each, for messages.
        column: The column's name, for messages.
        known: The names of all classes. None: those that occur.

    Raises:
        SourceError: an empty name, one that is not known, numbers that are not whole, or two names that
            differ only in case, spaces or underscores.
    """
    trimmed = pc.utf8_trim_whitespace(values)
    spaces = not pc.all(pc.equal(trimmed, values), min_count=0).as_py()
    empty = pc.equal(pc.utf8_length(trimmed), 0).to_numpy()
    require(empty, row, f"column {column!r} has an empty label", "Filter these rows out: they have no class.")
    found = pc.unique(trimmed).to_pylist()
    numeric = bool(found) and all(map(_NUMBER.fullmatch, found if known is None else known))
    if numeric:
        trimmed, found = _whole(trimmed, found, row, column)
    names = _sorted(found, numeric, column) if known is None else list(known)
    numbers = pc.index_in(trimmed, pa.array(names, trimmed.type)).cast(pa.int64())
    require(
        ~valid(numbers), row, f"column {column!r} has a label that is none of the {len(names):,} classes",
        f"These are {few(names)}.",
        lambda first: f"{trimmed[first].as_py()!r}{did_you_mean(trimmed[first].as_py(), names)}",
    )  # fmt: skip
    what = "numbers as text, sorted by number" if numeric else "names as text, sorted"
    if known is not None:
        what = f"{'numbers' if numeric else 'names'} as text, of classes that are known"
    left_out = ", without the spaces around them" if spaces else ""
    return TextLabels(
        numbers, names, f"labels: column {column!r} has {len(names):,} {what}{left_out}: {few(names)}"
    )


def given_names(text: str) -> tuple[str, ...]:
    """The class names of `--class_names`: `cat,dog`, or a text file with one name a line.

    Raises:
        SourceError: fewer than two names, an empty one, or two that differ only in case, spaces or
            underscores.
    """
    path = Path(text)
    names = [name.strip() for name in text.split(",")]
    if path.is_file():  # blank lines are left out
        names = [line.strip() for line in utf8(path.read_bytes(), text).splitlines() if line.strip()]
    problem = None
    if len(names) < 2:
        problem = "that is one name" if any(names) else "there is no name"
    elif "" in names:
        problem = f"name {names.index('') + 1} of {len(names)} is empty"
    elif len(forms := set(map(plain, names))) < len(names):
        first = next(name for at, name in enumerate(names) if plain(name) in map(plain, names[:at]))
        problem = f"{first} is there twice, as only {len(forms)} of {len(names)} names differ"
    if problem is not None:
        raise SourceError(
            f"--class_names {text}: {problem}. Give two or more different names, "
            "as cat,dog, or a text file of one name a line."
        )
    return tuple(names)


def whole_numbers(values: pa.ChunkedArray, row: np.ndarray, column: str) -> pa.ChunkedArray:
    """Floats [P] that are whole -> int64. `row`: [P] the row of each, for messages.

    Raises:
        SourceError: NaN, which is no label, or a number that is not whole.
    """
    found = values.cast(pa.float64()).to_numpy()
    require(np.isnan(found), row, f"column {column!r} has no label", "Filter these rows out.")
    odd = ~(np.isfinite(found) & (found == np.round(found)) & (np.abs(found) < 2**53))
    require(
        odd, row, f"column {column!r} has a label that is no whole number",
        "A class is a number from 0, or a name: store names as text.", lambda first: f"{found[first]:g}",
    )  # fmt: skip
    return pa.chunked_array([pa.array(found.astype(np.int64))])


def _whole(
    values: pa.ChunkedArray, found: list[str], row: np.ndarray, column: str
) -> tuple[pa.ChunkedArray, list[str]]:
    """Numbers as text, "3" or "3.0" -> "3"."""
    odd = {text for text in found if _NUMBER.fullmatch(text) and not _WHOLE.fullmatch(text)}
    if odd:
        where = pc.is_in(values, pa.array(sorted(odd), values.type)).to_numpy()
        require(
            where, row, f"column {column!r} has a label that is no whole number from 0",
            "Filter these rows out, or give each class a name.", lambda first: repr(values[first].as_py()),
        )  # fmt: skip
    short = {text: match[1] for text in found if (match := _WHOLE.fullmatch(text)) and match[2]}
    if not short:
        return values, found
    place = pc.index_in(values, pa.array(found, values.type))
    whole = pa.array([short.get(text, text) for text in found], values.type)
    return pc.take(whole, place), list(dict.fromkeys(whole.to_pylist()))


def _sorted(found: list[str], numeric: bool, column: str) -> list[str]:
    """The names in order. Raises SourceError if two of them may be one class."""
    same: dict[str, str] = {}
    for name in sorted(found):
        form = str(int(name)) if numeric else plain(name)
        if (first := same.setdefault(form, name)) != name:
            how = "are the same number" if numeric else "differ only in case, spaces or underscores"
            raise SourceError(
                f"column {column!r} has two names that {how}: {first!r} and {name!r}. Write each class in "
                "one way, or number the classes yourself (dataset.cast_column with a ClassLabel)."
            )
    return sorted(found, key=int) if numeric else sorted(found)
