"""COCO's instances: boxes and masks in the three encodings, any categories, and entries that do not fit."""

import json

import numpy as np
import pytest
from fixtures.attention_files import FOLDERS, write_files
from fixtures.converted import converted, near, write_images

from luab_attention.boxes.rows import RowBoxes
from luab_attention.convert.check import SWAPPED, only
from luab_data.errors import SourceError

IMAGES = [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "width": 8, "height": 6}]
CATEGORIES = [{"id": 7, "name": "zebra"}, {"id": 3, "name": "ant"}]
BOX = {"image_id": 9, "category_id": 7, "bbox": [2, 1, 4, 3], "iscrowd": 0, "id": 1}


def write(path, annotations, images=IMAGES, categories=CATEGORIES, **more):
    content = {"info": {"year": 2014}, "annotations": annotations, "images": images, "categories": categories}
    path.write_text(json.dumps(content | more))
    return path


def test_boxes_and_masks_of_any_categories(tmp_path):
    down = np.zeros((6, 8), int)
    down[1:4, 2:6] = 1
    flat = down.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [flat[-1]]]))).tolist()
    runs = np.diff([0, *edges, 48]).tolist()
    annotations = [
        BOX | {"segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]},
        BOX | {"segmentation": {"size": [6, 8], "counts": runs}},
        BOX | {"category_id": 3, "segmentation": []},
    ]
    images = write_images(tmp_path / "val", {"COCO_train2014_000000000009.jpg": (8, 6), "other.jpg": (4, 4)})
    found = converted(tmp_path / "out", "coco", write(tmp_path / "i.json", annotations), images)
    row = found.rows["000000000009"]
    assert found.dataset.features["labels"].feature.names == ["ant", "zebra"]
    assert row["objects"] == {"bbox": [[2, 1, 4, 3]] * 3, "category": [1, 1, 0]}
    assert row["labels"] == [0, 1] and (row["width"], row["height"]) == (8, 6)
    for mask in row["masks"]:
        assert mask["label"] == 1 and mask["image"].mode == "L"
        assert (np.asarray(mask["image"]) == 255 * down).all()
    assert found.manifest.ignored["images"] == 1


def test_images_without_an_object_are_counted(tmp_path):
    more = [*IMAGES, IMAGES[0] | {"id": 10}, IMAGES[0] | {"id": 11}]
    wrong = BOX | {"image_id": 11, "category_id": 5}
    found = converted(tmp_path / "out", "coco", write(tmp_path / "i.json", [BOX, wrong], more))
    assert found.manifest.ignored == {"byproducts": 1} and len(found.rejects) == 1


def test_an_id_in_text_has_its_object_and_one_in_a_list_is_rejected(tmp_path):
    more = [*IMAGES, IMAGES[0] | {"id": 10, "file_name": "10.jpg"}]
    objects = [BOX | {"image_id": "9"}, BOX | {"image_id": [9]}, BOX | {"image_id": {}}]
    found = converted(tmp_path / "out", "coco", write(tmp_path / "i.json", objects, more))
    assert found.manifest.ignored == {"byproducts": 1} and len(found.rows) == 1
    assert found.rejects["i.json, object 2"].startswith("image_id is [9]; allowed is a whole number")
    assert list(found.rejects) == ["i.json, object 2", "i.json, object 3"]


def test_numbers_that_are_not_finite_cost_their_objects_alone(tmp_path):
    nan, infinite = float("nan"), float("inf")
    bad = [BOX | {"bbox": [nan, 1, 4, 3]}, BOX | {"segmentation": [[2, 1, -infinite, 1, 6, 4]]}, nan]
    bad.append(BOX | {"segmentation": {"size": [6, 8], "counts": [4, nan]}})
    path = write(tmp_path / "i.json", [BOX | {"area": nan}, *bad], info=nan)
    found = converted(tmp_path / "out", "coco", path)
    reasons = [found.rejects[f"i.json, object {number}"] for number in range(2, 6)]
    texts = ["bbox[0] is nan", "segmentation[0][2] is -inf", "nan where an object", "counts is nan"]
    assert [text in reason for text, reason in zip(texts, reasons, strict=True)] == 4 * [True], reasons
    assert found.rows["000000000009"]["objects"]["bbox"] == [[2, 1, 4, 3]]


def test_boxes_are_scaled_to_a_smaller_copy_of_the_image(tmp_path):
    images = write_images(tmp_path / "val", {"000000000009.jpg": (4, 3)})
    found = converted(tmp_path / "out", "coco", write(tmp_path / "i.json", [BOX]), images, masks=False)
    assert found.rows["000000000009"]["objects"]["bbox"] == [near([1, 0.5, 2, 1.5])]
    assert "masks" not in found.dataset.column_names


def test_images_of_another_shape_are_rejected(tmp_path):
    images = write_images(tmp_path / "val", {"000000000009.jpg": (6, 8), "000000000010.jpg": (8, 6)})
    both = [*IMAGES, IMAGES[0] | {"id": 10, "file_name": "000000000010.jpg"}]
    path = write(tmp_path / "i.json", [BOX, BOX | {"image_id": 10}], both)
    found = converted(tmp_path / "out", "coco", path, images)
    assert list(found.rows) == ["000000000010"]
    assert "portrait against landscape" in found.rejects["i.json, object 1"]


def test_every_bad_entry_is_rejected_with_its_reason(tmp_path):
    bad = {
        "image_id 5": {"image_id": 5},
        "category_id 4": {"category_id": 4},
        "bbox has 3 numbers": {"bbox": [1, 2, 3]},
        "bbox[0] is 'x'": {"bbox": ["x", 1, 1, 1]},
        "without width or height": {"bbox": [1, 1, 0, 2]},
        "reaches out of its image": {"bbox": [1, 1, 50, 2]},
        "3 corners or more": {"segmentation": [[1, 2, 3, 4]]},
        "its mask is empty": {"segmentation": [[1, 1, 1, 1, 1, 1]]},
        "a mask of [8.0, 6.0]": {"segmentation": {"size": [8, 6], "counts": [48]}},
        "not the 48": {"segmentation": {"size": [6, 8], "counts": [4]}},
        "compressed runs": {"segmentation": {"size": [6, 8], "counts": "\x01"}},
    }
    path = write(tmp_path / "i.json", [BOX, *(BOX | wrong for wrong in bad.values()), 7])
    found = converted(tmp_path / "out", "coco", path)
    for number, reason in enumerate(bad, start=2):
        assert reason in found.rejects[f"i.json, object {number}"]
    assert len(found.rejects) == 12 and found.manifest.used == {"byproducts": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "has no images, annotations, categories"),
        ('{"images": [1', "is cut off where ',' or ']' is expected"),
        ('{"images": [tru', "is not JSON"),
        ('{"images": [{"id": 1}}', "where ',' or ']' is expected"),
        ('{"images": NaN}', "has no annotations, categories"),
        ('{"images": Nan}', "is not JSON"),
        ('{"images": [], "images": []}', "there already"),
        ('{"a": {"b": 1, "b": 2}}', "occurs twice"),
        ('{"images": []} x', "goes on behind its end"),
        ("[" * 100_000, "nested too deep"),
        ('"text"', "allowed are a JSON array"),
    ],
)
def test_a_file_that_is_not_cocos_is_one_error(tmp_path, text, message):
    (tmp_path / "i.json").write_text(text)
    with pytest.raises(SourceError) as error:
        converted(tmp_path / "out", "coco", tmp_path / "i.json")
    assert message in str(error.value)


