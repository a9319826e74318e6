"""What JSON will take in memory, told before it becomes a table.

A table has a cell for each row and key, so a line each with a key of its own makes the square of them. Deep
nesting ends the process: the C++ parser recurses.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from datasets.utils.json import ujson_loads

from luab_data.rows.formats.bounded import TooMuch

VALUES = 4_000_000  # in what is parsed at once, of up to 240 bytes each
COLUMNS = 4_000  # keys in all rows, also in nested objects
CELLS = 1 << 26  # objects times keys
DEPTH = 32
DEEP = f"JSON is nested more than {DEPTH} deep. Write flat rows."

_decoder = json.JSONDecoder()
_TEXT = re.compile(r"\S")
_PLAIN = re.compile(r"[A-Za-z0-9_]+")
_SPACED = re.compile(rb'"[ \t\r\n]+:')  # a key and its colon
_NO_OPENING = bytes(set(range(256)) - set(b"\n{["))
SAMPLE = 1 << 16  # bytes of the rows whose keys are those of all rows, in most files


def require_few_values(content: bytes, name: str) -> None:
    """Bounds the Python objects of a JSON text."""
    if sum(map(content.count, (b",", b"{", b"["))) > VALUES:
        raise TooMuch(f"{name} has more than {VALUES:,} values. Write one row a line (.jsonl), or Parquet.")


def require_lines(batch: bytes) -> None:
    """Bounds the table of some JSON Lines.

    Raises:
        TooMuch: a table that is large by far more than its text.
        pyarrow.ArrowInvalid: a line is no JSON.
    """
    if _alike(batch):
        return
    require_few_values(batch, "a batch of JSON Lines")
    shape = _Shape()
    for value in _values(batch):
        shape.add(value)
    shape.require_moderate()


def require_table(whole: Any, name: str) -> None:
    """The same of a value that is a table by itself: a list of rows, or an object of columns."""
    shape = _Shape()
    if not isinstance(whole, dict):
        shape.add(whole)
        shape.require_moderate()
        return
    rows: set[str] = set()
    for column in whole.values():
        if isinstance(column, dict):
            rows.update(column)
            for value in column.values():
                shape.add(value)
        else:
            shape.add(column)
    shape.require_moderate()
    if len(whole) > COLUMNS or len(whole) * len(rows) > CELLS:
        raise TooMuch(f"{name} has {len(whole):,} columns. Write one row a line (.jsonl).")


def _values(batch: bytes) -> Iterator[Any]:
    """The values of some lines. Arrow also takes values of several lines."""
    try:
        yield from [ujson_loads(line) for line in batch.splitlines() if line and not line.isspace()]
        return
    except ValueError:
        pass
    try:
        text, at = batch.decode(), 0
        while found := _TEXT.search(text, at):
            value, at = _decoder.raw_decode(text, found.start())
            yield value
    except RecursionError:
        raise TooMuch(DEEP) from None
    except ValueError as error:
        raise pa.ArrowInvalid(f"JSON parse error: {error}") from error


def _alike(batch: bytes) -> bool:
    """Whether all rows surely have the keys of the first ones and are flat; parsing takes longer."""
    shape, sample = _Shape(), batch[: batch.find(b"\n", SAMPLE) if len(batch) > SAMPLE else None]
    try:
        for line in sample.splitlines():
            shape.add(ujson_loads(line))
    except ValueError:
        return False
    if len(shape.keys) > 32 or not all(map(_PLAIN.fullmatch, shape.keys)) or b"\\" in batch:
        return False
    ends = batch.count(b"\n") + (not batch.endswith(b"\n"))  # each line is a value, or else an error
    if not batch.startswith(b"{") or batch.count(b"\n{") + 1 != ends:
        return False
    if batch.count(b"}\n") + batch.endswith(b"}") != ends:
        return False
    opened = batch.translate(None, _NO_OPENING)
    if max(map(len, opened.split(b"\n"))) > DEPTH or opened.count(b"{") * len(shape.keys) > CELLS:
        return False
    # Without a backslash, each quote ends or begins a text. So each key is before one of these colons, and if
    # all of them are after known keys, there are no others. A text that begins with a colon is one more.
    places = sum(batch.count(b'"%s":' % key.encode()) for key in shape.keys)
    return places == batch.count(b'":') and _SPACED.search(batch) is None


class _Shape:
    """The keys and objects of some JSON values."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.objects = 0

    def add(self, value: Any, depth: int = 0) -> None:
        if depth > DEPTH:
            raise TooMuch(DEEP)
        if isinstance(value, dict):
            self.objects += 1
            self.keys.update(value)
            value = value.values()
        elif not isinstance(value, list):
            return
        for inner in value:
            if type(inner) in (dict, list):
                self.add(inner, depth + 1)

    def require_moderate(self) -> None:
        if len(self.keys) > COLUMNS or self.objects * len(self.keys) > CELLS:
            raise TooMuch(
                f"{self.objects:,} JSON objects have {len(self.keys):,} different keys, allowed are "
                f"{COLUMNS:,}, and {CELLS:,} cells. Give all rows the same keys."
            )
