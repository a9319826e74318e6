"""An image that failed to load in an annotator's browser was seen by nobody: it is no answer, anywhere."""

import json
from dataclasses import replace

import datasets
import pytest
from fastapi.testclient import TestClient
from fixtures.finished_work import all_work, make_project
from fixtures.page_results import page, place_item, select_item
from fixtures.pages_of_work import Screen
from fixtures.shops import POINTER, POSITION, Running, event

from luab_collect.commands.status import lines
from luab_collect.derive import page_result
from luab_collect.events import parse_event
from luab_collect.export.run import export
from luab_collect.items import read_items
from luab_collect.quality.agreement import answers_of, krippendorff_alpha, with_majority
from luab_collect.quality.facts import page_facts
from luab_collect.quality.figures import quality
from luab_collect.quality.rules import proposals
from luab_collect.quality.thresholds import QualityThresholds
from luab_collect.review.review import read_review
from luab_collect.review.text import summary, table
from luab_collect.server.admin import create_admin_app
from luab_collect.settings import Shares
from luab_collect.store.decisions import decide
from luab_collect.store.progress import progress
from luab_collect.store.results import stored_work
from luab_collect.store.work import MOST_BLANK
from luab_data.errors import SourceError

MISSED = "cat/1.png"


def gone(item):
    return replace(item, loaded=False)


@pytest.mark.parametrize(
    ("told", "loaded"),
    [
        ([], True),  # as pages of earlier versions
        ([("loaded", "a")], True),
        ([("missing", "a")], False),
        ([("missing", "a"), ("loaded", "a")], True),  # a later try
        ([("missing", "b")], True),
    ],
)
def test_an_image_was_seen_unless_it_was_given_up_and_never_came(told, loaded):
    screen = Screen({name: [0.0, 0.0, 10.0, 10.0] for name in "ab"}).open()
    for kind, item in told:
        screen.later(50).add(kind, item=item)
    a, _ = page_result(screen.submit().work()).items
    assert a.loaded is loaded


def test_an_image_that_came_in_an_earlier_tab_was_seen():
    first = Screen({"a": [0.0, 0.0, 10.0, 10.0]}).open().later(10).add("loaded", item="a")
    second = Screen({"a": [0.0, 0.0, 10.0, 10.0]}).open().later(10).add("missing", item="a").submit()
    work = second.work()
    work.events = {1: first.parsed(), 2: second.parsed()}
    assert page_result(work).items[0].loaded


def test_what_was_selected_was_seen_though_its_page_was_of_a_version_that_did_not_say_so():
    """Begun before an upgrade, reloaded after it, when the images could not be read."""
    box = [0.0, 0.0, 10.0, 10.0]
    first = Screen({"a": box, "b": box}).open().later(10).add("select", item="a", **POINTER, **POSITION)
    second = Screen({"a": box, "b": box}).open()
    for item in "ab":
        second.later(10).add("missing", item=item)
    work = second.submit().work()
    work.events = {1: first.parsed(), 2: second.parsed()}
    a, b = page_result(work).items
    assert (a.selected, a.loaded, b.loaded) == (True, True, False)


def test_it_counts_neither_for_agreement_nor_against_gold():
    yes, no = select_item("i", (0.5, 0.5)), select_item("i")
    others = [page(name, yes, select_item("j"), asked="cat") for name in "ab"]
    blind = page("c", gone(no), select_item("j"), asked="cat")
    gold = {"i": {"cat": [[0.4, 0.4, 0.6, 0.6]]}}

    found = quality([page_facts(each) for each in (*others, blind)], gold, 1)
    assert (found.annotators["c"].recall.total, found.whole.recall.count, found.whole.recall.total) == (
        0,
        2,
        2,
    )
    assert (found.annotators["c"].unseen.count, found.annotators["c"].unseen.total) == (1, 2)
    answers = answers_of([page_facts(each) for each in (*others, blind)])
    assert set(answers["i", "cat"]) == {"a", "b"}
    assert krippendorff_alpha(answers, 1).value == 1.0
    assert with_majority(answers)["c"].total == 1  # of j


def test_icons_on_an_image_that_never_came_are_no_answers():
    placed = place_item("i", [("dog", (0.5, 0.5))])
    facts = page_facts(page("a", gone(placed)))
    assert (dict(facts.answers), dict(facts.points), facts.blank) == ({}, {}, True)
    found = quality([facts], {"i": {"cat": []}}, 2).whole
    assert (found.recall.total, found.precision.total, found.center.total, found.visible) == (0, 0, 0, None)


