"""What's the point: PASCAL VOC's classes by number, pixels from 0, and clicks that cannot be used."""

import json

import pytest
from fixtures.converted import converted, near, write_images

from luab_data.errors import SourceError


def test_clicks_are_of_vocs_classes_in_pixels_from_0(tmp_path):
    clicks = {
        "2007_000032": [{"x": 10, "y": 0, "cls": 1, "rank": 1}, {"x": 30, "y": 15, "cls": 15, "rank": 1}],
        "2007_000033": [
            {"x": 0, "y": 0, "cls": 21, "rank": 1},
            {"x": 0, "y": 0, "cls": 0},
            {"x": 0, "cls": 1},
        ],
        "2007_000035": [{"x": 4, "y": 3, "cls": 20, "rank": 2}],
    }
    (tmp_path / "whats_the_point.json").write_text(json.dumps(clicks))
    images = write_images(tmp_path / "JPEGImages", {f"{name}.jpg": (40, 30) for name in clicks})
    found = converted(tmp_path / "out", "whats_the_point", tmp_path / "whats_the_point.json", images)
    names = found.dataset.features["labels"].feature.names
    points = [(names[p["label"]], p["x"], p["y"]) for p in found.rows["2007_000032"]["points"]]
    assert points == [("aeroplane", 0.25, 0.0), ("person", 0.75, 0.5)]
    (point,) = found.rows["2007_000035"]["points"]
    assert names[point["label"]] == "tvmonitor" and (point["x"], point["y"]) == near((0.1, 0.1))
    reasons = [found.rejects[f"whats_the_point.json, click {number}"] for number in (3, 4, 5)]
    texts = ["cls is 21; allowed is a whole number from 1 to 20", "cls is 0", "there is no 'y'"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 3 * [True], reasons


def test_a_list_is_another_file(tmp_path):
    (tmp_path / "a.json").write_text('[{"x": 1, "y": 1, "cls": 1}]')
    with pytest.raises(SourceError, match="allowed is an object of images"):
        converted(tmp_path / "out", "whats_the_point", tmp_path / "a.json")
