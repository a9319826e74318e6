"""TFRecord files of `tf.train.Example`s, without TensorFlow: framing, checksums, and the needed fields.

record:   length (8 bytes), masked CRC-32C of it (4), data, masked CRC-32C of the data (4); little-endian
Example:  1: features { 1: map entry { 1: name, 2: value { 1: bytes list | 2: floats | 3: ints } } }
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from luab_data.errors import RejectedRecord, SourceError

MAX_RECORD = 64 << 20  # bytes
MAX_FIELDS = 1000  # of a message
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reversed
_MASK_DELTA = 0xA282EAD8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


BLOCK, AT_ONCE = 1024, 256  # bytes that are taken together; blocks in memory


def _table() -> np.ndarray:
    found = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        found = np.where(found & 1, found >> 1 ^ np.uint32(_POLYNOMIAL), found >> 1)
    return found


def _tables() -> np.ndarray:
    """What each byte at each place of a block adds to the remainder at its end, uint32 [BLOCK, 256]."""
    last = _table()
    found = np.empty((BLOCK, 256), np.uint32)
    found[-1] = last
    for place in range(BLOCK - 2, -1, -1):
        found[place] = found[place + 1] >> 8 ^ last[found[place + 1] & 0xFF]
    return found


_TABLES = _tables()
_PLACES = np.arange(BLOCK)


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720): of `123456789` it is 0xE3069283.

    A remainder is linear: that of a block is the sum (xor) of what its bytes add, and what was left before is
    added to its first four bytes. Bytes of 0 in front change nothing.
    """
    start = b"\xff" * 4
    first = bytes(a ^ b for a, b in zip(data, start, strict=False))
    left = int.from_bytes(start[len(data) :], "little")  # of data shorter than the start
    padded = bytes(-len(data) % BLOCK) + first + data[4:]
    blocks = np.frombuffer(padded, np.uint8).reshape(-1, BLOCK)
    crc = 0
    for at in range(0, len(blocks), AT_ONCE):
        for own in np.bitwise_xor.reduce(_TABLES[_PLACES, blocks[at : at + AT_ONCE]], axis=1).tolist():
            for place in range(4):
                own ^= _FIRST[place][crc >> 8 * place & 0xFF]
            crc = own
    return crc ^ left ^ 0xFFFFFFFF


_FIRST = _TABLES[:4].tolist()


def masked_crc32c(data: bytes) -> int:
    """As TFRecords store it: rotated by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def tfrecords(path: Path, role: str) -> Iterator[bytes | RejectedRecord]:
    """The data of each record; a record whose data are damaged is a `RejectedRecord`.

    Raises:
        SourceError: a damaged or absurd length, after which nothing can be found; a file that is cut off.
    """
    with path.open("rb") as file:
        number = 0
        while head := file.read(12):
            number += 1
            where = f"{role}={str(path)!r}, record {number:,}"
            if len(head) < 12:
                raise SourceError(f"{where}: the file is cut off. Download it again.")
            length, crc = struct.unpack("<QI", head)
            if masked_crc32c(head[:8]) != crc:
                raise SourceError(f"{where}: the checksum of its length is wrong: damaged, or no TFRecord.")
            if length > MAX_RECORD:
                raise SourceError(f"{where}: {length:,} bytes, allowed are {MAX_RECORD:,}.")
            data = file.read(length + 4)
            if len(data) < length + 4:
                raise SourceError(f"{where}: the file is cut off. Download it again.")
            if masked_crc32c(data[:length]) != int.from_bytes(data[length:], "little"):
                yield RejectedRecord("the checksum of the record is wrong")
            else:
                yield data[:length]


Value = list[bytes] | list[int]


def example(data: bytes) -> dict[str, Value]:
    """The bytes and whole numbers of an `Example`, by name; floats are left out.

    Raises:
        RejectedRecord: it is no such message.
    """
    found: dict[str, Value] = {}
    for features in _fields_of(data, 1):
        for entry in _fields_of(features, 1):
            names, values = _fields_of(entry, 1), _fields_of(entry, 2)
            if len(names) != 1 or len(values) != 1:
                raise RejectedRecord("an Example whose features have no name or no value")
            name = names[0].decode("utf-8", "replace")
            if name in found:
                raise RejectedRecord(f"an Example with two features {name!a}")
            for texts in _fields_of(values[0], 1):
                found[name] = _fields_of(texts, 1)
            for ints in _fields_of(values[0], 3):
                found[name] = _ints(ints)
    return found


def _fields_of(message: bytes, wanted: int) -> list[bytes]:
    """The values of a field of the kind `bytes`; other fields are skipped."""
    return [value for number, value in _parsed(message) if number == wanted and isinstance(value, bytes)]


def _ints(message: bytes) -> list[int]:
    """The numbers of an Int64List, packed or one by one."""
    found: list[int] = []
    for number, value in _parsed(message):
        if number != 1:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            each, at = _varint(value, at)
            found.append(each)
    return [each - (1 << 64) if each >> 63 else each for each in found]


def _parsed(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    at = count = 0
    while at < len(message):
        count += 1
        if count > MAX_FIELDS:
            raise RejectedRecord(f"a message of more than {MAX_FIELDS} fields")
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise RejectedRecord(f"a field of the kind {kind}, which is none of Protocol Buffers")
        if at + length > len(message):
            raise RejectedRecord("a message that is cut off")
        if kind == _BYTES:
            yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise RejectedRecord("a number that is cut off")
