"""Rows to weighted points, and those to targets in a view."""

import math

import numpy as np
import pytest

from luab_attention.targets import ROW_LABEL, Byproduct, byproducts_of, clicks_of, target_in_view
from luab_attention.traces import TRACE_TIME_CONSTANT, trace
from luab_data.rows.columns import Columns
from luab_vision.geometry import WHOLE_IMAGE, View

COLUMNS = Columns()


def track(*positions: tuple[float, float, int]) -> list[dict]:
    return [{"x": x, "y": y, "time": time} for x, y, time in positions]


def annotation(tracking: list[dict], clicks: list[dict], selected: bool = True) -> dict:
    return {"selected": selected, "mouse_tracking": tracking, "selected_record": clicks}


def of_click(click) -> list[Byproduct]:
    return byproducts_of({"click": click}, "click", COLUMNS)


@pytest.mark.parametrize(
    "click", [{"x": 0.25, "y": 0.75}, [0.25, 0.75], (0.25, 0.75), np.array([0.25, 0.75])]
)
def test_a_click_is_one_point_of_the_rows_class(click):
    (byproduct,) = of_click(click)
    assert byproduct.label == ROW_LABEL
    assert byproduct.points.tolist() == [[0.25, 0.75]]
    assert byproduct.weights.tolist() == [1]


@pytest.mark.parametrize("click", [None, {"x": None, "y": None}, []])
def test_no_click_is_no_byproduct(click):
    assert of_click(click) == []


def test_points_of_several_classes_give_one_byproduct_a_class():
    points = [
        {"label": 7, "x": 0.1, "y": 0.2, "origin": "add"},
        {"label": 3, "x": 0.5, "y": 0.5},
        {"label": 7, "x": 0.3, "y": 0.4},
        {"label": 9, "x": None, "y": None},
    ]
    seven, three = byproducts_of({"points": points}, "click", Columns(point="points"))
    assert (seven.label, three.label) == (7, 3)
    np.testing.assert_allclose(seven.points, [[0.1, 0.2], [0.3, 0.4]])
    assert seven.weights.tolist() == [0.5, 0.5]
    assert three.points.tolist() == [[0.5, 0.5]]


def test_two_labeled_points_are_not_taken_for_one_point():
    points = [{"label": 1, "x": 0.1, "y": 0.2}, {"label": 2, "x": 0.3, "y": 0.4}]
    assert [b.label for b in of_click(points)] == [1, 2]


@pytest.mark.parametrize(
    ("click", "message"),
    [
        ({"x": 312.0, "y": 0.5}, "look like pixels: divide x by the image's width and y by its height"),
        ([0.5, -40], "ratios of the image"),
        ({"x": float("nan"), "y": 0.5}, "use null for an image without a point"),
        ({"x": 0.5, "y": None}, "needs both x and y"),
        ([0.1, 0.2, 0.3], r"a point is \{x, y\} or \[x, y\]"),
        ([[0.1, 0.2, 0.3]], r"a point is \{x, y\} or \[x, y\]"),
        ({"X": 0.5, "Y": 0.5}, "a point with the fields X, Y; it needs x and y"),
        ([{"label": 1, "cx": 0.5, "cy": 0.5}], "the fields label, cx, cy"),
        ([{"weight": None, "x": 0.5, "y": 0.5}], "weight is 0 or more"),
        ([{"weight": -1, "x": 0.5, "y": 0.5}], "weight is 0 or more"),
    ],
)
def test_a_wrong_point_says_what_is_allowed(click, message):
    with pytest.raises(ValueError, match=message) as error:
        of_click(click)
    assert "'click'" in str(error.value)


@pytest.mark.parametrize(
    "click",
    [
        [[0.1, 0.2], [0.3, 0.4]],
        [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}],
        np.array([[0.1, 0.2], [0.3, 0.4]]),
    ],
)
def test_several_points_of_the_rows_class_weigh_the_same(click):
    (byproduct,) = of_click(click)
    assert byproduct.label == ROW_LABEL
    np.testing.assert_allclose(byproduct.points, [[0.1, 0.2], [0.3, 0.4]])
    assert byproduct.weights.tolist() == [0.5, 0.5]


def test_points_weigh_what_they_say():
    click = [
        {"x": 0.1, "y": 0.2, "weight": 3},
        {"x": 0.3, "y": 0.4, "weight": 1},
        {"x": 0.5, "y": 0.5, "weight": 0},
    ]
    (byproduct,) = of_click(click)
    assert byproduct.weights.tolist() == [0.75, 0.25]
    assert of_click([{"x": 0.5, "y": 0.5, "weight": 0}]) == []


def test_the_weight_and_label_of_a_single_point_count():
    assert clicks_of({"x": 0.5, "y": 0.5, "weight": 0.0}, "click") == []
    (found,) = clicks_of({"x": 0.5, "y": 0.5, "weight": 2.0, "label": 3}, "click")
    assert found.label == 3 and found.weights.tolist() == [1.0]
    assert clicks_of({"x": None, "y": None, "label": None}, "click") == []


