"""Who gets which page: overlap, least annotated first, leases, never twice. On both databases."""

import pytest
from sqlalchemy import delete, func, select

from luab_collect.commands.status import lines
from luab_collect.review.review import read_review
from luab_collect.store import tables as t
from luab_collect.store.decisions import decide
from luab_collect.store.leases import own, renew, take_over
from luab_collect.store.opening import ProjectStore
from luab_collect.store.people import annotator_of
from luab_collect.store.progress import progress
from luab_collect.store.refusals import Refusal
from luab_collect.store.results import stored_work
from luab_collect.store.retention import withdraw
from luab_collect.store.work import begin_next, submit, where
from luab_data.errors import SourceError

from luab_collect.store.ingest import pack, take  # isort: skip
from fixtures.shops import Clock, make_shop, page_events


class Desk:
    """The store, worked on without HTTP."""

    def __init__(self, folder, database, **settings):
        self.clock = Clock()
        self.store = ProjectStore(make_shop(folder, database=database, **settings), self.clock)
        self.rules = self.store.rules
        self.ids = {}

    def __call__(self, change, *args):
        with self.store.writing() as connection:
            return change(connection, *args)

    def person(self, name):
        if name not in self.ids:
            self.ids[name] = self(annotator_of, self.store.secret, "url", name, self.clock()).id
        return self.ids[name]

    def where(self, name, visit=None):
        return self(where, self.person(name), visit, self.rules, self.clock())

    def page(self, name, visit=None):
        """Number of the page that is hers."""
        place = self.where(name, visit)
        return None if place.work is None else place.work.page_id - 1

    def do(self, name, visit=None):
        """Finishes the page that is hers; its number."""
        work = self.where(name, visit).work
        self.finish(name, work.id)
        return work.page_id - 1

    def finish(self, name, work, blank=False):
        """Finishes a page of work, also one whose lease ran out; its row."""

        def all_of_it(connection):
            row = own(connection, work, self.person(name))
            epoch = take_over(connection, row, self.rules, self.clock())
            row = own(connection, work, self.person(name))
            events = page_events("x")
            take(connection, row, epoch, pack(events), self.clock())
            submit(connection, row, epoch, len(events), self.clock(), blank)
            return own(connection, work, self.person(name))

        return self(all_of_it)

    def progress(self):
        """The counts of `luab collect status`."""
        return self(progress, self.rules, self.clock())

    def taken(self):
        with self.store.reading() as connection:
            return list(connection.execute(select(t.pages.c.taken).order_by(t.pages.c.number)).scalars())


@pytest.fixture
def desk(tmp_path, database):
    made = []

    def make(**settings):
        made.append(Desk(tmp_path / "shop", database, **settings))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


def test_each_page_goes_to_overlap_annotators_the_least_annotated_first(desk):
    desk = desk(overlap=2, pages_per_hit=2)  # 4 pages of 3 images
    assert [desk.page("a"), desk.page("b"), desk.page("a")] == [0, 1, 0]  # hers, until it is done
    assert desk.taken() == [1, 1, 0, 0]
    assert [desk.do("a"), desk.page("a"), desk.page("c")] == [0, 2, 3]
    assert desk.page("d") == 0  # all have one
    assert desk.taken() == [2, 1, 1, 1]
    assert desk.page("e") == 1
    assert [desk.page("f"), desk.page("g"), desk.page("h")] == [2, 3, None]
    assert desk.taken() == [2, 2, 2, 2]


def test_who_withdraws_while_others_read_is_read_as_she_was(desk):
    desk = desk(overlap=2)
    for name in "ab":
        desk.do(name)
    with desk.store.reading() as connection:
        works = stored_work(connection)
        first = next(works)
        desk(withdraw, desk.person("b"), desk.clock())
        (second,) = works
        assert [event.kind for event in second.events[1]] == [event.kind for event in first.events[1]]
        assert len(list(stored_work(connection))) == 2
    with desk.store.reading() as connection:
        assert [each.id for each in stored_work(connection)] == [first.id]


