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
    few = datasets.Dataset.from_list(
        [
            {"labels": [0], "scanpaths": [{"label": 0, "x": [0.1], "y": [0.1]}]},
            {"labels": [1, 2], "scanpaths": [{"label": of, "x": [0.1], "y": [0.5]} for of in (1, 2, 3)]},
        ]
    )
    for seed in range(5):
        shuffled = shuffle_byproducts(few, "scanpath", SEVERAL, seed)[0]["scanpaths"]
        if len(shuffled) == 2:  # the third is of no class of the other row
            assert [each["label"] for each in shuffled] == [0, 0]
            return
    raise AssertionError("no seed permutes two rows")


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