def test_whose_images_never_come_is_proposed_and_not_for_speed():
    usual = [page(f"a{n}", place_item(f"i{n}", [("dog", (0.4, 0.4 + n / 50))])) for n in range(5)]
    blind = [page("z", gone(place_item(f"i{n}", [])), visible=10.0, work=f"z{n}") for n in range(5)]
    figures = quality([page_facts(each) for each in (*usual, *blind)], {}, 2)
    found = {(each.id, each.rule): each.reason for each in proposals(figures, QualityThresholds())}
    assert set(found) == {("z", "unseen")}
    assert "5 of 5" in found["z", "unseen"] and "never came" in found["z", "unseen"]


@pytest.fixture
def shop(tmp_path):
    files = [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(4)]
    return make_project(tmp_path, "select", files, "cat\ndog\n", images_per_page=8)


def with_missing(work, item):
    """The page of work as if the image had never come."""
    last = max(each.seq for each in work.events[1])
    told = [parse_event({"seq": last + 1, "kind": "missing", "t": 1e4, "item": item})]
    return replace(work, events={1: [*work.events[1], *told]})


def collected(shop, missing):
    """Two annotators select each image of its class; for the second one, `missing` never came."""
    items = {item.file: item for item in read_items(shop)}
    for work in all_work(
        shop, 2, lambda who, item, name: (0.5, 0.5) if who == 0 and item.file.startswith(name) else None
    ):
        if int(work.annotator, 16) == 1:
            for file in missing:
                if items[file].id in {each.id for each in work.items}:
                    work = with_missing(work, items[file].id)
        yield work


@pytest.mark.parametrize("layout", ["plain", "imagenet"])
def test_the_export_has_no_vote_of_who_did_not_see_the_image(shop, tmp_path, layout):
    told = export(shop, collected(shop, [MISSED]), tmp_path / "out", layout)
    assert "no answer about 1 image: never came in the browser, left out" in told
    assert json.loads((tmp_path / "out" / "export.json").read_text())["unseen_images"] == 1
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    names = "image_id" if "image_id" in rows.column_names else "id"
    row = {each[names].removesuffix(".png"): each for each in rows.remove_columns("image")}["cat/1"]
    assert len(row["annotations"]) == 1
    if layout == "plain":  # seen by both it would be undecided, and have no row
        assert row["votes"] == [{"label": 0, "yes": 1, "asked": 1}]
        assert len(rows) == 1


@pytest.mark.parametrize("accepted_only", [False, True])
def test_the_export_says_why_an_image_has_no_answer(tmp_path, accepted_only):
    """Four pages: one is exported, of one no image came, one is rejected or undecided, one is not done."""
    files = [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(4)]
    shares = Shares(target=1.0, distractor=0.0, gold=0.0)
    shop = make_project(tmp_path, "select", files, "cat\ndog\n", images_per_page=2, shares=shares)
    done, blind, left, _ = all_work(shop, 1, lambda who, item, name: (0.5, 0.5))
    for at, item in enumerate(blind.items):
        told = {"seq": 900 + at, "kind": "missing", "t": 1e4, "item": item.id}
        seen = [each for each in blind.events[1] if each.kind != "select"]
        blind = replace(blind, events={1: [*seen, parse_event(told)]})
    left = replace(left, verdict=None if accepted_only else "reject")
    works = [replace(done, verdict="accept"), replace(blind, verdict="accept"), left]
    told = export(shop, works, tmp_path / "out", accepted_only=accepted_only)
    assert sorted(line for line in told if " images " in line and line.startswith("2 ")) == [
        "2 images of which all work is rejected or left out",
        "2 images of which nobody has submitted work yet",
        "2 images that came in the browser of nobody whose work is exported",
    ]


def test_there_is_nothing_to_export_of_images_that_nobody_saw(shop, tmp_path):
    every = [item.file for item in read_items(shop)]
    works = [work for work in collected(shop, every) if int(work.annotator, 16) == 1]
    with pytest.raises(SourceError, match=r"nothing to export yet.*no answer about"):
        export(shop, works, tmp_path / "out")


