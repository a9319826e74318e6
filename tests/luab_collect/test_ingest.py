"""Events are stored once, in order, and nothing that contradicts them is taken or lost. On both databases."""

import random

import pytest
from fixtures.shops import event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from test_assignment import Desk

from luab_collect.store import ingest
from luab_collect.store import tables as t
from luab_collect.store.ingest import Taken, pack, take, unpack
from luab_collect.store.leases import own, take_over
from luab_collect.store.refusals import Refusal
from luab_collect.store.results import raw_events, stored_work

EVENTS = [event(seq, "move", item="x", x=seq / 1000) for seq in range(1, 21)]


class Page:
    """One page of work."""

    def __init__(self, desk):
        self.desk = desk
        self.id = desk.where("a").work.id
        self.epoch()

    def row(self, connection):
        return own(connection, self.id, self.desk.person("a"))

    def epoch(self):
        return self.desk(lambda c: take_over(c, self.row(c), self.desk.rules, self.desk.clock()))

    def take(self, events, epoch=1):
        return self.desk(lambda c: take(c, self.row(c), epoch, pack(events), self.desk.clock()))

    def stored(self):
        return self.desk(lambda c: raw_events(c, self.id))


@pytest.fixture
def page(tmp_path, database):
    desk = Desk(tmp_path / "shop", database)
    yield Page(desk)
    desk.store.close()


def test_events_are_appended_and_read_back(page):
    assert page.take(EVENTS[:3]) == Taken(3, appended=3)
    assert page.take(EVENTS[3:4]) == Taken(4, appended=1)
    assert page.stored() == {1: EVENTS[:4]}
    with page.desk.store.reading() as connection:
        (work,) = stored_work(connection, all_states=True)
        assert [each.seq for each in work.events[1]] == [1, 2, 3, 4]
        assert work.events[1][0].fields["x"] == 0.001
        assert (work.class_name, work.state, len(work.items)) == ("cat", "leased", 3)
        assert list(stored_work(connection)) == []


def test_changes_that_a_later_tab_does_not_show_are_refused_and_its_moves_are_taken(page):
    page.take(EVENTS[:3])
    page.epoch()
    select = event(4, "select", item="x")
    with pytest.raises(Refusal) as refusal:  # of a computer that was offline: the other one does not show it
        page.take([select, *EVENTS[4:6]])
    assert (refusal.value.code, refusal.value.more) == ("superseded", {"acked_through": 3})
    assert page.take(EVENTS[3:6]) == Taken(6, appended=3)
    opened = [event(1, "open"), event(2, "select", item="x")]
    assert page.take(opened, epoch=2) == Taken(2, appended=2)
    page.epoch()
    assert page.take(opened, epoch=2) == Taken(2)  # a repeat is no change
    assert page.take(EVENTS[:6]) == Taken(6)


def test_repeats_change_nothing_however_they_are_cut(page):
    page.take(EVENTS[:5])
    page.take(EVENTS[5:10])
    for start, end in ((0, 5), (2, 7), (0, 10), (9, 10), (4, 6)):
        assert page.take(EVENTS[start:end]) == Taken(10)
    assert page.take(EVENTS[7:13]) == Taken(13, appended=3)  # only the new tail
    assert page.stored() == {1: EVENTS[:13]}


def test_a_gap_is_refused_with_what_is_there(page):
    page.take(EVENTS[:5])
    with pytest.raises(Refusal, match="event 6 is missing before event 7") as refused:
        page.take(EVENTS[6:8])
    assert (refused.value.code, refused.value.more) == ("gap", {"acked_through": 5})
    assert page.stored() == {1: EVENTS[:5]}


def test_other_content_is_refused_and_both_are_kept(page):
    page.take(EVENTS[:5])
    forged = [*EVENTS[2:4], EVENTS[4] | {"x": 0.9}, EVENTS[5]]
    assert page.take(forged) == Taken(5, conflict=5)
    assert page.take(forged) == Taken(5, conflict=5)
    assert page.stored() == {1: EVENTS[:5]}
    kept = page.desk(lambda c: c.execute(select(t.conflicts)).all())
    assert [(row.first_seq, row.last_seq, unpack(row.body)) for row in kept] == [(3, 6, forged)]


