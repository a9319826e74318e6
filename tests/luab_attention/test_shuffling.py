"""The control: each row with the byproducts of another one, and with its own classes."""

import datasets
import numpy as np
import pytest
from fixtures.clicked import clicked_dataset
from fixtures.looked import looked_dataset

from luab_attention.shuffling import shuffle_byproducts
from luab_data.rows.columns import Columns

SEVERAL = Columns(label="labels")


@pytest.mark.parametrize("selected", [False, True])
def test_clicks_are_permuted_by_the_seed(selected):
    rows = clicked_dataset(30)
    rows = rows.select(range(25, 5, -1)) if selected else rows
    before = rows["click"][:]
    shuffled = shuffle_byproducts(rows, "click", Columns(), seed=4)
    order = np.random.default_rng(4).permutation(len(rows))
    assert shuffled["click"][:] == [before[at] for at in order]
    assert shuffled["label"][:] == rows["label"][:] and shuffled.features == rows.features
    assert [each["click"] for each in shuffled.select([3, 1])] == [before[order[3]], before[order[1]]]
    assert shuffle_byproducts(rows, "click", Columns(), seed=5)["click"][:] != shuffled["click"][:]


@pytest.mark.parametrize(
    ("kind", "column"), [("scanpath", "scanpaths"), ("masks", "masks"), ("heatmap", "heatmaps")]
)
def test_places_are_of_another_row_and_classes_of_this_one(kind, column):
    rows = looked_dataset(20)
    stored = datasets.Image(decode=False)
    if kind != "scanpath":
        feature = {**rows.features[column].feature, "image": stored}
        rows = rows.cast_column(column, datasets.List(feature))
    shuffled = shuffle_byproducts(rows, kind, Columns(), seed=1)
    order = np.random.default_rng(1).permutation(20)
    for number, row in enumerate(shuffled):
        donor = rows[int(order[number])][column]
        assert len(row[column]) == len(donor)
        for one, two in zip(row[column], donor, strict=True):
            assert one["label"] == row["label"]
            assert {**one, "label": 0} == {**two, "label": 0}


def test_the_classes_of_several_go_around():
    rows = looked_dataset(10, several=True)
    shuffled = shuffle_byproducts(rows, "scanpath", SEVERAL, seed=1)
    order = np.random.default_rng(1).permutation(10)
    for number, row in enumerate(shuffled):
        donor = rows[int(order[number])]
        mapping = dict(zip(sorted(donor["labels"]), sorted(row["labels"]), strict=True))
        assert [e["label"] for e in row["scanpaths"]] == [mapping[e["label"]] for e in donor["scanpaths"]]


def swapped(rows: list[dict], kind: str) -> datasets.Dataset:
    """Two rows with the byproducts of each other."""
    seed = next(seed for seed in range(9) if np.random.default_rng(seed).permutation(2)[0] == 1)
    return shuffle_byproducts(datasets.Dataset.from_list(rows), kind, SEVERAL, seed)


def test_each_class_gets_places_also_of_a_row_with_fewer_classes():
    one, three = [0], [1, 2, 4]
    few = [{"label": 0, "x": [0.1], "y": [0.2]}]
    many = [{"label": of, "x": [of / 10], "y": [0.5]} for of in (1, 2, 3, 4)]  # 3 is none of its classes
    rows = [{"labels": one, "scanpaths": few}, {"labels": three, "scanpaths": many}]
    found = swapped(rows, "scanpath")["scanpaths"]
    assert list(found[0]) == [{"label": 0, "x": [0.1], "y": [0.5]}]  # the first class's, not all of them
    assert list(found[1]) == [{"label": of, "x": [0.1], "y": [0.2]} for of in three]
    boxes = [
        {"labels": one, "objects": {"bbox": [[0, 0, 5, 5]], "category": [0]}, "width": 10, "height": 10},
        {
            "labels": three,
            "objects": {"bbox": [[of, 0, 1, 1] for of in (1, 2, 3, 4)], "category": [1, 2, 3, 4]},
            "width": 10,
            "height": 10,
        },
    ]
    found = swapped(boxes, "boxes")["objects"]
    assert found[0] == {"bbox": [[0.1, 0, 0.1, 0.1]], "category": [0]}
    assert found[1] == {"bbox": [[0, 0, 0.5, 0.5]] * 3, "category": three}


def test_as_many_classes_have_places_in_the_control():
    """Each class of these rows has a point; so does each in the control, the first of a row as the last."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(200):
        labels = sorted(rng.choice(20, rng.integers(1, 6), replace=False).tolist())
        rows.append(
            {"labels": labels, "points": [{"label": of, "x": rng.random(), "y": 0.5} for of in labels]}
        )
    columns = Columns(label="labels", point="points")
    shuffled = shuffle_byproducts(datasets.Dataset.from_list(rows), "click", columns)
    found = [sorted(each["label"] for each in row) for row in shuffled["points"]]
    assert found == shuffled["labels"][:]
    assert sum(a["points"] == b for a, b in zip(rows, shuffled["points"], strict=True)) < 10


@pytest.mark.parametrize("sized", [True, False])
def test_boxes_become_ratios_of_their_own_image(sized):
    rows = looked_dataset(20)
    rows = rows if sized else rows.remove_columns(["width", "height"])
    shuffled = shuffle_byproducts(rows, "boxes", Columns(), seed=1)
    order = np.random.default_rng(1).permutation(20)
    for number, row in enumerate(shuffled):
        donor = rows[int(order[number])]["objects"]["bbox"]
        np.testing.assert_allclose(np.array(row["objects"]["bbox"]), np.array(donor) / 40)
        assert row["objects"]["category"] == [row["label"]] * len(donor)
        assert (row["width"], row["height"]) == (1, 1)
