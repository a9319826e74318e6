"""The members of a zip, read in bounded time and memory.

`zipfile` keeps an object of about 700 bytes per member, fails on a name that is not text, does not compare
the directory with the file's count, and unpacks LZMA and bzip2, which can turn a megabyte into gigabytes.
This module only reads stored and deflated members, and checks that the directory is complete.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from luab_data.errors import RejectedRecord

STORED, DEFLATED = 0, 8
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstandard", 95: "xz"}
_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags

_END = struct.Struct("<4s4H2LH")
_END64_PLACE = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_HEADER = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_BEGINNINGS = (b"PK\3\4", b"PK\5\6", b"PK\7\10")  # of a member, of an empty zip, of one in several files
_MAX_COMMENT = 0xFFFF
_IN_EXTRA, _SIZES = 0xFFFFFFFF, 1  # the true number is in the extra field of this kind


class BrokenZip(ValueError):
    """The whole file is unreadable; the message has the reason."""


class ZipMember(NamedTuple):
    """One file's entry in the directory. `name` has surrogates where it is not valid UTF-8."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int  # bytes in the archive
    size: int  # bytes unpacked
    offset: int  # of its local header, in the file


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip, which may be cut off, or ends as one behind other bytes."""
    with path.open("rb") as file:
        return file.read(4) in _BEGINNINGS or zipfile.is_zipfile(file)


def zip_members(file: BinaryIO) -> Iterator[ZipMember]:
    """All members except folders, in the directory's order. Raises BrokenZip, also for a short directory."""
    begin, size, count, before = _directory(file)
    file.seek(begin)
    content = io.BytesIO(file.read(size)) if size < 1 << 20 else file
    start = content.tell()
    for number in range(count):
        header = content.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(b"PK\1\2"):
            raise BrokenZip(f"its directory is broken at member {number + 1:,} of {count:,}")
        (_, _, _, flags, method, _, _, crc, packed, unpacked, *lengths, _, _, _, offset) = _HEADER.unpack(
            header
        )
        name, extra, _ = map(content.read, lengths)
        packed, unpacked, offset = _true_sizes(extra, unpacked, packed, offset)
        if not name.endswith(b"/"):
            text = name.decode("utf-8", "surrogateescape") if flags & _UTF8 else name.decode("cp437")
            yield ZipMember(text, method, flags, crc, packed, unpacked, before + offset)
    if content.tell() - start != size:
        raise BrokenZip(f"its directory holds more than the {count:,} members that it counts")


def read_member(file: BinaryIO, member: ZipMember, max_bytes: int) -> bytes:
    """The unpacked bytes of a member. Raises RejectedRecord; allocates no more than `max_bytes` twice."""
    if member.flags & _ENCRYPTED:
        raise RejectedRecord("the zip's member is encrypted")
    if member.method not in (STORED, DEFLATED):
        method = _METHODS.get(member.method, f"method {member.method}")
        raise RejectedRecord(f"the zip's member is compressed with {method}; allowed are deflate and none")
    for size in (member.size, member.packed):
        if size > max_bytes:
            raise RejectedRecord(f"{size:,} bytes, allowed are {max_bytes:,}")
    try:
        file.seek(member.offset)
        header = file.read(_LOCAL.size)
        if not header.startswith(b"PK\3\4"):
            raise RejectedRecord("the zip's member cannot be read: its header is not where it should be")
        *_, name_length, extra_length = _LOCAL.unpack(header)
        file.seek(name_length + extra_length, os.SEEK_CUR)
        payload = file.read(member.packed)
        if member.method == DEFLATED:
            payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload, member.size + 1)
    except (OSError, OverflowError, ValueError, struct.error, zlib.error) as error:
        raise RejectedRecord(f"the zip's member cannot be read: {error}") from error
    if len(payload) != member.size or zlib.crc32(payload) != member.crc:
        raise RejectedRecord("the zip's member cannot be read: its size or its checksum is wrong")
    return payload


def _directory(file: BinaryIO) -> tuple[int, int, int, int]:
    """The directory's start, its bytes and its number of members, and the bytes before the archive."""
    end_of_file = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end_of_file - _END.size - _MAX_COMMENT))
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise BrokenZip("it has no directory at its end: it is cut off, or no zip")
    _, disk, _, _, count, size, offset, comment = _END.unpack_from(tail, place)
    if place + _END.size + comment != len(tail):
        raise BrokenZip("it is cut off, or goes on behind its end")
    end = start + place
    place64 = end - _END64_PLACE.size
    if place64 >= 0:
        file.seek(place64)
        signature, _, end64, _ = _END64_PLACE.unpack(file.read(_END64_PLACE.size))
        if signature == b"PK\6\7":
            file.seek(min(end64, place64))
            record = file.read(_END64.size)
            if len(record) < _END64.size or not record.startswith(b"PK\6\6"):
                raise BrokenZip("its directory's end is not where it should be")
            *_, disk, _, _, count, size, offset = _END64.unpack(record)
            end = end64
    begin = end - size
    if disk or begin < 0 or offset > begin:
        raise BrokenZip("it is one part of several, or its beginning is missing")
    return begin, size, count, begin - offset


def _true_sizes(extra: bytes, *numbers: int) -> tuple[int, int, int]:
    """Unpacked and packed bytes and offset, given so, -> packed, unpacked, offset."""
    found = list(numbers)
    wanted = [place for place, number in enumerate(numbers) if number == _IN_EXTRA]
    at = 0
    while wanted and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _SIZES and length >= 8 * len(wanted) and at + 4 + length <= len(extra):
            for place, number in zip(
                wanted, struct.unpack_from(f"<{len(wanted)}Q", extra, at + 4), strict=True
            ):
                found[place] = number
            break
        at += 4 + length
    return found[1], found[0], found[2]
