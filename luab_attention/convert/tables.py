"""Rows of a CSV or TSV from strangers, one by one, in bounded memory."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from luab_data.console.names import few
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.table_text import ESCAPE, not_utf8, separator_hint

MAX_LINE = 1 << 20  # characters

Row = dict[str, str]


class RejectedRow(RejectedRecord):
    """A row with a byte that is not UTF-8. Its other `fields` can be read."""

    def __init__(self, reason: str, fields: Row):
        super().__init__(reason)
        self.fields = fields


def table_rows(
    path: Path, role: str, needed: Sequence[str], separator: str = ","
) -> Iterator[tuple[int, Row | RejectedRecord]]:
    """The line number and the fields of each row below the header.

    A row that is not UTF-8 gives a `RejectedRow`. One with more or fewer fields than the header, or with a
    wrong quote, gives a `RejectedRecord`: it may have taken in many lines, if a quote is not closed, and all
    but the first are read again.

    Raises:
        SourceError: no header, or one that is not UTF-8, a column of `needed` that is missing or there twice,
            a line above `MAX_LINE` characters.
    """
    where = f"{role}={str(path)!r}"
    with path.open(encoding="utf-8-sig", errors=ESCAPE, newline="") as file:
        lines = _RowLines(_lines(file, where))
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            _require_utf8_header(where, lines)
            raise SourceError(f"{where}, the header, is no CSV: {error}.") from error
        _require_utf8_header(where, lines)
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
                continue
            fields = dict(zip(header, row, strict=True))
            wrong = not_utf8(lines.row)
            yield lines.number, fields if wrong is None else RejectedRow(wrong[1], fields)


def plain_rows(
    path: Path, role: str, separator: str | None = None
) -> Iterator[tuple[int, list[str] | RejectedRecord]]:
    """The line number and the fields of each line that is not empty, in a file without a header.

    A line that is not UTF-8 gives a `RejectedRecord`.

    Args:
        path: the file.
        role: what the file is, for errors.
        separator: None: white space.

    Raises:
        SourceError: a line above `MAX_LINE` characters.
    """
    with path.open(encoding="utf-8-sig", errors=ESCAPE) as file:
        for number, line in enumerate(_lines(file, f"{role}={str(path)!r}"), start=1):
            if wrong := not_utf8(line):
                yield number, RejectedRecord(wrong[1])
            elif line.strip():
                yield number, [each.strip() for each in line.strip().split(separator)]


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

    @property
    def row(self) -> str:
        """The lines of this row so far."""
        return "".join(self._row)

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


def _require_utf8_header(where: str, lines: _RowLines) -> None:
    if wrong := not_utf8(lines.row):
        raise SourceError(f"{where}, the header: {wrong[1]}")


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
