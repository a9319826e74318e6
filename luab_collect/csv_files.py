"""CSV files that a project names, strictly: a header, known columns, a value for each."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from luab_data.console.text import did_you_mean
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular
from luab_data.files.table_text import separator_hint, utf8

MAX_BYTES = 1 << 30


class Line(NamedTuple):
    """A line of a CSV, and where it is, for messages."""

    where: str
    values: dict[str, str]  # of the columns that are not empty


def read_table(path: str | Path, columns: Sequence[str], needed: Sequence[str], role: str) -> Iterator[Line]:
    """The lines of a CSV in UTF-8 with a header; empty lines are skipped.

    Args:
        path: The file.
        columns: The columns that it may have.
        needed: Those that it must have.
        role: The option or setting that names it, for errors.

    Raises:
        SourceError: names the file, the line and what is allowed.
    """
    name = f"{role} {str(path)!r}"
    try:
        text = utf8(read_regular(Path(path), MAX_BYTES), name)
    except RejectedRecord as error:
        raise SourceError(f"{name}: {error.reason}.") from error
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [each.strip() for each in next(table, [])]
        _check_header(header, columns, needed, name)
        for values in table:
            if not any(map(str.strip, values)):
                continue
            where = f"{name}, line {table.line_num}"
            if len(values) != len(header):
                raise SourceError(f"{where}: it has {len(values)} values, and the header {len(header)}.")
            cells = zip(header, map(str.strip, values), strict=True)
            yield Line(where, {column: value for column, value in cells if value})
    except csv.Error as error:
        raise SourceError(f"{name}, line {table.line_num}: this is no CSV: {error}.") from error


def _check_header(header: list[str], columns: Sequence[str], needed: Sequence[str], name: str) -> None:
    for column in needed:
        if column not in header:
            found = f"its columns are {', '.join(header) or 'none'}.{separator_hint(header)}"
            raise SourceError(f"{name} has no column {column!r}; {found}")
    for column in header:
        if column not in columns or header.count(column) > 1:
            raise SourceError(
                f"{name}: column {column!r} is unknown or there twice{did_you_mean(column, columns)}; "
                f"allowed are {', '.join(columns)}."
            )
