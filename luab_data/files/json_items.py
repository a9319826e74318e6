"""JSON of any size from strangers, item by item, in bounded memory.

Two layouts: one array or object (`json_items`), and one value a line (`json_lines`). A member that occurs
twice in an object is refused: readers differ on what it means. NaN and Infinity, which JSON does not have and
Python's `json.dump` writes, are floats: whoever reads a number refuses those that are not finite.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.table_text import ESCAPE, not_utf8

CHUNK = 1 << 20  # characters
MAX_ITEM = 64 << 20  # characters of one item, or bytes of one line
_SPACE = " \t\r\n"


def json_items(path: Path, role: str) -> Iterator[tuple[str | None, Any]]:
    """The items of a file that is one JSON array or object, in the file's order.

    Args:
        path: the file.
        role: the option that names it, for errors.

    Yields:
        (None, item) for each item of an array. (member, item) for an object, item by item where the member
        is an array, and once with its value where it is not.

    Raises:
        SourceError: the file is not UTF-8 or not JSON, is truncated, goes on behind its end, or has an item
            above `MAX_ITEM` characters.
    """
    with path.open(encoding="utf-8-sig", errors=ESCAPE) as file:
        reader = _Items(file, f"{role}={str(path)!r}")
        first = reader.next()
        if first == "[":
            for item in reader.array():
                yield None, item
        elif first == "{":
            yield from reader.members()
        else:
            raise reader.error(f"begins with {first!r}; allowed are a JSON array and a JSON object")
        if (left := reader.next()) != "":
            raise reader.error(f"goes on behind its end, with {left!r}")


def json_lines(path: Path, role: str) -> Iterator[tuple[int, Any]]:
    """The number, from 1, and the value of each line that is not empty.

    A line that is not UTF-8 or not JSON gives a `RejectedRecord` in place of its value.

    Raises:
        SourceError: a line above `MAX_ITEM` bytes.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_ITEM + 1):
            number += 1
            if len(line) > MAX_ITEM:
                raise SourceError(
                    f"{role}={str(path)!r}: line {number:,} has more than the allowed {MAX_ITEM:,} bytes. Is "
                    "it JSON Lines, one value a line?"
                )
            if not line.strip():
                continue
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", ESCAPE)
            try:
                if wrong := not_utf8(text):
                    raise RejectedRecord(wrong[1])
                yield number, parse_json(text)
            except RejectedRecord as error:
                yield number, error


def parse_json(text: str) -> Any:
    """One JSON value.

    Raises:
        RejectedRecord: it is not JSON, or nested too deep.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise RejectedRecord(f"not JSON: {error}") from None
    except RecursionError:
        raise RejectedRecord("not JSON that can be read: it is nested too deep") from None
    except ValueError as error:  # a number of thousands of digits
        raise RejectedRecord(f"not JSON that can be read: {error}") from None


class _Items:
    """A window on the text: `_text` from `_at` on is not consumed."""

    def __init__(self, file: TextIO, name: str):
        self._file = file
        self._name = name
        self._text = ""
        self._at = 0
        self._before = 0  # characters that left the window

    def next(self) -> str:
        """Consumes the next character that is not white space; "" at the file's end."""
        while True:
            while self._at < len(self._text):
                char = self._text[self._at]
                self._at += 1
                if char not in _SPACE:
                    return char
            if not self._fill():
                return ""

    def array(self) -> Iterator[Any]:
        """The items of an array whose bracket is consumed."""
        char = self.next()
        if char == "]":
            return
        self._at -= len(char)
        while True:
            yield self._value()
            char = self.next()
            if char == "]":
                return
            if char != ",":
                raise self.unexpected(char, "',' or ']'")

    def members(self) -> Iterator[tuple[str, Any]]:
        """The members of an object whose brace is consumed."""
        char, seen = self.next(), set()
        if char == "}":
            return
        self._at -= len(char)
        while True:
            name = self._value()
            if not isinstance(name, str) or name in seen:
                raise self.error(f"has the member {name!r}, which is no text or there already")
            seen.add(name)
            if (colon := self.next()) != ":":
                raise self.unexpected(colon, "':'")
            char = self.next()
            if char == "[":
                for item in self.array():
                    yield name, item
            else:
                self._at -= len(char)
                yield name, self._value()
            char = self.next()
            if char == "}":
                return
            if char != ",":
                raise self.unexpected(char, "',' or '}'")

    def unexpected(self, char: str, expected: str) -> SourceError:
        """An error about a character, "" at the file's end."""
        return self.error(f"{f'has {char!r}' if char else 'is cut off'} where {expected} is expected")

    def error(self, what: str) -> SourceError:
        """An error about this place of the file."""
        return SourceError(f"{self._name}: at character {self._before + self._at:,} it {what}.")

    def _value(self) -> Any:
        """Reads a value; the window grows until it holds the whole of it."""
        if self.next():
            self._at -= 1
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                # A number at the window's end may go on behind it.
                if end < len(self._text) or not self._fill(len(self._text) - self._at):
                    self._at = end
                    return value
            except RecursionError:
                raise self.error("is nested too deep") from None
            except ValueError as error:
                if not isinstance(error, json.JSONDecodeError) or not self._fill(len(self._text) - self._at):
                    raise self.error(f"is not JSON: {error}") from None

    def _fill(self, size: int = 0) -> bool:
        """Reads `size` characters or `CHUNK`, whichever is more; False at the file's end."""
        if len(self._text) - self._at > MAX_ITEM:
            raise self.error(f"has an item of more than the allowed {MAX_ITEM:,} characters")
        more = self._file.read(max(size, CHUNK))
        if not more:
            return False
        if wrong := not_utf8(more):
            place, reason = wrong
            raise SourceError(f"{self._name}, character {self._before + len(self._text) + place:,}: {reason}")
        self._before += self._at
        self._text = self._text[self._at :] + more
        self._at = 0
        return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a member occurs twice among {', '.join(name for name, _ in pairs)[:80]}")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=float)
