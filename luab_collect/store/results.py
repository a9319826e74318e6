"""Reads what was collected: an annotator's own events to go on with, and the submitted pages of work."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Text, cast, func, select

from luab_collect.events import DURABLE, Event
from luab_collect.loading import unseen
from luab_collect.plan import GOLD
from luab_collect.store import tables as t
from luab_collect.store.ingest import RawEvent, unpack
from luab_collect.store.leases import REJECT
from luab_data.errors import SourceError


@dataclass(frozen=True)
class StoredItem:
    """An image on a page, in its position there."""

    id: str
    key: str  # of its address, /media/KEY
    file: str
    width: int  # pixels
    height: int
    role: str  # target, distractor, gold
    gold: dict[str, Any] | None


@dataclass(frozen=True)
class StoredWork:
    """One page of work by one annotator, with all its events.

    Attributes:
        id: 32 hex digits.
        assignment: 32 hex digits.
        annotator: Pseudonym, 10 hex digits.
        index: In its assignment, from 0.
        page: Number of the page in the plan.
        class_name: What the page asks for; None on `place`.
        state: leased, submitted, returned.
        created: Epoch seconds.
        submitted: Epoch seconds, or None.
        verdict: The last decision that covers it: accept, reject; see `standing`.
        items: Its images.
        events: Epoch of the tab -> events in order.
        conflicts: Number of refused batches.
    """

    id: str
    assignment: str
    annotator: str
    index: int
    page: int
    class_name: str | None
    state: str
    created: float
    submitted: float | None
    verdict: str | None
    items: tuple[StoredItem, ...]
    events: dict[int, list[Event]]
    conflicts: int


def stored_work(
    connection: Connection, *, identifier: str | None = None, all_states: bool = False
) -> Iterator[StoredWork]:
    """The submitted pages of work in order of submission; what annotators withdrew is not there.

    Args:
        connection: Its transaction sees one state of the database.
        identifier: Only this one.
        all_states: Also those at work and returned.

    Raises:
        SourceError: submitted work has no events, which would read as an answer.
    """
    w, a = t.work.c, t.annotators.c
    query = (
        select(t.work, a.pseudonym, a.verdict.label("of_all"), t.pages.c.number, t.pages.c.class_name)
        .join(t.annotators, a.id == w.annotator_id)
        .join(t.pages, t.pages.c.id == w.page_id)
        .where(a.withdrawn.is_(None))
        .order_by(w.submission.is_(None), w.submission, w.created, w.id)
    )
    if identifier is not None:
        query = query.where(w.id == identifier)
    if not all_states:
        query = query.where(w.state == "submitted")
    for row in connection.execute(query).all():
        events: dict[int, list[Event]] = {}
        for epoch, event in _each_event(connection, row.id):
            events.setdefault(epoch, []).append(_event(event))
        if row.state == "submitted" and not events:
            raise SourceError(
                f"the database is damaged: page of work {row.id} was submitted and has no events. Restore it "
                "from a copy."
            )
        conflicts = select(t.conflicts.c.id).where(t.conflicts.c.work_id == row.id)
        yield StoredWork(
            id=row.id,
            assignment=row.assignment_id,
            annotator=row.pseudonym,
            index=row.position,
            page=row.number,
            class_name=row.class_name,
            state=row.state,
            created=row.created,
            submitted=row.submitted,
            verdict=standing(row.verdict, row.of_all),
            items=page_items(connection, row.page_id),
            events=events,
            conflicts=len(connection.execute(conflicts).all()),
        )


def standing(of_page: str | None, of_all: str | None) -> str | None:
    """What was decided about a page of work.

    Args:
        of_page: The last decision about it, or about what its annotator had submitted by then.
        of_all: The last decision about its annotator. Of work that it does not cover, a reject holds as well:
            who is rejected gets no more work. An accept does not, because nobody has looked at it.
    """
    return of_page or (REJECT if of_all == REJECT else None)


def page_items(connection: Connection, page_id: int) -> tuple[StoredItem, ...]:
    """A page's images in order."""
    i, p = t.items.c, t.page_items.c
    query = (
        select(i.id, i.key, i.file, i.width, i.height, p.role, i.gold)
        .join(t.items, i.id == p.item_id)
        .where(p.page_id == page_id)
        .order_by(p.position)
    )
    return tuple(StoredItem(*row) for row in connection.execute(query))


def known_items(connection: Connection) -> list[StoredItem]:
    """The images whose answer is known."""
    i = t.items.c
    known = cast(i.gold, Text) != "null"  # None is stored as JSON's null, which is a value to SQL
    query = select(i.id, i.key, i.file, i.width, i.height, i.gold).where(known).order_by(i.id)
    rows = connection.execute(query)
    return [StoredItem(row.id, row.key, row.file, row.width, row.height, GOLD, row.gold) for row in rows]


def raw_events(connection: Connection, work_id: str) -> dict[int, list[RawEvent]]:
    """Epoch -> its events in order, as the page sent them."""
    events: dict[int, list[RawEvent]] = {}
    for epoch, event in _each_event(connection, work_id):
        events.setdefault(epoch, []).append(event)
    return events


def _each_event(connection: Connection, work_id: str) -> Iterator[tuple[int, RawEvent]]:
    """Epoch and event, in order; the events of one batch are in memory at a time."""
    b = t.batches.c
    query = select(b.epoch, b.body).where(b.work_id == work_id).order_by(b.epoch, b.first_seq)
    for row in connection.execute(query):
        for event in unpack(row.body):
            yield row.epoch, event


def acked(connection: Connection, work_id: str) -> dict[str, int]:
    """Epoch -> number of its last stored event."""
    b = t.batches.c
    query = select(b.epoch, func.max(b.last_seq)).where(b.work_id == work_id).group_by(b.epoch)
    return {str(epoch): last for epoch, last in connection.execute(query.order_by(b.epoch))}


def durable_events(connection: Connection, work_id: str) -> list[RawEvent]:
    """What a tab that takes over draws the page from: events with their `epoch`, without samples of paths."""
    events = _each_event(connection, work_id)
    return [{**event, "epoch": epoch} for epoch, event in events if event["kind"] in DURABLE]


def seen_categories(connection: Connection, work_id: str) -> set[int]:
    """The categories of icons that were shown; the first one is from the start."""
    events = _each_event(connection, work_id)
    return {0} | {event["category"] for _, event in events if event["kind"] == "category"}


def unseen_items(connection: Connection, work_id: str) -> set[str]:
    """The images of a page of work that never came in the browser."""
    return unseen((event["kind"], event.get("item")) for _, event in _each_event(connection, work_id))


def last_kind(connection: Connection, work_id: str, epoch: int, seq: int) -> str | None:
    """The kind of one stored event."""
    b = t.batches.c
    query = select(b.body).where(
        b.work_id == work_id, b.epoch == epoch, b.first_seq <= seq, b.last_seq >= seq
    )
    body = connection.execute(query).scalar()
    if body is None:
        return None
    return next((str(event["kind"]) for event in unpack(body) if event["seq"] == seq), None)


def _event(value: RawEvent) -> Event:
    fields = {name: each for name, each in value.items() if name not in ("seq", "kind", "t")}
    return Event(value["seq"], value["kind"], float(value["t"]), fields)
