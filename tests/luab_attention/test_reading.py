"""Label and point columns of anybody's datasets: read right, or refused by what they hold."""

import tracemalloc

import datasets
import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Features, LargeList, List, Value
from fixtures.ways_in import FILES, picture, table, write_images, write_lines

from luab_attention.facts import describe_rows
from luab_attention.reading import Reading, read_rows
from luab_attention.targets import clicks_of
from luab_data.errors import SourceError
from luab_data.rows.classes import class_names
from luab_data.rows.image_columns import unlisted_images
from luab_data.rows.splits import load_splits

HOT = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]] * 2
CLASSES_OF = [[0, 3], [1], [], [2, 3]] * 2
POINTS = [[0.1 + i / 20, 0.5] for i in range(8)]


def typed(kind, **columns):
    """The images with columns of this feature."""
    rows = table()
    for name, values in columns.items():
        rows = rows.add_column(
            name, pa.array(values, Features({name: kind}).arrow_schema.field(name).type), feature=kind
        )
    return rows


def labels_read(rows, label_format="auto"):
    return read_rows(rows, Reading(label_format=label_format), None)


@pytest.mark.parametrize(
    "kind",
    [
        List(Value("int64")), List(Value("float32")), List(Value("bool")), List(Value("uint8"), length=4),
        LargeList(Value("int32")), LargeList(Value("float64")),
    ],
    ids=str,
)  # fmt: skip
def test_multi_hot_is_read_as_multi_hot_and_said(kind):
    values = [[bool(each) for each in row] for row in HOT] if "bool" in str(kind) else HOT
    read = labels_read(typed(kind, labels=values))
    assert read.rows["labels"][:] == CLASSES_OF
    assert read.multi_hot == 4
    assert len(class_names(read.rows, read.columns)) == 4
    assert "is read as multi-hot, a 0 or 1 for each of 4 classes" in read.notes[0]


@pytest.mark.parametrize(
    "kind", [List(Value("int64")), LargeList(Value("int16")), List(ClassLabel(num_classes=4))]
)
def test_lists_of_class_numbers_are_read_as_such(kind):
    read = labels_read(typed(kind, labels=CLASSES_OF))
    assert read.rows["labels"][:] == CLASSES_OF
    assert read.multi_hot is None
    assert class_names(read.rows, read.columns) == ["0", "1", "2", "3"]


def test_one_of_each_pair_can_be_read_in_two_ways_and_the_option_decides():
    rows = typed(List(Value("int64")), labels=[[0, 1], [1, 0]] * 4)
    with pytest.raises(
        SourceError, match=r"two ways: .*two classes, or .*--label_format indices, or .*multi_hot"
    ):
        labels_read(rows)
    assert labels_read(rows, "indices").rows["labels"][0] == [0, 1]
    assert labels_read(rows, "multi_hot").rows["labels"][0] == [1]
    declared = typed(List(ClassLabel(names=["no", "yes"])), labels=[[0, 1, 1]] * 8)
    with pytest.raises(SourceError, match="two ways"):
        labels_read(declared)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (List(Value("float32")), [[0.5, 0.5]] * 8, "can only be multi-hot, .* has values other than 0 and 1"),
        (List(Value("float32")), [[1.0], [0.0, 1.0]] * 4, "has lists of different lengths"),
        (List(Value("int64")), [None] + [[1]] * 7, r"column 'labels' is null \(in row 0\)"),
        (List(Value("int64")), [[1, None]] + [[1]] * 7, "has null in its lists"),
        (
            List(Value("int64")),
            [[-1]] * 8,
            r"a label that is none of 0 to .* \(in 8 rows, the first is row 0: -1\)",
        ),
        (List(List(Value("int64"))), [[[1]]] * 8, "class numbers or names are needed"),
    ],
)
def test_lists_that_are_no_labels_are_refused(kind, values, message):
    with pytest.raises(SourceError, match=message):
        labels_read(typed(kind, labels=values))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Value("float64"), [1.0, float("nan")] * 4, r"has no label \(in 4 rows, the first is row 1\)"),
        (Value("int64"), [1] * 7 + [None], r"has no label \(in row 7\)"),
        (Value("int64"), [7, -1] * 4, r"\(in 4 rows, the first is row 1: -1\)"),
        (Value("int64"), [10**12] * 8, "10{12}"),
        (Value("string"), ["a"] * 7 + [None], "has no label"),
        ({"id": Value("int64")}, [{"id": 1}] * 8, "holds {id}, but class numbers or names are needed"),
    ],
)
def test_a_label_that_is_none_is_refused(kind, values, message):
    with pytest.raises(SourceError, match=message):
        labels_read(typed(kind, label=values))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (
            List(Value("string")),
            [[str(each) for each in row] for row in HOT],
            "texts '0' and '1'. Store them",
        ),
        (List(Value("int64")), [[2 * each - 1 for each in row] for row in HOT], "with 0 instead of -1"),
        (Value("int64"), [10_000_000 + i for i in range(8)], "cast_column('labels', Value('string'))"),
    ],
    ids=["texts", "minus", "ids"],
)
def test_labels_that_need_another_type_are_told_which(kind, values, message):
    with pytest.raises(SourceError) as raised:
        read_rows(typed(kind, labels=values), Reading(label="labels"), None)
    assert message in str(raised.value)


