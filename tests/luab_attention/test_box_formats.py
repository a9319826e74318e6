"""One function tells the format of a file of boxes, and all that read it ask this one."""

import datasets
import pytest
from fixtures.boxed import SQUARE, box_xml
from fixtures.factories import image_bytes, noise_image

from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.csv_boxes import CsvBoxes
from luab_attention.boxes.formats import BoxFormat, box_format, box_reader, load_boxes, without_partner
from luab_attention.boxes.ilsvrc import IlsvrcBoxes
from luab_attention.boxes.rows import RowBoxes

OF_CAT = ImageBoxes([SQUARE], 500, 375)


def landscape():
    return 1000, 750


@pytest.fixture
def files(tmp_path):
    """One image and its box: in a CSV, in an XML."""
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "0.png").write_bytes(image_bytes(noise_image(500, 375)))
    (tmp_path / "boxes.csv").write_text("file,x0,y0,x1,y1,width,height\ncat/0.png,8,8,15,15,500,375\n")
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "0.xml").write_bytes(box_xml(("cat", 8, 8, 15, 15)))
    return tmp_path


def test_the_format(files):
    found = [box_format(files / name) for name in ("boxes", "boxes.csv", "a.JSON", "boxes.txt")]
    assert found == [BoxFormat.ILSVRC, BoxFormat.CSV, BoxFormat.COCO, BoxFormat.CSV]


@pytest.mark.parametrize(("name", "reader"), [("boxes.csv", CsvBoxes), ("boxes", IlsvrcBoxes)])
def test_each_format_gives_the_same_boxes(files, name, reader):
    rows = load_boxes(files / "images", files / name, ["dog", "cat"])
    row = rows.remove_columns("image")[0]
    assert row == {
        "label": 1,
        "image_id": "cat/0",
        "objects": {"bbox": [SQUARE], "category": [1]},
        "width": 500,
        "height": 375,
    }
    by_id, own = box_reader("label", rows, files / name), box_reader("label", rows)
    assert (type(by_id), type(own)) == (reader, RowBoxes)
    assert by_id.by_label(row, landscape) == own.by_label(row, landscape) == {1: OF_CAT}


def test_images_and_boxes_that_are_alone_are_counted(files):
    names, (csv, xml) = ["dog", "cat"], (files / "boxes.csv", files / "boxes")
    for boxes in (csv, xml):
        assert without_partner(files / "images", boxes, load_boxes(files / "images", boxes, names)) == ""
    for name in ("cat/1.png", "cat/2.png"):
        (files / "images" / name).write_bytes(image_bytes(noise_image(500, 375)))
    (xml / "other").mkdir()
    for name in ("3.xml", "other/4.xml"):
        (xml / name).write_bytes(box_xml(("cat", 8, 8, 15, 15)))
    found = {
        boxes: without_partner(files / "images", boxes, load_boxes(files / "images", boxes, names))
        for boxes in (csv, xml)
    }
    assert found[csv] == "2 images without boxes"
    assert found[xml] == "2 images without boxes, 2 XML files without an image"


def test_ids_of_another_column(files):
    rows = datasets.Dataset.from_dict({"name": ["cat/0"]})
    for source in (files / "boxes.csv", files / "boxes"):
        assert box_reader(None, rows, source, "name").by_label(rows[0], landscape) == {0: OF_CAT}


@pytest.mark.parametrize(
    ("name", "reader"), [("boxes.csv", CsvBoxes), ("boxes", IlsvrcBoxes), ("", RowBoxes)]
)
def test_boxes_of_another_orientation_than_the_image_are_left_out(files, name, reader):
    rows = load_boxes(files / "images", files / "boxes.csv", ["dog", "cat"])
    found = box_reader("label", rows, files / name if name else None)
    row = rows.cast_column("image", datasets.Image(decode=False))[0]
    assert isinstance(found, reader)
    assert found.by_label(row, lambda: (80, 80)) == {1: OF_CAT}, "a square has both"
    assert not found.note()
    assert found.by_label(row, lambda: (75, 100)) == {}
    assert found.note() == (
        "1 box of an image of another orientation, portrait against landscape (the first of "
        f"{files}/images/cat/0.png: measure them on the upright image, or remove the orientation from the "
        "file), 1 image without a usable box"
    )
