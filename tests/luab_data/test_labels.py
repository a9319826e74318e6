"""Labels as people have them: text, floats, names in another order. What was made of them is one line."""

import datasets
import pytest
from datasets import ClassLabel, List, Value

from luab_data.errors import SourceError
from luab_data.rows.arrow import read_column
from luab_data.rows.label_values import given_names
from luab_data.rows.labels import read_labels
from luab_data.rows.same_classes import with_classes_of


def rows_of(values, kind=None):
    rows = datasets.Dataset.from_dict({"label": values, "id": list(range(len(values)))})
    return rows if kind is None else rows.cast_column("label", kind)


def read(values, kind=None, known=None):
    rows = rows_of(values, kind)
    feature = rows.features["label"]
    found = read_labels(read_column(rows, "label"), feature, "label", known=known)
    return found.values.to_pylist(), found.feature, found.notes


@pytest.mark.parametrize(
    ("values", "numbers", "names", "note"),
    [
        (["bee", "ant", "bee"], [1, 0, 1], ["ant", "bee"], "2 names as text, sorted: ant, bee"),
        ([" bee", "ant", "bee "], [1, 0, 1], ["ant", "bee"], "sorted, without the spaces around them: ant"),
        (["10", "9", "2"], [2, 1, 0], ["2", "9", "10"], "3 numbers as text, sorted by number: 2, 9, 10"),
        (["3.0", "1"], [1, 0], ["1", "3"], "2 numbers as text, sorted by number: 1, 3"),
        (["n02", "10"], [1, 0], ["10", "n02"], "2 names as text, sorted: 10, n02"),
        ([True, False], [1, 0], ["false", "true"], "the classes are false and true"),
    ],
)
def test_names_are_read_and_said(values, numbers, names, note):
    found, feature, notes = read(values)
    assert (found, feature) == (numbers, ClassLabel(names=names))
    assert len(notes) == 1 and notes[0].startswith("labels: ") and note in notes[0]


def test_whole_floats_are_class_numbers():
    found, feature, notes = read([3.0, 0.0, 1.0, 2.0])
    assert (found, feature) == ([3, 0, 1, 2], Value("int64"))
    assert notes == ("labels: column 'label' has whole numbers as float64, read as class numbers",)
    found, feature, _ = read([[3.0, 0.0], [1.0], []], List(Value("float32")))
    assert (found, feature) == ([[3, 0], [1], []], List(Value("int64")))


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1.0, 3.5, 2.5], None, r"no whole number \(in 2 rows, the first is row 1: 3.5\)"),
        ([1.0, float("inf")], None, r"no whole number \(in row 1: inf\)"),
        ([1.0, float("nan")], None, r"has no label \(in row 1\)"),
        ([1.0, -1.0], None, r"none of 0 to .* \(in row 1: -1\)"),
        (["1", "3.5"], None, r"no whole number from 0 \(in row 1: '3.5'\)"),
        (["1", "-1"], None, r"no whole number from 0 \(in row 1: '-1'\)"),
        (["07", "7"], None, "two names that are the same number: '07' and '7'"),
        (["Ant", "bee", "ant"], None, "two names that differ only in case, .*: 'Ant' and 'ant'"),
        (["a_b", "a b"], None, "two names that differ only in case, spaces or underscores"),
        (["ant", " "], None, r"has an empty label \(in row 1\)"),
        ([[2.0, 3.5]], List(Value("float32")), "can only be multi-hot"),
    ],
)
def test_what_is_in_doubt_is_refused(values, kind, message):
    with pytest.raises(SourceError, match=message):
        read(values, kind)


def test_a_name_that_is_not_known_is_refused_with_the_nearest():
    with pytest.raises(
        SourceError, match=r"none of the 2 classes \(in row 1: 'Bee' \(did you mean bee\?\)\)"
    ):
        read(["ant", "Bee"], known=["ant", "bee"])
    found, feature, _ = read(["bee ", "2"], known=["bee", "2"])
    assert (found, feature.names) == ([0, 1], ["bee", "2"])
    assert read(["1.0", "0"], known=["1", "0"])[0] == [0, 1]


def test_names_that_the_user_gives(tmp_path):
    (tmp_path / "names.txt").write_text("ant\n\nbee \n")
    assert given_names(str(tmp_path / "names.txt")) == given_names("ant, bee") == ("ant", "bee")
    for wrong, why in (
        ("ant", "that is one name"),
        ("ant,bee,Ant", "Ant is there twice, as only 2 of 3 names differ"),
        ("", "there is no name"),
        ("ant,,bee", "name 2 of 3 is empty"),
    ):
        with pytest.raises(SourceError, match=rf"{why}\. Give two or more different names"):
            given_names(wrong)


@pytest.mark.parametrize(
    ("train", "other", "expected", "feature"),
    [
        (["2", "9", "10"], [10, 2], [2, 0], ClassLabel(names=["2", "9", "10"])),
        ([0, 1, 2], ["2", "0"], [2, 0], Value("int64")),
        ([["2"], ["10"]], [[10, 2]], [[1, 0]], List(ClassLabel(names=["2", "10"]))),
    ],
)
def test_numbers_as_text_are_the_numbers_of_the_other_set(train, other, expected, feature):
    sets = []
    for values in (train, other):
        found, kind, _ = read(values)
        sets.append(rows_of(found).cast_column("label", kind))
    matched = with_classes_of(*sets, "label")
    assert matched["label"][:] == expected
    assert matched.features["label"] == feature


def test_a_number_that_the_other_set_does_not_have_is_refused():
    with pytest.raises(SourceError, match=r"1 of the 2 classes in the evaluation set are none .*: 3"):
        with_classes_of(rows_of([0, 1], ClassLabel(names=["2", "9"])), rows_of([2, 3]), "label")
