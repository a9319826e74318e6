"""Traces at a fixed rate: nothing is made up between samples that are not connected."""

import numpy as np
import pytest

from luab_attention.traces.resampling import resample
from luab_attention.traces.scanpath import Scanpath


def path(x, time, segment=None, **more):
    xy = np.stack([np.array(x, float), np.zeros(len(x))], axis=1)
    segment = np.zeros(len(x), int) if segment is None else np.array(segment)
    return Scanpath(xy, None if time is None else np.array(time, float), segment, **more)


def test_hold_and_linear_by_hand():
    moved = path([0, 1, 0], [0, 100, 250])
    held = resample(moved, 20)
    assert held.time.tolist() == [0, 50, 100, 150, 200, 250]
    assert held.xy[:, 0].tolist() == [0, 0, 1, 1, 1, 0]
    assert resample(moved, 20, "linear").xy[:, 0].tolist() == pytest.approx([0, 0.5, 1, 2 / 3, 1 / 3, 0])


@pytest.mark.parametrize("method", ["hold", "linear"])
def test_no_sample_lies_between_segments(method):
    apart = path([0, 0, 10, 10], [0, 100, 1000, 1100], [0, 0, 3, 3])
    even = resample(apart, 100, method)
    assert set(even.xy[:, 0].tolist()) == {0.0, 10.0}
    assert not ((even.time > 100) & (even.time < 1000)).any()
    assert set(even.segment.tolist()) == {0, 3} and len(even) == 22


def test_a_segment_of_one_sample_or_one_moment_keeps_one():
    even = resample(path([0, 5, 6], [0, 40, 40], [0, 1, 1]), 60)
    assert even.xy[:, 0].tolist() == [0, 6] and even.time.tolist() == [0, 40]


@pytest.mark.parametrize("rate", [3.0, 7.0, 59.94, 60.0, 1000.0])
@pytest.mark.parametrize("method", ["hold", "linear"])
def test_resampling_what_is_at_this_rate_changes_nothing(rate, method):
    rng = np.random.default_rng(0)
    even = path(rng.random(50), 1e12 + np.arange(50) * 1000 / rate)
    again = resample(even, rate, method)
    assert len(again) == 50
    assert np.allclose(again.xy, even.xy, atol=1e-3) and np.allclose(again.time, even.time)


@pytest.mark.parametrize("method", ["hold", "linear"])
def test_the_values_stay_between_those_around(method):
    rng = np.random.default_rng(1)
    moved = path(rng.random(40), np.sort(rng.integers(0, 500, 40)), np.sort(rng.integers(0, 4, 40)))
    even = resample(moved, 333, method)
    for number in np.unique(moved.segment):
        own, made = moved.xy[moved.segment == number], even.xy[even.segment == number]
        assert made.min() >= own.min() and made.max() <= own.max()
        times = moved.time[moved.segment == number]
        assert even.time[even.segment == number][[0, -1]].tolist() >= [times[0], times[0]]
        assert even.time[even.segment == number].max() <= times[-1]


def test_what_cannot_be_resampled_is_refused():
    with pytest.raises(ValueError, match="without times"):
        resample(path([0, 1], None), 60)
    with pytest.raises(ValueError, match="durations"):
        resample(path([0, 1], [0, 1], duration=np.ones(2)), 60)
    with pytest.raises(ValueError, match="rate=0"):
        resample(path([0, 1], [0, 1]), 0)
    with pytest.raises(ValueError, match=r"method='cubic'.*hold, linear"):
        resample(path([0, 1], [0, 1]), 60, "cubic")
    with pytest.raises(ValueError, match="at most"):
        resample(path([0, 1], [0, 1e12]), 60)
    assert len(resample(path([], []), 60)) == 0
