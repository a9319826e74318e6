"""The members of a tar archive, read in bounded time and memory.

`tarfile` takes 30 to 50 us for a header, several times as long as parsing a small file. Archives of many
files repeat a header except for name, size, time and checksum. If a header differs only in these from one
that `tarfile` has accepted, this module reads it; `tarfile` reads all others.
"""

import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from luab_data.adapters.tar_archive import TarArchive
from luab_data.errors import RejectedRecord, SourceError
from luab_data.sources.inflate import GzipFile, InflateError

# Long names and extended headers: tarfile reads them whole, of any claimed size.
MAX_HEADER_BYTES = 1 << 20
READ_AHEAD = 1 << 18  # bytes
MAX_PADDING = 1 << 20  # zeros at the end; tar programs fill up 10,240 bytes
MAX_KNOWN = 1000  # kinds of header

# Size, time and checksum of a header as all common programs write them.
_NUMBERS = re.compile(rb"([0-7]{11})[\0 ][0-7]{11}[\0 ]([0-7]{6})\0 ")


class PlainFile(NamedTuple):
    """The fields of a `tarfile.TarInfo` of a plain file."""

    name: str
    size: int
    offset_data: int

    def isreg(self) -> bool:
        """As in `tarfile.TarInfo`: it is a regular file."""
        return True

    def issparse(self) -> bool:
        """As in `tarfile.TarInfo`: it has no holes."""
        return False


Member = tarfile.TarInfo | PlainFile


