"""Reads the page headers of a Parquet file, which state how much each page unpacks to.

Nothing checks the footer's sizes. Arrow checks a page's size: it allocates the size in the header, and
rejects the page if the codec returns more or less. pyarrow does not expose these headers, so they are read
here, as in https://github.com/apache/parquet-format (Thrift's compact protocol).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # kinds of pages that have values
DICTIONARY_CODED = (2, 8)  # PLAIN_DICTIONARY, RLE_DICTIONARY
# Encodings in which a value has about as many bytes in the page as in memory: PLAIN, DELTA_LENGTH_BYTE_ARRAY,
# BYTE_STREAM_SPLIT. In others a few bits may stand for a value of any length.
AS_LONG = (0, 6, 9)
FIELDS = 64  # of a header, which has some 20

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12


class Page(NamedTuple):
    """One page, as its header has it. `packed` and `unpacked` are bytes; `encoding` is Parquet's number."""

    kind: int
    packed: int
    unpacked: int
    values: int
    encoding: int

    @property
    def size(self) -> int:
        """Bytes in memory. The header's `unpacked` is not looked at where a page is not compressed."""
        return max(self.packed, self.unpacked)


def read_pages(chunk: bytes) -> Iterator[Page]:
    """The pages of a column's part of a row group, given as it is in the file.

    Raises:
        ValueError: the bytes are no pages.
    """
    at = 0
    while at < len(chunk):
        header = _Compact(chunk, at)
        try:
            fields = header.struct()
            kind, unpacked, packed = fields[1], fields[2], fields[3]
            number = {DATA: 5, DICTIONARY: 7, DATA_V2: 8}.get(kind)
            of_kind = {} if number is None else fields.get(number, {})
            values, encoding = of_kind.get(1, 0), of_kind.get(4 if kind == DATA_V2 else 2, 0)
        except (IndexError, KeyError, AttributeError) as error:
            raise ValueError(f"no page header at byte {at:,} of a column") from error
        if min(unpacked, packed, values) < 0 or header.at + packed > len(chunk):
            raise ValueError(f"impossible sizes in the page header at byte {at:,} of a column")
        yield Page(kind, packed, unpacked, values, encoding)
        at = header.at + packed


class _Compact:
    """A reader of Thrift's compact protocol at a place in some bytes."""

    def __init__(self, content: bytes, at: int):
        self.content, self.at, self.fields = content, at, 0

    def struct(self) -> dict[int, Any]:
        """Field number -> value. Of the types, those that page headers have; KeyError at another."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            self.fields += 1
            if self.fields > FIELDS:
                raise IndexError
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _STRUCT:
            return self.struct()
        lengths = {_BYTE: 1, _DOUBLE: 8}
        length = self._unsigned() if kind == _BINARY else lengths[kind]
        self.at += length  # statistics: skipped
        return None

    def _byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def _unsigned(self) -> int:
        total = shift = 0
        while (byte := self._byte()) > 127:
            total |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise IndexError
        return total | byte << shift

    def _signed(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)