def finish(annotator, *missing):
    """Does a page on which the images with these numbers never came; the page."""
    told, base, epoch = annotator.begin()
    items = [each["id"] for each in told["items"]]
    events = [event(1, "open")]
    for number, item in enumerate(items):
        kind = "missing" if number in missing else "loaded"
        events.append({"seq": number + 2, "kind": kind, "t": 5.0, "item": item})
    events.append(event(len(events) + 1, "submit"))
    assert annotator.send(base, epoch, events).json() == {"acked_through": len(events)}
    assert annotator.post(f"{base}/submit", {"epoch": epoch, "last_seq": len(events)}).status_code == 200
    return told


@pytest.fixture
def studio(tmp_path, database):
    running = []

    def make(**settings):
        running.append(Running(tmp_path / "shop", database=database, **settings))
        return running[-1]

    yield make
    for each in running:
        each.studio.close()


def figures_of(running):
    with running.store.reading() as connection:
        return progress(connection, running.store.rules, running.store.clock()), read_review(
            connection, running.store.project
        )


def number_of(running, told):
    with running.store.reading() as connection:
        return next(each.page for each in read_works(connection) if each.id == told["work"])


def read_works(connection):
    return list(stored_work(connection, all_states=True))


def test_a_page_of_which_nothing_was_seen_goes_to_another_annotator(studio):
    running = studio(images=6, pages_per_hit=2)  # 2 pages of 3 images, each for 1 annotator
    ann, ben = running.annotators("Ann", "Ben")
    first = finish(ann, 0, 1, 2)
    second = finish(ann, 1)
    assert ann.work()["state"] == "done"  # it was not her fault
    assert number_of(running, finish(ben)) == number_of(running, first)
    assert ben.work()["state"] == "done"
    counts, review = figures_of(running)
    assert (counts["submitted"], counts["not_counted"], counts["blank"], counts["blank_pages"]) == (
        2,
        1,
        1,
        0,
    )
    assert "of 1 of them no image came in the browser" in "\n".join(lines(counts))
    assert any("no answer about 4 of 9 images shown" in line for line in summary(review))
    assert any(line.split()[-1] == "4" for line in table(review) if line.startswith(ann.pseudonym))
    assert number_of(running, second) != number_of(running, first)
    headers = {"Authorization": f"Bearer {running.studio.admin_token()}"}
    admin = TestClient(create_admin_app(running.studio), base_url="http://127.0.0.1:8001", headers=headers)
    shown = {each["work"]: [item["id"] for item in each["items"]] for each in (first, second)}
    told = {work: admin.get(f"/admin/api/work/{work}").json()["unseen"] for work in shown}
    assert told == {first["work"]: sorted(shown[first["work"]]), second["work"]: [shown[second["work"]][1]]}


def test_a_page_that_several_could_not_see_waits_for_a_person(studio):
    running = studio(task="place", images=2, pages_per_hit=1)
    people = running.annotators(*(f"p{n}" for n in range(MOST_BLANK + 2)))

    def look(annotator, *missing):
        """Only what the images of one page need."""
        told, base, epoch = annotator.begin()
        item = told["items"][0]["id"]
        kind = "missing" if number_of(running, told) in missing else "loaded"
        events = [event(1, "open"), {"seq": 2, "kind": kind, "t": 1.0, "item": item}]
        events += [event(3, "category", category=1), event(4, "submit")]
        annotator.send(base, epoch, events)
        assert annotator.post(f"{base}/submit", {"epoch": epoch, "last_seq": 4}).status_code == 200
        return number_of(running, told)

    assert look(people[0], 0) == 0
    assert look(people[1], 0) == 1  # what could be seen comes first
    assert [look(each, 0) for each in people[2 : MOST_BLANK + 1]] == [0] * (MOST_BLANK - 1)
    assert people[-1].work()["state"] == "nothing"
    counts, _ = figures_of(running)
    assert (counts["blank"], counts["blank_pages"]) == (MOST_BLANK, 1)
    assert "1 page nobody gets any more" in "\n".join(lines(counts))
    with running.store.reading() as connection:
        blank = next(each.id for each in read_works(connection) if each.page == 0)
    with running.store.writing() as connection:
        decide(connection, verdict="reject", reason="the disk is back", by="me", now=1.0, work=blank)
    assert look(people[-1]) == 0
