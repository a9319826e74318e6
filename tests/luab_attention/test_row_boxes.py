"""The column `objects` in the usual layouts; what is not clear is refused."""

import datasets
import pytest
from fixtures.boxed import SQUARE, boxed_row

from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.rows import RowBoxes
from luab_data.errors import SourceError


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
    reader = RowBoxes("label", boxed_row(objects, feature=feature))
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
    ("kind", "nothing"), [("int64", -1), ("int64", None), ("string", ""), ("string", " ")]
)
def test_boxes_of_no_class_are_of_the_rows_class_unless_another_names_it(kind, nothing):
    """As training and `luab align` read them; with several classes they are of none."""
    cat, other = (0, 1) if kind == "int64" else ("cat", "dog")
    alone, beside = [[nothing], [other, nothing]], [cat, nothing]
    rows = boxed_row({"bbox": [SQUARE], "category": [nothing]}, feature=datasets.Value(kind))
    if kind == "string":
        rows = datasets.concatenate_datasets(
            [
                rows,
                boxed_row({"bbox": [SQUARE] * 2, "category": ["cat", "dog"]}, feature=datasets.Value(kind)),
            ]
        )

    def found(categories, label=0):
        boxes = [[k, 0, 8, 8] for k in range(len(categories))]
        row = {"label": label, "objects": {"bbox": boxes, "category": categories}}
        of_label = RowBoxes("label", rows).by_label(row, lambda: (32, 32))
        return {own: [int(box[0]) for box in each.bbox] for own, each in of_label.items()}

    assert [found(each) for each in alone] == [{0: [0]}, {0: [1]}]
    assert found(beside) == {0: [0]} and found([other]) == {}
    assert found(alone[0], [0]) == {0: [0]} and found(alone[0], [0, 1]) == {}


def test_boxes_without_categories_are_of_the_rows_class():
    rows = boxed_row({"bbox": [], "category": []}).remove_columns("objects")
    rows = rows.add_column("objects", [{"bbox": [SQUARE]}])
    assert RowBoxes("label", rows).by_label(rows[0], lambda: (32, 32)) == {0: ImageBoxes([SQUARE], 32, 32)}


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


def test_categories_as_whole_floats_are_class_numbers():
    row = {"objects": {"bbox": [[0, 0, 1, 1]] * 2, "category": [1.0, 2.0]}, "width": 4, "height": 4}
    _, categories = RowBoxes("label").stated(row, lambda: (4, 4))
    assert categories.tolist() == [1, 2]
    for bad in (1.5, float("nan"), "a"):
        row["objects"]["category"][1] = bad
        with pytest.raises(SourceError, match="class numbers are needed"):
            RowBoxes("label").stated(row, lambda: (4, 4))
