"""One XML -> Record: every field, every known quirk, and nothing but RejectedRecord for everything else."""

import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_ab.fields import Annotation, Hover, Position, Record, TimedPoint
from imagenet_ab.record import parse_record
from luab_data.errors import RejectedRecord

XML = b"""<?xml version="1.0" ?>
<anything>
  <metadata>
    <imageID>n01440764/n01440764_105</imageID>
    <originalImageHeight>375</originalImageHeight>
    <originalImageWidth>500</originalImageWidth>
    <imageHeight>243</imageHeight>
    <imageWidth>244</imageWidth>
    <imagePosition><x>857</x><y>1976</y></imagePosition>
    <hoveredCount>1</hoveredCount>
    <hoveredRecord><action>enter</action><time>1641425051975</time></hoveredRecord>
    <hoveredRecord><action>leave</action><time>1641425052740</time></hoveredRecord>
    <mouseTracking><x>0.0030864197530864196</x><y>0.629629629629629</y><time>1641425051975</time></mouseTracking>
    <mouseTracking><x>0.44135802469135804</x><y>0.6008230452674898</y><time>1641425051975</time></mouseTracking>
    <selected>True</selected>
    <selectedCount>1</selectedCount>
    <selectedRecord><x>0.5401234567901234</x><y>0.4732510288065844</y><time>1641425052319</time></selectedRecord>
    <estimateTime>344</estimateTime>
    <worker_id>47DBDD543E</worker_id>
    <assignment_id>3HPZF4IVNX3FW186JO133U513L6YCR</assignment_id>
    <page_idx>3</page_idx>
  </metadata>
</anything>
"""

RECORD = Record(
    "n01440764/n01440764_105",
    (
        Annotation(
            selected=True,
            selected_count=1,
            selected_record=(TimedPoint(0.5401234567901234, 0.4732510288065844, 1641425052319),),
            mouse_tracking=(
                TimedPoint(0.0030864197530864196, 0.629629629629629, 1641425051975),
                TimedPoint(0.44135802469135804, 0.6008230452674898, 1641425051975),
            ),
            hovered_count=1,
            hovered_record=(Hover("enter", 1641425051975), Hover("leave", 1641425052740)),
            estimate_time=344,
            original_image_height=375,
            original_image_width=500,
            image_height=243,
            image_width=244,
            image_position=Position(857, 1976),
            worker_id="47DBDD543E",
            assignment_id="3HPZF4IVNX3FW186JO133U513L6YCR",
            page_idx=3,
        ),
    ),
)


def edited(old: bytes, new: bytes) -> bytes:
    assert old in XML
    return XML.replace(old, new, 1)


def metadata(*fields: bytes, image_id=b"a/b", selected=b"True") -> bytes:
    fields = (b"<imageID>%s</imageID><selected>%s</selected>" % (image_id, selected), *fields)
    return b"<metadata>" + b"".join(fields) + b"</metadata>"


def test_every_field():
    assert parse_record(XML) == RECORD


def test_order_white_space_and_root_do_not_matter():
    lines = XML.decode().splitlines()
    turned = "\n\n".join(["<r><more>", *lines[2:3], *lines[3:-2][::-1], *lines[-2:-1], "</more></r>"])
    record = parse_record(turned.encode())
    assert record.image_id == RECORD.image_id
    assert record.annotations[0].hovered_record == RECORD.annotations[0].hovered_record[::-1]
    assert record.annotations[0].selected_record == RECORD.annotations[0].selected_record
    assert parse_record(b"".join(line.strip() for line in XML.splitlines())) == RECORD


def test_all_metadata_in_order():
    pages = b"".join(metadata(b"<page_idx>%d</page_idx>" % page) for page in (7, 0, 3))
    assert [each.page_idx for each in parse_record(b"<r>" + pages + b"</r>").annotations] == [7, 0, 3]


def test_only_id_and_selected_are_required():
    assert parse_record(b"<r>" + metadata(selected=b" false ") + b"</r>") == Record(
        "a/b", (Annotation(False),)
    )


@pytest.mark.parametrize(
    ("seconds", "ms"), [(b"1641425051", 1641425051000), (b"1641425051.975", 1641425051975), (b"0", 0)]
)
def test_times_in_seconds_become_ms(seconds, ms):
    click = b"<selectedRecord><x>.5</x><y>5e-1</y><time>%s</time></selectedRecord>" % seconds
    record = parse_record(b"<r>" + metadata(click) + b"</r>")
    assert record.annotations[0].selected_record == (TimedPoint(0.5, 0.5, ms),)


@pytest.mark.parametrize(
    "empty", [b"<mouseTracking/>", b"<mouseTracking> </mouseTracking>", b"<selectedRecord/>"]
)
def test_an_entry_without_content_is_an_empty_list(empty):
    annotation = parse_record(b"<r>" + metadata(empty, b"<hoveredRecord/>") + b"</r>").annotations[0]
    assert annotation == Annotation(True)


