"""Joins images and byproducts: one function for both datasets, whichever side must be streamed."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from luab_data.errors import PASSED_ON, RejectedRecord, internal_error
from luab_data.sources.compact_names import CompactNames
from luab_data.sources.entries import BYPRODUCTS, IMAGES, Lookup, Reject, Stream

# What a side has of an id: a file's bytes, or a lookup's entry of a larger file; None if it has nothing, the
# `RejectedRecord` if that is unreadable.
Payload = Any
Side = bytes | Lookup | None  # streamed, to be looked up, or none of this id

EXAMPLES = 3  # ids of each side, for the message if the sides do not match


class Found(Counter[str]):
    """By role, the number of entries of a side, including invalid files.

    `first` has the first ids of each side, `met` counts the ids that both have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = 0
        self.first: dict[str, list[str]] = {}

    def note(self, role: str, item: str | Reject) -> None:
        """Counts an id or a reject."""
        self[role] += 1
        if self[role] <= EXAMPLES and not isinstance(item, Reject):
            self.first.setdefault(role, []).append(item)

    def add(self, other: "Found") -> None:
        """Counts what was found in another part of the same sides."""
        self.update(other)
        self.met += other.met
        for role, ids in other.first.items():
            self.first[role] = [*self.first.get(role, []), *ids][:EXAMPLES]


class LoadedPair(NamedTuple):
    """The entries of both sides for one id, read."""

    id: str
    image: Payload
    byproducts: Payload


class Pair(NamedTuple):
    """The entries of both sides for one id. The side that is looked up is not read yet."""

    id: str
    image: Side
    byproducts: Side

    def load(self) -> LoadedPair:
        """Reads the side that is looked up."""
        return LoadedPair(self.id, self._payload(self.image), self._payload(self.byproducts))

    def _payload(self, side: Side) -> Payload:
        if side is None or isinstance(side, bytes):
            return side
        try:
            return side.get(self.id)
        except RejectedRecord as error:
            return error
        except PASSED_ON:
            raise
        except Exception as error:  # one bad record never ends a build of a million
            return RejectedRecord(internal_error(error))


def join(stream: Stream | None, lookup: Lookup | None, found: Found | None = None) -> Iterator[Pair | Reject]:
    """Streams one side, looks up the other, then yields the entries that only the lookup has.

    Their roles say which is the image of a pair. The pairs and their order are always the same. A second
    entry of an id in the stream is a reject. A lookup may have an id twice (two records of one image); that
    is one pair. The function fills `found`. With only one side, all pairs have only that side.
    """
    found = Found() if found is None else found
    seen = CompactNames()
    if stream is not None:
        for item in stream:
            found.note(stream.role, item if isinstance(item, Reject) else item.id)
            if isinstance(item, Reject):
                yield item
            elif _is_new(item.id, seen):
                sides: dict[str, Side] = {stream.role: item.payload}
                if lookup is not None and item.id in lookup:
                    found.met += 1
                    sides[lookup.role] = lookup
                yield _pair(item.id, sides)
            else:
                yield Reject(stream.role, item.id, "second entry of this id")
    if lookup is None:
        return
    for entry_id in lookup.ids():
        found.note(lookup.role, entry_id)
        if isinstance(entry_id, Reject):
            yield entry_id
        elif _is_new(entry_id, seen):
            yield _pair(entry_id, {lookup.role: lookup})


def _pair(entry_id: str, sides: Mapping[str, Side]) -> Pair:
    return Pair(entry_id, sides.get(IMAGES), sides.get(BYPRODUCTS))


def _is_new(entry_id: str, seen: CompactNames) -> bool:
    """Whether an id is new; if so, it is added."""
    folder, _, name = entry_id.rpartition("/")
    names = seen[folder]
    if name in names:
        return False
    names[name] = ""
    return True
