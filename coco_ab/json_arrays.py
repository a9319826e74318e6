"""Large JSON arrays of records, read in pieces by Arrow; bad records are found and rejected one by one.

The text is cut at commas between records into pieces of `BLOCK` bytes. Counting braces finds such a comma
quickly, but braces inside strings can mislead it. A wrong cut gives a piece that is not JSON. Arrow rejects
it, and a scanner that handles strings reads the piece again. So the fast path never changes the result.
"""

import itertools
import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from coco_ab.json_boundary import Boundary
from coco_ab.json_records import fault_of, read_records
from coco_ab.json_types import JsonStruct
from luab_data.errors import SourceError
from luab_data.sources.entries import Reject

BLOCK = 8 << 20
MAX_RECORD_BYTES = 32 << 20  # the longest trace the release can hold, two hours at 60 Hz, has about 30 MB
MAX_BAD = 10_000  # records; the release has 82.8 thousand
MAX_GROUP = 10_000  # records that the exact scanner passes to Arrow at once
MAX_KEY_BYTES = 4096
TAIL = 1 << 19  # bytes at the window's end in which a record's end is looked for

_SPACE = re.compile(rb"[ \t\r\n]*")
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"[ \t\r\n]*:')
_BRACE = re.compile(rb"[{}]")
_AFTER_RECORD = re.compile(rb"[ \t\r\n]*([,\]])")


def read_array(path: Path, role: str, record: JsonStruct) -> Iterator[pa.StructArray | Reject]:
    """The records of a file that is one JSON array, in batches, in the file's order.

    A record that does not match `record` is a `Reject` with the file's name and the record's number, from 1.
    Batches are `clean`: with the dataset's names and types. Raises SourceError if the file is not a JSON
    array, is truncated, or has data after the array.
    """
    with path.open("rb") as file:
        reader = _Reader(file, path, role)
        if reader.next_byte() != b"[":
            raise SourceError(
                f"{role}={str(path)!r} is not a JSON array of records: it does not begin with '['."
            )
        yield from reader.array(record)
        reader.require_end()


def read_members(
    path: Path, role: str, records: dict[str, JsonStruct]
) -> Iterator[tuple[str, pa.StructArray | Reject]]:
    """The arrays `records` of a file that is one JSON object, in the file's order.

    Yields (member, batch or reject); other members are skipped. Raises SourceError if the file is not a JSON
    object, is truncated or has data after the object, or if a member of `records` is missing, not an array,
    or repeated.
    """
    missing = set(records)
    with path.open("rb") as file:
        reader = _Reader(file, path, role)
        separator = reader.next_byte()
        if separator != b"{":
            raise SourceError(f"{role}={str(path)!r} is not a JSON object: it does not begin with '{{'.")
        while separator != b"}":
            name = reader.member_name()
            if name is None:  # an empty object
                reader.next_byte()
                break
            if name not in records:
                reader.skip_value()
            elif name not in missing:
                raise reader.error(f"has {name!r} twice")
            elif reader.next_byte() != b"[":
                raise reader.error(f"is no COCO file: {name!r} is not an array")
            else:
                missing.remove(name)
                for item in reader.array(records[name], name):
                    yield name, item
            separator = reader.next_byte()
            if separator not in (b",", b"}"):
                raise reader.broken(f"after the member {name!a}")
        reader.require_end()
    if missing:
        raise reader.error(f"has no {', '.join(map(repr, sorted(missing)))}")