def test_submitted_work_without_its_events_is_no_answer(desk):
    desk = desk()
    desk.do("a")
    desk(lambda c: c.execute(delete(t.batches)))
    damaged = r"damaged: page of work [0-9a-f]{32} .* has no events"
    with desk.store.reading() as connection, pytest.raises(SourceError, match=damaged):
        list(stored_work(connection))


def test_nobody_gets_a_page_twice(desk):
    desk = desk(overlap=3, pages_per_hit=2)
    assert [desk.do("a") for _ in range(2)] == [0, 1]
    assert desk.where("a").assignment.code
    desk(begin_next, desk.person("a"), None, desk.rules, desk.clock())
    assert [desk.do("a") for _ in range(2)] == [2, 3]
    place = desk.where("a")
    assert place.work is None and not place.more and place.done == 2
    assert desk(begin_next, desk.person("a"), None, desk.rules, desk.clock()).work is None


def test_a_clock_that_was_set_back_shows_the_last_code_and_counts_the_last_answer(desk):
    desk = desk(overlap=3, pages_per_hit=1)
    codes, pages = [], []
    for _ in range(3):
        pages.append(desk.do("a"))
        codes.append(desk.where("a").assignment.code)
        desk.clock.now -= 3600
        desk(begin_next, desk.person("a"), None, desk.rules, desk.clock())
    desk.do("a")
    assert desk.where("a").assignment.code not in [None, *codes]  # the one of what she has just done
    with desk.store.reading() as connection:
        assert [each.page for each in stored_work(connection)][:3] == pages  # in the order of submission
        review = read_review(connection, desk.store.project)
    assert list(review.quality.pages) == [each.id for each in desk(lambda c: list(stored_work(c)))]


def test_an_abandoned_page_is_returned_and_whoever_left_it_goes_on_if_nobody_took_it(desk):
    desk = desk(overlap=1, lease_minutes=30)
    assert desk.page("a") == 0
    left = desk.where("a").work.id
    desk.clock.now += 31 * 60
    assert desk.page("b") == 0  # it was free again
    assert desk.taken() == [1, 0, 0, 0]
    assert desk.page("a") == 1  # so she gets another one
    desk.clock.now += 31 * 60
    assert desk.page("b") == 0  # nobody took it: she goes on
    assert desk.page("a") == 1
    assert desk.where("a").work.id != left


def test_a_sign_of_life_renews_a_lease(desk):
    desk = desk(overlap=1, lease_minutes=30)
    work = desk.where("a").work
    for _ in range(5):
        desk.clock.now += 20 * 60
        row = desk(own, work.id, desk.person("a"))
        desk(renew, row, desk.rules, desk.clock())
    assert desk.page("b") == 1
    assert desk.taken() == [1, 1, 0, 0]


def test_work_that_was_finished_late_counts_all_the_same(desk):
    desk = desk(overlap=1, lease_minutes=30)
    work = desk.where("a").work
    desk.clock.now += 31 * 60
    assert desk.page("b") == 0
    assert desk.finish("a", work.id).state == "submitted"
    assert desk.taken() == [2, 0, 0, 0]  # one more than asked for, none lost
    assert desk.do("b") == 0


def test_what_is_beyond_the_overlap_of_a_page_does_not_stand_for_another_page(desk):
    desk = desk(overlap=1, images=6, lease_minutes=30)  # 2 pages
    work = desk.where("a").work
    desk.clock.now += 31 * 60
    assert desk.do("b") == 0
    desk.finish("a", work.id)
    counts = desk.progress()
    assert (counts["wanted"], counts["submitted"], counts["beyond"], counts["not_counted"]) == (2, 1, 1, 0)
    assert counts["left_hours"] == pytest.approx(12)  # 1 page at 2 a day
    told = "\n".join(lines(counts))
    assert "1 of 2 (50%)" in told and "1 beyond the overlap" in told and "hours left" in told
    assert desk.do("b") == 1
    assert "hours left" not in "\n".join(lines(desk.progress()))


