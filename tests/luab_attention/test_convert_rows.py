"""One image's records -> a row: records that are rejected take no class, no reason and no count with them."""

import json

import pytest
from fixtures.converted import converted, write_images


def test_a_record_whose_class_was_rejected_with_another_says_so(tmp_path):
    lines = ["a.jpg,.5,.5,cat", "b.jpg,5000,50,dog", "b.jpg,.2,.2,", "c.jpg,.1,.1,", "c.jpg,.2,.2,dog"]
    (tmp_path / "a.csv").write_text("\n".join(["file,x,y,label", *lines, ""]))
    found = converted(tmp_path / "out", "table", tmp_path / "a.csv")
    assert {key: row["label"] for key, row in found.rows.items()} == {"a": 0, "c": 1}
    assert list(found.rejects) == ["a.csv, line 3", "a.csv, line 4"]
    assert "further away than" in found.rejects["a.csv, line 3"]
    assert found.rejects["a.csv, line 4"] == "no usable record tells the class of its image"


def test_the_class_of_an_image_is_never_that_of_a_true_box_beside(tmp_path):
    lines = ["a.jpg,.5,.5,cat", "b.jpg,5000,50,cat", "b.jpg,.2,.2,"]
    (tmp_path / "a.csv").write_text("\n".join(["file,x,y,label", *lines, ""]))
    found = converted(tmp_path / "out", "table", tmp_path / "a.csv", boxes=boxes(tmp_path, ["dog"] * 2))
    assert list(found.rows) == ["a"]
    assert found.rejects["a.csv, line 4"] == "no usable record tells the class of its image"


def boxes(tmp_path, categories, box=(1, 1, 3, 3)):
    """COCO's instances with a box of each category on the images a.jpg, b.jpg, ... of 8 x 6 pixels."""
    images = [
        {"id": n, "file_name": f"{name}.jpg", "width": 8, "height": 6}
        for n, name in zip(range(len(categories)), "abcd", strict=False)
    ]
    names = sorted(set(categories))
    content = {
        "images": images,
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {"image_id": n, "category_id": names.index(name), "bbox": list(box)}
            for n, name in enumerate(categories)
        ],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    return tmp_path / "boxes.json"


def test_true_boxes_that_do_not_fit_and_those_of_other_classes_are_counted_apart(tmp_path):
    (tmp_path / "a.csv").write_text("file,x,y,label\n" + "".join(f"{n}.jpg,.3,.4,cat\n" for n in "abc"))
    options = {"classes": ["cat"], "boxes": boxes(tmp_path, ["cat", "dog", "dog"])}
    facts = converted(tmp_path / "out", "table", tmp_path / "a.csv", **options).manifest.facts
    assert facts["rows with true boxes of a class that --classes does not name, left out"] == 2
    assert not any("do not fit" in name for name in facts)
    options = {"boxes": boxes(tmp_path, ["cat"] * 3, (6, 1, 9, 3))}
    facts = converted(tmp_path / "2", "table", tmp_path / "a.csv", **options).manifest.facts
    assert facts["rows with true boxes that do not fit their image, left out"] == 3
    assert not any("--classes" in name for name in facts)


@pytest.mark.parametrize("with_images", [False, True])
def test_the_card_tells_what_was_read_and_whose_terms_are_whose(tmp_path, with_images):
    (tmp_path / "a.csv").write_text("file,x,y\na.jpg,.3,.4\n")
    images = write_images(tmp_path / "photos", {"a.jpg": (8, 6)}) if with_images else None
    converted(tmp_path / "out", "table", tmp_path / "a.csv", images, stated={"license": "CC0"})
    card = (tmp_path / "out" / "README.md").read_text()
    license = card.partition("## License\n\n")[2].partition("\n## ")[0].strip()
    assert ("kept unchanged" in card) == ("joined it with its image" in card) == with_images
    if with_images:
        assert license.startswith("CC0\n\nThis is the license of the annotations") and "own terms" in license
    else:
        assert license == "CC0"
    assert "`attention_source`: how attention was measured, and whether the annotations may be" in card
