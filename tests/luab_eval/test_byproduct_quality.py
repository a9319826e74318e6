"""Byproducts against real boxes: every figure worked out by hand, for both datasets; the command."""

import json
from io import BytesIO

import datasets
import numpy as np
import pytest
from datasets import Dataset
from fixtures.factories import image_bytes, noise_image
from PIL import Image

import coco_ab.rows
import imagenet_ab.rows
from imagenet_ab.build import build_imagenet_ab
from luab.commands.byproducts import main
from luab_data.errors import SourceError
from luab_eval.byproducts.quality import measure
from luab_eval.byproducts.tables import Quality

CLASSES = ["n01440764", "n02123045"]
HEADER = "file,x0,y0,x1,y1,width,height\n"


def annotation(worker="A", click=(0.5, 0.5), track=(), selected=True) -> dict:
    """One annotator's visit: the cursor at the `track` every second, then the click."""
    blank = dict.fromkeys(imagenet_ab.rows.features(CLASSES, False)["annotations"].feature)
    points = [{"x": x, "y": y, "time": 1000 * at} for at, (x, y) in enumerate(track)]
    clicks = [] if click is None else [{"x": click[0], "y": click[1], "time": 1000 * max(len(track) - 1, 0)}]
    return {
        **blank,
        "selected": selected,
        "worker_id": worker,
        "mouse_tracking": points,
        "selected_record": clicks,
        "hovered_record": [],
    }


def imagenet_rows(*rows: tuple[str, tuple[float, float] | None, list[dict]]) -> Dataset:
    """(image_id, click, annotations) of each row, without images."""
    table = [
        {
            "label": CLASSES.index(image_id.split("/")[0]),
            "class_name": "",
            "image_id": image_id,
            "click": None if click is None else {"x": click[0], "y": click[1]},
            "annotations": annotations,
        }
        for image_id, click, annotations in rows
    ]
    return Dataset.from_list(table, features=imagenet_ab.rows.features(CLASSES, images=False))


@pytest.fixture
def boxes(tmp_path):
    """The left half of a 200 x 100 image; two boxes in another; none in the third."""
    file = tmp_path / "boxes.csv"
    file.write_text(
        HEADER
        + "n01440764/a.JPEG,0,0,99,99,200,100\n"
        + "n02123045/b.JPEG,0,0,19,99,200,100\nn02123045/b.JPEG,100,0,199,49,200,100\n"
    )
    return file


ROWS = (
    # Two workers; Z is the mean of their clicks. The box is 0..0.5 by 0..1.
    (
        "n01440764/a",
        (0.5, 0.5),
        [
            annotation("A", (0.25, 0.5), track=[(0.9, 0.5), (0.4, 0.5), (0.25, 0.5)]),
            annotation("B", (0.75, 0.5)),
            annotation("C", None, track=[(0.1, 0.1)], selected=False),
        ],
    ),
    # In no box: between 0..0.1 by 0..1 and 0.5..1 by 0..0.5; the nearer center is the second's, (0.75, 0.25).
    ("n02123045/b", (0.75, 0.75), [annotation("A", (0.75, 0.75))]),
    ("n02123045/c", (0.5, 0.5), [annotation("A")]),
    ("n01440764/a", None, []),
)


