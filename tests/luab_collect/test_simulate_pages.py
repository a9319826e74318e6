"""Simulated annotators: their events are what pages send, and what the model says."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from luab_collect.events import parse_events
from luab_collect.quality.facts import fingerprint
from luab_collect.results import Sample
from luab_collect.simulate.people import BOT, CAREFUL, CARELESS, CENTERS, KINDS, crowd, person
from luab_collect.simulate.place_page import place_page
from luab_collect.simulate.select_page import ShownImage, select_page
from luab_data.errors import SourceError

BOX = [0.2, 0.3, 0.5, 0.8]
IMAGES = [ShownImage(f"i{n:02}", 120 + n, 90, {"cat": [BOX]} if n % 2 else {"dog": [BOX]}) for n in range(48)]
CATEGORIES = {"pets": ["cat", "dog"], "roads": ["car"], "farm": ["cow"]}
SCENE = ShownImage("scene", 640, 480, {"cat": [[0.1, 0.1, 0.3, 0.4]], "car": [[0.5, 0.5, 0.9, 0.9]]})


def selected(kind, seed=0, **changes):
    someone = replace(person(3, kind), **changes)
    return select_page(IMAGES, "cat", someone, 1e12, np.random.default_rng(seed))


def placed(kind, seed=0, **changes):
    someone = person(3, kind)
    someone = replace(someone, place=replace(someone.place, **changes))
    return place_page(SCENE, CATEGORIES, someone, 1e12, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [CAREFUL, *KINDS])
@pytest.mark.parametrize("page", [selected, placed])
def test_the_events_are_what_a_page_sends(page, kind):
    events = page(kind)
    parsed = parse_events(events)
    assert (parsed[0].kind, parsed[-1].kind, parsed[0].seq) == ("open", "submit", 1)
    assert all(before.t <= after.t for before, after in pairwise(parsed))
    boxes, number = {}, 0
    for event in parsed:
        if event.kind == "layout":
            boxes, number = event.fields["boxes"], event.fields["layout"]
        if "x" in event.fields:
            left, top, width, height = boxes[event.fields.get("item", "scene")]
            assert event.fields["layout"] == number
            assert event.fields["cx"] == pytest.approx(left + event.fields["x"] * width, abs=0.02)
            assert event.fields["cy"] == pytest.approx(top + event.fields["y"] * height, abs=0.02)


def test_a_seed_decides_everything():
    assert selected(CAREFUL, 1) == selected(CAREFUL, 1) != selected(CAREFUL, 2)
    assert placed(CAREFUL, 1) == placed(CAREFUL, 1) != placed(CAREFUL, 2)


def clicks(events, kind="select"):
    return [(event["item"], event["x"], event["y"]) for event in events if event["kind"] == kind]


def test_the_careful_select_what_shows_the_class():
    found = clicks(selected(CAREFUL, missed=0.0, mistaken=0.0))
    assert {item for item, _, _ in found} == {image.id for image in IMAGES if "cat" in image.truth}
    inside = [BOX[0] <= x <= BOX[2] and BOX[1] <= y <= BOX[3] for _, x, y in found]
    assert sum(inside) > 0.9 * len(inside)


def test_others_do_what_quality_control_is_for():
    careless = [click for seed in range(5) for click in clicks(selected(CARELESS, seed))]
    right = sum("cat" in IMAGES[int(item[1:])].truth for item, _, _ in careless) / len(careless)
    assert 0.3 < right < 0.7
    away = [math.dist((x, y), (0.5, 0.5)) for _, x, y in clicks(selected(CENTERS))]
    assert max(away) < 0.03
    bot = selected(BOT)
    assert not any(event["trusted"] for event in bot if "trusted" in event)
    assert all(event["trusted"] for event in selected(CAREFUL) if "trusted" in event)
    traces = {
        fingerprint(
            Sample(e["x"], e["y"], e["t"]) for e in bot if e["kind"] == "move" and e["item"] == image.id
        )
        for image in IMAGES
    }
    assert len(traces) == 1 and traces != {None}


def test_moves_come_60_times_a_second():
    events = selected(CAREFUL)
    gaps = [
        after["t"] - before["t"]
        for before, after in pairwise(events)
        if before["kind"] == after["kind"] == "move" and before["item"] == after["item"]
    ]
    assert np.median(gaps) == pytest.approx(1000 / 60, abs=0.1)


def test_what_was_selected_twice_was_taken_back_before():
    someone = person(0, CAREFUL)
    hesitant = replace(someone, select=replace(someone.select, hesitant=1.0))
    events = select_page(IMAGES, "cat", hesitant, 1e12, np.random.default_rng(0))
    of_one = [event["kind"] for event in events if event.get("item") == "i01" and "select" in event["kind"]]
    assert of_one == ["select", "deselect", "select"]


def test_icons_are_dragged_onto_what_is_there():
    events = placed(CAREFUL, missed=0.0, mistaken=0.0, moved=0.0, careless=0.0)
    added = {event["label"]: (event["x"], event["y"]) for event in events if event["kind"] == "add"}
    assert set(added) == {"cat", "car"}
    for label, (x, y) in added.items():
        x0, y0, x1, y1 = SCENE.truth[label][0]
        assert x0 - 0.05 < x < x1 + 0.05 and y0 - 0.05 < y < y1 + 0.05
    assert {event["category"] for event in events if event["kind"] == "category"} == {1, 2}
    for event in events:
        if event["kind"] == "pick":
            assert event["x"] < 0  # from the palette beside the image


def test_icons_are_moved_and_removed():
    kinds = {event["kind"] for event in placed(CAREFUL, missed=0.0, moved=1.0, mistaken=1.0, noticed=1.0)}
    assert {"pick", "drag", "add", "relocate", "remove"} <= kinds
    label = {
        event["label"] for event in placed(CAREFUL, mistaken=1.0, noticed=1.0) if event["kind"] == "remove"
    }
    assert label <= {"dog", "cow"} and label


def test_a_crowd_has_its_shares():
    people = crowd(20, {CARELESS: 0.1, BOT: 0.05}, seed=0)
    kinds = [each.kind for each in people]
    assert (kinds.count(CARELESS), kinds.count(BOT), kinds.count(CAREFUL)) == (2, 1, 17)
    assert [each.number for each in people] == list(range(20))
    assert [each.kind for each in crowd(20, {CARELESS: 0.1, BOT: 0.05}, seed=1)] != kinds


@pytest.mark.parametrize(
    ("annotators", "shares"),
    [(0, {}), (5, {BOT: 1.5}), (5, {BOT: -0.1}), (5, {BOT: 0.6, CENTERS: 0.6})],
)
def test_a_crowd_is_possible(annotators, shares):
    with pytest.raises(SourceError):
        crowd(annotators, shares, seed=0)
