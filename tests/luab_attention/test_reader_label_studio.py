"""Label Studio's export: percent, uploads, skipped tasks, turned images, brushes."""

import json

import numpy as np
import pytest
from fixtures.converted import converted, near, write_images

from luab_data.errors import SourceError

SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}


def region(kind, value, **more):
    return {"type": kind, "value": value, **SIZE, **more}


def task(image, *results, cancelled=False):
    annotation = {"id": 1, "completed_by": 2, "was_cancelled": cancelled, "result": list(results)}
    return {"id": 1, "data": {"image": image}, "annotations": [annotation], "predictions": []}


def key(x, y, label="cat", **more):
    return region("keypointlabels", {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]}, **more)


def convert(tmp_path, *tasks, name="out", **options):
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    return converted(tmp_path / name, "label_studio", tmp_path / "export.json", **options)


def test_all_kinds_of_regions(tmp_path):
    box = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["dog"]}
    polygon = {"points": [[0, 0], [50, 0], [50, 50], [0, 50]], "polygonlabels": ["dog"]}
    found = convert(
        tmp_path,
        task("/data/upload/3/1a2b3c4d-my-cat.jpg", key(25, 50), region("rectanglelabels", box)),
        task("http://host/data/local-files/?d=photos/dog%201.jpg", region("polygonlabels", polygon)),
    )
    cat, dog = found.rows["data/upload/3/1a2b3c4d-my-cat"], found.rows["photos/dog 1"]
    assert cat["points"] == [{"label": 0, "x": 0.25, "y": 0.5}]
    assert cat["objects"] == {"bbox": [near([20, 20, 60, 40])], "category": [1]}
    assert (cat["width"], cat["height"]) == (200, 100) and cat["labels"] == [0, 1]
    mask = np.asarray(dog["masks"][0]["image"])
    assert mask.shape == (100, 200) and mask[:50, :100].all() and mask.sum() == 255 * 50 * 100


UPLOADS = (
    "/data/upload/1/1a2b3c4d-001.jpg",
    "/data/upload/1/5e6f7a8b-001.jpg",
    "/data/upload/2/9c9c9c9c-002.jpg",
)


def test_two_uploads_of_one_name_are_two_images(tmp_path):
    tasks = [task(each, key(10 * place, 5)) for place, each in enumerate(UPLOADS, start=1)]
    first, second, third = (each.removeprefix("/").removesuffix(".jpg") for each in UPLOADS)
    found = convert(tmp_path, *tasks)
    assert {name: row["points"][0]["x"] for name, row in found.rows.items()} == near(
        {first: 0.1, second: 0.2, third: 0.3}
    )
    assert {len(row["points"]) for row in found.rows.values()} == {1}
    # As Label Studio keeps them, below any of the folders.
    files = {each.removeprefix("/data/"): (200, 100) for each in UPLOADS}
    media = write_images(tmp_path / "media", files)
    for name, folder, matched in (
        ("a", media, [first, second, third]),
        ("b", media / "upload/1", [first, second]),
    ):
        found = convert(tmp_path, *tasks, name=name, images=folder)
        assert list(found.rows) == matched
        for key_of, row in found.rows.items():
            assert row["image"]["bytes"] == (media / f"{key_of.removeprefix('data/')}.jpg").read_bytes()


def test_an_upload_is_matched_with_the_file_of_its_former_name_where_only_one_has_it(tmp_path):
    tasks = [task(each, key(5, 5)) for each in UPLOADS]
    tasks.append(task("/data/upload/2/0f0f0f0f-COCO_val2014_000000000009.jpg", key(5, 5)))
    tasks.append(task("http://host/data/upload/2/0f0f0f0f-003.jpg", key(5, 5)))
    names = ("001.jpg", "002.jpg", "COCO_val2014_000000000009.jpg", "more/003.jpg")
    originals = write_images(tmp_path / "photos", dict.fromkeys(names, (200, 100)))
    found = convert(tmp_path, *tasks, images=originals)
    assert [name.rpartition("/")[2] for name in found.rows] == [
        "9c9c9c9c-002", "0f0f0f0f-COCO_val2014_000000000009", "0f0f0f0f-003",
    ]  # fmt: skip
    assert [reason.partition(": ")[2] for reason in found.rejects.values()] == [
        "there is no image of this name"
    ] * 2
    # Nothing but an upload has such a prefix: this one is part of the name.
    path = tmp_path / "c.csv"
    path.write_text("file,x,y\n9c9c9c9c-002.jpg,0.5,0.5\nmore/003.jpg,0.5,0.5\n")
    assert list(converted(tmp_path / "t", "table", path, originals).rows) == ["more/003"]


def test_a_choice_is_the_class_of_the_image(tmp_path):
    plain = region("keypoint", {"x": 10, "y": 10})
    choice = {"type": "choices", "value": {"choices": ["bird"]}}
    found = convert(tmp_path, task("a.png", plain, choice), task("b.png", plain, choice))
    assert [row["label"] for row in found.rows.values()] == [0, 0]
    assert found.rows["a"]["points"][0]["x"] == near(0.1)


def test_an_image_with_a_class_alone_takes_no_size_from_the_boxes_of_others(tmp_path):
    box = region("rectanglelabels", {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["dog"]})
    choice = {"type": "choices", "value": {"choices": ["bird"]}}
    found = convert(tmp_path, task("a.png", box), task("b.png", choice))
    assert (found.rows["a"]["width"], found.rows["a"]["height"]) == (200, 100)
    assert found.rows["b"]["width"] is None and found.rows["b"]["objects"]["bbox"] == []


