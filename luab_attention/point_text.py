"""Points stored as text: JSON, as in a cell of a CSV or a member of a WebDataset, or two numbers."""

import json
import re
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from luab_attention.points import LABEL, LAYOUTS, SIGN, WEIGHT, X, Y
from luab_data.rows.arrow import OddRows

SHOWN = 60  # characters of a text in a message
_NUMBER = r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"
_PAIR = re.compile(rf"\s*(\(\s*)?{_NUMBER}\s*[,;\s]\s*{_NUMBER}\s*(?(1)\)\s*)")


def parsed_points(values: pa.ChunkedArray, column: str) -> tuple[pa.ChunkedArray, Any]:
    """Texts [N] -> points as `flat_points` reads them, and the feature of a point.

    A text is a point `{"x": 0.5, "y": 0.3}` or `[0.5, 0.3]`, a list of these, or `0.5, 0.3`, `0.5;0.3`,
    `(0.5, 0.3)`. Fields other than x, y, weight, sign and label are ignored. An empty text is no point.

    Raises:
        OddRows: a text that is none of these.
    """
    rows = [_points_of(text, number, column) for number, text in enumerate(values.to_pylist())]
    single = all(row is None or isinstance(row, dict) for row in rows)
    every = [p for row in rows for p in (row if isinstance(row, list) else [row]) if p is not None]
    fields = {X: pa.float64(), Y: pa.float64()}
    for name in (WEIGHT, SIGN):
        if any(name in point for point in every):
            fields[name] = pa.float64()
    if any(LABEL in point for point in every):
        text_labels = any(isinstance(point.get(LABEL), str) for point in every)
        fields[LABEL] = pa.string() if text_labels else pa.int64()
    if not single:
        rows = [[row] if isinstance(row, dict) else row for row in rows]
    kind = pa.struct(fields)
    try:
        array = pa.array(rows, kind if single else pa.list_(kind))
    except (pa.ArrowException, OverflowError) as error:
        raise OddRows(
            f"column {column!r} has points as text of different kinds",
            f"{len(rows)} rows",
            str(error),
            LAYOUTS,
        ) from error
    feature = datasets.Features.from_arrow_schema(pa.schema({"point": kind}))["point"]
    return pa.chunked_array([array]), feature


def _points_of(text: str | None, number: int, column: str) -> Any:
    """A point as a dict, a list of them, or None."""
    if text is None or not text.strip():
        return None
    if pair := _PAIR.fullmatch(text):
        try:
            return _point([float(pair[2]), float(pair[3])])
        except ValueError as error:
            raise _odd(text, number, column) from error
    try:
        value = json.loads(text)
        if value is None:
            return None
        if isinstance(value, dict) or (len(value) == 2 and not isinstance(value[0], dict | list)):
            return _point(value)
        return [_point(each) for each in value]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _odd(text, number, column) from error


def _point(value: Any) -> dict[str, Any]:
    """A point's fields. Raises TypeError, KeyError or ValueError if it is none."""
    if isinstance(value, list):
        x, y = value
        value = {X: x, Y: y}
    found = {name: value[name] for name in (X, Y)} | {
        name: value[name] for name in (WEIGHT, SIGN, LABEL) if value.get(name) is not None
    }
    numbers = [number for name, number in found.items() if name != LABEL]
    label = found.get(LABEL, 0)
    if not all(_is_number(each) for each in numbers) or not (
        isinstance(label, str) or (_is_number(label) and float(label).is_integer())
    ):
        raise TypeError("a point's fields are numbers, and its label is a class number or a name")
    if LABEL in found and not isinstance(label, str):
        found[LABEL] = int(label)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _odd(text: str, number: int, column: str) -> OddRows:
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return OddRows(
        f"column {column!r} holds text that is no point",
        f"row {number}",
        repr(shown),
        f"{LAYOUTS} As text: JSON of these, or two numbers, 0.5, 0.3; an empty text is no point.",
    )
