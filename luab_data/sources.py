"""Folders and zips as sources, and some classes of a source. Tar archives: `luab_data.archives`; the Hub:
`luab_data.hub`.
"""

import lzma
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from luab_data.entries import (
    IMAGE_SUFFIXES,
    IMAGES,
    MAX_IMAGE_BYTES,
    Entry,
    Reject,
    entries_of,
    entry_id,
    file_name_of,
    is_entry,
)
from luab_data.errors import RejectedRecord, SourceError
from luab_data.packed import PackedFolders

# What `zipfile` raises for a member whose data is broken, or packed in a way that it does not know.
_BROKEN_MEMBER = (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, lzma.LZMAError)


class FolderSource:
    """A folder of files, `<root>/<name>` (depth 1) or `<root>/<class>/<name>` (depth 2). Stream and Lookup.

    Folders are listed when they are first needed, so that looking up the files of one class does not wait
    for a million others. Links are followed: the folder is the user's own, and its depth is bounded.
    `rename`: id by the file's name -> id, for sets whose files have two names.
    """

    def __init__(
        self,
        root: str | Path,
        role: str = IMAGES,
        suffixes: tuple[str, ...] = IMAGE_SUFFIXES,
        depth: int = 2,
        max_bytes: int = MAX_IMAGE_BYTES,
        rename: Callable[[str], str] = str,
    ):
        self.place = Path(root)
        self.role = role
        self.suffixes = suffixes
        self.depth = depth
        self.max_bytes = max_bytes
        self._rename = rename
        if not self.place.is_dir():
            raise SourceError(f"{role}={str(root)!r}: there is no such folder.")
        self._folders = sorted(p.name for p in self.place.iterdir() if p.is_dir()) if depth == 2 else [""]
        self._listed = PackedFolders()  # folder -> {id: file name}
        self._rejects: dict[str, list[Reject]] = {}
        self._ignored: Counter[str] = Counter()

    @property
    def ignored(self) -> int:
        return sum(self._ignored.values())

    def classes(self) -> list[str] | None:
        """Names of the class folders that hold at least one file of the source's kind; None without
        classes.
        """
        if self.depth == 1:
            return None
        return [folder for folder in self._folders if self._has_entries(folder)]

    def __iter__(self) -> Iterator[Entry | Reject]:
        return entries_of(self)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._list(self._folder_of(entry_id))

    def get(self, entry_id: str) -> bytes:
        folder = self._folder_of(entry_id)
        path = self.place / folder / self._list(folder)[entry_id]
        try:
            size = path.stat().st_size
            if size > self.max_bytes:
                raise RejectedRecord(f"{size:,} bytes, allowed are {self.max_bytes:,}")
            return path.read_bytes()
        except OSError as error:
            raise RejectedRecord(f"the file cannot be read: {error.strerror}") from error

    def ids(self) -> Iterator[str | Reject]:
        for folder in self._folders:
            yield from self._list(folder)
            yield from self._rejects[folder]

    def _has_entries(self, folder: str) -> bool:
        with os.scandir(self.place / folder) as files:
            return any(is_entry(file.name, self.suffixes) for file in files)

    def _folder_of(self, entry_id: str) -> str:
        return entry_id.rpartition("/")[0]

    def _list(self, folder: str) -> dict[str, str]:
        """`{id: file name}` of one folder; empty for a folder that the root does not have."""
        if folder in self._listed:
            return self._listed[folder]
        if folder not in self._folders:
            return {}
        files: dict[str, str] = {}
        rejects: list[Reject] = []
        for path in sorted((self.place / folder).iterdir()):
            name = f"{folder}/{path.name}" if folder else path.name
            if not is_entry(path.name, self.suffixes) or path.is_dir():
                self._ignored[folder] += 1
                continue
            try:
                found = self._rename(entry_id(name, self.depth))
                if found in files:
                    raise RejectedRecord(f"second file of this id, beside {files[found]!r}")
                if not path.is_file():
                    raise RejectedRecord("not a regular file")
                files[found] = path.name
            except RejectedRecord as error:
                rejects.append(Reject(self.role, name, error.reason))
        self._listed[folder].update(files)
        self._rejects[folder] = rejects
        return files


class ZipSource:
    """The files of a zip, read in place (COCO's `train2014.zip`). Stream and Lookup. `rename` as above."""

    def __init__(
        self,
        path: str | Path,
        role: str = IMAGES,
        suffixes: tuple[str, ...] = IMAGE_SUFFIXES,
        depth: int = 1,
        max_bytes: int = MAX_IMAGE_BYTES,
        rename: Callable[[str], str] = str,
    ):
        self.place = Path(path)
        self.role = role
        self.max_bytes = max_bytes
        self.ignored = 0
        try:
            self._zip = zipfile.ZipFile(self.place)
        except (OSError, zipfile.BadZipFile) as error:
            raise SourceError(f"{role}={str(path)!r} cannot be opened as a zip: {error}.") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._rejects: list[Reject] = []
        for member in self._zip.infolist():
            if member.is_dir():
                continue
            if not is_entry(file_name_of(member.filename), suffixes):
                self.ignored += 1
                continue
            try:
                found = rename(entry_id(member.filename, depth))
                if found in self._members:
                    raise RejectedRecord(f"second file of this id, beside {self._members[found].filename!r}")
                self._members[found] = member
            except RejectedRecord as error:
                self._rejects.append(Reject(role, member.filename, error.reason))

    def classes(self) -> list[str] | None:
        folders = {entry_id.rpartition("/")[0] for entry_id in self._members}
        return None if folders == {""} else sorted(folders)

    def __iter__(self) -> Iterator[Entry | Reject]:
        return entries_of(self)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._members

    def get(self, entry_id: str) -> bytes:
        member = self._members[entry_id]
        if member.flag_bits & 1:
            raise RejectedRecord("the zip's member is encrypted")
        try:
            with self._zip.open(member) as file:
                payload = file.read(self.max_bytes + 1)
        except _BROKEN_MEMBER as error:
            raise RejectedRecord(f"the zip's member cannot be read: {error}") from error
        if len(payload) > self.max_bytes:
            raise RejectedRecord(f"more than the allowed {self.max_bytes:,} bytes")
        return payload

    def ids(self) -> Iterator[str | Reject]:
        yield from self._members
        yield from self._rejects


class ClassFilter:
    """The entries of some classes of another source (Stream and Lookup, as far as that one is); others are
    ignored.
    """

    def __init__(self, source, classes: list[str]):
        self.source = source
        self.role = source.role
        self.place = source.place
        self._classes = frozenset(classes)
        self._left_out = 0

    @property
    def ignored(self) -> int:
        return self.source.ignored + self._left_out

    def _keeps(self, entry_id: str) -> bool:
        return entry_id.rpartition("/")[0] in self._classes

    def __iter__(self) -> Iterator[Entry | Reject]:
        yield from self._kept(self.source)

    def __contains__(self, entry_id: str) -> bool:
        return self._keeps(entry_id) and entry_id in self.source

    def get(self, entry_id: str) -> bytes:
        return self.source.get(entry_id)

    def ids(self) -> Iterator[str | Reject]:
        yield from self._kept(self.source.ids())

    def _kept(self, items):
        self._left_out = 0
        for item in items:
            if isinstance(item, Reject) or self._keeps(item if isinstance(item, str) else item.id):
                yield item
            else:
                self._left_out += 1
