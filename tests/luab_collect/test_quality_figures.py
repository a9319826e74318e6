"""Figures of quality, worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fixtures.page_results import page, place_item, select_item, track
from fixtures.pages_of_work import Screen
from krippendorff import alpha
from scipy.stats import binomtest

from luab_collect.derive import page_result
from luab_collect.export.consensus import place_votes, select_votes
from luab_collect.export.views import views_of
from luab_collect.quality.agreement import (
    answers_of,
    consensus_distances,
    krippendorff_alpha,
    points_of,
    with_majority,
)
from luab_collect.quality.facts import fingerprint, page_facts
from luab_collect.quality.figures import quality
from luab_collect.quality.proportions import Proportion
from luab_collect.results import Sample

CIRCLE = tuple((0.5 + 0.3 * math.cos(at / 3), 0.5 + 0.3 * math.sin(at / 3)) for at in range(15))


def facts(*pages):
    return [page_facts(each) for each in pages]


@pytest.mark.parametrize(("count", "total"), [(0, 5), (8, 10), (5, 5), (190, 200)])
def test_a_share_has_wilsons_interval(count, total):
    share = Proportion(count, total)
    expected = binomtest(count, total).proportion_ci(0.95, "wilson")
    assert (share.low, share.high) == pytest.approx(expected, abs=1e-12)


def test_of_nothing_nothing_is_known():
    assert (Proportion().value, Proportion().low, Proportion().high, str(Proportion())) == (
        None,
        0.0,
        1.0,
        "-",
    )
    assert Proportion(1, 2) + Proportion(2, 2) == Proportion(3, 4)
    assert str(Proportion(8, 10)) == "80% (49% to 94%; 8 of 10)"


def test_alpha_is_krippendorffs():
    """His own example of two observers and ten units (2011, section A): 0.095."""
    pages = []
    for who, said in (("a", "0100000010"), ("b", "1110010000")):
        items = [select_item(str(at), (0.5, 0.5) if yes == "1" else None) for at, yes in enumerate(said)]
        pages.append(page(who, *items, asked="cat"))
    found = krippendorff_alpha(answers_of(facts(*pages)), classes=1)
    assert found.value == pytest.approx(0.095, abs=5e-4)
    assert found.units == 10
    assert -1 < found.low < 0.095 < found.high < 1


def test_alpha_counts_what_nobody_placed():
    """Ten classes: both place the cat, one a dog too; eight classes that nobody placed agree on no.

    Of 20 values 3 are yes. Disagreement: observed 2 / 20, expected 2 * 3 * 17 / (20 * 19).
    """
    pages = (
        page("a", place_item("i", [("cat", (0.5, 0.5)), ("dog", (0.1, 0.1))])),
        page("b", place_item("i", [("cat", (0.4, 0.5)), ("cow", None)])),
    )
    found = krippendorff_alpha(answers_of(facts(*pages)), classes=10)
    assert found.value == pytest.approx(1 - (2 / 20) / (2 * 3 * 17 / (20 * 19)))


def test_alphas_interval_is_over_images():
    """One of two leaves 6 of 30 images empty: the 80 answers about an image are not 80 draws."""
    rng = np.random.default_rng(0)
    shown = [[str(name) for name in rng.choice(80, 3, replace=False)] for _ in range(30)]
    pages = [
        page(who, place_item(f"i{at}", [(name, (0.5, 0.5)) for name in names if who == "a" or at >= 6]))
        for at, names in enumerate(shown)
        for who in "ab"
    ]
    found = krippendorff_alpha(answers_of(facts(*pages)), classes=80)
    # The same by hand: rows of (no, yes), 80 an image, by the reference implementation.
    rows = np.array([[[1, 1] if at < 6 else [0, 2]] * 3 + [[2, 0]] * 77 for at in range(30)])

    def expected(images):
        return alpha(value_counts=rows[images].reshape(-1, 2), level_of_measurement="nominal")

    drawn = [expected(rng.integers(30, size=30)) for _ in range(300)]
    assert found.value == pytest.approx(expected(np.arange(30)), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)
    assert found.low < 0.8  # over answers: 0.82
    assert (found.units, found.images) == (2400, 30)


def test_answers_about_one_image_are_drawn_together():
    """Twelve images, three classes: of every second image nothing is agreed on."""

    def said(image):
        return [
            page(
                who,
                select_item(image(at, number), (0.5, 0.5) if yes else None),
                asked=f"c{number}",
                work=f"{who}{at}{number}",
            )
            for at in range(12)
            for number in range(3)
            for who, yes in (("a", number < 2), ("b", (number < 2) is bool(at % 2)))
        ]

    def alpha_of(pages):
        return krippendorff_alpha(answers_of(facts(*pages)), classes=3)

    together = alpha_of(said(lambda at, number: f"i{at}"))
    apart = alpha_of(said(lambda at, number: f"i{at}, {number}"))
    assert together.value == apart.value and together.units == apart.units == 36
    assert (together.images, apart.images) == (12, 36)
    assert together.high - together.low > 1.4 * (apart.high - apart.low)
    one = alpha_of(said(lambda at, number: "i"))
    assert (one.low, one.high, str(one)) == (None, None, f"{one.value:.2f} (no interval; 3 units of 1 image)")


def test_alpha_needs_two_answers_and_both_values():
    alone = page("a", select_item("i", (0.5, 0.5)), asked="cat")
    assert krippendorff_alpha(answers_of(facts(alone)), 1).value is None
    alike = page("b", select_item("i", (0.5, 0.5)), asked="cat")
    both = krippendorff_alpha(answers_of(facts(alone, alike)), 1)
    assert (both.value, both.units, str(both)) == (None, 1, "- (1 unit of 1 image)")


def test_majority_is_that_of_the_others():
    def said(who, yes):
        return page(who, select_item("i", (0.5, 0.5) if yes else None), asked="cat")

    found = with_majority(answers_of(facts(said("a", True), said("b", True), said("c", False))))
    # For a and b the others are divided; c is against both.
    assert found == {"c": Proportion(0, 1)}


def test_distance_is_to_the_median_of_two_others():
    pages = [
        page(who, select_item("i", at), asked="cat")
        for who, at in (("a", (0.5, 0.5)), ("b", (0.5, 0.5)), ("c", (0.8, 0.9)))
    ]
    found = consensus_distances(points_of(facts(*pages)))
    assert found["c"] == [pytest.approx(0.5)]
    assert found["a"] == [pytest.approx(0.25)]  # to (0.65, 0.7)
    assert consensus_distances(points_of(facts(*pages[1:]))) == {}


GOLD = {
    "shown": {"cat": [[0.2, 0.2, 0.6, 0.6]]},
    "somewhere": {"cat": []},
    "absent": {"cat": None},
    "other": {"dog": [[0.0, 0.0, 1.0, 1.0]]},
}


def test_gold_of_a_select_page():
    """Two show the cat, of which one is found; one is wrong; of `other` nothing is known about cats."""
    selected = page(
        "a",
        select_item("shown", (0.61, 0.3)),
        select_item("somewhere"),
        select_item("absent", (0.5, 0.5)),
        select_item("other", (0.5, 0.5)),
        select_item("unknown", (0.5, 0.5)),
        asked="cat",
    )
    whole = quality(facts(selected), GOLD, 1).whole
    assert (whole.recall, whole.precision) == (Proportion(1, 2), Proportion(1, 2))
    assert whole.in_box == Proportion(0, 1)
    assert whole.center == Proportion(3, 4)


def test_gold_of_a_place_page():
    """A class that gold does not name is not shown on a `place` page."""
    placed = page("a", place_item("shown", [("cat", (0.6, 0.6)), ("cow", (0.5, 0.5))]))
    whole = quality(facts(placed), GOLD, 3).whole
    assert (whole.recall, whole.precision, whole.in_box) == (
        Proportion(1, 1),
        Proportion(1, 2),
        Proportion(1, 1),
    )


def test_a_keyboard_selects_no_place():
    by_keyboard = page("a", select_item("shown", (0.5, 0.5), pointer="keyboard"), asked="cat")
    whole = quality(facts(by_keyboard), GOLD, 1).whole
    assert whole.recall == Proportion(1, 1)
    assert whole.in_box == whole.center == Proportion()


def test_clicks_without_movement_are_counted():
    walked, jumped, stood = (
        select_item("i", (0.5, 0.5)),
        select_item("j", (0.5, 0.5), path=()),
        select_item("k", (0.5, 0.5), path=((0.5, 0.5), (0.5, 0.5))),
    )
    late = select_item("l", (0.5, 0.5), path=((0.5, 0.5), *((0.6, 0.5),) * 80))  # moved before, and after
    whole = quality(facts(page("a", walked, jumped, stood, late, asked="cat")), {}, 1).whole
    assert whole.unmoved == Proportion(2, 4)
    by_touch = page("a", select_item("j", (0.5, 0.5), path=(), pointer="touch"), asked="cat")
    assert quality(facts(by_touch), {}, 1).whole.unmoved == Proportion()


def test_replayed_traces_are_found_whatever_their_times():
    assert fingerprint(track(*CIRCLE)) == fingerprint(track(*CIRCLE, start=500, step=33))
    assert fingerprint(track(*CIRCLE)) != fingerprint(track(*CIRCLE[1:]))
    assert fingerprint(track(*CIRCLE[:5] * 3)) is None  # too few positions to tell
    pages = (
        page("a", select_item("i", path=CIRCLE), asked="cat"),
        page("b", select_item("j", path=CIRCLE), select_item("k", path=CIRCLE[::-1]), asked="cat"),
        page("c", select_item("i", path=CIRCLE[2:]), asked="cat"),
    )
    found = quality(facts(*pages), {}, 1)
    assert {name: each.replayed for name, each in found.annotators.items()} == {"a": 1, "b": 1, "c": 0}


def test_a_keyboard_replays_nothing():
    """Its steps are 0.01 for everybody: two icons that are moved to the left go through the same places."""

    def moved(item):
        screen = Screen({item: [100, 100, 400, 300]}, pointer="keyboard").open()
        at = {"item": item, "after": 80, "icon": 1, "label": "cat"}
        screen.add("category", category=0, pointer="keyboard", trusted=True).at("pick", 0.5, 0.5, **at)
        for step in range(1, 13):
            screen.at("drag", 0.5 - 0.01 * step, 0.5, **at)
        return screen.at("add", 0.38, 0.5, **at).submit().work(class_name=None)

    pages = [page_result(replace(moved(item), annotator=who)) for who, item in (("a", "i"), ("b", "j"))]
    assert all(each.items[0].track[-1].pointer == "keyboard" for each in pages)
    assert quality(facts(*pages), {}, 1).whole.replayed == 0
    by_mouse = tuple(replace(each, pointer="mouse") for each in pages[0].items[0].track)
    assert fingerprint(by_mouse) is not None and fingerprint(pages[0].items[0].track) is None


def test_the_places_that_are_judged_are_those_that_are_exported():
    """Of two icons of a class the one that was touched last; of selections the first that is a place."""
    first, last = (0.1, 0.1), (0.8, 0.8)
    placed = place_item("i", [("cat", last), ("cat", first)])
    moved = replace(placed.icons[0].actions[0], t=20.0)  # the first icon was touched last
    placed = replace(placed, icons=(replace(placed.icons[0], actions=(moved,)), placed.icons[1]))
    selects = (
        Sample(0.0, 0.0, 1.0, "keyboard"),
        Sample(9.0, 0.5, 2.0),
        Sample(*last, 3.0),
        Sample(*first, 4.0),
    )
    selected = replace(select_item("j", first), selects=selects)
    views = [
        view
        for each in (page("a", placed), page("a", selected, asked="cat"))
        for view in views_of(each, {"i": "target", "j": "target"})
    ]
    assert [vote.point for vote in (*place_votes(views), *select_votes(views))] == [last, last]
    found = facts(page("a", placed), page("a", selected, asked="cat"))
    assert [dict(each.points) for each in found] == [{("i", "cat"): last}, {("j", "cat"): last}]


def test_figures_of_annotators_and_pages_add_up():
    pages = [
        page("a", select_item("i", (0.3, 0.3)), asked="cat", work="w1", visible=4000, untrusted=2),
        page("a", select_item("j"), asked="cat", work="w2", visible=8000),
        page("b", select_item("i"), asked="cat", work="w3", visible=6000),
    ]
    found = quality(facts(*pages), {}, 1)
    assert (found.whole.pages, found.whole.visible, found.whole.untrusted) == (3, 6000, 2)
    assert (found.annotators["a"].pages, found.annotators["a"].visible) == (2, 6000)
    assert set(found.pages) == {"w1", "w2", "w3"}
    assert found.annotator_of["w2"] == "a"
    assert found.whole.to_json()["majority"]["total"] == 2


def test_nothing_has_figures_too():
    found = quality([], {}, 1)
    assert (found.whole.pages, found.whole.visible, found.agreement.value) == (0, None, None)
