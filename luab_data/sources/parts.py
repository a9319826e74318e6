"""Some of a source's entries: parts, so that several processes read a release together, and some classes.

Each entry and each reject of a source belongs to exactly one part. Entries of one class are in one part, so
that a reader opens only the folders, or the archives, of its own classes. Entries without a class are spread
by their id.

`datasets` reads several parts at a time in threads. So each part of a source has files and lists of its own.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from luab_data.sources.entries import Entry, Reject

T = TypeVar("T", bound=Entry | str | Reject)


class Parts:
    """Some of the parts.

    Args:
        numbers: Their numbers, from 0.
        of: The number of all parts.
        classes: The classes, which are dealt out in turn. Others are spread by a checksum.
    """

    def __init__(self, numbers: Iterable[int], of: int, classes: Sequence[str] = ()):
        self.numbers = frozenset(numbers)
        self.of = of
        self._of_class = {name: number % of for number, name in enumerate(classes)}

    @property
    def first(self) -> bool:
        """Whether the first part is among them. It has what belongs to no class or id."""
        return 0 in self.numbers

    def own(self, entry_id: str) -> bool:
        """Whether an entry is in them, by its id: `<class>/<name>`, or `<name>`."""
        return self.own_class(entry_id.rpartition("/")[0] or entry_id)

    def own_class(self, name: str) -> bool:
        """Whether the entries of a class are in them."""
        number = self._of_class.get(name)
        return (
            zlib.crc32(name.encode(errors="replace")) % self.of if number is None else number
        ) in self.numbers


class PartOf:
    """The entries of some parts of another source. A Stream or a Lookup (or both), like that source."""

    def __init__(self, source: Any, parts: Parts):
        self.source = source
        self.role = source.role
        self.place = getattr(source, "place", "")
        self._parts = parts

    @property
    def ignored(self) -> int:
        """The number of files of another kind; each part that reads the whole source counts all of them."""
        ignored: int = self.source.ignored
        return ignored

    def __iter__(self) -> Iterator[Entry | Reject]:
        yield from self._own(self.source)

    def __contains__(self, entry_id: str) -> bool:
        return self._parts.own(entry_id) and entry_id in self.source

    def get(self, entry_id: str) -> Any:
        """The payload of one entry."""
        return self.source.get(entry_id)

    def ids(self) -> Iterator[str | Reject]:
        """The ids of these parts, and their rejects."""
        yield from self._own(self.source.ids())

    def _own(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self._parts.own(item if isinstance(item, str) else item.id):
                yield item


class ClassFilter:
    """The entries of some classes of another source; others are ignored.

    A Stream or a Lookup (or both), like that source.
    """

    def __init__(self, source: Any, classes: list[str]):
        self.source = source
        self.role = source.role
        self.place = source.place
        self._classes = frozenset(classes)
        self._left_out = 0

    def over(self, source: Any) -> "ClassFilter":
        """The same classes of another source."""
        return ClassFilter(source, list(self._classes))

    @property
    def ignored(self) -> int:
        """The number of entries that the source ignored, or that are of other classes."""
        return self.source.ignored + self._left_out

    def _keeps(self, entry_id: str) -> bool:
        return entry_id.rpartition("/")[0] in self._classes

    def __iter__(self) -> Iterator[Entry | Reject]:
        yield from self._kept(self.source)

    def __contains__(self, entry_id: str) -> bool:
        return self._keeps(entry_id) and entry_id in self.source

    def get(self, entry_id: str) -> bytes:
        """The bytes of one entry."""
        return self.source.get(entry_id)

    def ids(self) -> Iterator[str | Reject]:
        """The ids of the chosen classes, and the rejects."""
        yield from self._kept(self.source.ids())

    def _kept(self, items: Iterable[T]) -> Iterator[T]:
        self._left_out = 0
        for item in items:
            if isinstance(item, Reject) or self._keeps(item if isinstance(item, str) else item.id):
                yield item
            else:
                self._left_out += 1
