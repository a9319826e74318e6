"""The chunked reader: the records that Python's json would read, and a reason for each of the others."""

import contextlib
import itertools
import json
import time

import numpy as np
import pytest
from fixtures.coco_records import record
from hypothesis import given, settings
from hypothesis import strategies as st

from coco_ab import json_arrays
from coco_ab.byproducts import RECORD, Byproducts
from coco_ab.json_arrays import read_array, read_members
from coco_ab.json_boundary import Boundary
from coco_ab.json_types import JsonInt, JsonStruct, JsonText, snake_case
from luab_data.errors import SourceError
from luab_data.sources.entries import Reject


def write(path, content) -> Byproducts:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return Byproducts(path)


def in_dataset_names(value):
    """A released value in the dataset's names: the plain-Python twin of `clean`."""
    if isinstance(value, dict):
        return {snake_case(key): in_dataset_names(each) for key, each in value.items()}
    if isinstance(value, list):
        return [in_dataset_names(each) for each in value]
    return float(np.float32(value)) if isinstance(value, float) else value


def rejects(source: Byproducts) -> list[Reject]:
    return [item for item in source.ids() if isinstance(item, Reject)]


def names(source: Byproducts) -> list[str]:
    return [item for item in source.ids() if isinstance(item, str)]


@pytest.fixture
def small_blocks(monkeypatch):
    """Pieces of 600 bytes, so that a small file has many, and records are cut anywhere."""
    monkeypatch.setattr(json_arrays, "BLOCK", 600)


def test_every_field_arrives(tmp_path):
    source = write(tmp_path / "r.json", [record()])
    expected = in_dataset_names(record())
    del expected["image_id"]
    assert source.get("COCO_train2014_000000000009") == [expected]


def test_two_records_of_an_image_in_the_files_order(tmp_path):
    source = write(tmp_path / "r.json", [record(9, page_id=1), record(4), record(9, page_id=2)])
    assert names(source) == [f"COCO_train2014_{n:012d}" for n in (9, 4, 9)]
    assert [each["page_id"] for each in source.get("COCO_train2014_000000000009")] == [1, 2]
    assert source.get("COCO_train2014_000000000005") == []
    assert "COCO_train2014_000000000005" not in source
    assert "COCO_val2014_000000000009" not in source


def test_absent_null_and_zero_are_unknown(tmp_path):
    action = {"actionType": "remove", "iconType": "dragon"}
    bare = {"image_id": 1, "imageHeight": 0, "imageWidth": None, "actionHistories": [action]}
    [found] = write(tmp_path / "r.json", [bare]).get("COCO_train2014_000000000001")
    assert found["image_height"] is None
    assert found["image_width"] is None
    assert found["worker_id"] is None
    assert found["mouse_tracking"] == found["category_histories"] == []
    [action] = found["action_histories"]
    assert action == {
        "action_type": "remove",
        "icon_type": "dragon",
        "point_from": None,
        "point_to": None,
        "time_at": None,
    }


def test_a_cursor_beside_the_image_does_not_cost_the_record(tmp_path):
    track = [{"x": -2.5, "y": 1.75, "timeAt": 1}]
    [found] = write(tmp_path / "r.json", [record(1, mouseTracking=track)]).get("COCO_train2014_000000000001")
    assert found["mouse_tracking"] == in_dataset_names(track)
    assert found["action_histories"]