def test_points_are_compared_with_cocos_boxes(tmp_path, caplog):
    """A table whose x and y are swapped: the numbers are plausible, and the boxes tell."""
    lines = ["file,x,y"] + ["000000000009.jpg,2.5,4.5"] * 60  # (4.5, 2.5) is in the box, (2.5, 4.5) is not
    (tmp_path / "c.csv").write_text("\n".join(lines))
    boxes = write(tmp_path / "i.json", [BOX])
    options = {"units": "pixels", "image_size": (8, 6), "boxes": boxes}
    found = converted(tmp_path / "out", "table", tmp_path / "c.csv", **options)
    assert found.manifest.facts["of these inside, as read"] == 0
    assert found.manifest.facts[only(SWAPPED)] == 60
    assert found.manifest.used == {"byproducts": 60}
    assert found.rows["000000000009"]["objects"]["bbox"] == [[2, 1, 4, 3]]


def test_true_boxes_bring_the_size_that_they_are_in(tmp_path):
    (tmp_path / "c.csv").write_text("file,x,y\n000000000009.jpg,0.5,0.5\nother.jpg,0.5,0.5\n")
    found = converted(tmp_path / "out", "table", tmp_path / "c.csv", boxes=write(tmp_path / "i.json", [BOX]))
    assert {name: (row["width"], row["height"]) for name, row in found.rows.items()} == {
        "000000000009": (8, 6), "other": (None, None),
    }  # fmt: skip
    assert found.rows["000000000009"]["objects"]["bbox"] == [[2, 1, 4, 3]]
    assert found.rows["other"]["objects"]["bbox"] == []
    boxes, _ = RowBoxes(None, found.dataset).stated(found.rows["000000000009"], lambda: 1 / 0)
    assert boxes.ratios().tolist() == [near([0.25, 1 / 6, 0.5, 0.5])]


