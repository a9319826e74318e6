"""Points as text, and in columns of other usual names."""

import json

import datasets
import pyarrow as pa
import pytest
from datasets import Value
from fixtures.ways_in import table

from luab_attention.point_text import parsed_points
from luab_attention.reading import Reading, ReadRows, points_as_in, read_rows
from luab_data.errors import SourceError
from luab_data.rows.columns import Columns

XY = [(0.1 + i / 20, 0.5) for i in range(8)]
DICTS = [{"x": x, "y": y} for x, y in XY]
HERE = {"x": 0.2, "y": 0.2, "sign": 1}


def points_read(reading=None, **columns):
    read = read_rows(table(label=[0, 1] * 4, **columns), reading or Reading(), "click")
    return read.rows[read.columns.point][:], read.notes


@pytest.mark.parametrize(
    "texts",
    [
        [json.dumps(each) for each in DICTS],
        [json.dumps(each) for each in XY],
        [f"{x}, {y}" for x, y in XY],
        [f" {x} {y}" for x, y in XY],
        [f"({x}, {y})" for x, y in XY],
        [f" ( {x} {y} ) " for x, y in XY],
        [f"{x};{y}" for x, y in XY],
        [json.dumps({**each, "width": 0.3, "keypointlabels": ["nose"]}) for each in DICTS],
    ],
)
def test_a_point_as_text_is_that_point(texts):
    assert points_read(click=texts)[0] == DICTS
    assert points_read(click=[*texts[:6], "", None])[0] == [*DICTS[:6], None, None]
    in_percent = [json.dumps([100 * x, 100 * y]) for x, y in XY]
    found, _ = points_read(Reading(point_units="percent"), click=in_percent)
    assert [each["x"] for each in found] == pytest.approx([x for x, _ in XY])


def test_several_points_as_text():
    texts = [json.dumps([{"x": x, "y": y, "weight": 2}, {"x": y, "y": x, "weight": 1.5}]) for x, y in XY]
    found, _ = points_read(click=[*texts[:6], "[]", "null"])
    assert found[0] == [{"x": 0.1, "y": 0.5, "weight": 2.0}, {"x": 0.5, "y": 0.1, "weight": 1.5}]
    assert found[6:] == [[], []]
    mixed, _ = points_read(click=[json.dumps(DICTS[0]), json.dumps(DICTS[:2]), *["[[0.1, 0.2]]"] * 6])
    assert [len(each) for each in mixed] == [1, 2, *[1] * 6]
    labeled = [json.dumps([{"x": 0.5, "y": 0.5, "label": number % 2}]) for number in range(8)]
    assert points_read(click=labeled)[0][1] == [{"label": 1, "x": 0.5, "y": 0.5}]


def test_points_as_text_say_where_a_class_is_not():
    not_here = {"x": 0.8, "y": 0.8, "sign": -1}
    several = json.dumps([{"x": 0.2, "y": 0.2}, not_here])
    found, notes = points_read(click=[several, json.dumps(not_here), *["[0.2, 0.2]"] * 6])
    assert found[:3] == [[HERE, not_here], [not_here], [HERE]]
    assert notes == ["click: 2 points say where a class is not (sign -1)"]
    assert points_read(click=[json.dumps(not_here)] * 8)[0] == [[not_here]] * 8
    with pytest.raises(SourceError, match="signs that are neither 1 nor -1"):
        points_read(click=[json.dumps({**HERE, "sign": 0})] * 8)


@pytest.mark.parametrize(
    "text",
    [
        "left", "0.5", "[0.5]", "[0.1, 0.2, 0.3]", '{"x": 0.5}', '{"cx": 1, "cy": 2}', '{"x": "a", "y": 1}',
        "{", "[true, false]", "[[1]]", "NaN, 1", '{"x": NaN, "y": 0.5}', "0,5 0,5", "1.2.3, 4", "[" * 10_000,
        '{"x": 1, "y": 1, "label": 1.5}', "5", "(0.1, 0.2", "0.1, 0.2)", "0,5;0,5", "((0.1, 0.2))",
    ],
)  # fmt: skip
def test_text_that_is_no_point_is_refused_with_its_row(text):
    with pytest.raises(SourceError, match=r"column 'click' holds text that is no point \(row 3: "):
        points_read(click=[*["0.5, 0.5"] * 3, text, *["0.5, 0.5"] * 4])


