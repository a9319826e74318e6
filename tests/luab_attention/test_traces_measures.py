"""Measures of traces, with values worked out by hand."""

import numpy as np
import pytest

from luab_attention.traces.deviation import deviation_area, max_deviation, straightness
from luab_attention.traces.dwell import dwell_grid, dwell_in_boxes, held, mixture, on_object, weights
from luab_attention.traces.features import FEATURES, Thresholds, features
from luab_attention.traces.kinematics import (
    accelerations,
    direction_changes,
    duration,
    idle_time,
    mean_speed,
    path_length,
    speeds,
    time_to_first_move,
)
from luab_attention.traces.resampling import resample
from luab_attention.traces.scanpath import Click, Scanpath

A, B = (0.25, 0.25), (0.75, 0.25)


def path(xy, time=None, segment=None, **more) -> Scanpath:
    xy = np.array(xy, float).reshape(-1, 2)
    time = None if time is None else np.array(time, float)
    segment = np.zeros(len(xy), int) if segment is None else np.array(segment)
    return Scanpath(xy, time, segment, **more)


def test_speed_of_a_move_of_500_pixels_in_half_a_second():
    moved = path([(0, 0), (300, 400)], [0, 500])
    assert speeds(moved).tolist() == [1000.0] and mean_speed(moved) == 1000.0
    assert path_length(moved) == 500.0 and duration(moved) == 500.0


def test_deviation_area_and_length_of_a_bend():
    bend = path([(0, 0), (0.5, 0.2), (1, 0)])
    assert max_deviation(bend) == pytest.approx(0.2)
    assert deviation_area(bend) == pytest.approx(0.1)
    assert path_length(bend) == pytest.approx(1.07703, abs=5e-6)
    assert straightness(bend) == pytest.approx(1 / 1.07703, abs=1e-5)
    mirrored = path([(0, 0), (0.5, -0.2), (1, 0)])
    assert max_deviation(mirrored) == pytest.approx(-0.2)
    assert deviation_area(mirrored) == pytest.approx(-0.1)


def test_deviation_does_not_depend_on_the_direction_of_the_direct_path():
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    bend = path(np.array([(0, 0), (0.5, 0.2), (1, 0)]) @ turn + (3, 4))
    assert max_deviation(bend) == pytest.approx(0.2) and deviation_area(bend) == pytest.approx(0.1)


def test_a_segment_that_ends_where_it_began_has_its_distance():
    loop = path([(0, 0), (1, 0), (1, 1), (0, 0)])
    assert max_deviation(loop) == pytest.approx(np.sqrt(2))
    assert deviation_area(loop) == pytest.approx(-0.5)
    assert straightness(loop) == 0.0


def test_nothing_is_measured_between_segments():
    apart = path([(0, 0), (1, 0), (100, 100), (101, 100)], [0, 1000, 1001, 2001], [0, 0, 1, 1])
    assert path_length(apart) == 2.0 and speeds(apart).tolist() == [1.0, 1.0]
    assert duration(apart) == 2000.0 and mean_speed(apart) == 1.0
    assert len(accelerations(apart)) == 0 and max_deviation(apart) == 0.0
    assert held(apart).tolist() == [1000.0, 0.0, 1000.0, 0.0]


def test_acceleration_is_between_the_middles_of_the_steps():
    # 1 unit in 1 s, then 3 units in 1 s: from 1 to 3 units/s within 1 s.
    assert accelerations(path([(0, 0), (1, 0), (4, 0)], [0, 1000, 2000])).tolist() == [2.0]
    # The second step takes 3 s: the middles are at 0.5 and 2.5 s, speeds 1 and 3.
    assert accelerations(path([(0, 0), (1, 0), (10, 0)], [0, 1000, 4000])).tolist() == [1.0]


def test_of_repeated_times_the_last_counts_for_speed_and_all_for_length():
    repeated = path([(0, 0), (5, 0), (1, 0), (2, 0)], [0, 1000, 1000, 2000])
    assert speeds(repeated).tolist() == [1.0, 1.0] and mean_speed(repeated) == 1.0
    assert path_length(repeated) == 5 + 4 + 1
    assert held(repeated).tolist() == [1000.0, 0.0, 1000.0, 0.0]
    assert resample(repeated, 1, "linear").xy[:, 0].tolist() == [0, 1, 2]


