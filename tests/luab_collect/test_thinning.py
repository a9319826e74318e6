"""What the released files keep of a track: 60 Hz at most, nothing while the image is selected."""

from itertools import pairwise

from fixtures.pages_of_work import Screen
from hypothesis import given
from hypothesis import strategies as st

from luab_collect.derive import page_result
from luab_collect.results import Hovering, Sample, SelectItem
from luab_collect.thinning import (
    INTERVAL,
    hovered_unselected,
    released_place_track,
    released_track,
    selected_spans,
    thinned,
)

TIMES = st.lists(st.floats(0, 10_000).map(lambda t: round(t, 1)), max_size=60).map(sorted)


def samples(times):
    return tuple(Sample(0.5, 0.5, t) for t in times)


def item(track=(), selects=(), deselects=(), hovers=()):
    marks = tuple(Hovering(action, t) for action, t in hovers)
    return SelectItem("a", True, samples(selects), samples(deselects), samples(track), marks, ())


@given(TIMES)
def test_no_two_kept_samples_are_closer_than_a_frame(times):
    kept = [sample.t for sample in thinned(samples(times))]
    assert kept[:1] == times[:1] and set(kept) <= set(times)
    assert all(b - a >= INTERVAL for a, b in pairwise(kept))
    for t in times:  # each one that is left out is close behind a kept one
        assert any(0 <= t - each < INTERVAL for each in kept)


def test_a_mouse_of_60_hz_stays_whole_and_one_of_1000_hz_does_not():
    even = [round(n * 1000 / 60, 1) for n in range(600)]
    assert len(thinned(samples(even))) == 600
    assert len(thinned(samples(range(1000)))) == 59  # every 17 ms


@given(TIMES, TIMES, TIMES)
def test_the_pause_is_while_the_image_is_selected(track, selects, deselects):
    found = item(track, selects, deselects)
    spans = selected_spans(found)
    assert all(start <= end for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    kept = released_track(found)
    for sample in kept:
        assert not any(start <= sample.t < end for start, end in spans)


def test_hovering_is_counted_until_the_selection_and_after_a_deselection():
    hovers = [("enter", 100), ("leave", 600), ("enter", 1000), ("leave", 2000)]
    assert hovered_unselected(item(hovers=hovers)) == 1500
    assert hovered_unselected(item(selects=[300], hovers=hovers)) == 200
    assert hovered_unselected(item(selects=[300], deselects=[1500], hovers=hovers)) == 700


@given(TIMES, TIMES, TIMES)
def test_hovering_is_what_a_fine_clock_counts(marks, selects, deselects):
    hovers = [(("enter", "leave")[at % 2], round(t)) for at, t in enumerate(marks)]
    found = item(selects=[round(t) for t in selects], deselects=[round(t) for t in deselects], hovers=hovers)
    spans = selected_spans(found)
    over = [(a[1], b[1]) for a, b in zip(hovers[::2], hovers[1::2], strict=False)]
    ticks = sum(
        not any(start <= t < end for start, end in spans)
        for since, until in over
        for t in range(since, until)
    )
    assert hovered_unselected(found) == ticks


def test_drags_are_not_in_the_released_track_of_a_place_page():
    page = Screen({"a": [0.0, 0.0, 100.0, 100.0]}).open().at("move", 0.1, 0.1, after=20)
    page.at("pick", 0.2, 0.1, icon=1, label="cat", after=20).at(
        "drag", 0.3, 0.1, icon=1, label="cat", after=20
    )
    page.at("add", 0.4, 0.1, icon=1, label="cat", after=20).at("move", 0.5, 0.1, after=20).submit()
    (found,) = page_result(page.work(class_name=None)).items
    assert [sample.x for sample in found.track] == [0.1, 0.3, 0.5]
    assert [sample.x for sample in released_place_track(found)] == [0.1, 0.5]
