"""The fast way from XML to rows gives what the strict parser gives, or leaves the file to it."""

import re
from dataclasses import asdict, replace
from itertools import permutations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_record import PIECES, REJECTED, XML

from imagenet_ab.clicks import click
from imagenet_ab.fast.columns import ANNOTATIONS_TYPE, CLICK_TYPE, parse_columns
from imagenet_ab.fields import Annotation, Record, TimedPoint
from imagenet_ab.pairs import ImageNetPairToRow, PairsToBatch
from imagenet_ab.record import parse_record
from imagenet_ab.rows import features
from imagenet_ab.write import write_xml
from luab_data.build.batches import to_batch
from luab_data.build.join import LoadedPair
from luab_data.errors import RejectedRecord
from luab_data.sources.entries import Reject

ID = "n01440764/n01440764_105"  # that of XML
SCHEMA = features(["n01440764"], images=False).arrow_schema
TWICE = XML.replace(
    b"</anything>", XML[XML.index(b"  <metadata>") : XML.index(b"</anything>")] + b"</anything>"
)


def are_taken(*xmls: bytes) -> list[bool]:
    """Which of them the fast way reads; what it reads is what the strict parser reads."""
    columns = parse_columns(xmls)
    records = [parse_record(xmls[number]) for number in columns.numbers]
    expected = [[asdict(annotation) for annotation in record.annotations] for record in records]
    columns.annotations.validate(full=True)
    assert columns.image_ids.to_pylist() == [record.image_id for record in records]
    assert bits(columns.annotations) == bits(pa.array(expected, ANNOTATIONS_TYPE))
    assert bits(columns.clicks) == bits(pa.array([click(record) for record in records], CLICK_TYPE))
    return [number in columns.numbers for number in range(len(xmls))]


def bits(array: pa.Array) -> str:
    return repr(array.to_pylist())  # tells -0.0 from 0.0


def test_the_released_layout_is_taken():
    minimal = write_xml(Record("a/b", (Annotation(False),)))
    assert all(are_taken(XML, TWICE, minimal, b"".join(line.strip() for line in XML.splitlines())))


def test_chunks_and_odd_files_keep_the_order(monkeypatch):
    monkeypatch.setattr("imagenet_ab.fast.columns.CHUNK_BYTES", 3 * len(XML))
    xmls = [XML.replace(b"n01440764_105", b"n01440764_%d" % number) for number in range(20)]
    for odd in (0, 7, 8, 19):
        xmls[odd] = xmls[odd].replace(b"<page_idx>3", b"<page_idx> 3")
    assert are_taken(*xmls) == [number not in (0, 7, 8, 19) for number in range(20)]


