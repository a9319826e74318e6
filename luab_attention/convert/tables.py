"""Rows of a CSV or TSV from strangers, one by one, in bounded memory."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from luab_data.console.names import few
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.table_text import separator_hint

MAX_LINE = 1 << 20  # characters

Row = dict[str, str]


def table_rows(
    path: Path, role: str, needed: Sequence[str], separator: str = ","
) -> Iterator[tuple[int, Row | RejectedRecord]]:
    """The line number and the fields of each row below the header.

    A row with more or fewer fields than the header gives a `RejectedRecord`, and so does a line with a wrong
    quote. Such a row may have taken in many lines, if its quote is not closed: all but its first are read
    again.

    Raises:
        SourceError: not UTF-8, no header, a column of `needed` that is missing or there twice, a line above
            `MAX_LINE` characters.
    """
    where = f"{role}={str(path)!r}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _RowLines(_lines(file, where))
            reader = csv.reader(lines, delimiter=separator, strict=True)
            try:
                header = [name.strip() for name in next(reader, [])]
            except csv.Error as error:
                raise SourceError(f"{where}, the header, is no CSV: {error}.") from error
            _require_columns(where, header, needed)
            while True:
                lines.next_row()
                try:
                    row = next(reader, None)
                except csv.Error as error:
                    yield lines.again(), RejectedRecord(f"no CSV: {error}")
                    continue
                if row is None:
                    return
                if not row:
                    continue
                if len(row) != len(header):
                    why = f"{len(row)} fields, the header has {len(header)}"
                    yield lines.again(), RejectedRecord(why)
                else:
                    yield lines.number, dict(zip(header, row, strict=True))
    except UnicodeDecodeError as error:
        raise SourceError(f"{where} is not UTF-8 ({error.reason} at byte {error.start}).") from error


def plain_rows(path: Path, role: str, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """The line number and the fields of each line that is not empty, in a file without a header.

    Args:
        path: the file.
        role: what the file is, for errors.
        separator: None: white space.

    Raises:
        SourceError: not UTF-8, or a line above `MAX_LINE` characters.
    """
    where = f"{role}={str(path)!r}"
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(_lines(file, where), start=1):
                if line.strip():
                    yield number, [each.strip() for each in line.strip().split(separator)]
    except UnicodeDecodeError as error:
        raise SourceError(f"{where} is not UTF-8 ({error.reason} at byte {error.start}).") from error


class _RowLines:
    """Lines, of which those of one row can be read again. `number` is that of the last one, from 1."""

    def __init__(self, lines: Iterator[str]):
        self.number = 0
        self._lines = lines
        self._row: list[str] = []
        self._again: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self._row.append(line)
        return line

    def next_row(self) -> None:
        """The lines up to here are read for good."""
        self._row.clear()

    def again(self) -> int:
        """Gives all lines of this row but its first again. The number of the first."""
        again = self._row[1:]
        self._again.extendleft(reversed(again))
        self.number -= len(again)
        return self.number


def _lines(file: TextIO, where: str) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise SourceError(f"{where}, line {number:,}: more than the allowed {MAX_LINE:,} characters.")
        yield line


def _require_columns(where: str, header: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        raise SourceError(
            f"{where} has no column {', '.join(missing)}; it has {few(header, 12) or 'no header'}."
            f"{separator_hint(header)}"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise SourceError(f"{where} has the column {', '.join(twice)} twice. Remove one of them.")