BAD = {
    "image_id is missing": {"page_id": 1},
    "image_id is '9'": record("9"),
    "image_id is True": record(True),
    "image_id is -4": record(-4),
    "image_id is 9.0": record(9.0),
    "timeSpent is -1": record(timeSpent=-1),
    "page_id is [1]": record(page_id=[1]),
    "worker_id is 5": record(worker_id=5),
    "hit_id is 'aaa": record(hit_id="a" * 256),
    "actionHistories is {}": record(actionHistories={}),
    "actionHistories 1 is null": record(actionHistories=[None]),
    "actionHistories 2: actionType is 'fly', allowed is add or move or remove": record(
        actionHistories=[{"actionType": "add", "iconType": "cat"}, {"actionType": "fly", "iconType": "cat"}]
    ),
    "actionHistories 1: iconType is missing": record(actionHistories=[{"actionType": "add"}]),
    "pointTo: y is missing": record(
        actionHistories=[{"actionType": "add", "iconType": "cat", "pointTo": {"x": 0.5}}]
    ),
    "x is nan": record(mouseTracking=[{"x": float("nan"), "y": 0.5}]),
    "x is inf": record(mouseTracking=[{"x": float("inf"), "y": 0.5}]),
    "y is 20000000000": record(mouseTracking=[{"x": 0.5, "y": 2 * 10**10}]),
    "usingKeyboard is 1": record(categoryHistories=[{"usingKeyboard": 1}]),
    "the record is 7": 7,
    "the record is null": None,
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_record_is_rejected_by_its_number_and_the_others_stay(tmp_path, reason):
    source = write(tmp_path / "r.json", [record(1), BAD[reason], record(3), record(4)])
    [reject] = rejects(source)
    assert reject.source == "byproducts"
    assert reject.id == "r.json record 2"
    assert reason in reject.reason
    assert names(source) == [f"COCO_train2014_{n:012d}" for n in (1, 3, 4)]


GOOD = json.dumps(record(1)).encode()
BAD_TEXT = {
    "1e999": GOOD.replace(b"0.25", b"1e999"),
    "two image_ids": GOOD[:-1] + b', "image_id": 3}',
    "broken literal": GOOD[:-1] + b', "other": tru}',
    "not UTF-8": GOOD.replace(b"cake", b"c\xffke"),
    "not UTF-8 in a field that nobody reads": GOOD[:-1] + b', "other": "\xff"}',
    "half a surrogate pair": GOOD.replace(b"cake", b"\\ud800"),
    "a control character": GOOD.replace(b"cake", b"ca\nke"),
    "a huge integer": GOOD.replace(b"168291", b"9" * 5000),
    "nested in a field": GOOD.replace(b'"cake"', b"[" * 100_000 + b"]" * 100_000),
    "nested record": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nothing between two commas": b"",
    "text after a record": GOOD + b" x",
    "two records without a comma": GOOD + GOOD,
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_hostile_text_is_one_reject(tmp_path, case):
    good = [json.dumps(record(n)).encode() for n in (1, 3)]
    source = write(tmp_path / "r.json", b"[" + b",".join([good[0], BAD_TEXT[case], good[1]]) + b"]")
    [reject] = rejects(source)
    assert reject.id == "r.json record 2"
    assert reject.reason.isprintable()
    assert len(reject.reason) < 200
    assert len(names(source)) == 2


def test_a_nested_field_that_nobody_reads_does_no_harm(tmp_path):
    nested = GOOD[:-1] + b', "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert len(names(write(tmp_path / "r.json", b"[" + nested + b"," + GOOD + b"]"))) == 2


@pytest.mark.parametrize("block", [50, 8 << 20])
@pytest.mark.parametrize("end", ["in a record", "in a string", "after a comma", "after a record", "half"])
def test_a_file_that_is_cut_off_is_an_error(tmp_path, monkeypatch, end, block):
    monkeypatch.setattr(json_arrays, "BLOCK", block)
    whole = json.dumps([record(n) for n in range(1, 5)]).encode()
    third = whole.index(b'"image_id": 3') - 1
    cut = {
        "in a record": third + 30,
        "in a string": third + 3,
        "after a comma": third,
        "after a record": third - 2,
        "half": len(whole) // 2,
    }
    with pytest.raises(
        SourceError, match=r"r\.json.* is cut off: .* record [23], which begins at byte [\d,]+"
    ):
        write(tmp_path / "r.json", whole[: cut[end]])


@pytest.mark.parametrize("hidden", [b'], "other": [', b']], "other": [[', b"], [", b"]]}{[[", b"]"])
def test_text_after_the_array_is_an_error(tmp_path, hidden):
    with pytest.raises(SourceError, match=r"r\.json.* goes on behind its end, at byte [\d,]+"):
        write(tmp_path / "r.json", b"[" + GOOD + hidden + GOOD + b"]")


def boundary_by_hand(text: bytes, closing: str) -> int | None:
    """Where the value ends that `text` begins with, character by character."""
    depth, in_string, position = 0, False, 0
    while position < len(text):
        character = chr(text[position])
        if in_string:
            position += character == "\\"
            in_string = character != '"'
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
        elif depth == 0 and character in ("," + closing):
            return position
        elif character in "}]":
            depth = max(0, depth - 1)
        position += 1
    return None


@settings(max_examples=300, deadline=None)
@given(
    value=st.text('[]{},:"a', max_size=40)
    | st.lists(st.text('"\\]},a', max_size=9), max_size=5).map(json.dumps),
    pieces=st.lists(st.integers(1, 9), max_size=9),
    closing=st.sampled_from("]}"),
)
def test_a_boundary_is_found_wherever_blocks_end(value, pieces, closing):
    text = value.encode() + b" , 1]"
    boundary, ends = Boundary(closing.encode()), [*itertools.accumulate(pieces), len(text)]
    found = next((end for stop in ends if (end := boundary.find(text[:stop], 0)) is not None), None)
    assert found == boundary_by_hand(text, closing)


BRACKETS = {
    "opening": (b"[", b""),
    "pairs": (b"[]", b""),
    "records": (b"{},", b"{}"),
    "objects": (b'{"a":', b""),
    "strings": (b'"[",', b"1"),
    "escapes": (b"\\\\", b""),
    "closing": (b"}", b""),
}


@pytest.mark.parametrize("case", BRACKETS)
@pytest.mark.parametrize("before", [b"[", b'[{"image_id": 1, "x": ['])
def test_brackets_of_a_megabyte_take_seconds(tmp_path, monkeypatch, case, before):
    monkeypatch.setattr(json_arrays, "MAX_BAD", 100)
    monkeypatch.setattr(json_arrays, "MAX_GROUP", 200)
    part, end = BRACKETS[case]
    started = time.process_time()
    with contextlib.suppress(SourceError):
        write(tmp_path / "r.json", before + part * ((1 << 20) // len(part)) + end + b"]")
    assert time.process_time() - started < 5


def test_a_record_beyond_the_limit_is_passed_over(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(json_arrays, "MAX_RECORD_BYTES", 5000)
    source = write(tmp_path / "r.json", [record(1), record(2, other="}, {" * 4000), record(3)])
    [reject] = rejects(source)
    assert reject.id == "r.json record 2"
    assert "allowed are 5,000" in reject.reason
    assert len(names(source)) == 2


@pytest.mark.parametrize("content", [b"", b" ", b"{}", b'{"image_id": 9}\n{"image_id": 10}', b"\x00\x01"])
def test_another_file_is_an_error_that_names_it(tmp_path, content):
    with pytest.raises(SourceError, match=r"byproducts=.*r\.json.* is not a JSON array"):
        write(tmp_path / "r.json", content)


@pytest.mark.parametrize("content", [b"[]", b" [ \n ] ", b"\xef\xbb\xbf[]"])
def test_an_empty_array_has_no_records(tmp_path, content):
    assert list(write(tmp_path / "r.json", content).ids()) == []


# Text that looks like the end of a record, a string or the array to whoever does not know strings.
tricky = st.text(st.sampled_from('{}[],:"\\ aé'), max_size=12)
values = st.recursive(
    st.none() | st.integers() | tricky,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tricky, inner, max_size=3),
    max_leaves=6,
)
NOTE = JsonStruct({"image_id": JsonInt(), "note": JsonText()}, required=("image_id",))


@settings(max_examples=150, deadline=None)
@given(
    entries=st.lists(
        st.fixed_dictionaries({"image_id": st.integers(0, 9), "note": tricky}, optional={"other": values}),
        max_size=12,
    ),
    block=st.integers(1, 300),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_braces_in_strings_do_not_fool_it(tmp_path_factory, entries, block, indent, ascii_only):
    path = tmp_path_factory.mktemp("tricky") / "r.json"
    path.write_text(json.dumps(entries, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_arrays, "BLOCK", block)
        found = [row for batch in read_array(path, "byproducts", NOTE) for row in batch.to_pylist()]
    assert found == [{"image_id": each["image_id"], "note": each["note"]} for each in entries]


paths = st.sampled_from(
    [
        ("image_id",),
        ("imageWidth",),
        ("hit_id",),
        ("actionHistories",),
        ("actionHistories", 0),
        ("actionHistories", 0, "actionType"),
        ("actionHistories", 0, "pointTo"),
        ("actionHistories", 0, "pointTo", "x"),
        ("categoryHistories", 0, "usingKeyboard"),
        ("mouseTracking", 0),
        ("mouseTracking", 0, "timeAt"),
    ]
)
wrong = values | st.booleans() | st.floats() | st.integers(-(2**70), 2**70)


@settings(max_examples=150, deadline=None)
@given(path=paths, value=wrong)
def test_arrow_and_the_explanation_agree_on_what_is_bad(tmp_path_factory, path, value):
    changed = record()
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    source = write(tmp_path_factory.mktemp("changed") / "r.json", [changed])
    fault = RECORD.fault(changed, "")
    assert [reject.reason for reject in rejects(source)] == ([] if fault is None else [fault])


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=200) | st.text('[]{},:"\\0 e', max_size=60).map(str.encode),
    block=st.integers(1, 50),
)
def test_any_bytes_end_in_records_rejects_or_one_error(tmp_path_factory, content, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_arrays, "BLOCK", block)
        with contextlib.suppress(SourceError):
            assert names(write(tmp_path_factory.mktemp("any") / "r.json", b"[" + content)) == []


@pytest.mark.parametrize("block", [1, 100, 600, 1 << 20])
@pytest.mark.parametrize("reverse", [False, True])
def test_members_of_an_object_in_any_order(tmp_path, monkeypatch, block, reverse):
    monkeypatch.setattr(json_arrays, "BLOCK", block)
    content = {
        "info": {"text": 'a } "quoted" ] ', "more": [[1], {"images": [{"id": 7}]}]},
        "annotations": [{"id": n, "segmentation": [[0.5] * 50]} for n in range(40)],
        "licenses": ["x" * 2000],
        "images": [{"id": 1}, {"id": "2"}, {"id": 3}],
        "categories": [{"name": "cat"}, {"name": "dog"}],
    }
    path = tmp_path / "r.json"
    path.write_text(json.dumps(dict(reversed(content.items()) if reverse else content.items())))
    entry, named = (
        JsonStruct({key: kind}, required=(key,)) for key, kind in (("id", JsonInt()), ("name", JsonText()))
    )
    found = {"images": [], "annotations": [], "categories": []}
    for member, item in read_members(path, "instances", dict(zip(found, (entry, entry, named), strict=True))):
        found[member] += (
            [item] if isinstance(item, Reject) else [next(iter(r.values())) for r in item.to_pylist()]
        )
    assert found["annotations"] == list(range(40))
    assert found["categories"] == ["cat", "dog"]
    [reject] = [item for item in found["images"] if isinstance(item, Reject)]
    assert reject.id == "r.json images record 2"
    assert [item for item in found["images"] if item != reject] == [1, 3]


@pytest.mark.parametrize("end", range(2, 120, 7))
def test_an_object_that_is_cut_off_is_an_error(tmp_path, end):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"info": {"year": 2014}, "licenses": [{"id": 1}] * 4, "more": "x" * 90})[:end])
    with pytest.raises(SourceError, match=r"instances=.*r\.json"):
        list(read_members(path, "instances", {"images": NOTE}))


MEMBERS = {
    '{"images": [], "other": 1}': "has no 'annotations'",
    "{}": "has no 'annotations', 'images'",
    '{"images": [], "annotations": [], "images": []}': "has 'images' twice",
    '{"images": [], "annotations": {}}': "is no COCO file: 'annotations' is not an array",
    '{"images": [], "annotations": null}': "is no COCO file: 'annotations' is not an array",
    '{"images": [], "annotations": []} {"images": []}': "goes on behind its end, at byte 35",
    '{"images": [], "annotations": []}]': "goes on behind its end",
    '{"images": [], "annotations": []': "is broken or cut off",
    '{"images": [], "\\ud8": []}': "is broken or cut off in a member's name",
}


@pytest.mark.parametrize("text", MEMBERS)
def test_a_file_whose_members_are_not_whole_is_an_error(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=f"r.json' {MEMBERS[text]}"):
        list(read_members(path, "instances", {"images": NOTE, "annotations": NOTE}))


def test_a_members_name_may_be_escaped(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"im\\u0061ges": [{"image_id": 1, "note": "x"}]}')
    [(name, batch)] = read_members(path, "instances", {"images": NOTE})
    assert (name, len(batch)) == ("images", 1)


def test_a_file_of_bad_records_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr(json_arrays, "MAX_BAD", 50)
    with pytest.raises(SourceError, match=r"more than 50 records are bad, the last one because .* is 1,"):
        write(tmp_path / "r.json", [1] * 60)
    assert len(rejects(write(tmp_path / "r.json", [1] * 50))) == 50