def test_one_folder_of_images_is_one_class(tmp_path):
    (tmp_path / "ant").mkdir()
    for number in range(3):
        (tmp_path / "ant" / f"{number}.png").write_bytes(picture(number))
    write_lines(tmp_path / "ant" / "metadata.jsonl", [{"file_name": f"{n}.png", "x": 0.5} for n in range(3)])
    with pytest.raises(SourceError, match="all its images lie in one folder, 'ant'"):
        read_rows(load_splits(str(tmp_path))["train"], Reading(), None, tmp_path)


@pytest.mark.parametrize(
    ("image", "where"),
    [
        ("cat/more/9.png", "as {cat}/[0-9].png and cat/more/9.png do"),
        ("9.png", "as 9.png and {cat}/[0-9].png do"),
    ],
)
def test_images_at_different_depths_are_in_no_class_folders(image, where, tmp_path):
    write_images(tmp_path)
    (tmp_path / image).parent.mkdir(exist_ok=True)
    (tmp_path / image).write_bytes(picture(9))
    rows = load_splits(str(tmp_path))["train"]
    with pytest.raises(SourceError, match=where.format(cat="(cat|dog)")):
        read_rows(rows, Reading(), None, tmp_path)
    with pytest.raises(SourceError, match="no column 'species'"):
        read_rows(rows, Reading(label="species"), None, tmp_path)


def test_images_in_rows_are_in_no_folder():
    rows = typed(Value("int64"), species=[0, 1] * 4)
    with pytest.raises(SourceError, match="no column 'label'; it has image, species"):
        read_rows(rows, Reading(), None)


def test_a_missing_point_column_tells_every_way_out():
    with pytest.raises(SourceError, match="--points_file, or take --loss none"):
        read_rows(table(label=[0, 1] * 4), Reading(), "click")


def test_a_single_points_label_and_weight_are_read():
    point = {
        "x": Value("float32"),
        "y": Value("float32"),
        "label": Value("int64"),
        "weight": Value("float32"),
    }
    values = [{"x": 0.5, "y": 0.5, "label": 0, "weight": float(i > 2)} for i in range(8)]
    read = read_rows(typed(point, click=values).add_column("label", [0] * 8), Reading(), "click")
    assert read.rows[3]["click"] == [{"label": 0, "x": 0.5, "y": 0.5, "weight": 1.0}]
    assert describe_rows(read.rows, read.columns, "click").with_target == 5
    with pytest.raises(SourceError):
        odd = typed(point, click=[{**each, "label": -5} for each in values])
        read_rows(odd.add_column("label", [0] * 8), Reading(), "click")


