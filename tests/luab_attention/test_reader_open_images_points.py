"""Open Images' points: answers that say no are negative points."""

import pytest
from fixtures.converted import converted, near

from luab_data.errors import SourceError

HEAD = "ImageId,X,Y,Label,EstimatedYesNo,Source,YesVotes,NoVotes,UnsureVotes,TextLabel\n"


def line(image="000a1249af2bc5f0", x="0.25", y="0.5", label="/m/01g317", answer="yes"):
    return f"{image},{x},{y},{label},{answer},ih,1,0,0,\n"


def test_no_is_a_negative_point_and_no_class_of_the_image(tmp_path):
    (tmp_path / "points.csv").write_text(
        HEAD + line() + line(label="/m/02", answer="no") + line("b", label="/m/02", x="1.0") + line(y="0")
    )
    found = converted(tmp_path / "out", "open_images_points", tmp_path / "points.csv")
    row = found.rows["000a1249af2bc5f0"]
    assert [(p["label"], p["sign"]) for p in row["points"]] == [(0, 1), (1, -1), (0, 1)]
    assert (row["points"][0]["x"], row["points"][0]["y"]) == near((0.25, 0.5))
    assert row["labels"] == [0] and found.rows["b"]["labels"] == [1]
    assert found.dataset.features["labels"].feature.names == ["/m/01g317", "/m/02"]
    assert found.manifest.used == {"byproducts": 4}


def test_classes_are_named_by_the_descriptions(tmp_path):
    (tmp_path / "points.csv").write_text(HEAD + line() + line(label="/m/03"))
    (tmp_path / "names.csv").write_text('/m/01g317,Person\n/m/02,Person\n/m/04,"Cat, big"\n')
    found = converted(
        tmp_path / "out", "open_images_points", tmp_path / "points.csv", class_names=tmp_path / "names.csv"
    )
    assert found.dataset.features["labels"].feature.names == ["Person"]
    assert "'/m/03' has no name" in found.rejects["points.csv, line 3"]


def test_names_with_commas_and_quotes_are_those_of_the_file(tmp_path):
    (tmp_path / "points.csv").write_text(HEAD + line(label="/m/1") + line(label="/m/2"))
    (tmp_path / "names.csv").write_bytes(b'\xef\xbb\xbf/m/1,"Salt, pepper"\r\n/m/2,"The ""big"" one"\r\n\r\n')
    options = {"class_names": tmp_path / "names.csv"}
    found = converted(tmp_path / "out", "open_images_points", tmp_path / "points.csv", **options)
    assert found.dataset.features["labels"].feature.names == ["Salt, pepper", 'The "big" one']
    for text, reason in (
        ("/m/1,Salt, pepper\n", "line 1: 3 fields"),
        ('/m/1,"Salt"s\n', "line 1, is no CSV"),
    ):
        (tmp_path / "names.csv").write_text(text)
        with pytest.raises(SourceError, match=reason):
            converted(tmp_path / "2", "open_images_points", tmp_path / "points.csv", **options)


def test_every_bad_line_is_rejected_with_its_reason(tmp_path):
    bad = [line(answer="unsure"), line(x="1.5"), line(y="nan"), line(label=""), line(image=""), "a,b\n"]
    (tmp_path / "points.csv").write_text(HEAD + line() + "".join(bad) + line())
    found = converted(tmp_path / "out", "open_images_points", tmp_path / "points.csv")
    reasons = [found.rejects[f"points.csv, line {number}"] for number in range(3, 9)]
    texts = ["'unsure'", "X is '1.5'", "Y is 'nan'", "Label", "ImageId", "2 fields"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 6 * [True], reasons
    assert len(found.rows["000a1249af2bc5f0"]["points"]) == 2
