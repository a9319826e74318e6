"""Boxes of all formats are read in one way: the same rule for odd ones, the same test of a hit."""

import datasets
import numpy as np
import pytest
from fixtures.boxed import box_xml
from fixtures.factories import image_bytes, noise_image
from fixtures.small_runs import options
from fixtures.tiny_models import tiny_model

from luab_attention.boxes.boxes import ImageBoxes, inside, usable
from luab_attention.boxes.by_id import BoxFiles
from luab_attention.boxes.csv_boxes import read_boxes
from luab_attention.boxes.rows import RowBoxes
from luab_attention.boxes.sources import load_boxes, load_evaluation_boxes
from luab_data.errors import SourceError
from luab_eval.byproducts.quality import measure
from luab_eval.image_sets.boxes import set_of_rows
from luab_eval.metrics.pointing_game.pointing_game import is_hit
from luab_eval.pointing import PointingGameEvaluator
from luab_trainer.run import main
from luab_vision.transforms import ImageSettings

HEADER = "file,x0,y0,x1,y1,width,height\n"
NAN = float("nan")
ODD = [[4, 4, 8, 0], [4, 4, -8, 8], [NAN, 4, 8, 8], [400, 4, 8, 8], [20, 20, 30, 30], [4, 4, 8, float("inf")]]
SQUARE = [8, 8, 8, 8]


def dataset(objects, label=0, feature=None, **columns) -> datasets.Dataset:
    """One 32 x 32 image with a click and `objects`, of the classes cat and dog."""
    names = datasets.ClassLabel(names=["cat", "dog"])
    labels = datasets.List(names) if isinstance(label, list) else names
    category = names if feature is None else feature
    one = {"bbox": datasets.List(datasets.Value("float64")), "category": category}
    kinds = {
        "image": datasets.Image(),
        "label": labels,
        "click": {"x": datasets.Value("float64"), "y": datasets.Value("float64")},
        "objects": {name: datasets.List(kind) for name, kind in one.items()},
    }
    image = {"bytes": image_bytes(noise_image(32, 32)), "path": None}
    row = {"image": image, "label": label, "click": {"x": 0.5, "y": 0.5}, "objects": objects} | columns
    return datasets.Dataset.from_list([row], features=datasets.Features(kinds))


def of_each_tool(rows) -> list[str]:
    """What the image sets, the pointing game and the byproducts leave out."""
    game = PointingGameEvaluator(
        rows.cast_column("image", datasets.Image(decode=False)), ImageSettings(size=32, resize=32)
    )
    asked = game(tiny_model("convnext"))["pointing_game_images"]
    images, note = set_of_rows("toy", rows)
    quality = measure(rows)
    assert asked == len(images.items) == quality.rows - quality.without_boxes == 1
    assert images.boxes[0].bbox == [SQUARE]
    assert quality.points.values["uniform"] == [1 / 16]
    return [game.boxes.note(), note, quality.left_out]


def test_all_tools_leave_out_the_same_boxes():
    notes = of_each_tool(dataset({"bbox": [SQUARE, *ODD], "category": [0] * 7}))
    assert set(notes) == {
        "2 boxes that are not four numbers, 2 boxes without width or height, "
        "2 boxes that reach out of their images"
    }


def test_a_box_of_another_class_is_no_hit():
    everywhere = [0, 0, 32, 32]
    assert set(of_each_tool(dataset({"bbox": [SQUARE, everywhere], "category": [0, 1]}))) == {""}
    rows = dataset({"bbox": [everywhere], "category": [1]})
    game = PointingGameEvaluator(
        rows.cast_column("image", datasets.Image(decode=False)), ImageSettings(size=32, resize=32)
    )
    assert game(tiny_model("convnext"))["pointing_game_images"] == 0
    assert game.boxes.note() == "1 image whose boxes are all of other classes"
    with pytest.raises(ValueError, match="1 image whose boxes are all of other classes"):
        set_of_rows("toy", rows)
    with pytest.raises(SourceError, match="none of the 1 rows has a box"):
        measure(rows)


@pytest.mark.parametrize(
    ("objects", "feature"),
    [
        ({"bbox": [SQUARE], "category": ["Cat"]}, datasets.Value("string")),
        (
            {"bbox": [SQUARE, [0, 0, 1, 1]], "category": [2, 1]},
            datasets.ClassLabel(names=["x", "dog", "CAT"]),
        ),
    ],
    ids=["strings", "other order"],
)
def test_categories_are_matched_by_name(objects, feature):
    reader = RowBoxes("label", dataset(objects, feature=feature))
    assert reader.by_label({"label": 0, "objects": objects}, lambda: (32, 32)) == {
        0: ImageBoxes([SQUARE], 32, 32)
    }


@pytest.mark.parametrize(
    "objects",
    [
        {"bbox": [SQUARE], "category": [0]},
        [{"bbox": SQUARE, "category": 0}],
        {"bboxes": [SQUARE], "categories": [0]},
        [{"boxes": tuple(SQUARE), "label": 0}],
        {"bbox": [SQUARE]},
    ],
)
def test_layouts(objects):
    reader = RowBoxes("label")
    row = {"label": 0, "objects": objects}
    assert reader.by_label(row, lambda: (32, 32)) == {0: ImageBoxes([SQUARE], 32, 32)}
    row |= {"width": 64, "height": 16}
    assert reader.by_label(row, lambda: (32, 32)) == {0: ImageBoxes([SQUARE], 64, 16)}