def test_names_become_classes_in_their_order():
    read = labels_read(table(label=["dog", "cat"] * 4))
    assert read.rows.features["label"] == ClassLabel(names=["cat", "dog"])
    assert read.rows["label"][:2] == [1, 0]
    assert read.notes == ["labels: column 'label' has 2 names as text, sorted: cat, dog"]
    several = labels_read(table(labels=[["dog", "cat"], []] * 4))
    assert several.rows["labels"][:2] == [[1, 0], []]


def test_numbers_with_gaps_are_said():
    (note,) = labels_read(table(label=[1, 3] * 4)).notes
    assert "go up to 3, but no row has 0, 2" in note


XY = {"x": Value("float64"), "y": Value("float64")}


def points_read(rows, **options):
    read = read_rows(rows, Reading(**options), "click")
    return read, read.rows[read.columns.point]


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        (XY, lambda x, y: {"x": x, "y": y}),
        (List(Value("float32"), length=2), lambda x, y: [x, y]),
        (LargeList(Value("float64")), lambda x, y: [x, y]),
        (
            {"x": Value("float32"), "y": Value("float32"), "t": Value("int64")},
            lambda x, y: {"x": x, "y": y, "t": 0},
        ),
    ],
    ids=["dict", "pair", "large list", "more fields"],
)  # fmt: skip
def test_one_point(kind, wrap):
    values = [None, *(wrap(x, y) for x, y in POINTS[1:])]
    read, points = points_read(typed(kind, click=values).add_column("label", [0, 1] * 4))
    assert points[0] is None or points[0]["x"] is None
    assert (points[3]["x"], points[3]["y"]) == pytest.approx(POINTS[3])
    assert describe_rows(read.rows, read.columns, "click").with_target == 7


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (List(List(Value("float64"))), [[0.1, 0.2], [0.3, 0.4]]),
        (LargeList(LargeList(Value("float64"))), [[0.1, 0.2], [0.3, 0.4]]),
        (List(XY), [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}]),
        ({"x": List(Value("float64")), "y": List(Value("float64"))}, {"x": [0.1, 0.3], "y": [0.2, 0.4]}),
    ],
    ids=["pairs", "large lists", "dicts", "dict of lists"],
)
def test_several_points(kind, value):
    _, points = points_read(typed(kind, click=[value] * 8).add_column("label", [0, 1] * 4))
    assert [(point["x"], point["y"]) for point in points[5]] == [(0.1, 0.2), (0.3, 0.4)]


@pytest.mark.parametrize(
    ("names", "nothing"), [(False, -1), (False, None), (True, -1), (True, None), (True, ""), (True, " ")]
)
def test_points_that_name_no_class_count_for_the_class_of_their_image(names, nothing):
    """Unless another point names it: row 2's unnamed point is left out, row 3's counts."""
    label = ClassLabel(names=["a", "b"])
    kind = Value("int64") if not names else label if nothing == -1 else Value("string")
    as_stored = "ab" if kind == Value("string") else (0, 1)
    points = [
        [{"label": as_stored[0], "x": 0.1, "y": 0.2}],
        [{"label": nothing, "x": 0.3, "y": 0.4}],
        [{"label": as_stored[0], "x": 0.5, "y": 0.5}, {"label": nothing, "x": 0.6, "y": 0.6}],
        [{"label": as_stored[0], "x": 0.7, "y": 0.7}, {"label": nothing, "x": 0.8, "y": 0.8}],
    ]
    rows = typed(List({"label": kind, **XY}), points=points + [[]] * 4).select(range(4))
    rows = rows.add_column("label", [0, 1, 0, 1], feature=label if names else Value("int64"))
    read, found = points_read(rows)
    assert [[(each["label"], round(each["x"], 4)) for each in row] for row in found] == [
        [(0, 0.1)], [(1, 0.3)], [(0, 0.5)], [(0, 0.7), (1, 0.8)],
    ]  # fmt: skip
    (note,) = [note for note in read.notes if "name no class" in note]
    assert note == (
        "points: 3 of 6 points name no class: 2 count for the class of their image, 1 are left out, as "
        "others name its class"
    )
    assert describe_rows(read.rows, read.columns, "click").with_target == 4