def test_labels_of_two_kinds_are_refused():
    texts = ['{"x": 0.1, "y": 0.2, "label": "cat"}', '{"x": 0.1, "y": 0.2, "label": 1}']
    with pytest.raises(SourceError, match="points as text of different kinds"):
        parsed_points(pa.chunked_array([texts]), "click")


@pytest.mark.parametrize("name", ["point", "clicks", "keypoint", "keypoints"])
def test_other_usual_names_are_taken_and_said(name):
    found, notes = points_read(**{name: DICTS})
    assert found == DICTS
    assert notes == [f"points: they are read from column {name!r}"]
    assert points_read(**{name: DICTS, "click": DICTS[::-1]}) == (DICTS[::-1], [])


@pytest.mark.parametrize(
    ("x", "y"),
    [("click_x", "click_y"), ("X", "Y"), ("point_x", "point_y"), ("px", "py"), ("CLICK_X", "CLICK_Y")],
)
def test_the_only_two_columns_that_end_in_x_and_y_are_taken_and_said(x, y):
    columns = {x: [each for each, _ in XY], y: [each for _, each in XY]}
    found, notes = points_read(**columns, width=[40] * 8, index=list(range(8)), max=[1] * 8)
    assert found == DICTS
    assert notes == [f"points: they are read from the columns {x!r} and {y!r}"]


@pytest.mark.parametrize("stem", ["resolution_", "tile_", "bbox_", "topleft_", "ma"])
def test_columns_of_other_places_are_not_guessed(stem):
    names = ("max", "may") if stem == "ma" else (f"{stem}x", f"{stem}y")
    with pytest.raises(SourceError, match="--x_column"):
        points_read(**dict(zip(names, ([each for each, _ in XY], [each for _, each in XY]), strict=True)))


def test_corners_of_boxes_are_no_points():
    sides = {"X": [0.1] * 8, "Y": [0.1] * 8, "W": [0.5] * 8, "H": [0.5] * 8}
    with pytest.raises(SourceError, match="--x_column"):
        points_read(**sides)


@pytest.mark.parametrize(
    "names",
    [
        ("click_x", "click_y", "other_x", "other_y"), ("box_x", "box_y", "box_w", "box_h"),
        ("bbox_x", "bbox_y", "bbox_width", "bbox_height"), ("click_x", "mouse_y"), ("click_x",),
    ],
)  # fmt: skip
def test_columns_that_may_be_something_else_are_not_taken(names):
    fix = "Set --point_column, or --x_column and --y_column, give"
    with pytest.raises(SourceError, match=f"no column 'click'; it has .*{names[0]}.* {fix}"):
        points_read(**{name: [0.5] * 8 for name in names})


def test_text_in_columns_that_end_in_x_and_y_is_not_taken():
    with pytest.raises(SourceError, match="no column 'click'"):
        points_read(click_x=["0.5"] * 8, click_y=["0.5"] * 8)


def test_x_and_y_are_taken_and_said():
    x, y = [x for x, _ in XY], [y for _, y in XY]
    found, notes = points_read(x=[*x[:7], None], y=[*y[:7], None])
    assert found == [*DICTS[:7], None]
    assert notes == ["points: they are read from the columns 'x' and 'y'"]
    rows = table(label=[0, 1] * 4, x=x, y=y)
    with pytest.raises(SourceError, match="no ratios of the image, 0 to 1"):
        read_rows(rows.map(lambda row: {"x": 100 * row["x"]}), Reading(), "click")
    text = rows.cast_column("x", Value("string"))
    with pytest.raises(SourceError, match="--x_column x: the column holds string, but numbers are needed"):
        read_rows(text, Reading(), "click")


def test_an_evaluation_reads_the_columns_that_training_read():
    def read(*names, pair=None):
        rows = datasets.Dataset.from_dict({name: [0.1] for name in names})
        training = ReadRows(rows, Columns(point="click"), None, [], 0, pair)
        reading = points_as_in(training, rows, Reading())
        return reading.point, reading.x, reading.y

    assert read("click_x", "click_y", pair=("click_x", "click_y")) == (None, "click_x", "click_y")
    assert read("X", "Y", pair=("click_x", "click_y")) == ("click", None, None)
    assert read("click_x", "click_y") == ("click", None, None)
    assert read("x", "y") == (None, "x", "y")
    assert read("click", "x", "y") == ("click", None, None)