def test_conflicts_that_are_kept_are_limited(page, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_CONFLICTS", 3)
    page.take(EVENTS[:1])
    for number in range(5):
        assert page.take([EVENTS[0] | {"x": number}]).conflict == 1
    assert len(page.desk(lambda c: c.execute(select(t.conflicts.c.id)).all())) == 3


def test_epochs_are_apart(page):
    page.take(EVENTS[:2])
    assert page.epoch() == 2
    assert page.take(EVENTS[:1], epoch=2) == Taken(1, appended=1)
    assert page.take(EVENTS[2:3], epoch=1) == Taken(3, appended=1)  # late, of the earlier tab
    for epoch in (0, 3):
        with pytest.raises(Refusal, match=f"epoch is {epoch}, and this page of work has had 2"):
            page.take(EVENTS[:1], epoch=epoch)
    assert page.stored() == {1: EVENTS[:3], 2: EVENTS[:1]}


def test_a_page_has_a_limit_of_bytes(page, monkeypatch):
    page.take(EVENTS[:2])
    monkeypatch.setattr(ingest, "MAX_BYTES", 600)
    with pytest.raises(Refusal, match="may have 600 bytes") as refusal:
        page.take(EVENTS[2:])
    assert refusal.value.code == "too_much" and page.stored() == {1: EVENTS[:2]}


def test_bytes_are_those_that_are_read_and_not_the_compressed_ones(page, monkeypatch):
    layout = {"layout": 1, "width": 800, "height": 600, "ratio": 1, "zoom": 1, "left": 0, "top": 0}
    boxes = {f"{number:016x}": [100.25, 100.25, 200.5, 200.5] for number in range(48)}
    events = [{"seq": n, "kind": "layout", "t": 0.0, **layout, "boxes": boxes} for n in range(1, 201)]
    batch = pack(events)
    assert batch.size > 100 * len(batch.body)
    monkeypatch.setattr(ingest, "MAX_BYTES", 2 * batch.size)
    page.take(events)
    assert page.take([events[0] | {"left": 5}, *events[1:]]).conflict == 1  # kept, so it counts
    with pytest.raises(Refusal, match="bytes of events"):
        page.take([events[0] | {"seq": 201}])


def test_a_page_has_a_limit_of_events_in_all_its_epochs(page, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_EVENTS", 10)
    page.take(EVENTS[:2])
    page.take(EVENTS[2:4])
    page.epoch()
    page.take(EVENTS[:5], epoch=2)
    page.epoch()
    for events, epoch in ((EVENTS[:2], 3), (EVENTS[5:7], 2), (EVENTS[4:6], 1)):
        with pytest.raises(Refusal, match="may have 10 events") as refusal:
            page.take(events, epoch)
        assert refusal.value.code == "too_much"
    assert page.take(EVENTS[:1], epoch=3) == Taken(1, appended=1)
    assert page.take(EVENTS[:5], epoch=2) == Taken(5)  # a repeat adds nothing
    assert sum(map(len, page.stored().values())) == 10


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_order_of_sends_ends_in_every_event_once(tmp_path_factory, seed):
    """A page that sends from where it thinks it is, with lost answers and batches cut at random."""
    rng = random.Random(seed)
    desk = Desk(tmp_path_factory.mktemp("ingest") / "shop", None)
    page = Page(desk)
    known = 0
    while known < len(EVENTS):
        start = rng.randint(0, known)
        end = rng.randint(start + 1, len(EVENTS))
        taken = page.take(EVENTS[start:end])
        assert taken.conflict is None
        if rng.random() < 0.5:  # else the answer is lost
            known = taken.acked_through
    assert page.stored() == {1: EVENTS}
    desk.store.close()