@pytest.mark.parametrize(
    ("objects", "label", "message"),
    [
        ({"box": [SQUARE]}, 0, "fields box, but none of bbox, bboxes, boxes"),
        ({"bbox": [SQUARE], "boxes": [SQUARE]}, 0, "which of bbox, boxes is meant"),
        ({"bbox": [{"x": 1, "y": 2}]}, 0, "boxes such as .*'x'.* each must be four numbers"),
        ({"bbox": [[1, 2, 3]]}, 0, "each must be four numbers"),
        ({"bbox": [SQUARE], "category": [0, 1]}, 0, "1 boxes and 2 categories"),
        ({"bbox": [SQUARE]}, [0, 1], "several classes, so that the boxes need categories"),
        ({"bbox": [SQUARE], "category": ["cat"]}, 0, "categories of boxes are cat, but class numbers"),
    ],
)
def test_what_is_not_clear_is_refused(objects, label, message):
    with pytest.raises(SourceError, match=message):
        RowBoxes("label").by_label({"label": label, "objects": objects}, lambda: (32, 32))


def test_one_test_of_a_hit():
    """The `evaluate` module keeps a copy, which needs nothing of this package."""
    rng = np.random.default_rng(0)
    boxes = rng.integers(0, 8, (200, 3, 4))
    points = rng.integers(0, 12, (200, 2))
    found = [bool(inside(point, each)[0]) for point, each in zip(points, boxes, strict=True)]
    assert found == [is_hit(point, each) for point, each in zip(points, boxes, strict=True)]
    assert 0 < sum(found) < 200


def test_a_fraction_of_a_pixel_outside_is_usable():
    boxes = np.array([[-0.6, 0, 640.9, 480], [0, 0, 641, 481], [0, 0, 700, 480], [-50, 0, 40, 10]])
    assert usable(boxes, (640, 480))[0].tolist() == [True, True, False, False]


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


def test_xml_files_of_the_same_name_belong_to_their_folder(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "boxes" / name).mkdir(parents=True)
        (tmp_path / "boxes" / name / "0.xml").write_bytes(box_xml((name, 10 * number, 0, 9 + 10 * number, 9)))
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "0.png").write_bytes(image_bytes(noise_image(500, 375)))
    rows = load_boxes(tmp_path / "images", tmp_path / "boxes", ["Dog", "cat"])
    assert {row["image_id"]: row["objects"]["bbox"] for row in rows} == {
        "cat/0": [[0, 0, 10, 10]],
        "dog/0": [[10, 0, 10, 10]],
    }
    assert rows["label"][:] == [1, 0]
    reader = BoxFiles("label", rows, tmp_path / "boxes")
    assert reader.by_label(rows[1], None) == {0: ImageBoxes([[10, 0, 10, 10]], 500, 375)}
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "0.png").write_bytes(image_bytes(noise_image(8, 8)))
    with pytest.raises(SourceError, match="2 XML files could be that of 0"):
        load_boxes(tmp_path / "flat", tmp_path / "boxes")


@pytest.fixture
def own(tmp_path):
    """A dataset with columns of one's own names, and images with a CSV to evaluate on."""
    rows = dataset({"bbox": [], "category": []})
    rows = datasets.concatenate_datasets([rows] * 4).remove_columns("objects")
    rows = rows.rename_columns({"image": "photo", "label": "species", "click": "tap"})
    datasets.DatasetDict(train=rows).save_to_disk(tmp_path / "data")
    for name in ("Cat", "dog"):
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "0.png").write_bytes(image_bytes(noise_image(32, 32)))
    (tmp_path / "boxes.csv").write_text(HEADER + "dog/0.png,0,0,31,31,32,32\nCat/0.png,0,0,9,9,32,32\n")
    return tmp_path


def test_boxes_for_columns_of_ones_own_names(own, capsys):
    columns = {"image_column": "photo", "label_column": "species", "point_column": "tap"}
    evaluated = {"eval_dataset": str(own / "eval"), "eval_boxes": str(own / "boxes.csv")}
    tiny_model("convnext", num_labels=2).config.save_pretrained(own / "model")
    main(options(own / "model", own / "data", own / "out", loss="attention", **columns, **evaluated))
    assert '"eval_pointing_game_images": 2.0' in (own / "out" / "eval_results.json").read_text()


def test_a_csv_for_several_classes_an_image_is_refused(own):
    rows = dataset({"bbox": [], "category": []}, label=[0, 1]).rename_column("label", "labels")
    for label in (None, "labels"):
        with pytest.raises(SourceError, match=r"CSV gives each image the one class .* column 'labels'"):
            load_evaluation_boxes(own / "eval", own / "boxes.csv", rows, "image", label)
    with pytest.raises(SourceError, match="is a folder"):
        load_evaluation_boxes(own / "eval", own / "eval", rows, "image", None)
