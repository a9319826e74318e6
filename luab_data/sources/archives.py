"""Tar archives, read in place: a stream of small files, and a tar of tars looked up by offset.

Archives may be hostile. Nothing is unpacked. Only regular files with safe names are read, and no name of the
archive is used for writing. Limits on a member's size, on a header's claims and on the total decompressed
size bound every read.
"""

import copy
import tarfile
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luab_data.errors import RejectedRecord, SourceError
from luab_data.sources.entries import (
    BYPRODUCTS,
    IMAGE_SUFFIXES,
    IMAGES,
    MAX_IMAGE_BYTES,
    MAX_RECORD_BYTES,
    Entry,
    Reject,
    Stream,
    entries_of,
    entry_id,
    file_name_of,
    is_entry,
    printable,
)
from luab_data.sources.inflate import GzipFile
from luab_data.sources.parts import Parts
from luab_data.sources.tar import (
    MAX_HEADER_BYTES,
    READ_AHEAD,
    BoundedReader,
    Member,
    archive_errors,
    check_plain,
    members,
)

MAX_TOTAL_BYTES = 64 << 30  # decompressed; the released ImageNet-AB archive has about 5 GB
GZIP_MAGIC = b"\x1f\x8b"


class TarStream:
    """The files `.../<class>/<name><suffix>` of a `.tar.gz` or `.tar`, in the archive's order. A Stream."""

    def __init__(
        self,
        path: str | Path,
        role: str = BYPRODUCTS,
        suffixes: tuple[str, ...] = (".xml",),
        depth: int = 2,
        max_bytes: int = MAX_RECORD_BYTES,
        max_total_bytes: int = MAX_TOTAL_BYTES,
    ):
        self.place = Path(path)
        self.role = role
        self.suffixes = suffixes
        self.depth = depth
        self.max_bytes = max_bytes
        self.max_total_bytes = max_total_bytes
        self.ignored = 0
        if not self.place.is_file():
            raise SourceError(f"{role}={str(path)!r}: there is no such file.")

    def __iter__(self) -> Iterator[Entry | Reject]:
        self.ignored = 0
        with self._opened() as reader:
            for member in members(reader):
                if member.isreg() and not is_entry(file_name_of(member.name), self.suffixes):
                    self.ignored += 1
                    continue
                try:
                    check_plain(member, self.max_bytes)
                    found = entry_id(member.name, self.depth)
                except RejectedRecord as error:
                    yield Reject(self.role, printable(member.name), error.reason)
                    continue
                yield Entry(found, reader.read_at(member.offset_data, member.size))

    def ids(self) -> Iterator[str | Reject]:
        """The ids alone: one pass over the whole archive."""
        for item in self:
            yield item.id if isinstance(item, Entry) else item

    @contextmanager
    def _opened(self) -> Iterator[BoundedReader]:
        with self.place.open("rb") as file, archive_errors(self.role, self.place):
            compressed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            longest = max(self.max_bytes, MAX_HEADER_BYTES) + tarfile.BLOCKSIZE
            if compressed:
                with GzipFile(fileobj=file) as content:
                    yield BoundedReader(content, longest, self.max_total_bytes, ahead=READ_AHEAD)
            else:
                yield BoundedReader(file, longest, self.max_total_bytes, ahead=READ_AHEAD)