def members(reader: "BoundedReader") -> Iterator[Member]:
    """All members except folders.

    Raises `tarfile.ReadError` unless the archive ends with two blocks of zeros and only zeros after them. For
    `tarfile` a single block of zeros, such as a lost disk sector, would be the end.
    """
    with _absurd_numbers_explained():
        archive = TarArchive(reader)
    with archive:
        headers = _KnownHeaders()
        member = archive.next()  # opening the archive has read it
        while member is not None:
            if not member.isdir():
                yield member
            offset = archive.offset
            block = reader.read_at(offset, tarfile.BLOCKSIZE)
            while not archive.says_of_all and (known := headers.read(block, offset)) is not None:
                yield known
                offset = known.offset_data + -(-known.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                block = reader.read_at(offset, tarfile.BLOCKSIZE)
            archive.offset = offset
            with _absurd_numbers_explained():
                member = archive.next()
            if member is not None and member.offset == offset:
                headers.learn(block, member)
    # tarfile treats a broken or truncated header as the end; the real end is a block of zeros.
    if reader.last_block.strip(b"\0") or not reader.last_block:
        raise tarfile.ReadError(f"broken or cut off at byte {reader.tell():,} of the archive")
    reader.require_end(reader.tell() - len(reader.last_block))


@contextmanager
def _absurd_numbers_explained() -> Iterator[None]:
    """Handles an extended header whose length has thousands of digits, which `tarfile` does not expect."""
    try:
        yield
    except (OverflowError, ValueError) as error:
        raise tarfile.ReadError(f"a header holds an absurd number: {error}") from error


class _KnownHeaders:
    """The accepted headers of plain files, without name, size, time and checksum.

    `tarfile` has accepted each of them.
    """

    def __init__(self) -> None:
        self._prefixes: dict[bytes, str] = {}
        self._last: tuple[bytes, str | None] = (b"", None)  # the last lookup, and its prefix

    def learn(self, block: bytes, member: tarfile.TarInfo) -> None:
        # This header may only give the name or the size of the next member.
        if block[156:157] in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.isreg() and block.isascii():
            if len(self._prefixes) >= MAX_KNOWN:
                self._prefixes.clear()
            self._prefixes[_rest(block)] = _text(block[345:500])
            self._last = (b"", None)

    def read(self, block: bytes, offset: int) -> PlainFile | None:
        """The member whose header is `block`, at `offset` in the archive; None if `tarfile` must read it."""
        numbers = _NUMBERS.fullmatch(block, 124, 156)
        rest = _rest(block)
        if rest != self._last[0]:
            self._last = (rest, self._prefixes.get(rest))
        prefix = self._last[1]
        # 512 ASCII bytes add up to less than 65521, so the lower half of Adler-32 is 1 + their sum. The
        # checksum counts its own field as spaces.
        if numbers is None or prefix is None or not block.isascii():
            return None
        total = (zlib.adler32(block) & 0xFFFF) - (zlib.adler32(block[148:156]) & 0xFFFF) + 8 * ord(" ")
        name = _text(block[:100])
        if total != int(numbers[2], 8) or not name or name.endswith("/"):
            return None
        path = f"{prefix}/{name}" if prefix else name
        return PlainFile(path, int(numbers[1], 8), offset + tarfile.BLOCKSIZE)


def _rest(block: bytes) -> bytes:
    return block[100:124] + block[156:]


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii")


def check_plain(member: Member, max_bytes: int) -> None:
    """Raises `RejectedRecord` unless the member is a plain file of an allowed size."""
    if not member.isreg() or member.issparse():
        raise RejectedRecord("not a plain file (a link, a device or a sparse file)")
    if member.size > max_bytes:
        raise RejectedRecord(f"{member.size:,} bytes, allowed are {max_bytes:,}")


class BoundedReader(io.RawIOBase):
    """The part of `file` from `start` on, for bounded reads by tarfile.

    It bounds each read and the total. `ahead`: bytes to read at once if the archive is read in order.
    """

    def __init__(
        self, file: IO[bytes] | GzipFile, max_read: int, max_total: int, start: int = 0, ahead: int = 0
    ):
        self._file = file
        self._max_read = max_read
        self._max_total = max_total
        self._start = start
        self._ahead = ahead
        self._position = 0
        self._buffer = b""
        self._buffered_from = 0  # position of the buffer's first byte
        self.last_block = b""

    def read(self, size: int = -1) -> bytes:
        """Reads `size` bytes from the position on; see `read_at`."""
        return self.read_at(self._position, size)

    def read_at(self, offset: int, size: int) -> bytes:
        """Like `seek` and `read`."""
        if not 0 <= size <= self._max_read:
            raise tarfile.ReadError(f"a header claims {size:,} bytes, allowed are {self._max_read:,}")
        if offset + size > self._max_total:
            size = self._max_total - self.seek(offset)
        at = offset - self._buffered_from
        if at < 0 or at + size > len(self._buffer):
            self._fill(offset, size)
            at = 0
        self.last_block = block = self._buffer[at : at + size]
        self._position = offset + len(block)
        return block

    def _fill(self, offset: int, size: int) -> None:
        """Buffers `size` bytes or more from `offset` on.

        Bytes in the buffer are not read again, because a compressed file cannot seek back.
        """
        at = offset - self._buffered_from
        left = self._buffer[at:] if at >= 0 else b""
        self._file.seek(self._start + offset + len(left))
        self._buffer = left + self._file.read(max(size - len(left), self._ahead))
        self._buffered_from = offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to an absolute offset, in bytes.

        Raises:
            tarfile.ReadError: the offset lies outside the archive, or is not absolute.
        """
        if whence != io.SEEK_SET or offset < 0:
            raise tarfile.ReadError("a header points before the archive's beginning")
        if offset > self._max_total:
            raise tarfile.ReadError(
                f"a member ends {offset:,} bytes after the beginning of one of {self._max_total:,}"
            )
        self._position = offset
        return offset

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def require_end(self, start: int) -> None:
        """Raises `tarfile.ReadError` unless the archive is zeros from `start` on, two blocks or more.

        It reads to the end of the file, where gzip's checksum is.
        """
        self.seek(start)
        while block := self.read(min(self._max_read, MAX_HEADER_BYTES)):
            content = block.lstrip(b"\0")
            if content:
                where = self.tell() - len(content)
                raise tarfile.ReadError(
                    f"zeros at byte {start:,}, where a member or the end is expected, and more at byte "
                    f"{where:,}: it is damaged, or several archives in one"
                )
        zeros = self.tell() - start
        if zeros < 2 * tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"cut off at byte {self.tell():,} of the archive, in its end mark")
        if zeros > MAX_PADDING:
            raise tarfile.ReadError(
                f"zeros from byte {start:,} to the end, {zeros:,} bytes: the file was not written to its end"
            )


@contextmanager
def archive_errors(role: str, path: Path) -> Iterator[None]:
    """Converts the many errors of a broken archive into one with the file's name and the fix."""
    try:
        yield
    except (tarfile.TarError, EOFError, InflateError, OSError) as error:  # type: ignore[misc]  # to isal a class is Exception
        raise SourceError(
            f"{role}={str(path)!r} cannot be read as a tar archive: {error}. Download it again, or unpack "
            f"what can be saved of it and pass the folder."
        ) from error