def test_every_figure_by_hand(boxes):
    summary = measure(imagenet_rows(*ROWS), boxes).summary()
    assert (summary["rows"], summary["rows_without_boxes"]) == (4, 1)
    assert summary["points_of_classes_without_boxes"] == 0
    # Boxes of 0.1, 0.25, 0.5 and 0.5, the last in the row without a click: that is the 90th percentile.
    assert summary["large_object_side"] == pytest.approx(np.sqrt(0.5))
    assert summary["background_radius"] == pytest.approx(0.8 * np.sqrt(0.5))
    everything = summary["all"]
    assert everything["points"] == 2
    assert everything["points_inside"] == 0.5  # the first lies on the box's border
    # (0.25 / 0.5, 0) from the first box's center; (0, 0.5 / 0.5) from the second's.
    assert everything["points_median_distance"] == pytest.approx((0.5 + 1) / 2)
    assert everything["points_uniform"] == pytest.approx((0.5 + (0.1 + 0.25)) / 2)
    assert everything["points_center"] == 1  # on a border in both
    assert everything["clicks"] == 3
    assert everything["clicks_inside"] == pytest.approx(1 / 3)
    assert everything["clicks_median_distance"] == pytest.approx(1)  # of 0, 1 and 1
    assert everything["traces"] == 1
    assert everything["traces_inside"] == pytest.approx(2 / 3)
    # 2, 1 and 0 s before the click, and a position loses weight by e every 0.25 s: exp(-8) is left out, and
    # both others are inside.
    assert everything["traces_weighted"] == pytest.approx(1)
    assert summary["classes"]["n01440764"] == {
        "points": 1,
        "points_inside": 1.0,
        "points_median_distance": pytest.approx(0.5),
        "points_uniform": pytest.approx(0.5),
        "points_center": 1.0,
        "traces": 1,
        "traces_inside": pytest.approx(2 / 3),
        "traces_weighted": pytest.approx(1),
    }
    assert summary["classes"]["n02123045"]["points_inside"] == 0
    assert set(summary["workers"]) == {"A", "B"}  # C selected nothing
    assert summary["workers"]["A"]["clicks"] == 2
    assert summary["workers"]["A"]["clicks_inside"] == 0.5
    assert summary["workers"]["B"] == {"clicks": 1, "clicks_inside": 0.0, "clicks_median_distance": 1.0}


def test_nine_in_ten_objects_are_smaller_than_a_large_one():
    quality = Quality(sides=[number / 10 for number in range(11)])
    assert quality.summary()["large_object_side"] == pytest.approx(0.9)
    assert quality.summary()["background_radius"] == pytest.approx(0.72)
    assert Quality().summary()["background_radius"] is None


def test_the_late_part_of_a_trace_weighs_more(boxes):
    track = [(0.9, 0.5), (0.25, 0.5)]
    visit = annotation("A", (0.25, 0.5), track)
    visit["mouse_tracking"][1]["time"] = visit["selected_record"][0]["time"] = 250  # one time constant later
    traces = measure(imagenet_rows(("n01440764/a", (0.25, 0.5), [visit])), boxes).traces.values
    assert traces == {"inside": [0.5], "weighted": [pytest.approx(1 / (1 + np.exp(-1)))]}


def test_official_boxes(tmp_path):
    (tmp_path / "n01440764_7.xml").write_text(
        "<annotation><size><width>200</width><height>100</height></size><object><name>n01440764</name><bndbox>"
        "<xmin>0</xmin><ymin>0</ymin><xmax>99</xmax><ymax>99</ymax></bndbox></object></annotation>"
    )
    rows = imagenet_rows(
        ("n01440764/n01440764_7", (0.25, 0.5), []), ("n01440764/n01440764_8", (0.25, 0.5), [])
    )
    quality = measure(rows, tmp_path)
    assert quality.without_boxes == 1
    assert quality.points.values["distance"] == [0]
    assert quality.points.values["uniform"] == [0.5]
    assert quality.points.workers == ["unknown"]


