"""The members of a tar archive, read in bounded time and memory, and without `tarfile`'s cost where it can
be spared.

`tarfile` takes 30 to 50 us for a header, several times what parsing a small file takes. Archives of many
files repeat a header but for name, size, time and checksum: one that differs in nothing else from a header
that `tarfile` has accepted is read here, every other one by `tarfile`.
"""

import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luab_data.errors import RejectedRecord, SourceError

MAX_HEADER_BYTES = (
    1 << 20
)  # long names and extended headers: tarfile reads them whole, whatever size they claim
READ_AHEAD = 1 << 18  # bytes
MAX_KNOWN = 1000  # kinds of header

# Size, time and checksum of a header as all common programs write them.
_NUMBERS = re.compile(rb"([0-7]{11})[\0 ][0-7]{11}[\0 ]([0-7]{6})\0 ")


def members(reader: "BoundedReader") -> Iterator[tarfile.TarInfo]:
    """All members; raises `tarfile.ReadError` where the archive ends without its end mark."""
    with tarfile.open(fileobj=reader, mode="r:") as archive:
        headers = _KnownHeaders()
        member = archive.next()  # opening the archive has read it
        while member is not None:
            archive.members.clear()  # tarfile keeps them all: a million members would fill the memory
            yield member
            reader.seek(archive.offset)
            block = reader.read(tarfile.BLOCKSIZE)
            # A global header says something of all members behind it.
            member = None if archive.pax_headers else headers.read(block, archive.offset)
            if member is not None:
                archive.offset = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                continue
            start = archive.offset
            member = archive.next()
            if member is not None and member.offset == start:
                headers.learn(block, member)
    # tarfile takes a broken or cut header for the end; the real end is a block of zeros.
    if reader.last_block.strip(b"\0") or not reader.last_block:
        raise tarfile.ReadError(f"broken or cut off at byte {reader.tell():,} of the archive")


class _KnownHeaders:
    """What headers of plain files have beside name, size, time and checksum, as far as `tarfile` accepted
    it.
    """

    def __init__(self):
        self._prefixes: dict[bytes, str] = {}

    def learn(self, block: bytes, member: tarfile.TarInfo) -> None:
        if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.pax_headers and block.isascii():
            if len(self._prefixes) >= MAX_KNOWN:
                self._prefixes.clear()
            self._prefixes[_rest(block)] = _text(block[345:500])

    def read(self, block: bytes, offset: int) -> tarfile.TarInfo | None:
        """The member whose header is `block`, at `offset` of the archive; None where `tarfile` has to say."""
        numbers = _NUMBERS.fullmatch(block, 124, 156)
        prefix = self._prefixes.get(_rest(block)) if numbers is not None else None
        # 512 ASCII bytes add up to less than 65521, so that the lower half of Adler-32 is 1 + their sum. The
        # checksum counts its own field as spaces.
        if prefix is None or not block.isascii():
            return None
        total = (zlib.adler32(block) & 0xFFFF) - 1 - sum(block[148:156]) + 8 * ord(" ")
        name = _text(block[:100])
        if total != int(numbers[2], 8) or not name or name.endswith("/"):
            return None
        member = tarfile.TarInfo(f"{prefix}/{name}" if prefix else name)
        member.size = int(numbers[1], 8)
        member.offset = offset
        member.offset_data = offset + tarfile.BLOCKSIZE
        return member


def _rest(block: bytes) -> bytes:
    return block[100:124] + block[156:]


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii")


def check_plain(member: tarfile.TarInfo, max_bytes: int) -> None:
    """Raises `RejectedRecord` unless the member is a plain file of an allowed size."""
    if not member.isreg() or member.issparse():
        raise RejectedRecord("not a plain file (a link, a device or a sparse file)")
    if member.size > max_bytes:
        raise RejectedRecord(f"{member.size:,} bytes, allowed are {max_bytes:,}")


class BoundedReader(io.RawIOBase):
    """The part of `file` that starts at `start`, with bounds on each read and on the whole, for tarfile to
    read from.

    `ahead`: bytes to read at once where the archive is read from front to back.
    """

    def __init__(self, file, max_read: int, max_total: int, start: int = 0, ahead: int = 0):
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
        if not 0 <= size <= self._max_read:
            raise tarfile.ReadError(f"a header claims {size:,} bytes, allowed are {self._max_read:,}")
        size = min(size, self._max_total - self._position)
        at = self._position - self._buffered_from
        if at < 0 or at + size > len(self._buffer):
            self._fill(size)
            at = 0
        self.last_block = self._buffer[at : at + size]
        self._position += len(self.last_block)
        return self.last_block

    def _fill(self, size: int) -> None:
        """Buffers `size` bytes or more from the position on; what is left in the buffer is not read again: a
        compressed file cannot go back.
        """
        at = self._position - self._buffered_from
        left = self._buffer[at:] if at >= 0 else b""
        self._file.seek(self._start + self._position + len(left))
        self._buffer = left + self._file.read(max(size - len(left), self._ahead))
        self._buffered_from = self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < 0:
            raise tarfile.ReadError("a header points before the archive's beginning")
        if offset > self._max_total:
            raise tarfile.ReadError(
                f"a member ends {offset:,} bytes after the beginning of one of {self._max_total:,}"
            )
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def drain(self) -> None:
        """Reads on to the end: only there gzip's checksum tells whether all that was read is right."""
        while self.read(MAX_HEADER_BYTES):
            pass


@contextmanager
def archive_errors(role: str, path: Path):
    """Turns the many errors of a broken archive into one that says which file, and what to do."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise SourceError(
            f"{role}={str(path)!r} cannot be read as a tar archive: {error}. Download it again, or unpack "
            f"what can be saved of it and pass the folder."
        ) from error