def test_the_pace_is_that_of_work_that_counts(desk):
    desk = desk(overlap=1, pages_per_hit=4)  # 4 pages
    desk.do("a")
    desk.finish("a", desk.where("a").work.id, blank=True)
    desk.do("b")
    rejected = desk(lambda c: next(each.id for each in stored_work(c) if each.page == 0))
    desk(lambda c: decide(c, work=rejected, verdict="reject", reason="no care", by="me", now=1.0))
    counts = desk.progress()
    assert (counts["submitted"], counts["not_counted"]) == (1, 2)
    assert counts["pace"] == {"last_hour": 1, "last_day": 1}
    assert counts["left_hours"] == pytest.approx(3 * 24)


def test_a_page_that_all_others_left_comes_back_to_her(desk):
    desk = desk(overlap=1, images=3)  # one page
    assert desk.page("a") == 0
    desk.clock.now += 31 * 60
    assert desk.page("b") == 0
    assert desk.page("a") is None
    desk.clock.now += 31 * 60
    assert desk.do("a") == 0
    assert desk.page("b") is None


def test_a_code_is_random_and_for_complete_work_only(desk):
    desk = desk(overlap=2, pages_per_hit=2)
    for name in "ab":
        assert desk.where(name, "visit").assignment.code is None
        desk.do(name, "visit")
        assert desk.where(name, "visit").assignment.code is None
        desk.do(name, "visit")
    codes = [desk.where(name, "visit").assignment.code for name in "ab"]
    assert len(set(codes)) == 2 and all(len(code) == 12 for code in codes)
    with pytest.raises(Refusal, match="one assignment"):
        desk(begin_next, desk.person("a"), "visit", desk.rules, desk.clock())
    assert desk.page("a", "another visit") in (2, 3)


def test_an_assignment_ends_early_where_no_page_is_left(desk):
    desk = desk(overlap=1, pages_per_hit=3)  # 4 pages
    assert [desk.do("a", "v") for _ in range(3)] == [0, 1, 2]
    assert desk.where("b", "w").assignment.pages == 1
    desk.do("b", "w")
    assert desk.where("b", "w").assignment.code
    assert desk.where("c", "x").assignment is None  # nothing, and no code


def test_rejected_work_is_done_again_by_another_annotator(desk):
    desk = desk(overlap=1, images=3)
    desk.do("a")
    work = desk(lambda c: c.execute(select(t.work.c.id)).scalar())
    decision = {"verdict": "reject", "reason": "clicks everywhere", "by": "me", "now": 1.0}
    desk(lambda c: decide(c, work=work, **decision))
    assert desk.taken() == [0]
    assert desk.page("b") == 0
    desk(lambda c: decide(c, work=work, **decision | {"verdict": "accept"}))
    assert desk.taken() == [2]
    pseudonym = desk(
        lambda c: c.execute(select(t.annotators.c.pseudonym).order_by(t.annotators.c.id)).scalar()
    )
    desk(lambda c: decide(c, annotator=pseudonym, **decision))
    assert desk.taken() == [1]
    assert desk(lambda c: c.execute(select(func.count()).select_from(t.decisions)).scalar()) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": "maybe"}, "verdict is 'maybe'"),
        ({"reason": "  "}, "needs its reason"),
        ({"work": None}, "about a page of work or about an annotator"),
        ({"work": "0" * 32}, "no such submitted"),
        ({"work": None, "annotator": "x"}, "no such annotator"),
    ],
)
def test_decisions_are_checked(tmp_path, change, reason):
    desk = Desk(tmp_path / "shop", None)
    given = {"verdict": "accept", "reason": "good", "by": "me", "now": 1.0, "work": "1"} | change
    with pytest.raises(Refusal, match=reason):
        desk(lambda c: decide(c, **given))
    desk.store.close()