def test_points_that_name_no_class_of_several_are_left_out_and_said():
    label = ClassLabel(names=["a", "b"])
    points = [[{"label": 0, "x": 0.1, "y": 0.2}, {"label": -1, "x": 0.3, "y": 0.4}], []]
    rows = typed(List({"label": label, **XY}), points=points * 4)
    rows = rows.add_column("labels", [[0, 1]] * 8, feature=List(label))
    read, found = points_read(rows, label_format="indices")
    assert [[each["label"] for each in row] for row in found] == [[0], []] * 4
    assert describe_rows(read.rows, read.columns, "click").with_target == 4
    assert [note for note in read.notes if "no class" in note] == [
        "points: 4 of 8 points name no class: 4 are left out, as which of their image's classes they are of "
        "is not known"
    ]


@pytest.mark.parametrize("several", [False, True])
def test_points_of_a_class_that_the_image_does_not_have_are_left_out_and_said(several):
    """Row 0 has class 0: its point of class 1 is no target. Row 1 has only such a point."""
    labels = [[0], [1], [1]] if several else [0, 1, 1]
    points = [
        [{"label": 0, "x": 0.1, "y": 0.2}, {"label": 1, "x": 0.3, "y": 0.4}],
        [{"label": 0, "x": 0.5, "y": 0.6}],
        [{"label": 1, "x": 0.7, "y": 0.8}],
    ]
    rows = table().select(range(3))
    read, _ = points_read(rows.add_column("label", labels).add_column("points", points))
    assert read.notes == [
        "points: 2 of 4 points are of a class that their image does not have; they are left out"
    ]
    assert describe_rows(read.rows, read.columns, "click").with_target == 2


@pytest.mark.parametrize(
    ("click", "message"),
    [
        ({"X": 0.5, "Y": 0.5}, r"its fields are X, Y, not x and y. .*--x_column click.X --y_column click.Y"),
        ({"cx": 0.5, "cy": 0.5}, "--x_column click.cx --y_column click.cy"),
        ({"at": {"x": 0.5, "y": 0.5}}, "--x_column click.at.x --y_column click.at.y"),
        ({"row": 0.5, "column": 0.5}, "its fields are row, column"),
        ("left", "holds text that is no point"),
        ([0.1, 0.2, 0.3, 0.4], "lists of other than two numbers"),
        ({"x": 0.5, "y": None}, "points with x or y only"),
        ({"x": float("inf"), "y": 0.5}, "not finite"),
        ({"x": 120.0, "y": 40.0}, r"no ratios .*: \(120, 40\)\). Say what they are: --point_units"),
        ([{"x": 0.5, "y": 0.5, "weight": -1.0}], "weights that are not 0 or more"),
    ],
)  # fmt: skip
def test_what_is_no_point_is_refused_by_what_it_is(click, message):
    rows = table(label=[0, 1] * 4).add_column("click", [click] * 8)
    with pytest.raises(SourceError, match=message):
        points_read(rows)


def test_a_nested_column_by_its_path():
    rows = table(
        json=[{"click": {"x": x, "y": y}, "kind": {"name": "ab"[i % 2]}} for i, (x, y) in enumerate(POINTS)]
    )
    read, points = points_read(rows, label="json.kind.name", point="json.click")
    assert points[2]["x"] == pytest.approx(POINTS[2][0])
    assert read.rows["json.kind.name"][:2] == [0, 1]
    with pytest.raises(
        SourceError, match=r"no column 'json.tap'; 'json' holds the fields .*click.* Set --point_column"
    ):
        points_read(rows, label="json.kind.name", point="json.tap")