TAKEN = {
    "declaration without space": (b'"1.0" ?>', b'"1.0"?>'),
    "encoding": (b'"1.0" ?>', b'"1.0" encoding="UTF-8"?>'),
    "no declaration": (b'<?xml version="1.0" ?>\n', b""),
    "no white space": (b"\n    <", b"<"),
    "carriage returns": (b"\n", b"\r\n"),
    "empty list": (b"<hoveredCount>", b"<mouseTracking/><mouseTracking> </mouseTracking><hoveredCount>"),
    "empty scalars": (b"<estimateTime>344</estimateTime>", b"<estimateTime/>"),
    "empty text": (b"47DBDD543E", b""),
    "zero": (b"<estimateTime>344", b"<estimateTime>0"),
    "negative zero": (b"<page_idx>3", b"<page_idx>-0"),
    "negative zero click": (b"<x>0.5401234567901234", b"<x>-0"),
    "small": (b"<x>0.5401234567901234", b"<x>5e-324"),
    "many digits": (b"0.44135802469135804", b"0.441358024691358041" + b"7" * 200),
    "whole number with a point": (b"<page_idx>3", b"<page_idx>3.0"),
    "seconds": (b"1641425051975", b"1641425051.9755"),
    "half milliseconds": (b"1641425051975", b"1641425051975.5"),
    "no position": (b"<imagePosition><x>857</x><y>1976</y></imagePosition>", b"<imagePosition/>"),
    "longest text": (b"47DBDD543E", b"4" * 255),
    "number of a position with an exponent": (b"<x>0.0030864197530864196", b"<x>3.0864197530864196E-3"),
    "root called like a scalar": (b"anything>", b"selected>"),
    "root called like a structure": (b"anything>", b"selectedRecord>"),
    "space in a position": (
        b"<mouseTracking><x>0.44135802469135804</x><y>",
        b"<mouseTracking>\n\t\t\t<x>0.44135802469135804</x>\r\n               <y>",
    ),
    "another order": (
        b"<selected>True</selected>\n",
        b"<hoveredRecord><time>7</time><action>leave</action></hoveredRecord><selected>false</selected>",
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_variants_of_the_layout_are_taken(case):
    old, new = TAKEN[case]
    assert old in XML
    assert are_taken(XML, XML.replace(old, new), TWICE.replace(old, new)) == [True] * 3


LEFT = {
    "spaces around a value": (b"<page_idx>3<", b"<page_idx> 3 <"),
    "entity": (b"47DBDD543E", b"47DBDD543&amp;"),
    "attribute": (b"<selected>", b'<selected by="worker">'),
    "comment": (b"<selected>", b"<!-- --><selected>"),
    "unknown element": (b"<selected>", b"<more>1</more><selected>"),
    "text between": (b"<selected>", b"text<selected>"),
    "position in another order": (
        b"<y>0.6008230452674898</y><time>1641425051975</time></mouse",
        b"<time>1641425051975</time><y>0.6008230452674898</y></mouse",
    ),
    "text in a position": (b"<mouseTracking><x>0.44", b"<mouseTracking>    x    <x>0.44"),
    "position in a position": (
        b"<x>857",
        b"<mouseTracking><x>0</x><y>0</y><time>9</time></mouseTracking><x>857",
    ),
    "position outside": (
        b"</anything>",
        b"<mouseTracking><x>0</x><y>0</y><time>9</time></mouseTracking></anything>",
    ),
    "not ASCII": (b"47DBDD543E", "é".encode()),
    "much space in a position": (b"<mouseTracking><x>", b"<mouseTracking>" + b" " * 65 + b"<x>"),
}


@pytest.mark.parametrize("case", LEFT)
def test_sound_but_not_of_the_layout_is_left_to_the_parser(case):
    xml = XML.replace(*LEFT[case])
    assert parse_record(xml).annotations
    assert are_taken(XML, xml, TWICE) == [True, False, True]


MORE_REJECTED = {
    "root closed as another": (XML.replace(b"</anything>", b"</another>"), ""),
    "long imageID": (XML.replace(b"_105</", b"_" + b"1" * 300 + b"</"), ""),
    "long text": (XML.replace(b"47DBDD543E", b"4" * 256), ""),
    "long number": (XML.replace(b"0.44135802469135804", b"0." + b"4" * 254), ""),
    "root not closed": (XML.replace(b"</anything>", b""), ""),
    "two roots": (XML + XML[XML.index(b"<anything>") :], ""),
    "declaration twice": (XML[:23] + XML, ""),
    "field closed as another": (XML.replace(b"</x><y>", b"</y><y>", 1), ""),
    "position in a text": (
        XML.replace(b"47DBDD543E", b"47<mouseTracking><x>0</x><y>0</y><time>9</time></mouseTracking>DB"),
        "",
    ),
    "what is left of a position": (XML.replace(b"<selected>", b"<><selected>"), ""),
    "long number in a position": (XML.replace(b"<x>0.00", b"<x>0." + b"0" * 260), ""),
    "no number in a position": (XML.replace(b"<x>0.00", b"<x>0x00"), ""),
    "nan in a position": (XML.replace(b"<x>0.0030864197530864196", b"<x>nan"), ""),
    "click far away": (XML.replace(b"<x>0.5401234567901234", b"<x>1e39"), ""),
    "time far away": (XML.replace(b"1641425051975</time></mouse", b"1e15</time></mouse"), ""),
    "field twice": (XML.replace(b"<y>1976</y>", b"<x>1976</x>"), ""),
    "field of a click twice": (XML.replace(b"<y>0.4732510288065844</y>", b"<x>0.4732510288065844</x>"), ""),
    "position twice": (XML.replace(b"<imagePosition>", b"<imagePosition/><imagePosition>"), ""),
}


@pytest.mark.parametrize("case", REJECTED | MORE_REJECTED)
def test_what_the_parser_rejects_is_not_taken(case):
    xml, _ = (REJECTED | MORE_REJECTED)[case]
    with pytest.raises(RejectedRecord):
        parse_record(xml)
    assert are_taken(XML, xml, TWICE) == [True, False, True]


def test_a_position_cut_in_two_by_the_files_ends_is_none():
    begin, end = XML.split(b"0.44135802469135804</x>")
    halves = (
        (begin, b"</x>" + end),
        (begin + b"0.44", b"</x>" + end),
        (begin + b"0.44135802469135804</x>", end),
    )
    for first, second in halves:
        assert are_taken(XML, first, second, XML) == [True, False, False, True]
        assert are_taken(XML, first, b"", second, XML) == [True, False, False, False, True]


def test_a_position_that_begins_behind_a_file_is_not_cut_out_of_it():
    behind = XML + b" " * 100 + b"<mouseTracking><x>0</x><y>0"
    assert are_taken(behind, b"</y><time>9</time></mouseTracking>", XML) == [False, False, True]


POSITION = b"<mouseTracking><x>1</x><y>0</y><time>9</time></mouseTracking>"


@pytest.mark.parametrize("cut", range(1, len(POSITION)))
def test_a_position_that_goes_on_in_the_next_file_moves_no_other(cut):
    other, without = (
        XML.replace(b"0.44135802469135804", b"0.25"),
        XML.replace(b"mouseTracking>", b"hoveredRecord>"),
    )
    assert are_taken(XML + POSITION[:cut], POSITION[cut:], other, XML) == [False, False, True, True]
    padded = XML + b" " * len(POSITION) + POSITION[:cut]
    assert are_taken(other, padded, POSITION[cut:] + b"junk", other, XML) == [True, False, False, True, True]
    start = b"<r><metadata>" + POSITION[:cut]
    end = POSITION[cut:] + b"<imageID>a/1</imageID><selected>True</selected></metadata></r>"
    assert are_taken(start, end, other) == [False, False, True]
    assert are_taken(start, end, b"<r></r>", without) == [False] * 4


@pytest.mark.parametrize("order", list(permutations(["x", "y", "time"])))
def test_the_fields_of_most_positions_may_be_in_any_order(order):
    def xml(count, order=order):
        fields = "".join(f"<{field}>0.{len(field)}{ord(field[0])}</{field}>" for field in order)
        positions = f"<mouseTracking>{fields}</mouseTracking>" * count
        return re.sub(rb"<mouseTracking>.*</mouseTracking>", positions.encode(), XML, flags=re.DOTALL)

    assert all(are_taken(xml(40), xml(1), xml(0), xml(3)))
    assert are_taken(xml(1, reversed(order)), xml(40), xml(2)) == [False, True, True]


def test_an_odd_position_leaves_the_others():
    odd = XML.replace(b"0.6008230452674898</y>", b"0.6008230452674898</z>")
    without = XML.replace(b"mouseTracking>", b"hoveredRecord>")
    assert are_taken(odd, XML, without, XML, odd) == [False, True, False, True, False]
    assert are_taken(b"", b"<>", b"<", b">", XML) == [False] * 4 + [True]


def test_mean_of_several_clicks_is_the_same():
    clicks = [Annotation(True, selected_record=(TimedPoint(x, x / 3, 5),)) for x in (0.1, 0.2, 0.7)]
    unselected = replace(clicks[0], selected=False)
    xmls = [write_xml(Record("a/b", tuple(each))) for each in (clicks, [unselected, *clicks], [unselected])]
    assert all(are_taken(*xmls))


VALUES = [
    "1e999", "NaN", "inf", "-0", "+1", "-1", ".5", "5.", "1_0", "0x1", "1e-7", "2E0", " 3", "3\n", "٣", "",
    "True", "false", "leave", "1.5", "1e400", "-1e-400", "9" * 25, "&#49;", "a/b", "../b", "99999999999",
]  # fmt: skip
LINE = st.integers(0, len(XML.splitlines()) - 1)
EDIT = st.one_of(
    st.tuples(st.just("value"), st.integers(0, 60), st.sampled_from(VALUES)),
    st.tuples(st.just("bytes"), st.integers(0, len(XML)), st.sampled_from(PIECES) | st.binary(max_size=2)),
    st.tuples(st.just("flip"), st.integers(0, len(XML) - 1), st.integers(0, 7)),
    st.tuples(st.sampled_from(["remove", "double"]), LINE, st.none()),
    st.tuples(st.just("move"), LINE, LINE),
    st.tuples(st.just("tag"), st.integers(0, 100), st.integers(0, 100)),
)


def edited(xml: bytes, kind: str, where: int, what) -> bytes:
    """`xml` with one value, byte, bit, line or tag changed."""
    lines = xml.splitlines(keepends=True)
    if kind == "value":
        parts = xml.replace(b">", b">\0").replace(b"</", b"\0</").split(b"\0")
        parts[where % len(parts)] = what.encode()
        return b"".join(parts)
    if kind == "bytes":
        return xml[:where] + what + xml[where:]
    if kind == "flip" and xml:
        where %= len(xml)
        return xml[:where] + bytes([xml[where] ^ 1 << what]) + xml[where + 1 :]
    if kind == "tag":
        parts = xml.split(b"<")
        parts[where % len(parts)] = parts[what % len(parts)]
        return b"<".join(parts)
    if lines:
        line = lines[where % len(lines)]
        if kind in ("remove", "move"):
            lines.remove(line)
        if kind in ("double", "move"):
            lines.insert(where if what is None else what, line)
    return b"".join(lines)


@settings(max_examples=250, deadline=None)  # of up to 4 files each
@given(st.lists(st.lists(EDIT, max_size=3), min_size=1, max_size=4))
def test_rows_and_rejects_are_those_of_the_strict_parser(files):
    items = []
    for edits in files:
        xml = XML
        for edit in edits:
            xml = edited(xml, *edit)
        items.append(LoadedPair(ID, None, xml))
    items = [LoadedPair(ID, None, XML), *items, Reject("byproducts", "x", "reason")]
    are_taken(*(item.byproducts for item in items[:-1]))
    for number, item in enumerate(items[:-1]):  # ids are unique in a join
        own = f"{ID}{number}"
        items[number] = LoadedPair(own, None, item.byproducts.replace(ID.encode(), own.encode()))
    to_row = ImageNetPairToRow(("n01440764",), with_images=False)
    fast, strict = PairsToBatch(to_row)(items, SCHEMA), to_batch(items, to_row, SCHEMA)
    assert bits(fast.table) == bits(strict.table)
    assert fast.table.schema == strict.table.schema
    assert fast.rejects == strict.rejects
    assert fast.used == strict.used


def test_rows_keep_their_order_beside_a_second_file_of_an_id():
    other = XML.replace(ID.encode(), b"n01440764/n01440764_7")
    items = [
        LoadedPair(ID, None, XML.replace(b"<selected>", b"<!-- --><selected>")),
        LoadedPair("n01440764/n01440764_7", None, other),
        Reject("byproducts", ID, "second entry of this id"),
    ]
    batch = PairsToBatch(ImageNetPairToRow(("n01440764",), with_images=False))(items, SCHEMA)
    assert batch.table["image_id"].to_pylist() == [ID, "n01440764/n01440764_7"]
    assert batch.rejects == items[2:]


def test_another_images_xml_is_a_reject_and_gives_no_columns():
    other = XML.replace(b"n01440764_105", b"n01440764_7")
    items = [LoadedPair(ID, None, other), LoadedPair("n01440764/n01440764_7", None, other)]
    batch = PairsToBatch(ImageNetPairToRow(("n01440764",), with_images=False))(items, SCHEMA)
    assert batch.table["image_id"].to_pylist() == ["n01440764/n01440764_7"]
    assert [(reject.id, "holds the imageID" in reject.reason) for reject in batch.rejects] == [(ID, True)]
    assert batch.facts == {"rows with annotations": 1, "annotations": 1, "rows with a click": 1}


def test_a_bad_file_costs_the_others_nothing():
    bad = XML.replace(b"<x>857", b"<x>NaN")
    with pytest.raises(RejectedRecord):
        parse_record(bad)
    assert are_taken(*[XML, bad] * 50) == [True, False] * 50