def test_direction_changes_skip_stops():
    assert direction_changes(path([(0, 0), (1, 0), (1, 0), (0, 1), (0.5, 2)])) == (2, 0)
    assert direction_changes(path([(0, 0), (1, 1), (0, 0), (1, 1)])) == (2, 2)
    assert direction_changes(path([(0, 0), (1, 0), (0, 0), (1, 0)], None, [0, 0, 1, 1])) == (0, 0)


def test_idle_time_is_standing_still_or_long_without_an_event():
    moved = path([(0, 0), (0, 0), (1, 0), (2, 0)], [0, 40, 80, 1080])
    assert idle_time(moved) == 1040.0 and idle_time(moved, rest_ms=2000) == 40.0
    assert time_to_first_move(moved) == 80.0


def test_held_dwell_until_the_click():
    looked = path([A, A, B], [0, 100, 400])
    boxes = np.array([(0, 0, 0.5, 0.5), (0.5, 0, 0.5, 0.5)])
    assert dwell_in_boxes(looked, boxes, end=500).tolist() == pytest.approx([0.8, 0.2])
    assert dwell_grid(looked, (2, 2), end=500).tolist() == [pytest.approx([0.8, 0.2]), [0, 0]]
    found = on_object(looked, boxes[1:], 500)
    assert found.ms == 100 and found.share == pytest.approx(0.2) and found.last_stay == 100
    assert on_object(looked, boxes[:1], 500).last_stay == 0
    # Without a click, nothing is known about how long B was looked at.
    assert dwell_in_boxes(looked, boxes).tolist() == [1.0, 0.0]


def test_the_stay_before_the_click_counts_without_an_end_too():
    """A at 0 and 100 ms, B at 400, click at 500: A 0.8, B 0.2."""
    looked = path([A, A, B], [0, 100, 400], clicks=(Click(*B, 500.0), Click(*B, 900.0)))
    assert weights(looked).tolist() == weights(looked, 500.0).tolist() == pytest.approx([0.2, 0.6, 0.2])
    _, shares = mixture([looked])
    assert shares.tolist() == pytest.approx([0.2, 0.6, 0.2])
    line = features(looked, np.array([(0.5, 0.0, 0.5, 0.5)]))
    assert line["in_boxes"] == line["on_object"] == pytest.approx(0.2)


def test_the_stay_before_each_click_counts_at_the_end_of_its_segment():
    clicks = (Click(*A, 350.0), Click(*A, 750.0), Click(*A, 1000.0))
    went_on = path([A, B, A, B, A], [0, 300, 600, 700, 800], [0, 0, 1, 1, 1], clicks=clicks)
    # The click at 750 is within a segment, whose samples last until the next.
    assert held(went_on).tolist() == [300, 50, 100, 100, 200]
    assert held(went_on, 350).tolist() == [300, 50, 0, 0, 0]
    early = path([A, B], [100, 200], clicks=(Click(*A, 50.0),))
    assert held(early).tolist() == [100, 0]


def test_a_stay_ends_where_the_cursor_leaves_the_image():
    box = np.array([(0.5, 0.0, 0.5, 0.5)])
    left = path([A, B, B, B, B], [0, 100, 1100, 9000, 9100], [0, 0, 0, 1, 1])
    assert on_object(left, box, 9200.0).last_stay == 200
    assert on_object(left, box, -1.0).last_stay == 0  # a click before the first sample


def test_what_follows_the_click_does_not_count():
    went_on = path([A, B, A, A], [0, 300, 600, 900], [0, 0, 1, 1])
    assert held(went_on, 500).tolist() == [300, 200, 0, 0]


def test_fixations_count_by_their_duration():
    fixations = path([A, B], [0, 400], duration=np.array([300.0, 100.0]))
    assert weights(fixations).tolist() == [0.75, 0.25]
    assert held(fixations, 450).tolist() == [300, 50]


