"""A CSV of boxes: the rows that it becomes, its boxes by id, and what is refused."""

import datasets
import pytest
from fixtures.factories import image_bytes, noise_image

from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.csv_boxes import CsvBoxes, load_csv_boxes, read_boxes
from luab_data.errors import SourceError

HEADER = "file,x0,y0,x1,y1,width,height\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEADER + "c/a.png,0,0,nan,9,64,64\n", "line 2: the box is not four finite numbers: x0=0, .*x1=nan"),
        (HEADER + "c/a.png,9,0,3,9,64,64\n", "line 2: the box ends before it begins: x0=9"),
        (HEADER + "c/a.png,0,9,9,8,64,64\n", "line 2: the box ends before it begins"),
        (
            HEADER + "c/a.png,0,0,9,9,64,64\nc/a.png,70,0,80,9,64,64\n",
            "line 3: box that reaches out of its image",
        ),
        (
            HEADER + "c/a.png,0,0,9,9,64,64\nc/a.png,0,0,9,9,32,64\n",
            "line 3: c/a.png is 32 x 64 pixels, but 64 x",
        ),
        (HEADER + "c/a.png,0,5,1,5,9,9,64,64\n", "line 2: more fields than columns"),
        (HEADER.replace(",", ";") + "c/a.png;0;0;9;9;64;64\n", "line 1: .* separated by ';': use commas"),
        (HEADER.replace("width", "w"), "line 1: there is no column width"),
        (HEADER, "no line below its header"),
        (HEADER.encode() + "c/é.png,0,0,9,9,64,64\n".encode("latin-1"), "line 2: byte 0xe9 is not UTF-8"),
        ((HEADER + "c/a.png,0,0,9,9,64,64\n").encode("utf-16"), "line 1: .* iconv -f UTF-16 -t UTF-8"),
        (HEADER + 'c/"a,0,0,9,9,64,64\n"c', "line 2: this is no CSV: unexpected end"),
    ],
)
def test_a_csv_that_makes_no_sense_is_refused_with_its_line(tmp_path, data, message):
    file = tmp_path / "boxes.csv"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(SourceError, match=message):
        read_boxes(file)


def test_a_csv_of_a_spreadsheet_is_read(tmp_path):
    file = tmp_path / "boxes.csv"
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + '"c/a, b.png",0,0,9,9,64,64\r\n'
    file.write_bytes(text.encode())
    assert read_boxes(file) == {"c/a, b.png": ImageBoxes([[0, 0, 10, 10]], 64, 64)}


@pytest.fixture
def folder(tmp_path):
    """Two class folders and a CSV: two boxes in the first image, one in the second."""
    for i, name in enumerate(("cat/a.JPEG", "dog/b.JPEG")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(image_bytes(noise_image(64, 48, seed=i), "JPEG"))
    lines = ["file,x0,y0,x1,y1,width,height", "cat/a.JPEG,0,15,39,44,64,48", "cat/a.JPEG,50,0,63,10,64,48"]
    (tmp_path / "boxes.csv").write_text("\n".join([*lines, "dog/b.JPEG,0,0,63,47,64,48"]) + "\n")
    return tmp_path


def test_boxes_csv_becomes_objects(folder):
    rows = load_csv_boxes(folder, folder / "boxes.csv")
    assert rows.features["label"].names == ["cat", "dog"]
    assert rows["image_id"][:] == ["cat/a", "dog/b"]
    assert rows[0]["objects"] == {"bbox": [[0, 15, 40, 30], [50, 0, 14, 11]], "category": [0, 0]}
    assert rows[1]["objects"]["bbox"] == [[0, 0, 64, 48]], "both corners belong to the box"
    assert rows[1]["image"].size == (64, 48)
    assert load_csv_boxes(folder, folder / "boxes.csv", ["dog", "fish", "cat"])["label"][:] == [2, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,x0\ncat/a.JPEG,1\n", "no column y0, x1, y1, width, height; the first line is"),
        ("file,x0,y0,x1,y1,width,height\ncat/a.JPEG,a,0,1,1,2,2\n", "line 2: the box is not four numbers"),
        ("file,x0,y0,x1,y1,width,height\n../a.JPEG,0,0,1,1,2,2\n", "<class>/<file> is needed"),
        ("file,x0,y0,x1,y1,width,height\ncat/z.JPEG,0,0,1,1,2,2\n", "there is no"),
    ],
)
def test_wrong_boxes_are_named(folder, text, message):
    (folder / "boxes.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        load_csv_boxes(folder, folder / "boxes.csv")


def test_missing_files_and_classes_are_named(folder):
    with pytest.raises(SourceError, match="is not a folder"):
        load_csv_boxes(folder / "none", folder / "boxes.csv")
    with pytest.raises(SourceError, match="is not a file"):
        load_csv_boxes(folder, folder / "none.csv")
    with pytest.raises(SourceError, match=r"none of the 1 labels: dog\. The labels are cat"):
        load_csv_boxes(folder, folder / "boxes.csv", ["cat"])


def test_boxes_of_a_release(imagenet_release):
    mini = imagenet_release.folder
    rows = load_csv_boxes(mini / "images" / "val", mini / "boxes_val.csv")
    assert len(rows) == imagenet_release.val_images
    assert len(rows.features["label"].names) == imagenet_release.classes
    widths = [box[0] + box[2] for objects in rows["objects"] for box in objects["bbox"]]
    assert max(widths) == imagenet_release.rightmost


def test_boxes_by_id(folder):
    rows = datasets.Dataset.from_dict({"image_id": ["dog/b", "dog/z"]})
    reader = CsvBoxes(None, rows, folder / "boxes.csv")
    assert reader.by_label(rows[0], lambda: (64, 48)) == {0: ImageBoxes([[0, 0, 64, 48]], 64, 48)}
    assert reader.by_label(rows[1], lambda: (64, 48)) == {}
    with (folder / "boxes.csv").open("a") as file:
        file.write("dog/b.png,0,0,63,47,64,48\n")
    with pytest.raises(SourceError, match=r"boxes of dog/b\.JPEG and of dog/b\.png: which is row dog/b\?"):
        CsvBoxes(None, rows, folder / "boxes.csv")
