"""Tables from strangers: lines that are not UTF-8, one of many files that is no table."""

import pytest
from fixtures.converted import converted

from luab_attention.convert.tables import plain_rows, table_rows
from luab_data.errors import RejectedRecord, SourceError

GOOD = b"a.png,0.5,0.5,cat\n"
FIX = "byte 0xe8 is not UTF-8. Save the file as UTF-8; most others are Latin-1 or Windows-1252: iconv"


def read(path, content):
    path.write_bytes(content)
    return list(table_rows(path, "file", ("file", "x")))


def test_a_line_that_is_not_utf8_is_one_reject_with_its_number_and_the_fix(tmp_path):
    bad = "a.png,0.5,0.5,chèvre\n".encode("latin-1")
    (tmp_path / "t.csv").write_bytes(b"file,x,y,label\n" + GOOD * 20_000 + bad + "b,0,0,chèvre\n".encode())
    found = converted(tmp_path / "out", "table", tmp_path / "t.csv")
    ((entry, reason),) = found.rejects.items()
    assert entry == "t.csv, line 20002" and reason.startswith(FIX)
    assert len(found.rows["a"]["points"]) == 20_000
    assert found.dataset.features["label"].names == ["cat", "chèvre"]


def test_a_byte_in_quotes_over_several_lines_rejects_that_row_alone(tmp_path):
    rows = read(tmp_path / "t.csv", b'file,x\na,1\n"b\n\xe8\n",2\n"c\nd",3\n"e\xe8,4\nf,5\n')
    assert [number for number, _ in rows] == [2, 5, 7, 8, 9]
    assert rows[1][1].reason.startswith(FIX)
    assert [rows[at][1]["file"] for at in (0, 2, 4)] == ["a", "c\nd", "f"]
    assert "unexpected end" in rows[3][1].reason  # a quote that is not closed takes in no other line


def test_a_header_in_another_encoding_is_an_error_with_the_fix(tmp_path):
    with pytest.raises(SourceError, match=r"t.csv', the header: byte 0xe8 is not UTF-8"):
        read(tmp_path / "t.csv", b"file,x,\xe8\na,1,2\n")
    with pytest.raises(SourceError, match="this is UTF-16: iconv -f UTF-16 -t UTF-8"):
        read(tmp_path / "t.csv", "file,x\na,1\n".encode("utf-16"))


def test_a_line_without_a_header_that_is_not_utf8_is_a_reject(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbf1 a\n2 \xe8\n\n3 b\n")
    rows = dict(plain_rows(tmp_path / "t.txt", "file"))
    assert rows[1] == ["1", "a"] and rows[4] == ["3", "b"] and len(rows) == 3
    assert isinstance(rows[2], RejectedRecord) and rows[2].reason.startswith(FIX)
