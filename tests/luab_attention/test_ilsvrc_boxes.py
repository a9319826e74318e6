"""ImageNet's official box files, good and bad: the rows that they become, their boxes by id."""

import os
import sys

import pytest
from datasets import ClassLabel, Dataset, Features, Value
from fixtures.boxed import box_xml, picture
from fixtures.factories import image_bytes, noise_image

from luab_attention.boxes.box_xml import BoxFile, parse_box_file
from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.ilsvrc import IlsvrcBoxes, load_ilsvrc_boxes
from luab_data.errors import RejectedRecord, SourceError


def test_an_official_file():
    xml = box_xml(("n09193705", 45, 49, 499, 162), ("n09193705", 2, 69, 437, 207))
    expected = (("n09193705", (45, 49, 499, 162)), ("n09193705", (2, 69, 437, 207)))
    assert parse_box_file(xml) == BoxFile(500, 375, expected)
    assert parse_box_file(box_xml()) == BoxFile(500, 375, ())


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "not well-formed"),
        (b"\x00\x05\x16\x07", "not well-formed"),
        (b"<a><object/></a>", "0 size elements"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
        (b"<a>" * 100, "nested deeper"),
        (b"<a>" + b" " * 2_000_000, "more than 1,048,576 bytes"),
        (box_xml(("n1", 10, 0, 5, 9)), "object 1: the box 10, 0, 5, 9 ends before it begins"),
        (box_xml(("n1", 0, 0, 5, 9), ("n1", "1e3", 0, 5, 9)), "object 2: xmin is '1e3'"),
        (box_xml(("n1", -1, 0, 5, 9)), "object 1: xmin is '-1'"),
        (box_xml(("n1", 0, 0, 501, 9)), "object 1: xmax is '501', allowed is a whole number from 0 to 500"),
        (box_xml(("n1", "9" * 5000, 0, 5, 9)), "object 1: xmin is '99999"),
        (box_xml(("n1", "²", 0, 5, 9)), "object 1: xmin is '²'"),
        (box_xml(("", 0, 0, 5, 9)), "object 1: name occurs 1 times or is empty"),
        (box_xml(("n1", "", 0, 5, 9)), "object 1: xmin occurs"),
        (box_xml().replace(b"<segmented>", b"<object/><segmented>"), "object 1: 0 bndbox"),
        (box_xml().replace(b"500", b"0"), "size: width is '0'"),
    ],
)
def test_a_bad_file_is_rejected_with_the_reason(xml, reason):
    with pytest.raises(RejectedRecord) as error:
        parse_box_file(xml)
    assert reason in error.value.reason


def official(root, layout: str):
    """Two images, a JPEG and a WebP, and their box files, flat or in class folders -> images, boxes."""
    wnids = ("n01443537", "n01440764")
    for number, (wnid, suffix) in enumerate(zip(wnids, ("JPEG", "webp"), strict=True), start=1):
        name = f"ILSVRC2012_val_0000000{number}"
        folder = root / "images" / (wnid if layout == "folders" else "")
        folder.mkdir(parents=True, exist_ok=True)
        picture(500, 375, (100, 100, 200, 200, "red")).save(folder / f"{name}.{suffix}")
        (root / "boxes" / "val").mkdir(parents=True, exist_ok=True)
        (root / "boxes" / "val" / f"{name}.xml").write_bytes(box_xml((wnid, 100, 100, 199, 199)))
    (root / "boxes" / "val" / "._ILSVRC2012_val_00000001.xml").write_bytes(b"\x00\x05\x16\x07")
    return root / "images", root / "boxes"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_a_name_that_is_not_utf8_is_named(tmp_path):
    images, boxes = official(tmp_path, "folders")
    (image,) = (images / "n01440764").iterdir()
    image.rename(image.with_name(os.fsdecode(b"caf\xe9.webp")))
    (file,) = (boxes / "val").glob("ILSVRC*2.xml")
    file.rename(file.with_name(os.fsdecode(b"caf\xe9.xml")))
    with pytest.raises(SourceError, match="its path is not UTF-8, and no dataset can hold it"):
        load_ilsvrc_boxes(images, boxes)


@pytest.mark.parametrize("layout", ["flat", "folders"])
def test_official_boxes_become_a_dataset(tmp_path, layout):
    images, boxes = official(tmp_path, layout)
    rows = load_ilsvrc_boxes(images, boxes)
    assert isinstance(rows, Dataset)
    by_label = {row["label"]: row for row in rows}
    assert set(by_label) == {0, 1}  # tench, goldfish
    assert rows.features["label"].names[1] == "n01443537"
    assert by_label[1]["objects"] == {"bbox": [[100, 100, 100, 100]], "category": [1]}
    name = "ILSVRC2012_val_00000001"
    assert by_label[1]["image_id"] == (name if layout == "flat" else f"n01443537/{name}")
    assert by_label[1]["image"].size == (500, 375)
    assert (by_label[1]["width"], by_label[1]["height"]) == (500, 375)


