"""PASCAL VOC (pixels from 1) and ImageNet (from 0): inclusive ends, parts, fractions, hostile XML."""

import pytest
from fixtures.converted import converted

from luab_data.errors import SourceError


def xml(objects, width=500, height=375, head=""):
    return (
        f"{head}<annotation><filename>x.jpg</filename><size><width>{width}</width><height>{height}</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    )


def box(name, x0, y0, x1, y1, more=""):
    sides = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    return f"<object><name>{name}</name><bndbox>{sides}</bndbox>{more}</object>"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_voc_counts_from_1_and_ends_are_inside(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    objects = box("person", 1, 1, 500, 375, part) + box("dog", "45.6", 10, 49, 11)
    found = converted(
        tmp_path / "out", "voc", write(tmp_path / "Annotations", {"2007_000032.xml": xml(objects)})
    )
    row = found.rows["2007_000032"]
    assert row["objects"] == {"bbox": [[0, 0, 500, 375], [45, 9, 4, 2]], "category": [1, 0]}
    assert row["labels"] == [0, 1] and (row["width"], row["height"]) == (500, 375)


def test_imagenet_counts_from_0_and_names_the_image_by_its_class_folder(tmp_path):
    files = {
        "n01440764/n01440764_1.xml": xml(box("n01440764", 0, 0, 499, 374)),
        "n01440764/n01440764_2.xml": xml(box("n01440764", 10, 20, 10, 20)),
    }
    found = converted(tmp_path / "out", "imagenet_boxes", write(tmp_path / "bbox", files))
    assert found.rows["n01440764/n01440764_1"]["objects"]["bbox"] == [[0, 0, 500, 375]]
    assert found.rows["n01440764/n01440764_2"]["objects"]["bbox"] == [[10, 20, 1, 1]]
    assert found.dataset.features["label"].names == ["n01440764"]


def test_hostile_and_broken_files_are_rejected(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>'
    files = {
        "a.xml": xml(box("dog", 1, 1, 5, 5)),
        "b.xml": xml(box("dog", 1, 1, 5, 5), head=bomb),
        "c.xml": xml(""),
        "d.xml": xml(box("dog", 5, 5, 1, 1)),
        "e.xml": xml(box("dog", 1, 1, 900, 5)),
        "f.xml": "<annotation>",
    }
    folder = write(tmp_path / "Annotations", files)
    (tmp_path / "secret.xml").write_text(xml(box("dog", 1, 1, 5, 5)))
    (folder / "g.xml").symlink_to(tmp_path / "secret.xml")
    found = converted(tmp_path / "out", "voc", folder)
    texts = {"b": "DOCTYPE", "d": "ends before", "e": "xmax is '900'", "f": "well-formed"}
    texts |= {"g": "leads out of the folder"}
    assert list(found.rows) == ["a"]
    assert sorted(found.rejects) == [f"{name}.xml" for name in sorted(texts)]
    assert all(text in found.rejects[f"{name}.xml"] for name, text in texts.items())
    assert found.manifest.ignored["byproducts"] == 1  # c: nobody drew an object


def test_a_linked_folder_is_a_reject(tmp_path):
    folder = write(tmp_path / "Annotations", {"a.xml": xml(box("dog", 1, 1, 5, 5))})
    (folder / "more").symlink_to(write(tmp_path / "more", {"b.xml": xml(box("dog", 1, 1, 5, 5))}))
    found = converted(tmp_path / "out", "voc", folder)
    assert list(found.rows) == ["a"]
    assert found.rejects["more"].startswith("a linked folder, which is not followed: pass the folder itself")


def test_a_folder_without_xml_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="holds no XML"):
        converted(tmp_path / "out", "voc", write(tmp_path / "x", {"a.txt": ""}))


def test_true_boxes_match_images_by_the_end_of_their_path(tmp_path):
    (tmp_path / "a.csv").write_text("file,x,y\n1.jpg,50,50\nn01/2.jpg,150,50\n3.jpg,0,0\n4.jpg,9,9\n")
    files = {
        "n01/1.xml": xml(box("n01", 0, 0, 99, 99)),
        "2.xml": xml(box("n01", 100, 0, 199, 99)),
        "n01/3.xml": xml(box("n01", 0, 0, 9, 9)),
        "3.xml": xml(box("n01", 20, 0, 29, 9)),  # the same name wins
        "n01/4.xml": xml(box("n01", 0, 0, 9, 9)),
        "n02/4.xml": xml(box("n02", 0, 0, 9, 9)),  # which of the two is not known
    }
    boxes = write(tmp_path / "boxes", files)
    options = {"boxes": boxes, "units": "pixels", "image_size": (500.0, 375.0)}
    found = converted(tmp_path / "out", "table", tmp_path / "a.csv", **options)
    assert {name: row["objects"]["bbox"] for name, row in found.rows.items()} == {
        "1": [[0, 0, 100, 100]],
        "n01/2": [[100, 0, 100, 100]],
        "3": [[20, 0, 10, 10]],
        "4": [],
    }
    facts = found.manifest.facts
    assert (facts["points compared with true boxes or masks"], facts["of these inside, as read"]) == (3, 2)