def coco_rows(images: bool = True) -> Dataset:
    """A cat left and a dog right in a 100 x 50 image; the worker also placed a car that is not there."""
    file = BytesIO()
    Image.new("RGB", (100, 50)).save(file, "PNG")
    names = coco_ab.rows.features(images=True)["labels"].feature
    cat, dog, car = (names.str2int(name) for name in ("cat", "dog", "car"))
    points = [(cat, 0.25, 0.5), (dog, 0.4, 0.5), (car, 0.9, 0.5)]
    visit = {
        **dict.fromkeys(coco_ab.rows.features(images=True)["annotations"].feature),
        "worker_id": "W",
        "action_histories": [],
        "category_histories": [],
        "mouse_tracking": [{"x": x, "y": 0.5, "time_at": 1} for x in (0.1, 0.6, 0.65, 0.9)],
    }
    row = {
        "image": {"bytes": file.getvalue(), "path": None},
        "image_id": 9,
        "file_name": "COCO_train2014_000000000009.jpg",
        "width": 100,
        "height": 50,
        "labels": [cat, dog],
        "objects": {
            "bbox": [[0, 0, 50, 50], [60, 0, 20, 50]],
            "category": [cat, dog],
            "area": [1, 1],
            "iscrowd": [False, False],
        },
        "points": [{"label": label, "x": x, "y": y, "source": "add"} for label, x, y in points],
        "annotations": [{**visit, "worker_id": "V", "mouse_tracking": []}, visit],
    }
    return Dataset.from_list([row], features=coco_ab.rows.features(images=True))


def test_a_point_counts_against_the_boxes_of_its_class():
    summary = measure(coco_rows()).summary()
    assert summary["points_of_classes_without_boxes"] == 1
    assert summary["all"]["points"] == summary["all"]["clicks"] == 2
    assert summary["all"]["points_inside"] == 0.5
    assert summary["classes"]["cat"]["points_median_distance"] == pytest.approx(0)
    assert summary["classes"]["dog"]["points_median_distance"] == pytest.approx(0.3 / 0.2)
    assert summary["classes"]["dog"]["points_uniform"] == pytest.approx(0.2)
    assert summary["workers"]["W"]["clicks"] == 2  # the image's last annotator placed the points
    assert summary["workers"]["W"]["traces_inside"] == 0.75  # in the box of either class
    assert set(summary["classes"]) == {"cat", "dog"}


@pytest.mark.parametrize("unnamed", [False, True])
def test_points_of_other_classes_than_the_rows_are_left_out(unnamed, tmp_path, capsys):
    """As in training: a cat in the left half, clicked, beside a click on a dog in the right."""
    classes = datasets.ClassLabel(names=["cat", "dog"])
    number = datasets.Value("float32")
    kinds = {
        "label": classes,
        "width": datasets.Value("int32"),
        "height": datasets.Value("int32"),
        "objects": {"bbox": datasets.List(datasets.List(number)), "category": datasets.List(classes)},
        "points": datasets.List({"label": classes, "x": number, "y": number}),
    }
    points = [{"label": 0, "x": 0.25, "y": 0.5}, {"label": -1 if unnamed else 1, "x": 0.75, "y": 0.5}]
    row = {
        "label": 0,
        "width": 100,
        "height": 50,
        "objects": {"bbox": [[0, 0, 50, 50], [50, 0, 50, 50]], "category": [0, 1]},
        "points": points,
    }
    rows = Dataset.from_list([row] * 3, features=datasets.Features(kinds))
    quality = measure(rows)
    assert quality.summary()["points_of_other_classes"] == 3
    assert quality.points.classes == ["cat"] * 3
    assert quality.points.values["inside"] == [1.0] * 3
    datasets.DatasetDict(train=rows).save_to_disk(tmp_path / "rows")
    assert main([str(tmp_path / "rows")]) == 0
    assert "3 points are of other classes than their row's" in capsys.readouterr().out


def test_sizes_come_from_the_image_where_rows_have_none():
    rows = coco_rows().remove_columns(["width", "height"])
    assert measure(rows).summary()["all"] == measure(coco_rows()).summary()["all"]
    with pytest.raises(SourceError, match="neither width and height nor the image"):
        measure(rows.remove_columns("image"))


def test_boxes_of_another_orientation_than_the_image_are_left_out(boxes):
    rows = imagenet_rows(*ROWS).select(range(2))
    images = [{"bytes": image_bytes(noise_image(*size)), "path": None} for size in ((100, 200), (200, 100))]
    rows = rows.add_column("image", images).cast_column("image", datasets.Image())
    quality = measure(rows, boxes)
    assert (quality.rows, quality.without_boxes) == (2, 1)
    assert "1 box of an image of another orientation" in quality.left_out
    assert "n01440764/a: measure them on the upright image" in quality.left_out
    with pytest.raises(SourceError, match=r"none of the 1 rows has a box in .*: 1 box of .* n01440764/a"):
        measure(rows.select([0]), boxes)