@pytest.mark.parametrize("units", ["percent", "pixels"])
def test_units(units):
    size = (100, 100) if units == "percent" else (40, 30)
    rows = table(label=[0, 1] * 4, click=[[x * size[0], y * size[1]] for x, y in POINTS])
    _, points = points_read(rows, point_units=units)
    np.testing.assert_allclose([(point["x"], point["y"]) for point in points], POINTS)
    with pytest.raises(SourceError, match="no value of column 'click' is above 1: these look like ratios"):
        points_read(table(label=[0] * 8, click=POINTS), point_units=units)
    with pytest.raises(SourceError, match=rf"lie outside the image as {units} \(in row 3: \(500, 5\)"):
        points_read(
            table(label=[0] * 8, click=[[5.0, 5.0]] * 3 + [[500.0, 5.0]] + [[5.0, 5.0]] * 4),
            point_units=units,
        )


def test_pixels_are_those_of_the_columns_width_and_height():
    rows = table(label=[0, 1] * 4, click=[[300.0, 100.0]] * 8, width=[600] * 8, height=[400] * 8)
    _, points = points_read(rows, point_units="pixels")
    assert points[0] == {"x": 0.5, "y": 0.25}


def test_pixels_of_another_orientation_than_the_image_are_left_out():
    sizes = {"width": [30] * 2 + [40] * 6, "height": [40] * 2 + [30] * 6}
    rows = table(label=[0, 1] * 4, click=[[20.0, 15.0]] * 8, **sizes)
    read, points = points_read(rows, point_units="pixels")
    assert points[:2] == [None, None]
    assert points[2:] == [{"x": 0.5, "y": 0.5}] * 6
    (note,) = read.notes
    assert "the points of 2 of 8 images are left out" in note
    assert "row 0: measure them on the upright image, or remove the orientation from the file" in note
    rows = table(label=[0, 1] * 4, click=[[20.0, 15.0]] * 8, width=[30] * 8, height=[40] * 8)
    with pytest.raises(SourceError, match="the points of 8 of 8 images are left out"):
        points_read(rows, point_units="pixels")


def test_points_of_classes_by_name_and_by_number():
    features = List({"label": Value("string"), **XY})
    points = [[{"label": "dog", "x": 0.1, "y": 0.2}], [{"label": "cat", "x": 0.5, "y": 0.5}]] * 4
    rows = typed(features, points=points).add_column("labels", [["dog"], ["dog", "cat"]] * 4)
    read, found = points_read(rows)
    assert [[point["label"] for point in row] for row in found[:2]] == [[1], [0]]
    assert describe_rows(read.rows, read.columns, "click").with_target == 8
    strange = rows.remove_columns("labels").add_column("labels", [["dog"], ["dog"]] * 4)
    with pytest.raises(SourceError, match="points of classes that are none of the labels': cat"):
        points_read(strange)
    with pytest.raises(SourceError, match="points without a class, but an image has several labels"):
        points_read(typed(XY, click=[{"x": 0.5, "y": 0.5}] * 8).add_column("labels", [[0], [1]] * 4))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([[[1, 2, 3]]] * 8, "holds pixels, not images"),
        ([1] * 8, "holds int64, not images"),
        (["../secret.png"] * 8, "lies outside the dataset's folder"),
        (["/etc/passwd"] * 8, "lies outside the dataset's folder"),
        (["https://host/a.png"] * 8, "lies outside the dataset's folder"),
        (["no.png"] * 8, r"names a file that is not there \(row 0"),
    ],
)
def test_an_image_column_of_something_else_is_refused(images, message, tmp_path):
    rows = datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 4})
    with pytest.raises(SourceError, match=message):
        read_rows(rows, Reading(), None, tmp_path)


