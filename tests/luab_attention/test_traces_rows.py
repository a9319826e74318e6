"""Rows of every layout become the same scanpaths."""

import datasets
import numpy as np
import pytest
from datasets import Features, List, Value

import coco_ab
import imagenet_ab
from luab_attention.columns import column_feature
from luab_attention.traces.rows import scanpaths_of, trace_column
from luab_attention.traces.scanpath import Click
from luab_data.errors import SourceError

SCANPATHS = trace_column(
    Features({"scanpaths": column_feature("scanpaths", ("annotator", "time", "duration", "segment"), None)})
)
TIMED = SCANPATHS._replace(fixations=False)
IMAGENET = trace_column(Features({"annotations": List({"mouse_tracking": List(
    {"x": Value("float32"), "y": Value("float32"), "time": Value("int64")})})}))  # fmt: skip
EPOCH = 1644956349000


def sample(x, y, time, name="time"):
    return {"x": x, "y": y, name: time}


def test_the_column_is_found_by_its_name_and_layout():
    assert SCANPATHS == ("scanpaths", False, True, True) and IMAGENET == ("annotations", True, True, False)
    both = Features({"annotations": Value("string"), "scanpaths": column_feature("scanpaths", (), None)})
    assert trace_column(both) == ("scanpaths", False, False, False)
    with pytest.raises(SourceError, match="'annotations' holds no traces"):
        trace_column(both, "annotations")
    with pytest.raises(SourceError, match=r"--column 'gaze'.*annotations, scanpaths"):
        trace_column(both, "gaze")
    with pytest.raises(SourceError, match="neither scanpaths nor annotations"):
        trace_column(Features({"image": Value("string")}))


def test_a_narratives_trace_keeps_what_is_outside():
    (path,) = scanpaths_of({"scanpaths": [{"x": [0.2086, 0.3], "y": [-0.0533, 0.1], "time": [22.0, 40.0],
        "segment": [4, 7], "annotator": "93"}]}, TIMED)  # fmt: skip
    assert path.xy[0].tolist() == [0.2086, -0.0533] and path.time[0] == 22
    assert path.segment.tolist() == [0, 1] and path.annotator == "93" and path.clicks == ()


def test_missing_positions_are_left_out_and_break_the_path():
    (path,) = scanpaths_of({"scanpaths": [{"x": [0.1, None, 0.3, 0.4], "y": [0.1, 0.2, 0.3, float("nan")],
        "time": [0, 10, 20, 30]}]}, TIMED)  # fmt: skip
    assert path.xy[:, 0].tolist() == [0.1, 0.3] and path.segment.tolist() == [0, 1] and path.missing == 2
    untimed = [sample(0.1, 0.1, 5), sample(0.2, 0.1, None), sample(0.3, 0.1, 9)]
    (path,) = scanpaths_of({"annotations": [{"mouse_tracking": untimed}]}, IMAGENET)
    assert path.time.tolist() == [0, 4] and path.segment.tolist() == [0, 1] and path.missing == 1


@pytest.mark.parametrize("column", [SCANPATHS, TIMED, IMAGENET])
def test_a_null_entry_is_an_empty_scanpath(column):
    (path,) = scanpaths_of({column.name: [None]}, column)
    assert len(path) == 0 and (path.duration is not None) == column.fixations
    assert path.time.tolist() == []


def test_times_that_go_back_are_sorted_and_counted():
    (path,) = scanpaths_of(
        {"scanpaths": [{"x": [1.0, 2, 3, 4], "y": [0.0] * 4, "time": [5, 4, 6, 6]}]}, TIMED
    )
    assert path.xy[:, 0].tolist() == [2, 1, 3, 4] and path.time.tolist() == [4, 5, 6, 6]
    assert path.disordered == 1


@pytest.mark.parametrize(
    "entry, words",
    [
        ({"x": [0.1], "y": [0.1, 0.2]}, "different lengths"),
        ({"x": [0.1], "y": [0.1], "duration": [None]}, "a duration that is not 0"),
        ({"x": [0.1], "y": [0.1], "duration": [-1.0]}, "a duration that is not 0"),
        ({"x": None, "y": None}, "no x and y"),
    ],
)
def test_what_cannot_be_read_is_refused(entry, words):
    with pytest.raises(SourceError, match=words):
        scanpaths_of({"scanpaths": [entry]}, SCANPATHS)


def test_an_annotation_of_imagenet_ab_by_hand():
    annotation = {
        "selected": True,
        "worker_id": "W",
        "mouse_tracking": [sample(x, 0.5, EPOCH + t) for x, t in ((0.0, 0), (0.1, 5), (0.6, 40), (0.7, 900))],
        "selected_record": [sample(0.6, 0.5, EPOCH + 40)],
        "hovered_record": [
            {"action": action, "time": EPOCH + t}
            for action, t in (("enter", 0), ("leave", 20), ("enter", 40))
        ],
    }  # fmt: skip
    (path,) = scanpaths_of({"annotations": [annotation]}, IMAGENET)
    assert path.time.tolist() == [0, 5, 40, 900] and path.annotator == "W"
    # The cursor came back at 40 ms, and clicked: tracking paused until 900 ms.
    assert path.segment.tolist() == [0, 0, 1, 2]
    assert path.clicks == (Click(0.6, 0.5, 40.0),) and path.end == 40


def test_a_record_of_coco_ab_by_hand():
    action = {"action_type": "add", "icon_type": "cat", "point_to": {"x": 0.4, "y": 0.6}, "time_at": 900}
    annotation = {
        "worker_id": None,
        "mouse_tracking": [sample(0.5, 1.0, 700, "time_at"), sample(0.4, 0.6, 900, "time_at")],
        "action_histories": [action | {"action_type": "remove", "time_at": 1}, action],
    }
    (path,) = scanpaths_of({"annotations": [annotation]}, IMAGENET)
    assert path.time.tolist() == [700, 900]  # since the page opened
    assert path.clicks == (Click(0.4, 0.6, 900.0, "cat"),) and path.segment.tolist() == [0, 0]


def test_entries_without_a_sample_keep_their_place():
    empty = {"mouse_tracking": [], "selected_record": [], "worker_id": "a"}
    found = scanpaths_of({"annotations": [empty, {**empty, "mouse_tracking": [sample(0, 0, 5)]}]}, IMAGENET)
    assert [len(path) for path in found] == [0, 1] and scanpaths_of({"annotations": None}, IMAGENET) == []


@pytest.mark.parametrize("package", [imagenet_ab, coco_ab])
def test_the_samples_traces_are_all_read(package, tmp_path):
    rows = datasets.load_dataset(package.__name__, split="train", cache_dir=str(tmp_path))
    rows = rows.select_columns(["annotations"])
    column = trace_column(rows.features)
    found = 0
    for row in rows:
        paths = scanpaths_of(row, column)
        assert len(paths) == len(row["annotations"])
        for path, annotation in zip(paths, row["annotations"], strict=True):
            assert len(path) == len(annotation["mouse_tracking"]) and path.missing == 0
            found += len(path)
            if len(path):
                assert (np.diff(path.time) >= 0).all() and (np.diff(path.segment) >= 0).all()
                assert path.time[0] == 0 or package is coco_ab
            if annotation.get("selected_record"):
                assert path.end is not None and path.end >= 0
    assert found > 1000
