"""Image files that are read in any order: of a folder, a zip, or a tar that is not compressed."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from luab_attention.convert.files import FOLDER_FIX, LINK_FIX
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular, require_file_inside
from luab_data.images.files import list_images
from luab_data.sources.archives import GZIP_MAGIC
from luab_data.sources.entries import (
    IMAGE_SUFFIXES,
    IMAGES,
    MAX_IMAGE_BYTES,
    file_name_of,
    is_entry,
    printable,
)
from luab_data.sources.folders import broken_zip
from luab_data.sources.tar import MAX_HEADER_BYTES, BoundedReader, archive_errors, check_plain, members
from luab_data.sources.zip import BrokenZip, ZipMember, is_zip, read_member, zip_members


class Store(Protocol):
    """Image files that can be read in any order.

    `left_out` says what of them is not read although it may be meant, with the fix, or is "".
    """

    left_out: str

    def names(self) -> Iterable[tuple[str, Any]]:
        """The path of each file, and what `read` needs."""
        ...

    def read(self, place: Any) -> bytes:
        """The bytes of a file. Raises RejectedRecord."""
        ...


def open_store(path: Path) -> Store:
    """The image files of a folder or an archive. Raises SourceError."""
    if path.is_dir():
        return _Folder(path)
    return _Zip(path) if is_zip(path) else _Tar(path)


class _Folder:
    def __init__(self, root: Path):
        self._root = root
        self._listing = list_images(root)
        self._links = frozenset(self._listing.links)
        linked = self._listing.linked_folders
        self.left_out = ""
        if linked:
            number = counted(len(linked), "linked folder is", "linked folders are")
            names = few([printable(name) for name in linked])
            self.left_out = f"{number} not followed ({names}): {FOLDER_FIX}"

    def names(self) -> Iterator[tuple[str, str]]:
        """Images directly in the folder, and at any depth below its folders; links that `read` refuses."""
        listing = self._listing
        below = (f"{folder}/{name}" for folder in listing.classes for name in listing.images[folder])
        for name in (*listing.outside, *below, *listing.links):
            yield name, name

    def read(self, place: str) -> bytes:
        if place in self._links:
            require_file_inside(self._root / place, self._root.resolve(), LINK_FIX)
        return read_regular(self._root / place, MAX_IMAGE_BYTES)


class _Zip:
    left_out = ""

    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("rb")

    def names(self) -> Iterator[tuple[str, ZipMember]]:
        try:
            for member in zip_members(self._file):
                if is_entry(file_name_of(member.name), IMAGE_SUFFIXES):
                    yield member.name, member._replace(name="")
        except (OSError, BrokenZip) as error:
            raise broken_zip(IMAGES, self._path, error) from error

    def read(self, place: ZipMember) -> bytes:
        return read_member(self._file, place, MAX_IMAGE_BYTES)


class _Tar:
    left_out = ""

    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("rb")
        if self._file.read(2) == GZIP_MAGIC:
            raise SourceError(
                f"{IMAGES}={str(path)!r} is a compressed tar, which has no index: unpack it, or gunzip it."
            )

    def names(self) -> Iterator[tuple[str, tuple[int, int]]]:
        size = self._path.stat().st_size
        with archive_errors(IMAGES, self._path):
            for member in members(BoundedReader(self._file, MAX_HEADER_BYTES + tarfile.BLOCKSIZE, size)):
                if not is_entry(file_name_of(member.name), IMAGE_SUFFIXES):
                    continue
                try:
                    check_plain(member, MAX_IMAGE_BYTES)
                except RejectedRecord:
                    continue
                yield member.name, (member.offset_data, member.size)

    def read(self, place: tuple[int, int]) -> bytes:
        offset, size = place
        self._file.seek(offset)
        return self._file.read(size)