def test_a_row_without_an_image_is_named():
    rows = table(label=[0, 1] * 4).cast_column("image", datasets.Image(decode=False))
    images = [None if number == 5 else row["image"] for number, row in enumerate(rows)]
    rows = rows.remove_columns("image").add_column("image", images, feature=datasets.Image())
    with pytest.raises(SourceError, match=r"column 'image' has no image \(in row 5\)"):
        read_rows(rows, Reading(), None)


def test_a_dataset_that_needs_nothing_is_left_as_it_is():
    features = {"x": Value("float32"), "y": Value("float32")}
    rows = typed(features, click=[{"x": x, "y": y} for x, y in POINTS]).add_column(
        "label", np.arange(8) % 2, feature=ClassLabel(names=["a", "b"])
    )
    read = read_rows(rows, Reading(), "click")
    assert read.rows is rows
    assert read.notes == []


def test_images_that_a_metadata_file_does_not_list_are_counted(tmp_path):
    write_images(tmp_path)
    lines = [{"file_name": file, "click": {"x": 0.5, "y": 0.5}} for file in FILES[:5]]
    write_lines(tmp_path / "metadata.jsonl", lines)
    splits = load_splits(str(tmp_path))
    assert unlisted_images(splits, "image", tmp_path) == [
        f"3 image files below {tmp_path} are in no row and are left out, for the metadata file does not list "
        "them: cat/6.png, dog/5.png, dog/7.png"
    ]
    (tmp_path / "metadata.jsonl").unlink()
    assert unlisted_images(load_splits(str(tmp_path)), "image", tmp_path) == []


def test_folders_that_are_no_splits_are_counted(tmp_path):
    """`datasets` reads only what it takes for splits, once there is one."""
    for split in ("train", "test", "holdout"):
        write_images(tmp_path / split)
    splits = load_splits(str(tmp_path))
    assert set(splits) == {"train", "test"}
    (note,) = unlisted_images(splits, "image", tmp_path)
    assert note.startswith(
        f"8 image files below {tmp_path} are in no row and are left out, for nothing there is"
    )
    assert note.endswith(
        "called train, validation or test: holdout/cat/0.png, holdout/cat/2.png, holdout/cat/4.png, ... "
        "(8 in all)"
    )