def test_true_boxes_of_unknown_sizes_are_refused_or_counted(tmp_path):
    """CUB's boxes are in pixels of images whose size only the images tell."""
    folder = write_files(tmp_path / "cub", FOLDERS["cub_parts"])
    (folder / "images.txt").write_text("1 001.Albatross/a.jpg\n2 001.Albatross/b.jpg\n")
    (folder / "bounding_boxes.txt").write_text("1 1 1 4 4\n2 1 1 4 4\n")
    options = {"boxes": folder, "boxes_reader": "cub_parts"}
    (tmp_path / "c.csv").write_text("file,x,y\na.jpg,0.5,0.5\nb.jpg,0.5,0.5\n")
    with pytest.raises(SourceError, match="state the size of an image: give --images, or --boxes that state"):
        converted(tmp_path / "1", "table", tmp_path / "c.csv", **options)
    (tmp_path / "c.csv").write_text("file,x,y,width,height\na.jpg,0.5,0.5,8,6\nb.jpg,0.5,0.5,,\n")
    found = converted(tmp_path / "2", "table", tmp_path / "c.csv", **options)
    assert found.rows["a"]["objects"]["bbox"] == [[1, 1, 4, 4]] and found.rows["a"]["width"] == 8
    assert found.rows["b"]["objects"]["bbox"] == [] and found.rows["b"]["width"] is None
    assert found.manifest.facts["rows with true boxes whose image has no known size, left out"] == 1


def test_true_boxes_that_cannot_be_used_are_counted(tmp_path, capsys, caplog):
    (tmp_path / "c.csv").write_text("file,x,y\n000000000009.jpg,0.5,0.5\n")
    bad = [BOX | {"bbox": [1, 2, 3]}, BOX | {"category_id": 4}]
    converted(tmp_path / "out", "table", tmp_path / "c.csv", boxes=write(tmp_path / "i.json", [BOX, *bad]))
    said = capsys.readouterr().err + caplog.text
    assert "true boxes: 2 entries cannot be used (of 3, the first: i.json, object 2: bbox has 3 num" in said
    with pytest.raises(SourceError, match=r"they are of none \(of 2, the first: j.json, object 1: bbox has"):
        converted(tmp_path / "2", "table", tmp_path / "c.csv", boxes=write(tmp_path / "j.json", bad))


def test_true_masks_are_compared_too_and_those_of_another_image_left_out(tmp_path):
    (tmp_path / "c.csv").write_text("file,x,y\n000000000009.jpg,2.5,1.5\n000000000010.jpg,1,1\n")
    both = [*IMAGES, {"id": 10, "file_name": "000000000010.jpg", "width": 80, "height": 20}]
    mask = {"segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}
    boxes = write(
        tmp_path / "i.json", [BOX | mask, BOX | {"image_id": 10}, BOX | {"image_id": 10} | mask], both
    )
    options = {"units": "pixels", "image_size": (8, 6), "boxes": boxes}
    found = converted(tmp_path / "out", "table", tmp_path / "c.csv", **options)
    assert len(found.rows["000000000009"]["masks"]) == 1 and found.rows["000000000010"]["masks"] == []
    facts = found.manifest.facts
    assert facts["points compared with true boxes or masks"] == facts["of these inside, as read"] == 1
    assert facts["rows with true boxes that do not fit their image, left out"] == 1
    with pytest.raises(SourceError, match="of none of the images: they are of 000000000009"):
        (tmp_path / "d.csv").write_text("file,x,y\na.jpg,2.5,1.5\n")
        converted(tmp_path / "2", "table", tmp_path / "d.csv", **options)
