"""Groups of items: so many at most, and never much more of their files in memory than was allowed."""

import itertools

import pytest

from luab_data.build import batches
from luab_data.build.batches import groups
from luab_data.build.join import LoadedPair, Pair
from luab_data.sources.entries import Reject


class Counted:
    """A Lookup of files of one size that counts how many are read."""

    role, ignored, reads = "images", 0, 0

    def __init__(self, size: int):
        self.size = size

    def get(self, entry_id: str) -> bytes:
        self.reads += 1
        return bytes(self.size)


@pytest.mark.parametrize(("size", "lengths"), [(0, [4, 4, 2]), (10, [3, 3, 3, 1]), (1000, [1] * 10)])
def test_many_items_or_many_bytes_end_a_group(monkeypatch, size, lengths):
    monkeypatch.setattr(batches, "BYTES_PER_BATCH", 50)
    lookup = Counted(size)
    found = groups([Pair(str(number), lookup, bytes(10)) for number in range(10)], 4)
    read = []
    for total in itertools.accumulate(lengths):
        read += next(found)
        assert len(read) == lookup.reads == total  # no file of the next group is read yet
    assert next(found, None) is None
    assert read == [LoadedPair(str(number), bytes(size), bytes(10)) for number in range(10)]


def test_what_is_no_file_takes_no_bytes(monkeypatch):
    monkeypatch.setattr(batches, "BYTES_PER_BATCH", 1)
    items = [
        Reject("images", "x", "reason"),
        Pair("a", None, None),
        Pair("b", None, b"1"),
        Pair("c", None, None),
    ]
    assert [len(group) for group in groups(items, 10)] == [3, 1]
