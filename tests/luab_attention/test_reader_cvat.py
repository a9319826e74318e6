"""CVAT's XML for images: all shapes, hostile XML, windows smaller than an element."""

import numpy as np
import pytest
from fixtures.converted import converted, near

from luab_data import xml_stream
from luab_data.errors import SourceError


def write(tmp_path, *images, head="", meta="<meta><task><image>no</image></task></meta>"):
    text = f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version>{meta}'
    (tmp_path / "annotations.xml").write_text(text + "".join(images) + "</annotations>", encoding="utf-8")
    return tmp_path / "annotations.xml"


def image(*shapes, name="photos/ä 1.jpg", width=8, height=4):
    return f'<image id="0" name="{name}" width="{width}" height="{height}">{"".join(shapes)}</image>'


POINTS = '<points label="cat" occluded="0" points="2,1;4.0,2.00" z_order="0"></points>'
BOX = '<box label="dog" xtl="1" ytl="1" xbr="5" ybr="3" occluded="0"><attribute name="a">b</attribute></box>'
POLYGON = '<polygon label="dog" points="0,0;4,0;4,2;0,2"/>'
MASK = '<mask label="cat" rle="1, 3, 2" left="2" top="1" width="3" height="2"/>'


@pytest.mark.parametrize("chunk", [7, 1 << 16])
def test_all_shapes(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(xml_stream, "CHUNK", chunk)
    path = write(
        tmp_path, image(POINTS, BOX, POLYGON, MASK), image(POINTS, '<tag label="cat"/>', name="b.png")
    )
    found = converted(tmp_path / "out", "cvat", path)
    row = found.rows["photos/ä 1"]
    assert [(p["x"], p["y"], p["label"]) for p in row["points"]] == [(0.25, 0.25, 0), (0.5, 0.5, 0)]
    assert row["objects"] == {"bbox": [near([1, 1, 4, 2])], "category": [1]}
    polygon, mask = ((np.asarray(each["image"]) == 255).astype(int) for each in row["masks"])
    assert polygon.tolist() == [[1] * 4 + [0] * 4] * 2 + [[0] * 8] * 2
    expected = np.zeros((4, 8), int)
    expected[1, 3:5] = expected[2, 2] = 1
    assert mask.tolist() == expected.tolist()
    assert found.rows["b"]["labels"] == [0]


def test_images_without_a_shape_are_counted(tmp_path):
    found = converted(tmp_path / "out", "cvat", write(tmp_path, image(POINTS), image(name="b.png"), image()))
    assert found.manifest.ignored == {"byproducts": 2} and found.manifest.found == {"byproducts": 1}


def test_every_bad_shape_is_rejected(tmp_path):
    bad = [
        '<polyline label="a" points="1,1;2,2"/>', '<points label="a" points="1;2"/>',
        '<points points="1,1"/>',
        '<box label="a" xtl="1" ytl="1" xbr="1" ybr="3"/>', MASK.replace("1, 3, 2", "1, 3"),
        MASK.replace('left="2"', 'left="7"'), BOX.replace("<box", '<box rotation="30.0"'),
        '<points label="a" points="1e999,1"/>',
    ]  # fmt: skip
    found = converted(tmp_path / "out", "cvat", write(tmp_path, image(POINTS, *bad), image(POINTS, width=0)))
    reasons = [found.rejects[f"annotations.xml, image 1, shape {number}"] for number in range(2, 10)]
    texts = [
        "'polyline'",
        "allowed is x,y",
        "label is None",
        "without width",
        "not the 6",
        "does not fit",
        "turned",
    ]
    texts += ["points[0] is '1e999'"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 8 * [True], reasons
    assert "width is 0" in found.rejects["annotations.xml, image 2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("<annotations>", '<!DOCTYPE a [<!ENTITY b "c">]><annotations>'),
            "DOCTYPE",
        ),
        (lambda text: text.replace("annotations", "video"), "allowed is <annotations>"),
        (lambda text: text[:-30], "not well-formed"),
        (lambda text: "<annotations><meta/></annotations>", "has no <image>"),
        (lambda text: "<annotations>" + "<a>" * 50, "nested deeper"),
        (lambda text: text.replace("<box", "<a/>" * 100_001 + "<box"), "more than 100,000 elements"),
    ],
)
def test_hostile_xml_is_one_error(tmp_path, change, message):
    path = write(tmp_path, image(BOX))
    path.write_text(change(path.read_text()))
    with pytest.raises(SourceError, match=message):
        converted(tmp_path / "out", "cvat", path)


def test_an_attribute_without_end_is_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(xml_stream, "MAX_BYTES", 1 << 20)
    path = write(tmp_path, image(POINTS.replace("2,1", "2,1;" * 2_000_000)))
    with pytest.raises(SourceError, match="bytes in one <image>"):
        converted(tmp_path / "out", "cvat", path)