def test_bytes_of_images_are_never_all_in_memory_at_once():
    """A column that `datasets` does not know for images: nothing is copied to make it one."""
    size, number = 1 << 20, 32
    photo = pa.array([bytes(size)] * number, pa.binary())
    rows = datasets.Dataset(pa.table({"image": photo, "label": pa.array([0] * number)}))
    tracemalloc.start()
    read = read_rows(rows, Reading(), None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(read.rows.features["image"], datasets.Image)
    assert peak < size * number / 4
    other = read_rows(rows.select(range(1, number)), Reading(), None)
    assert read.rows._fingerprint != other.rows._fingerprint


def labeled():
    rows = table()
    return rows if "label" in rows.column_names else rows.add_column("label", [0, 1] * (len(rows) // 2))


def test_points_that_name_no_class_count_in_a_list_of_one_label():
    """As masks and boxes do. Of two labels, which one is meant is not known."""
    classes = ClassLabel(names=["a", "b"])
    rows = typed(List({"label": classes, **XY}), points=[[{"label": -1, "x": 0.5, "y": 0.5}]] * 8)
    labels = [[0], [0, 1], [1], []] * 2
    rows = rows.add_column("labels", labels, feature=List(classes))
    read, found = points_read(rows)
    assert [[each["label"] for each in row] for row in found] == [[0], [], [1], []] * 2
    assert (
        "points: 8 of 8 points name no class: 4 count for the class of their image, 4 are left out, as which "
        "of their image's classes they are of is not known"
    ) in read.notes


@pytest.mark.parametrize("other", [{"sign": -1}, {"weight": 0.0}])
def test_a_point_that_does_not_count_does_not_name_the_class(other):
    """A "not here" of the class, or a weight of 0, leaves the row's only click as it is."""
    kind = {"label": Value("int64"), **XY, "sign": Value("int8"), "weight": Value("float64")}
    click = {"label": -1, "x": 0.1, "y": 0.2, "sign": 1, "weight": 1.0}
    rows = typed(List(kind), points=[[{**click, "label": 0, **other}, click]] * 8)
    read, found = points_read(rows.add_column("label", [0] * 8))
    for row in found:
        (byproduct,) = clicks_of(row, "points")
        assert byproduct.label == 0 and byproduct.points.tolist() == [[0.1, 0.2]]
    assert describe_rows(read.rows, read.columns, "click").with_target == 8


def test_points_that_say_where_a_class_is_not_are_kept_and_counted():
    rows = labeled()
    points = [[{"x": 0.1, "y": 0.2, "sign": 1}, {"x": 0.9, "y": 0.9, "sign": -1}]] * (len(rows) - 1)
    rows = rows.add_column("points", [*points, [{"x": 0.5, "y": 0.5, "sign": None}]])
    read = read_rows(rows, Reading(point="points"), "click")
    here, not_here = {"x": 0.1, "y": 0.2, "sign": 1}, {"x": 0.9, "y": 0.9, "sign": -1}
    assert read.rows[0]["points"] == [here, not_here]
    assert read.rows[len(rows) - 1]["points"] == [{"x": 0.5, "y": 0.5, "sign": 1}]
    assert f"{len(rows) - 1} points say where a class is not (sign -1)" in str(read.notes)
    (byproduct,) = clicks_of(read.rows[0]["points"], "points")
    assert byproduct.points.tolist() == [[0.1, 0.2]] and byproduct.away.tolist() == [[0.9, 0.9]]
    assert clicks_of([not_here], "points") == []  # "not here" alone does not say where to look
    odd = labeled().add_column("points", [[{"x": 0.1, "y": 0.2, "sign": 2}]] * len(rows))
    with pytest.raises(SourceError, match="neither 1 nor -1"):
        read_rows(odd, Reading(point="points"), "click")


NOT_HERE = {"x": 0.9, "y": 0.9, "sign": -1}


def test_one_point_that_says_where_a_class_is_not_is_no_click():
    kind = {**XY, "sign": Value("int8")}
    rows = typed(kind, click=[NOT_HERE, *[{"x": 0.1, "y": 0.2, "sign": 1}] * 7])
    read, found = points_read(rows.add_column("label", [0] * 8))
    assert found == [[NOT_HERE], *[[{"x": 0.1, "y": 0.2, "sign": 1}]] * 7]
    assert describe_rows(read.rows, read.columns, "click").with_target == 7
    assert read.notes == ["click: 1 points say where a class is not (sign -1)"]


def test_a_points_file_says_where_a_class_is_not(tmp_path):
    write_images(tmp_path / "photos")
    signs = [("0.png", -1), ("1.png", 1), ("2.png", -1), ("2.png", "")]
    lines = [{"file": name, "x": 0.5, "y": 0.1 * at, "sign": sign} for at, (name, sign) in enumerate(signs)]
    file = write_lines(tmp_path / "clicks.csv", lines)
    rows = load_splits(str(tmp_path / "photos"))["train"]
    read = read_rows(rows, Reading(points_file=str(file)), "click", tmp_path / "photos")
    of_file = {
        row["image"].filename.rpartition("/")[2]: [(each["y"], each["sign"]) for each in row["click"]]
        for row in read.rows
        if row["click"]
    }
    assert of_file == {
        "0.png": [(0.0, -1)],
        "1.png": [(0.1, 1)],
        "2.png": [(0.2, -1), (pytest.approx(0.3), 1)],
    }
    assert describe_rows(read.rows, read.columns, "click").with_target == 2
