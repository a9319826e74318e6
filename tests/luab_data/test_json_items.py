"""JSON of any size, item by item, with a window smaller than an item."""

import json

import pytest

from luab_data.errors import RejectedRecord, SourceError
from luab_data.files import json_items as module
from luab_data.files.json_items import json_items, json_lines


@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 20])
def test_items_do_not_depend_on_the_window(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    content = {
        "n": 12345,
        "list": [{"a": [1, 2.5, -3e2]}, 'é"]', 678, None, []],
        "empty": [],
        "o": {"x": [1]},
    }
    (tmp_path / "a.json").write_text(
        json.dumps(content, ensure_ascii=False, indent=chunk % 3), encoding="utf-8"
    )
    expected = [("n", 12345), *(("list", each) for each in content["list"]), ("o", {"x": [1]})]
    assert list(json_items(tmp_path / "a.json", "file")) == expected
    (tmp_path / "b.json").write_text("\ufeff [1234, [5]] \n", encoding="utf-8")
    assert list(json_items(tmp_path / "b.json", "file")) == [(None, 1234), (None, [5])]


def test_an_item_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ITEM", 100)
    monkeypatch.setattr(module, "CHUNK", 10)
    (tmp_path / "a.json").write_text(json.dumps(["x" * 300]))
    with pytest.raises(SourceError, match="more than the allowed 100 characters"):
        list(json_items(tmp_path / "a.json", "file"))
    with pytest.raises(SourceError, match="line 1 has more than the allowed 100 bytes"):
        list(json_lines(tmp_path / "a.json", "file"))


def test_a_bad_line_is_given_with_its_reason(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\n{"a": 1, "a": 2}\n\xff\n' + b"9" * 5000 + b"\n[1e999]\n")
    found = dict(json_lines(tmp_path / "a.jsonl", "file"))
    assert found[1] == {"a": 1} and sorted(found) == [1, 3, 4, 5, 6]
    reasons = [found[number].reason for number in (3, 4, 5)]
    assert all(isinstance(found[number], RejectedRecord) for number in (3, 4, 5))
    assert ["twice" in reasons[0], "not UTF-8" in reasons[1], "limit" in reasons[2]] == 3 * [True]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_a_file_in_another_encoding_is_one_error_with_the_place_and_the_fix(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    (tmp_path / "a.json").write_bytes('["é", 1, '.encode() + b'"\xe8"]')
    with pytest.raises(SourceError, match=r"character 10: byte 0xe8 is not UTF-8.*iconv -f WINDOWS-1252"):
        list(json_items(tmp_path / "a.json", "file"))
    (tmp_path / "a.json").write_bytes('["a"]'.encode("utf-16"))
    with pytest.raises(SourceError, match="not UTF-8"):
        list(json_items(tmp_path / "a.json", "file"))
