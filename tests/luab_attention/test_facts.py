"""What a run can use of its rows, counted before it starts."""

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Features, List, Value
from fixtures.clicked import clicked_dataset

import imagenet_ab  # noqa: F401  (registers its sample)
from luab_attention.area_columns import has_area
from luab_attention.areas import areas_of
from luab_attention.facts import RowFacts, describe_rows
from luab_attention.targets import byproducts_of
from luab_data.errors import SourceError
from luab_data.rows.columns import Columns

POINT = {"x": Value("float32"), "y": Value("float32")}


def test_rows_images_targets_and_classes_are_counted():
    rows = clicked_dataset(20)  # every fifth has no click
    facts = describe_rows(rows, Columns(), "click")
    assert facts == RowFacts(rows=20, with_image=20, with_target=16, classes=5)
    assert facts.target_share == 0.8
    assert describe_rows(rows, Columns(), None).with_target is None
    assert describe_rows(rows.remove_columns("click"), Columns(), "click").with_target is None


def test_a_point_far_outside_the_image_is_no_target():
    rows = clicked_dataset(20)
    away = [{"x": 1.4, "y": 1.2}] * 18 + [{"x": 1.05, "y": 0.5}, {"x": -0.05, "y": 0.5}]
    rows = rows.remove_columns("click").add_column("click", away, feature=POINT)
    assert describe_rows(rows, Columns(), "click").with_target == 2


def test_a_part_in_another_order_is_counted_by_its_own_rows():
    rows = clicked_dataset(20)
    part = rows.select(np.array([9, 4, 0, 5]))  # 9 and 4 have no click
    assert describe_rows(part, Columns(), "click") == RowFacts(4, 4, 2, 2)


def test_a_row_without_an_image_is_none_with_one():
    image = clicked_dataset(1).cast_column("image", datasets.Image(decode=False))[0]["image"]
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=["a"]), "click": POINT})
    rows = datasets.Dataset.from_dict(
        {"image": [image, None], "label": [0, 0], "click": [None, {"x": 0.5, "y": None}][:1] * 2}, features
    )
    assert describe_rows(rows, Columns(), "click") == RowFacts(2, 1, 0, 1)


def test_of_several_labels_a_point_of_a_class_that_the_row_has_counts():
    features = Features(
        {
            "image": datasets.Image(),
            "labels": List(Value("int64")),
            "points": List({"label": Value("int64"), **POINT}),
        }
    )
    rows = datasets.Dataset.from_dict(
        {
            "image": [None] * 4,
            "labels": [[0, 4], [1], [], [2]],
            "points": [[{"label": 4, "x": 0.5, "y": 0.5}], [{"label": 0, "x": 0.5, "y": 0.5}], [], None],
        },
        features,
    )  # fmt: skip
    columns = Columns(label="labels", point="points")
    assert describe_rows(rows, columns, "click") == RowFacts(4, 0, 1, 4)
    assert describe_rows(rows.select(np.array([1, 0])), columns, "click") == RowFacts(2, 0, 1, 3)


def test_traces_are_counted_as_training_reads_them():
    rows = datasets.load_dataset("imagenet_ab", split="train")
    read = [bool(byproducts_of(row, "trace", Columns())) for row in rows.remove_columns("image")]
    facts = describe_rows(rows, Columns(), "trace")
    assert 0 < facts.with_target == sum(read) < len(rows)


def test_annotations_without_traces_are_refused_by_their_fields():
    rows = clicked_dataset(2).add_column("annotations", [[{"path": "a"}]] * 2)
    with pytest.raises(SourceError, match=r"needs a list of annotations with selected, .*; it has path"):
        describe_rows(rows, Columns(), "trace")


def test_masks_of_no_class_count_in_a_row_of_one_class():
    image = {"bytes": b"not opened", "path": None}
    masks = [[{"label": label, "image": image}] for label in (-1, -1, 1, 3, 0, -2)]
    labels = [[2], [0, 1], [0, 1], [0, 1], [2], [3]]  # -1 and 3 are next to each other if classes are 0 to 3
    features = Features({"image": datasets.Image(), "labels": List(Value("int64")),
                         "masks": List({"label": Value("int64"), "image": datasets.Image()})})  # fmt: skip
    table = {"image": [None] * 6, "labels": labels, "masks": masks}
    columns = Columns(label="labels")
    rows = datasets.Dataset.from_dict(table, features)
    assert has_area(rows, "masks", columns).tolist() == [True, False, True, False, False, False]
    single = rows.remove_columns("labels").add_column("label", [2, 0, 1, 0, 2, 3])
    assert has_area(single, "masks", Columns()).tolist() == [True, True, True, False, False, False]


def test_gaze_counts_where_it_gives_a_target():
    """In the image, the edge included, and of a weight above 0; null is 1."""
    places = [(0.5, 0.5), (1.05, 0.5), (0.5, 0.5), (1.0, 0.0), (0.5, -0.01)]
    weights = [0.0, 1.0, None, 1.0, None]
    paths = [[{"x": [x], "y": [y], "weight": weight}] for (x, y), weight in zip(places, weights, strict=True)]
    entry = {"x": List(Value("float32")), "y": List(Value("float32")), "weight": Value("float32")}
    features = Features({"label": Value("int64"), "scanpaths": List(entry)})
    rows = datasets.Dataset.from_dict({"label": [0] * 5, "scanpaths": paths}, features)
    found = has_area(rows, "scanpath", Columns())
    assert found.tolist() == [False, False, True, True, False]
    made = [bool(areas_of(row, "scanpath", Columns(), [0], (100, 100))) for row in rows]
    assert found.tolist() == made
