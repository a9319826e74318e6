"""One function tells the format of a file of boxes, and all that read it ask this one."""

import datasets
import pytest
from fixtures.boxed import SQUARE, box_xml
from fixtures.factories import image_bytes, noise_image

from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.csv_boxes import CsvBoxes
from luab_attention.boxes.formats import BoxFormat, box_format, box_reader, load_boxes
from luab_attention.boxes.ilsvrc import IlsvrcBoxes
from luab_attention.boxes.rows import RowBoxes

OF_CAT = ImageBoxes([SQUARE], 500, 375)


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
    assert by_id.by_label(row, None) == own.by_label(row, None) == {1: OF_CAT}


def test_ids_of_another_column(files):
    rows = datasets.Dataset.from_dict({"name": ["cat/0"]})
    for source in (files / "boxes.csv", files / "boxes"):
        assert box_reader(None, rows, source, "name").by_label(rows[0], None) == {0: OF_CAT}