class _Reader:
    """A window on the file: `_text` from `_position` on has not been consumed."""

    def __init__(self, file: BinaryIO, path: Path, role: str):
        self._file = file
        self._path = path
        self._role = role
        self._text = file.read(BLOCK).removeprefix(b"\xef\xbb\xbf")
        self._position = 0

    def next_byte(self, consume: bool = True) -> bytes:
        """The next byte that is not white space; empty at the file's end."""
        while True:
            if space := _SPACE.match(self._text, self._position):
                self._position = space.end()
            if self._position < len(self._text) or not self._fill():
                byte = self._text[self._position : self._position + 1]
                self._position += len(byte) if consume else 0
                return byte

    def member_name(self) -> str | None:
        """The next member's name, its colon consumed; None at the object's end."""
        first = self.next_byte(consume=False)
        if first == b"}":
            return None
        while len(self._text) - self._position < MAX_KEY_BYTES and self._fill():
            pass
        match = _KEY.match(self._text, self._position, self._position + MAX_KEY_BYTES)
        if match is None:
            raise self.broken("where a member's name is expected")
        self._position = match.end()
        try:
            return json.loads(b'"%s"' % match.group(1))
        except ValueError:
            raise self.broken("in a member's name") from None

    def skip_value(self) -> None:
        """Skips one member's value, of any size."""
        boundary = Boundary(b"}")
        while (end := boundary.find(self._text, self._position)) is None:
            boundary.moved(len(self._text) - self._position)
            self._position = len(self._text)
            if not self._fill():
                raise self.broken("inside a member")
        self._position = end

    def broken(self, where: str) -> SourceError:
        byte = self._offset(self._position) + 1
        return self.error(f"is broken or cut off {where}, before byte {byte:,}: download it again")

    def error(self, what: str) -> SourceError:
        return SourceError(f"{self._role}={str(self._path)!r} {what}.")

    def require_end(self) -> None:
        """Raises SourceError if anything but white space follows."""
        if self.next_byte():
            byte = self._offset(self._position)
            raise self.error(
                f"goes on behind its end, at byte {byte:,}: it is damaged, or several files in one. Download "
                "it again"
            )

    def array(self, record: JsonStruct, member: str = "") -> Iterator[pa.StructArray | Reject]:
        """The records of the array whose opening bracket was just consumed, up to its closing one."""
        self._name = f"{self._path.name} {member} record".replace("  ", " ")
        self._number = 0  # of records so far
        self._bad = 0
        if self.next_byte(consume=False) == b"]":
            self.next_byte()
            return
        ended = False
        while not ended:
            if len(self._text) - self._position < BLOCK:
                self._fill()
            end, after = self._last_boundary() or (None, None)
            batch = None if end is None else read_records(self._text, self._position, end, record)
            if after is None or batch is None:
                ended = yield from self._scanned(record, end or len(self._text))
                continue
            self._number += len(batch)
            yield batch
            self._position = after
            ended = self._text[after - 1 : after] == b"]"

    def _last_boundary(self) -> tuple[int, int] | None:
        """The ends of the window's last complete record, by counting braces, and of its separator."""
        depth = self._text.count(b"{", self._position) - self._text.count(b"}", self._position)
        begin = max(self._position, len(self._text) - TAIL)
        for brace in reversed(list(_BRACE.finditer(self._text, begin))):
            if brace.group() == b"{":
                depth -= 1
            elif depth == 0 and (separator := _AFTER_RECORD.match(self._text, brace.end())):
                return brace.end(), separator.end()
            else:
                depth += 1
        return None

    def _scanned(self, record: JsonStruct, until: int) -> Generator[pa.StructArray | Reject, None, bool]:
        """The records up to `until` in the window, and the one that begins there, by the exact scanner.

        Returns whether the array ended.
        """
        until = self._offset(until)
        batches = []
        while True:
            bounds, separator = self._whole_records(until)
            items = self._sound(bounds, record)
            if not separator:
                items = itertools.chain(items, self._long_record(record))
            for item in items:
                if isinstance(item, Reject):
                    yield item
                else:
                    batches.append(item)
            if not separator:
                separator = self._text[self._position : self._position + 1]
                self._position += len(separator)
            if separator != b"," or self._offset(self._position) >= until:
                break
        if batches:
            yield pa.concat_arrays(batches)
        return separator != b","

    def _whole_records(self, until: int) -> tuple[list[tuple[int, int]], bytes]:
        """Start and end of the next records in the window, up to `until` in the file; and the byte after.

        Empty if the next record extends beyond the window. At most `MAX_GROUP` records.
        """
        bounds: list[tuple[int, int]] = []
        separator = b","
        while separator == b"," and len(bounds) < MAX_GROUP:
            if bounds and self._offset(self._position) >= until:
                break
            end = Boundary(b"]").find(self._text, self._position)
            if end is None:
                return bounds, b""
            bounds.append((self._position, end))
            separator = self._text[end : end + 1]
            self._position = end + 1
        return bounds, separator

    def _sound(self, bounds: list[tuple[int, int]], record: JsonStruct) -> Iterator[pa.StructArray | Reject]:
        """These records of the window. Bisects if some are bad, so good records stay fast."""
        if not bounds:
            return
        begin, end = bounds[0][0], bounds[-1][1]
        batch = read_records(self._text, begin, end, record)
        if batch is not None and len(batch) == len(bounds):  # nothing between two commas is no record
            self._number += len(bounds)
            yield batch
        elif len(bounds) == 1:
            yield self._rejected(fault_of(self._text[begin:end], record))
        else:
            middle = len(bounds) // 2
            yield from self._sound(bounds[:middle], record)
            yield from self._sound(bounds[middle:], record)

    def _long_record(self, record: JsonStruct) -> Iterator[pa.StructArray | Reject]:
        """The record at the window's position, which extends beyond the window.

        Raises SourceError if the file ends first.
        """
        boundary = Boundary(b"]")
        dropped = 0
        while (end := boundary.find(self._text, self._position)) is None:
            if len(self._text) - self._position > MAX_RECORD_BYTES:
                dropped += len(self._text) - self._position
                boundary.moved(len(self._text) - self._position)
                self._position = len(self._text)
            if not self._fill():
                break
        if end is None:
            raise self.error(
                f"is cut off: it ends in the middle of {self._name} {self._number + 1}, which begins at byte "
                f"{self._offset(self._position) - dropped + 1:,}, or a bracket is missing there. Download it "
                "again"
            )
        begin, self._position = self._position, end
        size = dropped + self._position - begin
        batch = read_records(self._text, begin, self._position, record) if size <= MAX_RECORD_BYTES else None
        if batch is not None and len(batch) == 1:
            self._number += 1
            yield batch
        elif size > MAX_RECORD_BYTES:
            yield self._rejected(f"{size:,} bytes, allowed are {MAX_RECORD_BYTES:,}")
        else:
            yield self._rejected(fault_of(self._text[begin:end], record))

    def _offset(self, position: int) -> int:
        """A position in the window -> the position in the file."""
        return self._file.tell() - len(self._text) + position

    def _rejected(self, reason: str) -> Reject:
        """Rejects the next record. Raises SourceError after too many bad records."""
        self._number += 1
        self._bad += 1
        if self._bad > MAX_BAD:
            raise SourceError(
                f"{self._role}={str(self._path)!r}: more than {MAX_BAD:,} records are bad, the last one "
                f"because {reason}. This is another kind of file."
            )
        return Reject(self._role, f"{self._name} {self._number}", reason)

    def _fill(self) -> bool:
        """Drops the consumed text and reads another block; False at the file's end."""
        block = self._file.read(BLOCK)
        self._text = self._text[self._position :] + block
        self._position = 0
        return bool(block)
