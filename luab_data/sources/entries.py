"""The interfaces of a source: read in order (`Stream`), or entry by entry (`Lookup`).

Implementations: `luab_data.sources.folders`, `archives`, `hub`.

An entry has an id, `<class>/<name>` without suffix (depth 2: ImageNet) or `<name>` (depth 1: COCO), and a
payload, the bytes of one file. An invalid file becomes a `Reject`. Files of another kind, and the AppleDouble
twins `._<name>` that macOS puts into archives, are only counted, in `ignored`. No name of an archive is ever
used for writing to disk.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from luab_data.console.text import counted
from luab_data.constants import APPLE_DOUBLE
from luab_data.errors import RejectedRecord
from luab_data.images.pillow import SUFFIXES

IMAGES = "images"
BYPRODUCTS = "byproducts"

IMAGE_SUFFIXES = SUFFIXES
MAX_IMAGE_BYTES = 64 << 20  # ImageNet's largest file has 15 MB
MAX_RECORD_BYTES = 4 << 20  # one XML: a trace of 14 minutes at 60 Hz; real files have a few kB

MAX_NAME = 300  # characters of a name in a report; an archive's may have a million

_UNSAFE = re.compile(r"[\x00-\x1f\\]")
_UNSAFE_NAME = "unsafe name: absolute, or with '..', a backslash or a control character"


class Entry(NamedTuple):
    """One file of a stream."""

    id: str
    payload: bytes


@dataclass(frozen=True)
class Reject:
    """One file or record that does not become part of a row: a line of `rejects.jsonl`."""

    source: str  # the role of the source: IMAGES or BYPRODUCTS
    id: str  # the entry's id, or the file's name in the source where it has no id
    reason: str


class Stream(Protocol):
    """A source that is always read in the same order."""

    @property
    def role(self) -> str:
        """What the source is for: IMAGES or BYPRODUCTS."""

    @property
    def place(self) -> str | Path:
        """The location: a path, or a Hub id."""

    @property
    def ignored(self) -> int:
        """The number of files of another kind in the last pass."""

    def __iter__(self) -> Iterator[Entry | Reject]: ...


class Lookup(Protocol):
    """A source with random access by id."""

    @property
    def role(self) -> str:
        """What the source is for: IMAGES or BYPRODUCTS."""

    @property
    def ignored(self) -> int:
        """The number of files of another kind."""

    def __contains__(self, entry_id: str) -> bool: ...

    def get(self, entry_id: str) -> Any:
        """Payload of an id in the source; raises `RejectedRecord` if it is unreadable."""
        ...

    def ids(self) -> Iterator[str | Reject]:
        """All ids, always in the same order, and the rejects."""
        ...


def entry_id(name: str, depth: int) -> str:
    """The id of the file `name` of an archive or folder: its last `depth` parts, without suffix.

    In Unicode's composed form (NFC): macOS writes names decomposed.

    Raises:
        RejectedRecord: an absolute name, `..`, or a name that is not text.
    """
    file_name = file_name_of(name)
    _require_safe(file_name)
    folders = _folders(name[: name.rfind(file_name)], depth - 1)
    dot = file_name.rfind(".")
    return same_form(folders + (file_name[:dot] if 0 < dot < len(file_name) - 1 else file_name))


def same_form(name: str) -> str:
    """A name in the Unicode form (NFC) that comparisons use."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """A name from an archive or disk for a report: only printable text, at most a line."""
    name = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."
    return name if name.isprintable() else ascii(name)[1:-1]


def file_name_of(name: str) -> str:
    """The last part of a name in an archive, without empty parts and `.`."""
    last = name.rpartition("/")[2]
    return last if last not in ("", ".") else (_parts(name) or [""])[-1]


@lru_cache(maxsize=8)  # the files of a folder follow each other
def _folders(path: str, depth: int) -> str:
    """The last `depth` parts of a folder's path, without empty parts and `.`, each with its `/`."""
    parts = _parts(path)
    if path.startswith("/"):
        raise RejectedRecord(_UNSAFE_NAME)
    for part in parts:
        _require_safe(part)
    if len(parts) < depth:
        raise _misplaced(len(parts) - depth)
    return "".join(part + "/" for part in parts[len(parts) - depth :])


def require_depth(name: str, depth: int) -> None:
    """Raises RejectedRecord unless `name`, a path below the classes' root, has exactly `depth` parts."""
    deeper = len(_parts(name)) - depth
    if deeper:
        raise _misplaced(deeper)


def _misplaced(deeper: int) -> RejectedRecord:
    where = f"{counted(abs(deeper), 'folder')} too {'deep' if deeper > 0 else 'high'}"
    return RejectedRecord(f"the file lies {where}: expected <class>/<name>")


def _parts(name: str) -> list[str]:
    """The parts of a name, without empty parts and `.`."""
    return [part for part in name.split("/") if part not in ("", ".")]


def _require_safe(part: str) -> None:
    if part == ".." or _UNSAFE.search(part):
        raise RejectedRecord(_UNSAFE_NAME)
    if not part.isascii() and part.encode("utf-8", "replace").decode("utf-8") != part:
        raise RejectedRecord("the file's name is not UTF-8")


def is_entry(file_name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a file is of the source's kind, by its name alone."""
    return file_name.lower().endswith(suffixes) and not file_name.startswith(APPLE_DOUBLE)


def entries_of(lookup: Lookup) -> Iterator[Entry | Reject]:
    """Streams a source that can be looked up."""
    for item in lookup.ids():
        if isinstance(item, Reject):
            yield item
            continue
        try:
            entry = Entry(item, lookup.get(item))
        except RejectedRecord as error:
            yield Reject(lookup.role, item, error.reason)
            continue
        yield entry