def test_official_boxes_that_do_not_fit_are_refused(tmp_path):
    images, boxes = official(tmp_path, "flat")
    with pytest.raises(SourceError, match="none of the 1 labels"):
        load_ilsvrc_boxes(images, boxes, ["n01440764"])
    with pytest.raises(SourceError, match="not a folder"):
        load_ilsvrc_boxes(images, tmp_path / "absent")
    with pytest.raises(SourceError, match="not a folder"):
        load_ilsvrc_boxes(tmp_path / "absent", boxes)
    with pytest.raises(SourceError, match="no XML file"):
        load_ilsvrc_boxes(images, images)
    file = boxes / "val" / "ILSVRC2012_val_00000002.xml"
    file.write_bytes(box_xml(("n01440764", 1, 1, 2, 2), ("n01443537", 1, 1, 2, 2)))
    with pytest.raises(SourceError, match="objects of 2 classes"):
        load_ilsvrc_boxes(images, boxes)
    file.write_bytes(b"<a>")
    with pytest.raises(SourceError, match=r"ILSVRC2012_val_00000002\.xml: not well-formed"):
        load_ilsvrc_boxes(images, boxes)
    for each in images.iterdir():
        each.rename(each.with_name(f"other_{each.name}"))
    with pytest.raises(SourceError, match="none of the 2 XML files"):
        load_ilsvrc_boxes(images, boxes)


def test_xml_files_of_the_same_name_belong_to_their_folder(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "boxes" / name).mkdir(parents=True)
        (tmp_path / "boxes" / name / "0.xml").write_bytes(box_xml((name, 10 * number, 0, 9 + 10 * number, 9)))
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "0.png").write_bytes(image_bytes(noise_image(500, 375)))
    rows = load_ilsvrc_boxes(tmp_path / "images", tmp_path / "boxes", ["Dog", "cat"])
    assert {row["image_id"]: row["objects"]["bbox"] for row in rows} == {
        "cat/0": [[0, 0, 10, 10]],
        "dog/0": [[10, 0, 10, 10]],
    }
    assert rows["label"][:] == [1, 0]
    reader = IlsvrcBoxes("label", rows, tmp_path / "boxes")
    assert reader.by_label(rows[1], lambda: (500, 375)) == {0: ImageBoxes([[10, 0, 10, 10]], 500, 375)}
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "0.png").write_bytes(image_bytes(noise_image(8, 8)))
    with pytest.raises(SourceError, match="2 XML files could be that of 0"):
        load_ilsvrc_boxes(tmp_path / "flat", tmp_path / "boxes")


def test_the_names_of_boxes_are_matched_as_all_classes_are(tmp_path):
    """A folder `tench` and a file that says n01440764, in capitals, or both beside another class."""
    files = {
        "tench/0": [("n01440764", 0, 0, 9, 9), ("n01443537", 10, 0, 19, 9)],
        "tench/1": [("Tench", 0, 0, 9, 9), ("n01440764", 20, 0, 29, 9), ("bottle", 5, 5, 9, 9)],
        "goldfish/2": [("goldfish", 0, 0, 9, 9)],
    }
    for image_id, objects in files.items():
        for folder, data in (("boxes", box_xml(*objects)), ("images", image_bytes(noise_image(500, 375)))):
            file = tmp_path / folder / f"{image_id}{'.xml' if folder == 'boxes' else '.png'}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    rows = load_ilsvrc_boxes(tmp_path / "images", tmp_path / "boxes", ["goldfish", "tench"])
    assert {row["image_id"]: row["objects"]["bbox"] for row in rows} == {
        "tench/0": [[0, 0, 10, 10]],
        "tench/1": [[0, 0, 10, 10], [20, 0, 10, 10]],
        "goldfish/2": [[0, 0, 10, 10]],
    }


def test_boxes_of_a_class_that_the_dataset_lacks_are_not_the_images_own(tmp_path):
    (tmp_path / "0.xml").write_bytes(box_xml(("bottle", 0, 0, 9, 9)))
    (tmp_path / "1.xml").write_bytes(box_xml(("bottle", 0, 0, 9, 9), ("cat", 10, 0, 19, 9)))
    features = Features({"image_id": Value("string"), "label": ClassLabel(names=["cat", "dog"])})
    rows = Dataset.from_dict({"image_id": ["0", "1"], "label": [0, 0]}, features=features)
    reader = IlsvrcBoxes("label", rows, tmp_path)
    found = [reader.by_label(row, lambda: (500, 375)) for row in rows]
    assert found == [{}, {0: ImageBoxes([[10, 0, 10, 10]], 500, 375)}]
    assert reader.note() == "1 image whose boxes are all of other classes"