def test_what_is_missing_is_said(tmp_path, boxes):
    rows = imagenet_rows(*ROWS)
    with pytest.raises(SourceError, match=r"lack objects; they have .*\. Pass the real boxes"):
        measure(rows)
    with pytest.raises(SourceError, match="neither points nor annotations; their columns are label"):
        measure(rows.remove_columns(["annotations", "click"]), boxes)
    with pytest.raises(SourceError, match="ids, <class>/<name>, but there is no column 'image_id'"):
        measure(rows.remove_columns("image_id"), boxes)
    with pytest.raises(SourceError, match="not a file"):
        measure(rows, tmp_path / "none.csv")
    with pytest.raises(SourceError, match="none of the 1 rows has a box in"):
        measure(imagenet_rows(("n01440764/z", (0.5, 0.5), [])), boxes)
    with pytest.raises(SourceError, match="boxes with categories"):
        measure(coco_rows(), boxes)


@pytest.mark.parametrize("line", ["n1/a.JPEG,0,0,9,9,0,100", "n1/a.JPEG,0,0,9,9,100,", "n1/a.JPEG,0,0,9,9"])
def test_sizes_in_the_csv_are_checked(tmp_path, line):
    (tmp_path / "boxes.csv").write_text(HEADER + line + "\n")
    with pytest.raises(SourceError, match="line 2"):
        measure(imagenet_rows(*ROWS), tmp_path / "boxes.csv")


def test_command_prints_and_writes(tmp_path, boxes, capsys):
    many = [("n01440764/a", (0.25, 0.5), [annotation("A", (0.25, 0.5))])] * 6
    imagenet_rows(*ROWS, *many).save_to_disk(tmp_path / "rows")
    status = main(
        [str(tmp_path / "rows"), "--boxes", str(boxes), "--output", str(tmp_path / "out" / "quality.json")]
    )
    printed = capsys.readouterr().out
    assert status == 0
    assert "9 of 10 rows have boxes" in printed
    # sqrt(0.5), and 0.8 times as much.
    assert "nine in ten objects have a side below 0.71: --background_radius 0.57 fits\n" in printed
    assert "  all       8  87.5 %      0.00    48.1 %  100.0 %" in printed
    assert "n01440764       7  100.0 %" in printed
    assert "n02123045" not in printed  # too few to be called good or bad
    written = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert written["classes"]["n02123045"]["points"] == 1
    assert written["workers"]["A"]["clicks"] == 8
    assert written["large_object_side"] == pytest.approx(np.sqrt(0.5))


def test_command_says_what_is_wrong(tmp_path, capsys):
    assert main([str(tmp_path / "absent")]) == 1
    assert "luab byproducts: cannot load the dataset" in capsys.readouterr().err


def test_simulated_carelessness_is_found(tmp_path, imagenet_release):
    mini = imagenet_release.folder
    build_imagenet_ab(
        tmp_path / "rows",
        byproducts=mini / "imagenet_ab_v1_0.tar.gz",
        config="byproducts",
        classes=sorted(folder.name for folder in (mini / "images" / "train").iterdir())[:5],
    )
    rows = Dataset.from_parquet([str(file) for file in sorted((tmp_path / "rows").rglob("*.parquet"))])
    everything = measure(rows, mini / "boxes_train.csv").summary()["all"]
    # One click in ten was simulated anywhere in the image, the others on the object.
    assert everything["points_inside"] == pytest.approx(
        1 - 0.1 * (1 - everything["points_uniform"]), abs=0.03
    )
    assert everything["traces_inside"] < everything["traces_weighted"] < everything["clicks_inside"]
