"""Boxes are counted before training by the rules of training: what it would leave out is said, and why."""

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Image, List, Value
from fixtures.factories import image_bytes, noise_image

from luab import ViewDataset
from luab_attention.boxes.counting import count_boxes
from luab_attention.facts import describe_rows
from luab_attention.shuffling import shuffle_byproducts
from luab_data.constants import OTHER_CLASS
from luab_data.errors import SourceError
from luab_data.rows.columns import Columns
from luab_data.rows.same_classes import with_classes_of
from luab_vision.transforms import EvalTransform, ImageSettings

PETS = ClassLabel(names=["cat", "dog"])
GOOD = [10.0, 10.0, 60.0, 40.0]
EVAL = EvalTransform(ImageSettings(size=32, resize=32))


def rows_of(*rows, category=PETS, label=PETS, sizes=True, as_list=False):
    """Rows of images of 90 x 60, of (label, [(box, category)], width and height as stated)."""
    image = {"bytes": image_bytes(noise_image(90, 60)), "path": None}
    box = List(Value("float64"))
    fields = {"bbox": box} if category is None else {"bbox": box, "category": category}
    table = {"image": [], "label": [], "objects": [], "width": [], "height": []}
    for own, boxes, *size in rows:
        entries = [dict(zip(fields, each, strict=False)) for each in boxes or ()]
        together = {name: [entry[name] for entry in entries] for name in fields}
        table["objects"].append(None if boxes is None else entries if as_list else together)
        table["image"].append(image)
        table["label"].append(own)
        width, height = size[0] if size else (90, 60)
        table["width"].append(width)
        table["height"].append(height)
    objects = List(fields) if as_list else {name: List(each) for name, each in fields.items()}
    features = {"image": Image(), "label": label, "objects": objects}
    features |= {"width": Value("int32"), "height": Value("int32")}
    found = datasets.Dataset.from_dict(table, datasets.Features(features))
    return found if sizes else found.remove_columns(["width", "height"])


def trained(rows):
    """Which rows have a target in training."""
    dataset = ViewDataset(rows, EVAL, byproduct="boxes", num_labels=3)
    return [bool(sample["target_labels"]) for sample in dataset]


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("sizes", [False, True])
def test_what_training_leaves_out_is_counted_with_its_reason(sizes, as_list):
    rows = rows_of(
        (0, [(GOOD, 0), ([70.0, 10, 60, 30], 0)]),
        (1, [(GOOD, 0)]),
        (1, [([10.0, 10, 0, 20], 1), (GOOD, 0), (GOOD, 1)]),
        (0, [([10.0, 10, np.nan, 20], 0)]),
        (0, None),
        (0, []),
        sizes=sizes,
        as_list=as_list,
    )
    found, note = count_boxes(rows, Columns())
    assert found.tolist() == trained(rows) == [True, False, True, False, False, False]
    assert note == (
        "5 of 7 boxes are left out: 1 box that is not four numbers, 1 box without width or height, 1 box "
        "that reaches out of its image, 2 boxes of classes that their images do not have (they are of cat; "
        "the classes of column 'label' are cat, dog)"
    )
    part = rows.select([5, 2, 0])
    assert describe_rows(part, Columns(), "boxes")[:3] == (3, 3, 2)
    assert describe_rows(part, Columns(), "boxes").left_out.startswith("3 of 5 boxes are left out: ")
    good = rows.select([0]).map(lambda row: {"objects": row["objects"]})
    assert describe_rows(good, Columns(), "boxes").with_target == 1
    assert count_boxes(rows.select([4, 5]), Columns()).note == ""


@pytest.mark.parametrize("nothing", ["", " ", None])
def test_a_box_whose_category_is_empty_names_no_class(nothing):
    rows = rows_of(
        (0, [(GOOD, "cat")]), (1, [(GOOD, nothing)]), (1, [(GOOD, "fish")]), category=Value("string")
    )
    found, note = count_boxes(rows, Columns())
    assert found.tolist() == trained(rows) == [True, True, False]
    assert "they are of fish; the classes" in note


def test_boxes_of_the_stored_pixels_of_a_turned_photo_are_counted():
    rows = rows_of(
        (0, [(GOOD, 0)]), (0, [([10.0, 10, 40, 60], 0)] * 2, (60, 90)), (0, [(GOOD, 0)], (100, 100))
    )
    found, note = count_boxes(rows.select([1, 2, 0]), Columns())
    assert found.tolist() == trained(rows) == [True, False, True]
    assert note.startswith("2 of 4 boxes are left out: 2 boxes of images of another orientation")
    assert "(the first of row 0: measure them on the upright image" in note


@pytest.mark.parametrize(
    ("category", "used", "shown"),
    [
        (Value("int64"), 17, "17"),
        (Value("string"), "n02123045", "n02123045"),
        (ClassLabel(names=["person", "chair"]), 0, "person"),
    ],
)
def test_boxes_of_other_classes_are_no_targets(category, used, shown):
    rows = rows_of((0, [(GOOD, used)]), (1, [(GOOD, used)]), category=category)
    assert trained(rows) == count_boxes(rows, Columns()).found.tolist() == [False, False]
    assert (
        f"they are of {shown}; the classes of column 'label' are cat, dog"
        in count_boxes(rows, Columns()).note
    )


