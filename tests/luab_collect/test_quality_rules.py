"""Rules propose where they should, with their figures, and nowhere else."""

import math

import pytest
from fixtures.page_results import page, select_item
from pydantic import ValidationError

from luab_collect.quality.facts import page_facts
from luab_collect.quality.figures import quality
from luab_collect.quality.rules import proposals
from luab_collect.quality.thresholds import QualityThresholds

GOLD = {f"i{at}": {"cat": [[0.2, 0.2, 0.4, 0.4]]} for at in range(20)}


def path(seed):
    """A way of its own for each image and annotator."""
    return tuple((0.1 + 0.02 * at, 0.5 + 0.1 * math.sin(seed + at)) for at in range(15))


def work(annotator, click=(0.3, 0.3), missed=0, **options):
    number = sum(map(ord, annotator + options.get("work", "")))
    items = [
        select_item(f"i{at}", None if at < missed else click, path=path(20 * number + at)) for at in range(20)
    ]
    return page(annotator, *items, asked="cat", **options)


def proposed(*pages, thresholds=None, settled=()):
    found = quality([page_facts(each) for each in pages], GOLD, 1, frozenset(settled))
    return {(each.id, each.rule): each.reason for each in proposals(found, thresholds or QualityThresholds())}


GOOD = [work(name) for name in ("a", "b", "c")]


def test_good_work_is_left_alone():
    assert proposed(*GOOD) == {}


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (work("z", missed=15), {"gold_recall", "majority"}),
        (work("z", click=(0.9, 0.9)), {"in_box", "distance"}),
        (work("z", click=(0.5, 0.5)), {"in_box", "center", "distance"}),
        (work("z", visible=1000), {"fast"}),
        (work("z", untrusted=3), {"untrusted"}),
        (work("z", mismatched=3), {"mismatched"}),
    ],
)
def test_bad_work_is_proposed(bad, expected):
    found = proposed(*GOOD, bad)
    assert {rule for who, rule in found if who == "z"} == expected
    assert {who for who, _ in found} == {"z"}


def test_what_is_wrong_is_said_with_its_figures():
    found = proposed(*GOOD, work("z", missed=15), work("y", visible=1000), work("x", untrusted=3))
    assert found["z", "gold_recall"] == (
        "25% (11% to 47%; 5 of 20) of what gold images show was found; expected: at least 70%"
    )
    assert found["y", "fast"] == ("a page was visible for 1.0 s, usual are 10.0 s; expected: at least 2.5 s")
    assert "3 events were made by a program" in found["x", "untrusted"]


def test_wrong_answers_are_proposed():
    nothing = {name: {"cat": None} for name in GOLD}
    found = quality([page_facts(work("z"))], nothing, 1)
    assert [each.rule for each in proposals(found, QualityThresholds())] == ["gold_precision"]


def test_replays_are_proposed():
    copied = page("z", *(select_item(f"i{at}", (0.3, 0.3), path=path(7)) for at in range(20)), asked="cat")
    assert "20 traces are" in proposed(*GOOD, copied)["z", "replayed"]


def test_clicks_without_movement_are_proposed():
    jumping = page("z", *(select_item(f"i{at}", (0.3, 0.3), path=()) for at in range(20)), asked="cat")
    assert {rule for _, rule in proposed(*GOOD, jumping)} == {"unmoved"}


def test_few_decisions_accuse_nobody():
    """Two of three gold images missed: the interval reaches to 79 %."""
    few = page("z", *(select_item(f"i{at}", (0.3, 0.3) if at == 0 else None) for at in range(3)), asked="cat")
    assert proposed(*GOOD, few) == {}


def test_single_pages_are_proposed_where_the_annotator_is_not():
    pages = [*GOOD, *(work("z", work=f"w{at}") for at in range(9)), work("z", work="bad", visible=500)]
    found = proposed(*pages)
    assert set(found) == {("bad", "fast")}


def test_rules_judge_what_came_after_a_decision_by_itself():
    """The same images each time: the last answers are those of the later page."""
    early = [work("z", work=name, missed=15, click=(0.9, 0.9)) for name in ("early", "second")]
    late = work("z", work="late")
    settled = [each.work for each in early]
    assert {rule for _, rule in proposed(*GOOD, *early, late)} == {"gold_recall"}
    assert proposed(*GOOD, *early, late, settled=settled) == {}
    assert proposed(*GOOD, *early, settled=settled) == {}
    worse = work("z", work="worse", missed=15, visible=1000)
    found = proposed(*GOOD, late, worse, settled=["late"])
    assert {rule for _, rule in found} == {"gold_recall", "majority", "fast"}
    assert found["z", "gold_recall"].startswith("25% (11% to 47%; 5 of 20)")
    assert all(reason.endswith(" (1 page since the last decision)") for reason in found.values())


def test_thresholds_are_the_projects():
    off = QualityThresholds(gold_recall=0, majority=0)
    assert proposed(*GOOD, work("z", missed=15), thresholds=off) == {}
    assert ("a", "fast") not in proposed(*GOOD, thresholds=QualityThresholds(fast=1))


@pytest.mark.parametrize(
    "given", [{"gold_recall": 70}, {"fast": -1}, {"replayed": 0.5}, {"center": "1"}, {"gold": 1}]
)
def test_wrong_thresholds_are_refused(given):
    with pytest.raises(ValidationError, match=next(iter(given))):
        QualityThresholds(**given)