def test_annotators_count_the_same_however_many_samples_they_left():
    points, shares = mixture([path([A]), path([B] * 99, range(99))])
    assert len(points) == 100 and shares[0] == 0.5 and shares[1:].sum() == pytest.approx(0.5)


def test_two_traces_of_one_annotator_share_his_weight():
    one = {"annotator": "a"}
    _, shares = mixture([path([A], **one), path([B], **one, weight=3.0), path([B], annotator="b")])
    assert shares.tolist() == pytest.approx([0.125, 0.375, 0.5])


def test_a_sample_outside_has_no_weight_in_the_mixture():
    points, shares = mixture([path([(0.2086, -0.0533), A], [22, 122])])
    # The first sample is held for all of the time, but outside: nothing of this trace is in the image.
    assert len(points) == 0 and len(shares) == 0
    points, shares = mixture([path([(0.2086, -0.0533), A, B], [22, 122, 222])])
    assert points[0].tolist() == [0.2086, -0.0533] and shares.tolist() == [0, 1, 0]


@pytest.mark.parametrize("time", [None, [5.0]])
def test_one_sample_has_defined_values(time):
    line = features(path([A], time))
    assert line["path_length"] == 0 and line["max_deviation"] == 0 and line["deviation_area"] == 0
    assert line["straightness"] is None and line["first_move_ms"] is None and line["speed_max"] is None
    assert line["duration_ms"] == (None if time is None else 0.0)
    assert line["speed_mean"] == (None if time is None else 0.0)
    assert line["fixations_idt"] == (None if time is None else 0)


@pytest.mark.parametrize("number", [0, 1, 2, 5])
@pytest.mark.parametrize("timed", [True, False])
def test_a_constant_trace_has_no_nan(number, timed):
    line = features(path([A] * number, [7.0] * number if timed else None, clicks=(Click(*A, 7.0),)))
    assert list(line) == list(FEATURES)
    assert not any(isinstance(value, float) and not np.isfinite(value) for value in line.values())


def test_features_of_a_click_and_in_pixels():
    boxes = np.array([(0.5, 0.0, 0.5, 0.5)])
    clicked = path([A, A, B], [100, 200, 500], clicks=(Click(*B, 600.0),))
    line = features(clicked, boxes, scale=(200, 100))
    assert line["path_length"] == 100.0 and line["speed_mean"] == 250.0
    assert line["speed_max"] == pytest.approx(1000 / 3)
    assert line["acceleration_max"] == pytest.approx(1000 / 3 / 0.2)
    assert line["click_ms"] == 500 and line["on_object_ms"] == 100 and line["on_object"] == 0.2
    assert line["last_stay_ms"] == 100


@pytest.mark.parametrize("seed", range(20))
def test_segments_and_units_by_property(seed):
    """A trace is the sum of its segments; lengths grow with the unit, shares and times do not."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(2, 40))
    whole = path(
        rng.random((number, 2)) * 1.4 - 0.2,
        np.sort(rng.integers(0, 400, number)),
        np.sort(rng.integers(0, 4, number)),
    )
    parts = list(whole.segments())
    for measure in (path_length, deviation_area, duration, idle_time):
        assert measure(whole) == pytest.approx(sum(measure(part) for part in parts))
    assert speeds(whole).tolist() == [speed for part in parts for speed in speeds(part)]
    assert np.concatenate([held(part) for part in parts]).tolist() == held(whole).tolist()
    assert weights(whole).sum() == pytest.approx(1) and dwell_grid(whole, (3, 5)).sum() <= 1 + 1e-9
    one, twice = features(whole), features(whole, scale=(2.0, 2.0), thresholds=Thresholds(0.1, 1.0))
    for name, (unit, _) in FEATURES.items():
        factor = 4 if unit == "unit2" else 2 if unit.startswith("unit") else 1
        expected = one[name] * factor if isinstance(one[name], float) else one[name]
        assert twice[name] == (pytest.approx(expected) if isinstance(expected, float) else expected), name