@pytest.mark.parametrize(
    "category", [PETS, Value("int64"), Value("string"), ClassLabel(names=["DOG", "cat"])]
)
def test_a_box_of_no_class_is_of_its_images_class_unless_one_names_it(category):
    cat = (
        category.names.index("cat")
        if isinstance(category, ClassLabel)
        else "cat"
        if category.dtype == "string"
        else 0
    )
    for none in (None,) if category == Value("string") else (None, -1):
        other = [0.0, 0.0, 20.0, 60.0]
        rows = rows_of(
            (0, [(GOOD, none)]), (0, [(GOOD, cat), (other, none)]), (0, [(GOOD, cat)]), category=category
        )
        assert trained(rows) == count_boxes(rows, Columns()).found.tolist() == [True] * 3
        one, two, three = (sample["target_maps"][0] for sample in ViewDataset(rows, EVAL, byproduct="boxes"))
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(two, three)
        assert sum(trained(shuffle_byproducts(rows, "boxes", Columns()))) == 3
    several = rows_of(([0, 1], [(GOOD, None)]), ([1], [(GOOD, None)]), ([0, 1], [(GOOD, cat)]),
                      category=category, label=List(PETS))  # fmt: skip
    assert trained(several) == count_boxes(several, Columns()).found.tolist() == [False, True, True]


def test_a_class_that_the_training_rows_lack_is_not_no_class():
    wild = ClassLabel(names=["dog", "wolf", "cat"])
    evaluated = rows_of((0, [(GOOD, 1)]), (2, [(GOOD, 2)]), (2, [(GOOD, -1)]), category=wild, label=wild)
    found = with_classes_of(rows_of((0, [])), evaluated, "label")
    assert [each["category"] for each in found["objects"]] == [[OTHER_CLASS], [0], [-1]]
    assert trained(found) == count_boxes(found, Columns()).found.tolist() == [False, True, True]
    points = [[{"label": 1, "x": 0.5, "y": 0.5}], [{"label": 2, "x": 0.5, "y": 0.5}], []]
    point = List({"label": wild, "x": Value("float32"), "y": Value("float32")})
    for label in ("label", "labels"):
        rows = evaluated.add_column("points", points, feature=point)
        if label == "labels":
            values = [[each] for each in rows["label"]]
            rows = rows.remove_columns("label").add_column("labels", values, feature=List(wild))
        train = (
            rows_of((0, []))
            if label == "label"
            else rows_of(([0], []), label=List(PETS)).rename_column("label", label)
        )
        found = with_classes_of(train, rows, label)
        columns = Columns(label=label, point="points")
        samples = ViewDataset(found, EVAL, byproduct="click", columns=columns, num_labels=2)
        assert [len(sample["target_labels"]) for sample in samples] == [0, 1, 0]
        assert describe_rows(found, columns, "click").with_target == 1


def test_other_layouts_of_the_four_numbers_are_told():
    corners = rows_of((0, [([50.0, 30, 85, 58], 0)]), (0, [([1.0, 2, 30, 40], 0)]))
    found, note = count_boxes(corners, Columns())
    assert found.tolist() == [False, True]
    assert "each box would fit as [x0, y0, x1, y1], but needed is [x, y, width, height]" in note
    ratios = rows_of((0, [([0.1, 0.1, 0.3, 0.3], 0)]), (0, [([0.0, 0.5, 1.0, 0.5], 0)]))
    found, note = count_boxes(ratios, Columns())
    assert not found.any() and "2 boxes within the first pixel of their images, as ratios would be" in note
    assert "boxes are in pixels; with ratios, the columns width and height are 1" in note
    of_1 = rows_of((0, [([0.1, 0.1, 0.3, 0.3], 0)], (1, 1)))
    assert count_boxes(of_1, Columns()).found.all() and not count_boxes(of_1, Columns()).note
    mixed = datasets.concatenate_datasets([rows_of((0, [(GOOD, 0)])), ratios])
    found, note = count_boxes(mixed, Columns())
    assert found.all() and note.startswith("trained on are 2 boxes within the first pixel")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bbox": [[[1.0, 2, 3]]], "category": [[0]]},
            r"boxes that are not four numbers \(in row 0: \[1.0, 2.0, 3",
        ),
        ({"bbox": [[[1.0, 2, 3, 4], None]], "category": [[0, 0]]}, "boxes that are not four numbers"),
        ({"bbox": [["a"]], "category": [[0]]}, "boxes that are string"),
        (
            {"bbox": [[[1.0, 2, 3, 4]]], "category": [[0, 1]]},
            "of boxes and of categories .*1 boxes and 2 categories",
        ),
        ({"bbox": [[[1.0, 2, 3, 4]]], "category": [[0.5]]}, "categories of boxes are 0.5, but class numbers"),
    ],
)
def test_what_is_no_box_is_refused(change, message):
    rows = rows_of((0, [])).remove_columns("objects")
    objects = [{name: values[0] for name, values in change.items()}]
    with pytest.raises(SourceError, match=message):
        count_boxes(rows.add_column("objects", objects), Columns())


def test_a_bar_shows_that_many_images_are_opened(monkeypatch, capsys):
    monkeypatch.setattr("luab_attention.point_sizes.MANY", 2)
    monkeypatch.setattr("luab_data.console.bars.LINE_EVERY", 0)
    count_boxes(rows_of(*[(0, [(GOOD, 0)])] * 2), Columns())
    assert "Reading the images' sizes: 2 of 2" in capsys.readouterr().err
    count_boxes(rows_of((0, [(GOOD, 0)])), Columns())
    assert not capsys.readouterr().err


def test_sizes_must_be_above_0():
    for width in (0, None):
        with pytest.raises(SourceError, match="column 'width' holds sizes of images that are not above 0"):
            count_boxes(rows_of((0, [(GOOD, 0)], (width, 60))), Columns())
    assert count_boxes(rows_of((0, [], (0, 0)), (0, [(GOOD, 0)])), Columns()).found.tolist() == [False, True]
