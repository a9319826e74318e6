"""The join: whichever side is streamed, the same images meet the same byproducts, and nothing is lost."""

import pytest
from fixtures.factories import WNIDS, raw_byproducts, raw_images, record_xml
from hypothesis import given
from hypothesis import strategies as st

from luab_data.build.join import Found, LoadedPair, Pair, join
from luab_data.errors import RejectedRecord
from luab_data.sources.archives import Spooled, TarStream
from luab_data.sources.entries import Entry, Reject
from luab_data.sources.folders import FolderSource


class ListSource:
    """Stream and Lookup over a list, for joins whose sides are made up."""

    def __init__(self, role, items, broken=()):
        self.role, self.items, self.broken, self.ignored = role, items, set(broken), 0

    def __iter__(self):
        return iter(self.items)

    def __contains__(self, entry_id):
        return any(isinstance(item, Entry) and item.id == entry_id for item in self.items)

    def get(self, entry_id):
        if entry_id in self.broken:
            raise RejectedRecord("unreadable")
        return next(item.payload for item in self.items if item.id == entry_id)

    def ids(self):
        return iter(item.id if isinstance(item, Entry) else item for item in self.items)


def test_either_side_may_be_the_stream(tmp_path):
    payloads = raw_images(tmp_path / "train")
    ids = list(payloads)
    archive = TarStream(raw_byproducts(tmp_path / "ab.tar.gz", [*ids[1:], f"{WNIDS[0]}/{WNIDS[0]}_99"]))
    images = FolderSource(tmp_path / "train")

    found = Found()
    xml_streamed = [pair.load() for pair in join(archive, images, found)]
    assert found == {"images": 6, "byproducts": 6}
    found = Found()
    images_streamed = [pair.load() for pair in join(images, Spooled(archive), found)]
    assert found == {"images": 6, "byproducts": 6}
    assert sorted(xml_streamed) == sorted(images_streamed)
    assert LoadedPair(ids[0], payloads[ids[0]], None) in xml_streamed
    assert LoadedPair(ids[1], payloads[ids[1]], record_xml(ids[1])) in xml_streamed
    absent = f"{WNIDS[0]}/{WNIDS[0]}_99"
    assert LoadedPair(absent, None, record_xml(absent)) in xml_streamed


def test_what_only_the_lookup_has_comes_last_and_in_its_order():
    stream = ListSource("byproducts", [Entry("c", b"1")])
    lookup = ListSource("images", [Entry(name, b"i") for name in "bca"])
    assert [pair.id for pair in join(stream, lookup)] == ["c", "b", "a"]


def test_the_second_entry_of_an_id_is_rejected_and_rejects_pass_through():
    foreign = Reject("byproducts", "x", "no")
    stream = ListSource("byproducts", [Entry("a", b"1"), foreign, Entry("a", b"2")])
    items = list(join(stream, ListSource("images", [Entry("a", b"i")])))
    assert items[1:] == [foreign, Reject("byproducts", "a", "second entry of this id")]
    assert items[0].load() == ("a", b"i", b"1")


def test_a_lookup_that_lists_an_id_twice_gives_one_pair_and_counts_both():
    """COCO: two records of one image."""
    found = Found()
    records = ListSource(
        "byproducts", [Entry("a", b"1"), Entry("a", b"2"), Entry("b", b"3"), Entry("b", b"4")]
    )
    items = list(join(ListSource("images", [Entry("a", b"i")]), records, found))
    assert [item.id for item in items] == ["a", "b"]
    assert found == {"images": 1, "byproducts": 4}


def test_an_unreadable_entry_is_handed_on_and_does_not_stop_the_join():
    (pair,) = join(
        ListSource("byproducts", [Entry("a", b"1")]), ListSource("images", [Entry("a", b"")], broken="a")
    )
    assert isinstance(pair.load().image, RejectedRecord)


def test_without_a_lookup_the_pairs_are_the_streams():
    (pair,) = join(ListSource("byproducts", [Entry("a", b"1")]), None)
    assert pair.load() == ("a", None, b"1")


_ids = st.lists(st.sampled_from("abcdef"), max_size=8)


@given(byproducts=_ids, images=st.sets(st.sampled_from("abcdef")))
def test_nothing_is_lost(byproducts, images):
    found = Found()
    stream = ListSource("byproducts", [Entry(name, b"") for name in byproducts])
    lookup = ListSource("images", [Entry(name, b"") for name in sorted(images)])
    items = list(join(stream, lookup, found))
    pairs = [item for item in items if isinstance(item, Pair)]
    assert {pair.id for pair in pairs} == set(byproducts) | images
    assert len(pairs) == len({pair.id for pair in pairs})
    assert sum(pair.image is not None for pair in pairs) == found["images"] == len(images)
    in_pairs = sum(pair.byproducts is not None for pair in pairs)
    assert in_pairs + len(items) - len(pairs) == found["byproducts"] == len(byproducts)


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_an_empty_payload_is_not_an_absent_one(payload):
    (pair,) = join(
        ListSource("byproducts", [Entry("a", payload)]), ListSource("images", [Entry("a", payload)])
    )
    assert pair.load() == ("a", payload, payload)