@pytest.mark.parametrize("entry", [{"x": 0.1, "y": 0.2}, [0.1, 0.2]])
def test_null_in_a_list_of_points_is_no_point(entry):
    (byproduct,) = clicks_of([None, entry, None], "points")
    assert byproduct.points.tolist() == [[0.1, 0.2]]
    assert clicks_of([None], "points") == clicks_of([None] * 3, "points") == []
    with pytest.raises(ValueError, match="needs both x and y"):
        clicks_of([None, 0.5], "points")


def test_a_click_just_outside_the_image_is_kept_as_a_ratio():
    (byproduct,) = of_click({"x": 1.004, "y": -0.01})
    assert byproduct.points.tolist() == [[1.004, -0.01]]


def test_a_trace_weighs_positions_by_their_age_at_the_click():
    tau = TRACE_TIME_CONSTANT
    positions = track((0.1, 0.9, 1000), (0.2, 0.8, 1100), (0.3, 0.7, 1300), (0.9, 0.9, 1301))
    points, weights = trace([annotation(positions, track((0.3, 0.7, 1300)))])
    np.testing.assert_allclose(points, [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    expected = np.exp([-300 / tau, -200 / tau, 0])
    np.testing.assert_allclose(weights, expected / expected.sum())


def test_a_trace_ends_at_the_earliest_selecting_click():
    positions = track((0.1, 0.1, 10), (0.2, 0.2, 20), (0.3, 0.3, 30))
    points, _ = trace([annotation(positions, track((0.9, 0.9, 500), (0.2, 0.2, 25)))])
    np.testing.assert_allclose(points, [[0.1, 0.1], [0.2, 0.2]])


def test_positions_of_the_same_time_share_its_weight():
    positions = track((0.1, 0.1, 0), (0.2, 0.2, 250), (0.3, 0.3, 250), (0.4, 0.4, 250))
    _, weights = trace([annotation(positions, track((0, 0, 250)))], time_constant=250.0)
    total = 1 + np.exp(-1)
    np.testing.assert_allclose(weights, [np.exp(-1) / total, *[1 / 3 / total] * 3])


def test_positions_in_any_order_weigh_the_same():
    positions = track((0.1, 0.1, 0), (0.2, 0.2, 100), (0.3, 0.3, 200))
    _, weights = trace([annotation(positions, track((0, 0, 200)))])
    _, reversed_weights = trace([annotation(positions[::-1], track((0, 0, 200)))])
    np.testing.assert_allclose(weights, reversed_weights[::-1])


def test_a_cursor_at_rest_for_an_hour_before_the_click_still_gives_a_trace():
    points, weights = trace([annotation(track((0.4, 0.6, 0)), track((0.4, 0.6, 3_600_000)))])
    assert points.tolist() == [[0.4, 0.6]]
    assert weights.tolist() == [1]


def test_positions_long_before_the_click_are_left_out():
    minute = track(*[(0.5, 0.5, time) for time in range(0, 60_000, 16)])
    _, weights = trace([annotation(minute, track((0.5, 0.5, 60_000)))])
    assert 64 < len(weights) < 128
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("x", [320.0, float("nan"), None])
def test_a_trace_not_in_ratios_is_refused(x):
    with pytest.raises(ValueError, match="mouse_tracking holds positions that are not ratios"):
        trace([annotation(track((x, 0.5, 10)), track((0.5, 0.5, 10)))])


def test_annotations_count_equally_however_long_their_tracks():
    long = annotation(track(*[(0.2, 0.2, time) for time in range(0, 160, 16)]), track((0, 0, 160)))
    short = annotation(track((0.8, 0.8, 10_000)), track((0.8, 0.8, 10_000)))
    points, weights = trace([long, short])
    assert len(points) == 11
    assert weights[:10].sum() == pytest.approx(0.5)
    assert weights[10] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "unusable",
    [
        [],
        [annotation([], track((0.5, 0.5, 10)))],
        [annotation(track((0.5, 0.5, 10)), [])],
        [annotation(track((0.5, 0.5, 10)), track((0.5, 0.5, 10)), selected=False)],
        [annotation(track((0.5, 0.5, 11)), track((0.5, 0.5, 10)))],
    ],
    ids=["no annotation", "no track", "no click", "not selected", "track after the click"],
)
def test_no_usable_trace_is_no_byproduct(unusable):
    assert byproducts_of({"annotations": unusable}, "trace", COLUMNS) == []


def test_click_and_trace_weigh_half_each_and_stand_in_for_each_other():
    annotations = [annotation(track((0.2, 0.2, 0), (0.3, 0.3, 0)), track((0.3, 0.3, 0)))]
    click = {"x": 0.4, "y": 0.4}
    (both,) = byproducts_of({"click": click, "annotations": annotations}, "click+trace", COLUMNS)
    np.testing.assert_allclose(both.points, [[0.4, 0.4], [0.2, 0.2], [0.3, 0.3]])
    np.testing.assert_allclose(both.weights, [0.5, 0.25, 0.25])

    (only_click,) = byproducts_of({"click": click, "annotations": []}, "click+trace", COLUMNS)
    assert only_click.weights.tolist() == [1]
    (only_trace,) = byproducts_of({"click": None, "annotations": annotations}, "click+trace", COLUMNS)
    np.testing.assert_allclose(only_trace.weights, [0.5, 0.5])
    assert byproducts_of({"click": None, "annotations": None}, "click+trace", COLUMNS) == []


def test_a_trace_beside_points_of_several_classes_is_refused():
    row = {
        "click": [{"label": 1, "x": 0.1, "y": 0.2}],
        "annotations": [annotation(track((0.2, 0.2, 0)), track((0.2, 0.2, 0)))],
    }
    with pytest.raises(ValueError, match="does not say which class"):
        byproducts_of(row, "click+trace", COLUMNS)


def test_columns_name_what_a_byproduct_is_read_from():
    assert COLUMNS.of_byproduct(None) == []
    assert COLUMNS.of_byproduct("click+trace") == ["click", "annotations"]
    with pytest.raises(ValueError, match="'clicks' is unknown; take one of click, trace"):
        COLUMNS.of_byproduct("clicks")
    with pytest.raises(ValueError, match="read from the annotations column"):
        Columns(annotations=None).of_byproduct("trace")


LEFT_HALF = View(0, 0, 0.5, 1, flipped=True)


def test_points_outside_the_view_are_dropped_and_the_rest_renormalized():
    byproduct = Byproduct(
        ROW_LABEL, np.array([[0.1, 0.5], [0.8, 0.5], [0.4, 0.5]]), np.array([0.2, 0.5, 0.3])
    )
    points, weights = target_in_view(byproduct, LEFT_HALF)
    np.testing.assert_allclose(points, [[0.8, 0.5], [-1, -1], [0.2, 0.5]], atol=1e-6)
    np.testing.assert_allclose(weights, [0.4, 0, 0.6], atol=1e-6)
    assert points.dtype == weights.dtype == np.float32


def test_the_start_of_a_trace_without_its_end_is_no_target():
    """The cursor is at 0.1 and at 0.3 on the way to 0.9, where the click is."""
    points = np.array([(0.1, 0.5), (0.3, 0.5), (0.9, 0.5)])
    start = Byproduct(0, points, np.array([0.01, 0.03, 0.96]))
    points_seen, weights = target_in_view(start, LEFT_HALF)
    assert weights.tolist() == [0, 0, 0] and (points_seen == -1).all()  # 4 %
    enough = start._replace(weights=np.array([0.01, 0.05, 0.94]))
    points_seen, weights = target_in_view(enough, LEFT_HALF)
    np.testing.assert_allclose(weights, [1 / 6, 5 / 6, 0], rtol=1e-6)  # 6 %
    np.testing.assert_allclose(points_seen, [(0.8, 0.5), (0.4, 0.5), (-1, -1)], rtol=1e-6)
    # The tail of what is outside may reach into the crop: nothing is left out.
    np.testing.assert_allclose(
        target_in_view(start, LEFT_HALF, outside="keep")[1], [0.01, 0.03, 0.96], rtol=1e-6
    )


def test_a_target_wholly_outside_has_no_weight():
    byproduct = Byproduct(ROW_LABEL, np.array([[0.8, 0.5]]), np.ones(1))
    points, weights = target_in_view(byproduct, LEFT_HALF)
    assert points.tolist() == [[-1, -1]]
    assert weights.tolist() == [0]


def test_keep_leaves_points_beyond_the_border():
    byproduct = Byproduct(ROW_LABEL, np.array([[0.1, 0.5], [0.75, 0.5]]), np.array([0.5, 0.5]))
    points, weights = target_in_view(byproduct, LEFT_HALF, outside="keep")
    np.testing.assert_allclose(points, [[0.8, 0.5], [-0.5, 0.5]], atol=1e-6)
    assert weights.tolist() == [0.5, 0.5]


def test_outside_must_be_known():
    with pytest.raises(ValueError, match="take 'drop' or 'keep'"):
        target_in_view(Byproduct(0, np.zeros((1, 2)), np.ones(1)), WHOLE_IMAGE, outside="clip")


def test_a_null_annotation_has_no_trace():
    shown = annotation(track((0.1, 0.1, 10)), track((0.2, 0.2, 25)))
    assert trace([None, shown])[0].tolist() == trace([shown])[0].tolist()
    assert trace([None]) is None


def test_a_point_whose_class_is_no_number_is_refused():
    for wrong in ("dog", 1.5, math.nan, True):
        with pytest.raises(
            ValueError, match=f"column 'click' has an entry with the label {wrong!r}; allowed"
        ):
            byproducts_of({"click": [{"x": 0.5, "y": 0.5, "label": wrong}]}, "click", COLUMNS)
    for number in (3, 3.0, np.int32(3), "3"):
        (found,) = byproducts_of({"click": [{"x": 0.5, "y": 0.5, "label": number}]}, "click", COLUMNS)
        assert found.label == 3
    for nothing in (None, -1, " "):
        (found,) = byproducts_of({"click": [{"x": 0.5, "y": 0.5, "label": nothing}]}, "click", COLUMNS)
        assert found.label == -1
