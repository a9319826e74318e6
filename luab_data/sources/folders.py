"""Folders and zips as sources.

Tar archives: `luab_data.sources.archives`; the Hub: `luab_data.hub.source`.
"""

import copy
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular, require_file_inside
from luab_data.sources.compact_names import CompactNames
from luab_data.sources.entries import (
    IMAGE_SUFFIXES,
    IMAGES,
    MAX_IMAGE_BYTES,
    Entry,
    Reject,
    entries_of,
    entry_id,
    file_name_of,
    is_entry,
    printable,
    require_depth,
    same_form,
)
from luab_data.sources.parts import PartOf, Parts
from luab_data.sources.zip import BrokenZip, ZipMember, read_member, zip_members


class FolderSource:
    """A folder of files, `<root>/<name>` (depth 1) or `<root>/<class>/<name>` (depth 2). Stream and Lookup.

    Folders are listed when they are first needed, so that a lookup in one class does not wait for a million
    other files. Of depth 2, a file of the source's kind in another place is rejected. A link to a file inside
    the folder is followed, any other link is rejected.
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
        self._resolved = self.place.resolve()
        self._folders: dict[str, list[str]] = {} if depth == 2 else {"": [""]}  # by id: their names
        self._rejects_of_root: list[Reject] = []  # files beside the folders, and folders that are links
        self._listed = CompactNames()  # folder's id -> {id: the file's path in the root}
        self._rejects: dict[str, list[Reject]] = {}
        self._ignored: Counter[str] = Counter()
        if depth == 2:
            self._find_folders()

    @property
    def ignored(self) -> int:
        """The number of files of another kind so far."""
        return sum(self._ignored.values())

    def classes(self) -> list[str] | None:
        """Ids of the class folders with an entry; None without classes."""
        if self.depth == 1:
            return None
        return [folder for folder in self._folders if self._has_entries(folder)]

    def part(self, parts: Parts) -> "FolderSource | PartOf":
        """The entries of some parts; of class folders only theirs are listed."""
        part = copy.copy(self)
        part._listed, part._rejects, part._ignored = CompactNames(), {}, Counter()
        if self.depth == 2 and parts.first:
            part._ignored[""] = self._ignored[""]
        if self.depth == 1:
            return PartOf(part, parts)
        part._folders = {name: paths for name, paths in self._folders.items() if parts.own_class(name)}
        part._rejects_of_root = self._rejects_of_root if parts.first else []
        return part

    def __iter__(self) -> Iterator[Entry | Reject]:
        return entries_of(self)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._list(self._folder_of(entry_id))

    def get(self, entry_id: str) -> bytes:
        """The bytes of one entry."""
        return read_regular(self.place / self._list(self._folder_of(entry_id))[entry_id], self.max_bytes)

    def ids(self) -> Iterator[str | Reject]:
        """All ids, folder by folder, with the rejects of each."""
        yield from self._rejects_of_root
        for folder in self._folders:
            yield from self._list(folder)
            yield from self._rejects[folder]

    def _find_folders(self) -> None:
        for entry in _entries(self.place):
            if entry.is_dir(follow_symlinks=False):
                self._folders.setdefault(same_form(entry.name), []).append(entry.name)
            elif entry.is_symlink() and entry.is_dir():
                reason = "a link to a folder is not followed: put the folder itself in its place"
                self._rejects_of_root.append(Reject(self.role, printable(entry.name), reason))
            else:
                self._rejects_of_root += self._misplaced("", entry.name)

    def _misplaced(self, folder: str, path: str) -> Iterator[Reject]:
        """Rejects a file that lies too high or too deep; counts it as ignored if it is of another kind."""
        if not is_entry(file_name_of(path), self.suffixes):
            self._ignored[folder] += 1
            return
        try:
            require_depth(path, self.depth)
        except RejectedRecord as error:
            yield Reject(self.role, printable(path), error.reason)

    def _nested(self, folder: str, path: str) -> Iterator[Reject]:
        """The files below a folder that lies in a class folder."""
        for below, folders, files in os.walk(self.place / path, onerror=_raise):
            folders.sort()
            for name in sorted(files):
                yield from self._misplaced(folder, Path(below, name).relative_to(self.place).as_posix())

    def _has_entries(self, folder: str) -> bool:
        for name in self._folders[folder]:
            with os.scandir(self.place / name) as files:
                if any(self._is_usable(file, f"{name}/{file.name}") for file in files):
                    return True
        return False

    def _is_usable(self, file: os.DirEntry[str], path: str) -> bool:
        if not is_entry(file.name, self.suffixes) or file.is_dir(follow_symlinks=False):
            return False
        try:
            self._id(file, path, {})
        except RejectedRecord:
            return False
        return True

    def _folder_of(self, entry_id: str) -> str:
        return entry_id.rpartition("/")[0]

    def _list(self, folder: str) -> dict[str, str]:
        """`{id: path in the root}` of one folder; empty for a folder that the root does not have."""
        if folder in self._listed:
            return self._listed[folder]
        files: dict[str, str] = {}
        rejects: list[Reject] = []
        for name in self._folders.get(folder, ()):
            for entry in _entries(self.place / name):
                path = f"{name}/{entry.name}" if name else entry.name
                if self.depth == 2 and entry.is_dir(follow_symlinks=False):
                    rejects += self._nested(folder, path)
                    continue
                if not is_entry(entry.name, self.suffixes) or entry.is_dir(follow_symlinks=False):
                    self._ignored[folder] += 1
                    continue
                try:
                    files[self._id(entry, path, files)] = path
                except RejectedRecord as error:
                    rejects.append(Reject(self.role, printable(path), error.reason))
        if folder in self._folders:
            self._listed[folder].update(files)
            self._rejects[folder] = rejects
        return files

    def _id(self, entry: os.DirEntry[str], path: str, files: dict[str, str]) -> str:
        found = self._rename(entry_id(path, self.depth))
        if found in files:
            raise RejectedRecord(f"second file of this id, beside {beside(files[found], path)}")
        if entry.is_symlink():
            require_file_inside(self.place / path, self._resolved)
        if not entry.is_file():
            raise RejectedRecord("not a regular file")
        return found


def beside(first: str, second: str) -> str:
    """The first of two names for a message about the second; with escapes if they look the same."""
    if same_form(first) == same_form(second) and first != second:
        return f"{first!a}, which looks the same as {second!a}"
    return repr(first)


def _raise(error: OSError) -> None:
    raise error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


class ZipSource:
    """The files of a zip, read in place (COCO's `train2014.zip`). Stream and Lookup. `rename` as above.

    `below`: the files are `<below><class>/<name>`, and others in this folder are rejected; what is beside it
    is ignored. None: they may be in any folder.
    """

    def __init__(
        self,
        path: str | Path,
        role: str = IMAGES,
        suffixes: tuple[str, ...] = IMAGE_SUFFIXES,
        depth: int = 1,
        max_bytes: int = MAX_IMAGE_BYTES,
        rename: Callable[[str], str] = str,
        below: str | None = None,
    ):
        self.place = Path(path)
        self.role = role
        self.max_bytes = max_bytes
        self.ignored = 0
        self._places: dict[str, int] = {}  # id -> position in the array
        self._numbers = array("Q")  # of each entry, `ZipMember` without its name
        self._rejects: list[Reject] = []
        try:
            self._file = self.place.open("rb")
            for member in zip_members(self._file):
                inside = member.name.startswith(below or "")
                if not inside or not is_entry(file_name_of(member.name), suffixes):
                    self.ignored += 1
                    continue
                try:
                    if below is not None:
                        require_depth(member.name.removeprefix(below), depth)
                    self._add(rename(entry_id(member.name, depth)), member)
                except RejectedRecord as error:
                    self._rejects.append(Reject(role, printable(member.name), error.reason))
        except (OSError, BrokenZip) as error:
            raise broken_zip(role, path, error) from error

    def part(self, parts: Parts) -> PartOf:
        """The members of some parts. The directory is read once for all of them."""
        part = copy.copy(self)
        part._file = self.place.open("rb")
        return PartOf(part, parts)

    def classes(self) -> list[str] | None:
        """The class folders, sorted; None without classes."""
        folders = {entry_id.rpartition("/")[0] for entry_id in self._places}
        return None if folders == {""} else sorted(folders)

    def __iter__(self) -> Iterator[Entry | Reject]:
        return entries_of(self)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._places

    def get(self, entry_id: str) -> bytes:
        """The bytes of one entry."""
        fields = len(ZipMember._fields) - 1
        start = fields * self._places[entry_id]
        member = ZipMember("", *self._numbers[start : start + fields])
        return read_member(self._file, member, self.max_bytes)

    def ids(self) -> Iterator[str | Reject]:
        """All ids, then the rejects."""
        yield from self._places
        yield from self._rejects

    def _add(self, found: str, member: ZipMember) -> None:
        if found in self._places:
            raise RejectedRecord("second file of this id")
        self._places[found] = len(self._places)
        self._numbers.extend(member[1:])


def broken_zip(role: str, path: str | Path, error: Exception) -> SourceError:
    """The error for an unreadable zip, with the fix."""
    return SourceError(
        f"{role}={str(path)!r} cannot be read as a zip: {error}. Download it again, or unpack what can be "
        "saved of it and pass the folder."
    )