def test_what_cannot_be_used_is_rejected_with_its_reason(tmp_path):
    turned = {"x": 1, "y": 1, "width": 3, "height": 3, "rotation": 30, "rectanglelabels": ["dog"]}
    two = region("keypointlabels", {"x": 1, "y": 1, "keypointlabels": ["a", "b"]})
    ellipse = region("ellipselabels", {"x": 1, "y": 1, "radiusX": 1, "radiusY": 2})
    brush = region("brushlabels", {"format": "rle", "rle": [0, 1, 2], "brushlabels": ["a"]})
    wrong = (
        key(1, 1, image_rotation=90),
        region("rectanglelabels", turned),
        two,
        ellipse,
        brush,
        key("x", 1),
    )
    found = convert(tmp_path, task("a.png", key(5, 5), *wrong), task("b.png", cancelled=True), {"image": "c"})
    reasons = list(found.rejects.values())
    for text in (
        "image_rotation 90", "a turned box", "2 classes", "'ellipselabels'; allowed", "cut off", "x is 'x'",
        "skipped it", "not as JSON-MIN",
    ):  # fmt: skip
        assert sum(text in reason for reason in reasons) == 1, text
    assert len(reasons) == 8


def test_a_region_without_an_object_of_values_costs_itself_alone(tmp_path):
    kinds = ("keypointlabels", "rectanglelabels", "polygonlabels", "brushlabels", "choices")
    wrong = [region(kind, value) for kind in kinds for value in ([], None, "x", float("nan"))]
    found = convert(tmp_path, task("a.png", key(5, 5), *wrong, key(7, 7)), task("b.png", *wrong[:1]))
    assert list(found.rows) == ["a"] and len(found.rows["a"]["points"]) == 2
    assert len(found.rejects) == 21
    assert found.rejects["export.json, task 1, annotation 1, region 2"] == (
        "value is []; allowed is an object with the region's numbers"
    )


def test_an_address_that_is_none_costs_its_task_alone(tmp_path):
    found = convert(tmp_path, task("http://[x/1.jpg", key(5, 5)), task("a.png", key(5, 5)))
    assert list(found.rows) == ["a"]
    assert found.rejects == {
        "export.json, task 1": "'http://[x/1.jpg' is no address of an image: Invalid IPv6 URL"
    }


def test_regions_on_two_images_are_told_apart_or_refused(tmp_path):
    both = task("a.png", key(5, 5, to_name="img"), key(50, 50, to_name="img2"))
    other = task("b.png", key(50, 50, to_name="img2"), key(7, 7))
    with pytest.raises(SourceError, match=r"are on img \(1\), img2 \(2\). Say with --to-name which"):
        convert(tmp_path, both, other)
    with pytest.raises(SourceError, match="--to-name img3: the regions are on img, img2"):
        convert(tmp_path, both, other, to_name="img3")
    found = convert(tmp_path, both, other, to_name="img")
    assert list(found.rows) == ["a"] and len(found.rows["a"]["points"]) == 1
    assert [reason[:16] for reason in found.rejects.values()] == ["it is on 'img2',"] * 2 + [
        "it is on 'None',"
    ]


def test_a_region_is_on_the_page_of_its_index(tmp_path):
    pages = task(["a.png", "b.png"], key(5, 5, item_index=0), key(50, 50, item_index=1), key(7, 7))
    single = task("c.png", key(5, 5, item_index=0), key(5, 5, item_index=1))
    found = convert(tmp_path, pages, single)
    assert {name: row["points"][0]["x"] for name, row in found.rows.items()} == near(
        {"a": 0.05, "b": 0.5, "c": 0.05}
    )
    first, second = found.rejects.values()
    assert first == "no item_index says on which of the 2 pages it is"
    assert second == "item_index 1, but the task has 1 image"


def test_a_missing_page_costs_its_own_regions_alone(tmp_path):
    pages = task(["a.png", None], key(5, 5, item_index=0), key(50, 50, item_index=1))
    found = convert(tmp_path, pages, task([], key(5, 5)), {"data": {"photo": "c.png"}, "annotations": []})
    assert list(found.rows) == ["a"]
    assert found.rejects == {
        "export.json, task 1, annotation 1, region 2": "data.image[1] is None; allowed is a text of "
        "1 to 1000 characters",
        "export.json, task 2": "data.image is an empty list of images",
        "export.json, task 3": "its data has no 'image', but photo: say with --image-key which is the image",
    }


def test_tasks_that_nobody_annotated_are_counted(tmp_path, capsys):
    open_task = {"data": {"image": "b.png"}, "annotations": []}
    found = convert(tmp_path, task("a.png", key(5, 5)), open_task, open_task, task("c.png"))
    assert found.manifest.found == found.manifest.used == {"byproducts": 1}
    assert found.manifest.ignored == {"byproducts": 3} and not found.rejects
    shown = capsys.readouterr().out
    assert "ignored: 2 tasks without an annotation" in shown
    assert "ignored: 1 annotations without a region" in shown
    with pytest.raises(SourceError, match=r"no usable entry \(2 tasks without an annotation\)"):
        convert(tmp_path, open_task, open_task, name="none")