class TarOfTars:
    """The images of `ILSVRC2012_img_train.tar`: a tar of one `<class>.tar` per class. Stream and Lookup.

    The headers of a class's tar are read once, when one of its images is first asked for, seeking from one to
    the next. Then an image is one seek and one read in the outer tar.
    """

    def __init__(self, path: str | Path, role: str = IMAGES, max_bytes: int = MAX_IMAGE_BYTES):
        self.place = Path(path)
        self.role = role
        self.max_bytes = max_bytes
        self.ignored = 0
        if not self.place.is_file():
            raise SourceError(f"{role}={str(path)!r}: there is no such file.")
        # Class -> id -> position in the arrays (a million tuples take more memory).
        self._places: dict[str, dict[str, int]] = {}
        self._offsets = array("Q")
        self._sizes = array("Q")
        self._rejects: list[Reject] = []  # of the outer tar
        self._rejects_of: dict[str, list[Reject]] = {}  # of each class
        self._file = self.place.open("rb")
        with archive_errors(role, self.place):
            self._tars: dict[str, Member] = {}
            self._find_class_tars()
        if not self._tars:
            raise SourceError(
                f"{role}={str(path)!r} holds no <class>.tar: expected ILSVRC2012_img_train.tar. "
                "Unpack another archive and pass the folder that holds the class folders."
            )

    def classes(self) -> list[str]:
        """The class of each inner tar with an entry."""
        return [class_name for class_name in self._tars if self._has_entries(class_name)]

    def part(self, parts: Parts) -> "TarOfTars":
        """The classes of some parts."""
        part = copy.copy(self)
        part._file = self.place.open("rb")
        part._places, part._rejects_of = {}, {}
        part._offsets, part._sizes = array("Q"), array("Q")
        part._tars = {name: tar for name, tar in self._tars.items() if parts.own_class(name)}
        part._rejects = self._rejects if parts.first else []
        return part

    def __iter__(self) -> Iterator[Entry | Reject]:
        return entries_of(self)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._index(entry_id.partition("/")[0])

    def get(self, entry_id: str) -> bytes:
        """The bytes of one entry."""
        place = self._index(entry_id.partition("/")[0])[entry_id]
        self._file.seek(self._offsets[place])
        return self._file.read(self._sizes[place])

    def ids(self) -> Iterator[str | Reject]:
        """All ids, then the rejects."""
        for class_name in self._tars:
            yield from self._index(class_name)
        yield from self._rejects
        for class_name in self._tars:
            yield from self._rejects_of[class_name]

    def _find_class_tars(self) -> None:
        size = self.place.stat().st_size
        for member in members(BoundedReader(self._file, MAX_HEADER_BYTES, size)):
            if not member.name.endswith(".tar"):
                self.ignored += 1
                continue
            try:
                check_plain(member, size)
                class_name = entry_id(member.name, 1)
                if class_name in self._tars:
                    raise RejectedRecord("second archive of this class")
                self._tars[class_name] = member
            except RejectedRecord as error:
                self._rejects.append(Reject(self.role, printable(member.name), error.reason))

    def _index(self, class_name: str) -> dict[str, int]:
        """The places of a class, whose headers are read once: minutes for all of ImageNet."""
        places = self._places.get(class_name)
        if places is not None:
            return places
        tar = self._tars.get(class_name)
        if tar is None:
            return {}
        places, rejects = {}, []
        with archive_errors(self.role, self.place):
            for member in self._members(tar):
                try:
                    self._add(class_name, member, tar.offset_data, places)
                except RejectedRecord as error:
                    name = printable(f"{class_name}/{member.name}")
                    rejects.append(Reject(self.role, name, error.reason))
        self._places[class_name], self._rejects_of[class_name] = places, rejects
        return places

    def _members(self, tar: Member) -> Iterator[Member]:
        return members(BoundedReader(self._file, MAX_HEADER_BYTES, tar.size, start=tar.offset_data))

    def _has_entries(self, class_name: str) -> bool:
        with archive_errors(self.role, self.place):
            return any(self._is_usable(member) for member in self._members(self._tars[class_name]))

    def _is_usable(self, member: Member) -> bool:
        try:
            check_plain(member, self.max_bytes)
            entry_id(member.name, 1)
        except RejectedRecord:
            return False
        return is_entry(file_name_of(member.name), IMAGE_SUFFIXES)

    def _add(self, class_name: str, member: Member, start: int, places: dict[str, int]) -> None:
        if member.isreg() and not is_entry(file_name_of(member.name), IMAGE_SUFFIXES):
            self.ignored += 1
            return
        check_plain(member, self.max_bytes)
        found = f"{class_name}/{entry_id(member.name, 1)}"
        if found in places:
            raise RejectedRecord("second file of this id")
        places[found] = len(self._offsets)
        self._offsets.append(start + member.offset_data)
        self._sizes.append(member.size)


class Spooled:
    """A stream copied into a compressed scratch file, so that its entries can be looked up. A Lookup.

    It is for joins whose images can only be streamed: the byproducts are then looked up. The file is deleted
    with the object.
    """

    def __init__(self, stream: Stream):
        self.role = stream.role
        self._places: dict[str, int] = {}
        self._ends = array("Q", [0])
        self._rejects: list[Reject] = []
        self._file = tempfile.TemporaryFile(prefix="luab-")  # noqa: SIM115 - lives as long as the object
        for item in stream:
            if isinstance(item, Reject):
                self._rejects.append(item)
            elif item.id in self._places:
                self._rejects.append(Reject(self.role, item.id, "second file of this id"))
            else:
                self._places[item.id] = len(self._places)
                packed = zlib.compress(item.payload, 1)
                self._file.write(packed)
                self._ends.append(self._ends[-1] + len(packed))
        self.ignored = stream.ignored

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._places

    def get(self, entry_id: str) -> bytes:
        """The bytes of one entry."""
        place = self._places[entry_id]
        self._file.seek(self._ends[place])
        return zlib.decompress(self._file.read(self._ends[place + 1] - self._ends[place]))

    def ids(self) -> Iterator[str | Reject]:
        """All ids, then the rejects."""
        yield from self._places
        yield from self._rejects
