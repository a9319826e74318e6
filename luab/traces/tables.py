"""Tables with one line a trace or a sample: CSV or Parquet, written line by line."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from luab.traces.rows import SIZES, ClassBoxes, TraceRows, scale_of, size_of
from luab_attention.columns import ATTENTION_SOURCE
from luab_attention.traces.export import PYMOVEMENTS, pymovements_rows
from luab_attention.traces.features import FEATURES, Thresholds, features
from luab_attention.traces.fixations import is_even
from luab_data.console.text import printable
from luab_data.constants import LABEL, OBJECTS
from luab_data.errors import SourceError
from luab_data.files.durable import put

BATCH = 4096  # lines in memory
SUFFIXES = (".csv", ".tsv", ".parquet")
FORMULA = ("=", "+", "-", "@")  # first characters of a text that spreadsheets run

_TYPES = {"count": pa.int64(), "bool": pa.bool_()}
FEATURE_SCHEMA = pa.schema(
    [
        ("row", pa.int64()), ("image_id", pa.string()), ("trace", pa.int64()), ("annotator", pa.string()),
        ("task", pa.string()), ("label", pa.int64()),
        *((name, _TYPES.get(unit, pa.float64())) for name, (unit, _) in FEATURES.items()),
    ]
)  # fmt: skip
_TEXT, _NUMBER, _REAL = pa.string(), pa.int64(), pa.float64()
PYMOVEMENTS_SCHEMA = pa.schema(
    list(
        zip(
            PYMOVEMENTS,
            (_NUMBER, _TEXT, _NUMBER, _TEXT, _TEXT, _NUMBER, _REAL, _REAL, _REAL, _REAL),
            strict=True,
        )
    )
)


def write_features(
    traced: TraceRows, out: Path, boxes: ClassBoxes | None, units: str, thresholds: Thresholds | None
) -> tuple[int, int, int]:
    """One line of `FEATURES` for each trace.

    Returns the numbers of lines, of entries without a sample, and of traces without a fixed rate.
    """
    written = empty = uneven = 0
    sizes = () if boxes is None and units == "ratio" else SIZES  # images cost time
    columns = (*sizes, OBJECTS, LABEL, ATTENTION_SOURCE)
    with table(out, FEATURE_SCHEMA) as add:
        for number, image_id, row, paths in traced.read(*columns):
            if not any(map(len, paths)):
                empty += len(paths)
                continue
            own, scale = None if boxes is None else boxes(row), scale_of(row, units)
            for at, path in enumerate(paths):
                if not len(path):
                    empty += 1
                    continue
                line = features(path, own, scale, thresholds)
                add((number, image_id, at, path.annotator, path.task, path.label, *line.values()))
                written += 1
                uneven += path.duration is None and not is_even(path)
    return written, empty, uneven


def write_pymovements(traced: TraceRows, out: Path) -> tuple[int, int, int]:
    """The samples in pymovements' columns.

    Returns the numbers of traces, of entries without a sample, and of traces without times.
    """
    written = empty = timeless = 0
    with table(out, PYMOVEMENTS_SCHEMA) as add:
        for number, image_id, row, paths in traced.read(*SIZES):
            for at, path in enumerate(paths):
                if not len(path):
                    empty += 1
                    continue
                for line in pymovements_rows(number, image_id, at, path, size_of(row)):
                    add(line)
                written += 1
                timeless += path.time is None
    return written, empty, timeless


def require_table(path: Path, option: str) -> None:
    """Raises SourceError unless the file's name says CSV, TSV or Parquet."""
    if path.suffix.lower() not in SUFFIXES:
        raise SourceError(f"{option} {path}: the name must end in {', '.join(SUFFIXES)}.")


@contextmanager
def table(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """Gives a function that adds a line, values in the schema's order; the file is there when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    if path.suffix.lower() == ".parquet":
        with pq.ParquetWriter(partial, schema) as writer:
            lines: list[Sequence[Any]] = []

            def add(line: Sequence[Any]) -> None:
                lines.append(line)
                if len(lines) == BATCH:
                    _write(writer, schema, lines)

            yield add
            _write(writer, schema, lines)
    else:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        with partial.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            rows.writerow(schema.names)
            yield lambda line: rows.writerow([_cell(value) for value in line])
    put(partial, path)


def _write(writer: pq.ParquetWriter, schema: pa.Schema, lines: list[Sequence[Any]]) -> None:
    if lines:
        columns = zip(*lines, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        lines.clear()


def _cell(value: Any) -> Any:
    """Text that is one line, and no formula where a spreadsheet opens it."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text
