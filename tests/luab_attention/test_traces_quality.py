"""Quality of traces, filters with reasons, agreement of annotators."""

import numpy as np
import pytest

from luab_attention.traces.filters import Criteria, judge
from luab_attention.traces.quality import agreement, is_straight_line, quality, similarity
from luab_attention.traces.scanpath import Click, Scanpath


def path(xy, time=None, segment=None, **more) -> Scanpath:
    xy = np.array(xy, float).reshape(-1, 2)
    time = None if time is None else np.array(time, float)
    segment = np.zeros(len(xy), int) if segment is None else np.array(segment)
    return Scanpath(xy, time, segment, **more)


def line(number=20, start=(0.1, 0.2), stop=(0.9, 0.7)):
    return np.linspace(start, stop, number)


def test_rate_gaps_repeats_and_share_outside():
    found = quality(path([(0.5, 0.5)] * 4 + [(1.2, 0.5)], [0, 16, 16, 32, 1532]))
    assert found.rate == pytest.approx(1000 / 16) and found.longest_gap == 1500 and found.gaps == 1
    assert found.repeated == 0.2 and found.outside == 0.2 and found.segments == 1
    # Between segments, nothing is a gap.
    found = quality(path([(0.5, 0.5)] * 3, [0, 10, 5000], [0, 0, 1]))
    assert found.longest_gap == 10 and found.gaps == 0 and found.segments == 2


def test_jumps_are_far_and_fast_and_within_a_segment():
    there_and_back = [(0.1, 0.1), (0.9, 0.1), (0.1, 0.1)]
    assert quality(path(there_and_back, [0, 16, 32])).jumps == 2
    assert quality(path(there_and_back, [0, 16, 532])).jumps == 1
    assert quality(path(there_and_back, [0, 16, 32], [0, 1, 2])).jumps == 0
    assert quality(path(there_and_back)).jumps == 2
    fixations = quality(path(there_and_back, [0, 16, 32], duration=np.ones(3)))
    assert fixations.jumps is fixations.rate is fixations.longest_gap is fixations.gaps is None


def test_a_program_draws_straight_at_a_steady_speed():
    times = np.arange(20) * 16.0
    assert is_straight_line(path(line(), times)) and is_straight_line(path(line()))
    pixels = np.round(line() * 500) / 500
    assert is_straight_line(path(pixels, times))
    bent = line() + np.sin(np.linspace(0, np.pi, 20))[:, None] * (0.02, -0.02)
    assert not is_straight_line(path(bent, times))
    eased = (np.linspace(0, 1, 20) ** 2)[:, None] * (0.8, 0.5) + 0.1  # speeds up, as a hand does
    assert not is_straight_line(path(eased, times))
    assert not is_straight_line(path(line(4), times[:4]))
    assert not is_straight_line(path(line(20, (0.5, 0.5), (0.52, 0.5)), times))
    assert not is_straight_line(path([(0.5, 0.5)] * 20, times))
    assert not is_straight_line(path(line(), times, duration=np.ones(20)))


def test_no_samples_have_a_quality():
    found = quality(path([], []))
    assert found.samples == found.segments == found.jumps == found.gaps == 0
    assert found.rate is None and found.repeated is None and found.outside == 0.0


def test_agreement_is_the_mean_similarity_of_pairs():
    a, b = path([(0.1, 0.1)]), path([(0.9, 0.9)])
    both = path([(0.1, 0.1), (0.9, 0.9)])
    assert agreement([a, a]) == 1 and agreement([a, b]) == 0
    same = [path([(0.1, 0.1)], annotator="a"), path([(0.9, 0.9)], annotator="a")]
    assert agreement(same) is None and agreement([*same, path([(0.1, 0.1)], annotator="b")]) == 0.5
    assert agreement([a, b, both]) == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert agreement([a]) is None and agreement([a, path([(2.0, 2.0)])]) is None
    p = np.array([0.1, 0.2, 0.3, 0.4])
    assert similarity(p, np.full(4, 0.25)) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "criteria, trace, name, words",
    [
        ({"min_samples": 3}, path([(0, 0)] * 2), "min_samples", "2 samples; at least 3 is allowed"),
        ({"min_duration": 100}, path([(0, 0)] * 2, [0, 99]), "min_duration", "99 ms are recorded"),
        ({"max_duration": 98}, path([(0, 0)] * 2, [0, 99]), "max_duration", "at most 98 is allowed"),
        ({"min_rate": 50}, path([(0, 0)] * 2, [0, 100]), "min_rate", "10 samples per second"),
        ({"max_gap": 500}, path([(0, 0)] * 2, [0, 600]), "max_gap", "a gap of 600 ms"),
        ({"max_repeated": 0.2}, path([(0, 0)] * 2, [0, 0]), "max_repeated", "0.5 of the times"),
        ({"max_outside": 0.4}, path([(0, 0), (2, 0)]), "max_outside", "0.5 is outside"),
        ({"max_missing": 0.1}, path([(0, 0)] * 3, missing=1), "max_missing", "0.25 has no position"),
        ({"max_jumps": 0}, path([(0, 0), (1, 0)]), "max_jumps", "1 jumps"),
        ({"in_order": True}, path([(0, 0)], [0], disordered=2), "in_order", "2 times go back"),
        ({"no_straight_lines": True}, path(line()), "no_straight_lines", "as programs draw"),
        ({"clicked": True}, path([(0, 0)], [0]), "clicked", "no click"),
        ({"clicked": True}, path([(0, 0)], [9], clicks=(Click(0, 0, 3),)), "clicked", "no click"),
    ],
)
def test_each_criterion_says_why(criteria, trace, name, words):
    assert judge(trace, Criteria()) == (None, ())
    found = judge(trace, Criteria(**criteria)).reason
    assert found is not None and found[0] == name and words in found[1]
    fine = path(line() + np.random.default_rng(0).normal(0, 0.01, (20, 2)), np.arange(20) * 16.0)
    fine = Scanpath(fine.xy, fine.time, fine.segment, clicks=(Click(0.5, 0.5, 320.0),))
    looser = {"min_duration": 100, "max_duration": 1000, "min_rate": 50}
    if name not in looser or criteria[name] == looser[name]:
        assert judge(fine, Criteria(**criteria)) == (None, ())


def test_what_a_trace_cannot_have_is_named_and_rejects_nothing():
    timeless = path(line())
    asked = {"min_rate": 30, "max_gap": 500, "max_repeated": 0.1, "in_order": True, "min_samples": 1}
    assert judge(timeless, Criteria(**asked)) == (None, ("min_rate", "max_gap", "max_repeated", "in_order"))
    fixations = path(line(), np.arange(20) * 16.0, duration=np.ones(20))
    asked = {"min_rate": 30, "max_jumps": 0, "no_straight_lines": True, "in_order": True}
    assert judge(fixations, Criteria(**asked)).not_measured == ("min_rate", "max_jumps", "no_straight_lines")
    why = judge(timeless, Criteria(min_rate=30, max_outside=0, min_samples=99))
    assert why.reason[0] == "min_samples" and why.not_measured == ()


def test_the_first_criterion_is_the_reason():
    bad = path([(0, 0), (5, 5)], [0, 9000])
    assert judge(bad, Criteria(max_outside=0.1, min_samples=9)).reason[0] == "min_samples"
    assert judge(bad, Criteria(max_outside=0.1, max_gap=1)).reason[0] == "max_gap"
    assert Criteria(min_samples=0, in_order=True).asked() == {"min_samples": 0, "in_order": True}