@pytest.mark.parametrize("unknown", [b"<estimateTime>0</estimateTime>", b"<estimateTime/>", b""])
def test_unknown_estimate_time_is_none(unknown):
    assert parse_record(b"<r>" + metadata(unknown) + b"</r>").annotations[0].estimate_time is None


def test_border_gives_ratios_slightly_outside():
    xml = edited(b"<x>0.5401234567901234</x>", b"<x>-0.0041</x>")
    assert parse_record(xml).annotations[0].selected_record[0].x == -0.0041


REJECTED = {
    "not XML": (b"click at 0.5 0.5", "not well-formed"),
    "empty": (b"", "not well-formed"),
    "AppleDouble": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "not well-formed"),
    "cut off": (XML[:700], "not well-formed"),
    "null byte": (edited(b"n01440764/", b"n01440764/\x00"), "not well-formed"),
    "not UTF-8": (edited(b"47DBDD543E", b"\xff\xfe\xfa"), "not well-formed"),
    "UTF-32": (XML.decode().encode("utf-32"), "not well-formed"),
    "no metadata": (b"<annotation/>", "no metadata"),
    "root is metadata": (metadata(), "no metadata"),
    "no imageID": (edited(b"imageID>n01440764/n01440764_105</imageID", b"id></id"), "imageID is missing"),
    "empty imageID": (edited(b"n01440764/n01440764_105", b""), "imageID is missing"),
    "path in imageID": (edited(b"n01440764/n01440764_105", b"../n01440764_105"), "imageID is '../n0"),
    "long path in imageID": (edited(b"n01440764/n01440764_105", b"a/b/c"), "imageID is 'a/b/c'"),
    "backslash in imageID": (edited(b"n01440764/n01440764_105", rb"a/..\\b"), "imageID is"),
    "two imageIDs": (
        b"<r>" + metadata() + metadata(image_id=b"a/c") + b"</r>",
        "metadata 2: imageID is 'a/c'",
    ),
    "no selected": (edited(b"<selected>True</selected>", b""), "metadata 1: selected is missing"),
    "selected is no boolean": (edited(b"True", b"yes"), "metadata 1: selected is 'yes'"),
    "selected twice": (
        edited(b"<selected>", b"<selected>False</selected><selected>"),
        "selected occurs 2 times",
    ),
    "second metadata bad": (b"<r>" + metadata() + metadata(selected=b"2") + b"</r>", "metadata 2: selected"),
    "NaN": (edited(b"0.5401234567901234", b"NaN"), "metadata 1: selectedRecord 1: x is 'NaN'"),
    "infinity": (edited(b"0.5401234567901234", b"inf"), "selectedRecord 1: x is 'inf'"),
    "overflow": (edited(b"0.44135802469135804", b"1e999"), "mouseTracking 2: x is '1e999'"),
    "pixels for ratios": (
        edited(b"0.44135802469135804", b"107"),
        "x is '107', allowed is a number from -0.5 to 1.5",
    ),
    "word": (edited(b"0.44135802469135804", b"abc"), "x is 'abc'"),
    "underscore": (edited(b"<page_idx>3", b"<page_idx>1_0"), "page_idx is '1_0'"),
    "foreign digits": (edited(b"<page_idx>3", "<page_idx>٣".encode()), "page_idx is"),
    "hexadecimal": (edited(b"<page_idx>3", b"<page_idx>0x3"), "page_idx is '0x3'"),
    "x without y": (edited(b"<y>0.4732510288065844</y>", b""), "selectedRecord 1: y is missing"),
    "no time": (edited(b"<y>1976</y></imagePosition>", b"</imagePosition>"), "imagePosition: y is missing"),
    "text for a point": (edited(b"<x>857</x><y>1976</y>", b"857"), "imagePosition: x is missing"),
    "element for a number": (edited(b"<page_idx>3", b"<page_idx><x>3</x>"), "page_idx is 'an element'"),
    "negative time": (edited(b"1641425052319", b"-5"), "time is '-5'"),
    "time in microseconds": (edited(b"1641425052319", b"1641425052319000"), "time is '1641425052319000'"),
    "beyond int64": (edited(b"1641425052319", b"9" * 30), "time is '999"),
    "huge integer": (edited(b"<page_idx>3", b"<page_idx>" + b"9" * 100_000), "page_idx is '999"),
    "fraction for a count": (edited(b"<selectedCount>1", b"<selectedCount>1.5"), "selectedCount is '1.5'"),
    "negative size": (edited(b"<imageHeight>243", b"<imageHeight>-243"), "imageHeight is '-243'"),
    "unknown action": (
        edited(b"enter", b"click"),
        "hoveredRecord 1: action is 'click', allowed is enter or leave",
    ),
    "long text": (edited(b"47DBDD543E", b"7" * 3_000_000), "worker_id is '777"),
    "value after spaces": (edited(b"47DBDD543E", b"A" + b" " * 300 + b"B"), "worker_id is"),
    "control character": (edited(b"47DBDD543E", b"A&#9;B"), "worker_id is"),
    "DOCTYPE": (b'<!DOCTYPE r SYSTEM "http://127.0.0.1/x.dtd"><r/>', "a DOCTYPE ('r') is not allowed"),
    "external entity": (
        b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>',
        "a DOCTYPE ('r') is not allowed",
    ),
    "billion laughs": (
        b'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "'
        + b"&a;" * 1000
        + b'"><!ENTITY c "'
        + b"&b;" * 1000
        + b'"><!ENTITY d "'
        + b"&c;" * 1000
        + b'">]><r>&d;</r>',
        "a DOCTYPE ('r') is not allowed",
    ),
    "undeclared entity": (edited(b"47DBDD543E", b"&worker;"), "not well-formed"),
    "deep": (b"<a>" * 500_000, "nested deeper than 16"),
    "many elements": (b"<r>" + b"<a/>" * 1_000_000 + b"</r>", "more than 250000 elements"),
    "many attributes": (b"<r " + b" ".join(b'a%d="1"' % n for n in range(250_000)) + b"/>", "no metadata"),
    "100 MB": (b"<r>" + bytes(100_000_000), "100,000,003 bytes, allowed are 4,194,304"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_rejected_with_the_reason(case):
    xml, expected = REJECTED[case]
    with pytest.raises(RejectedRecord) as caught:
        parse_record(xml)
    assert expected in caught.value.reason
    assert len(caught.value.reason) < 250
    assert "\n" not in caught.value.reason


PIECES = [
    b"<",
    b">",
    b"</metadata>",
    b"<metadata>",
    b"&",
    b"&#0;",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"NaN",
    b"1e999",
    b"-",
]
PIECES += [
    b"<?xml encoding='utf-7'?>",
    b"<!DOCTYPE r [<!ENTITY a 'b'>]>",
    b"\x00",
    b"\xff\xfe",
    b"<x>",
    b"<selected>",
    b"9" * 400,
]
EDIT = st.tuples(
    st.integers(0, len(XML)), st.integers(0, 60), st.one_of(st.sampled_from(PIECES), st.binary(max_size=8))
)


@settings(max_examples=600, deadline=None)
@given(st.lists(EDIT, min_size=1, max_size=5))
def test_mutated_xml_parses_or_is_rejected(edits):
    xml = XML
    for start, removed, inserted in edits:
        xml = xml[:start] + inserted + xml[start + removed :]
    try:
        record = parse_record(xml)
    except RejectedRecord as error:
        assert error.reason
    else:
        times = [each.time for a in record.annotations for each in (*a.mouse_tracking, *a.hovered_record)]
        assert record.annotations
        assert all(isinstance(time, int) and 0 <= time < 2**63 for time in times)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_rejected(data):
    with pytest.raises(RejectedRecord):
        parse_record(data)


def test_the_released_layout(imagenet_release):
    records = twins = annotations = 0
    with tarfile.open(imagenet_release.folder / "imagenet_ab_v1_0.tar.gz") as archive:
        for member in archive:
            if not member.isfile():
                continue
            xml = archive.extractfile(member).read()
            if "/._" in member.name:
                twins += 1
                with pytest.raises(RejectedRecord):
                    parse_record(xml)
                continue
            record = parse_record(xml)
            assert member.name.endswith(f"/{record.image_id}.xml")
            records += 1
            annotations += len(record.annotations)
    expected = imagenet_release.records, imagenet_release.twins, imagenet_release.annotations
    assert (records, twins, annotations) == expected


def test_values_of_the_annotation_tool(printed_records):
    values = json.loads((printed_records / "imagenet_ab_records.json").read_text())
    values = values["from_annotation_tool"]
    scalars = {key: value for key, value in values.items() if not isinstance(value, (list, dict))}
    entries = [(key, entry) for key, value in values.items() if isinstance(value, list) for entry in value]
    entries.append(("imagePosition", values["imagePosition"]))
    fields = [f"<{key}>{value}</{key}>" for key, value in scalars.items()]
    for key, entry in entries:
        fields.append(f"<{key}>" + "".join(f"<{k}>{v}</{k}>" for k, v in entry.items()) + f"</{key}>")
    record = parse_record(("<r><metadata>" + "".join(fields) + "</metadata></r>").encode())
    expected = RECORD.annotations[0]
    (annotation,) = record.annotations
    assert record.image_id == values["imageID"]
    assert annotation.selected_record == expected.selected_record
    assert annotation.hovered_record == expected.hovered_record
    assert annotation.image_position == expected.image_position
    assert [(p.x, p.y) for p in annotation.mouse_tracking] == [(p.x, p.y) for p in expected.mouse_tracking]
    assert annotation.mouse_tracking[1].time == 1641425052027
    assert annotation.worker_id == expected.worker_id
