"""What a source is: it is read from front to back (`Stream`), or asked for one entry (`Lookup`).

Those that there are: `luab_data.sources.folders`, `archives`, `hub`.

An entry has an id, `<class>/<name>` without suffix (depth 2: ImageNet) or `<name>` (depth 1: COCO), and a
payload, the bytes of one file. A file that cannot be an entry becomes a `Reject`; files of another kind, and
the AppleDouble twins `._<name>` that macOS puts into archives, are only counted, in `ignored`. Nothing is
ever written to disk under a name that an archive gives.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from luab_data.errors import RejectedRecord
from luab_data.images.pillow import SUFFIXES

IMAGES = "images"
BYPRODUCTS = "byproducts"

IMAGE_SUFFIXES = SUFFIXES
MAX_IMAGE_BYTES = 64 << 20  # ImageNet's largest file has 15 MB
MAX_RECORD_BYTES = 4 << 20  # one XML: a trace of 14 minutes at 60 Hz; real files have a few kB

MAX_NAME = 300  # characters of a name in a report; an archive's may have a million

APPLE_DOUBLE = "._"

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
    """A source that is read from front to back, in the same order each time."""

    @property
    def role(self) -> str:
        """What the source is for: IMAGES or BYPRODUCTS."""

    @property
    def place(self) -> str | Path:
        """Where it lies: a path, or a Hub id."""

    @property
    def ignored(self) -> int:
        """How many files of another kind the last pass came by."""

    def __iter__(self) -> Iterator[Entry | Reject]: ...


class Lookup(Protocol):
    """A source that can be asked for one entry."""

    @property
    def role(self) -> str:
        """What the source is for: IMAGES or BYPRODUCTS."""

    @property
    def ignored(self) -> int:
        """How many files of another kind there are."""

    def __contains__(self, entry_id: str) -> bool: ...

    def get(self, entry_id: str) -> Any:
        """Payload of an id that the source contains; raises `RejectedRecord` when it cannot be read."""
        ...

    def ids(self) -> Iterator[str | Reject]:
        """All ids, in the same order each time, and what cannot be an entry."""
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
    """A name in the one form (NFC) in which names are compared."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """A name of an archive or a disk for a report: without what is no text, and not longer than a line."""
    name = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."
    return name if name.isprintable() else ascii(name)[1:-1]


def file_name_of(name: str) -> str:
    """The last part of a name in an archive that says something."""
    last = name.rpartition("/")[2]
    return last if last not in ("", ".") else (_parts(name) or [""])[-1]


@lru_cache(maxsize=8)  # the files of a folder follow each other
def _folders(path: str, depth: int) -> str:
    """The last `depth` parts of a folder's path that say something, each with its `/`."""
    parts = _parts(path)
    if path.startswith("/"):
        raise RejectedRecord(_UNSAFE_NAME)
    for part in parts:
        _require_safe(part)
    if len(parts) < depth:
        raise RejectedRecord(f"the file lies {depth - len(parts)} folder too high: expected <class>/<name>")
    return "".join(part + "/" for part in parts[len(parts) - depth :])


def _parts(name: str) -> list[str]:
    """The parts of a name that say something."""
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
