"""Events of several tabs in one order."""

from types import SimpleNamespace

from luab_collect.events import Event
from luab_collect.review.timeline import timeline


def work(events):
    return SimpleNamespace(events=events, created=0.0)


def test_a_second_tabs_clock_is_set_to_the_first_ones():
    events = {
        2: [Event(1, "open", 5.0, {"wall": 6005.0}), Event(2, "visible", 7.0, {})],
        1: [Event(1, "open", 10.0, {"wall": 5010.0}), Event(2, "hidden", 40.0, {})],
    }
    assert [(each["epoch"], each["kind"], each["t"]) for each in timeline(work(events))] == [
        (1, "open", 10.0),
        (1, "hidden", 40.0),
        (2, "open", 1005.0),
        (2, "visible", 1007.0),
    ]


def test_time_never_goes_back():
    """The wall's clock was set back, and a tab never said when it opened."""
    events = {
        1: [Event(1, "open", 0.0, {"wall": 9000.0}), Event(2, "hidden", 40.0, {})],
        2: [Event(1, "open", 0.0, {"wall": 1.0}), Event(2, "hidden", 9.0, {})],
        3: [],
        4: [Event(1, "visible", 2.0, {})],
    }
    assert [(each["epoch"], each["t"]) for each in timeline(work(events))] == [
        (1, 0.0),
        (1, 40.0),
        (2, 40.0),
        (2, 49.0),
        (4, 51.0),
    ]
    assert timeline(work({})) == []
