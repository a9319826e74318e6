"""Takes events: appends what is new, ignores what is there, keeps what contradicts.

Numbers of an epoch have no gaps: a batch either begins after the last stored event, or repeats stored ones.
Repeats are compared event by event, because a page may cut its batches anew after an answer was lost.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Row, Table, func, insert, select, update

from luab_collect.store import tables as t
from luab_collect.store.refusals import Refusal

# Of one page of work, which is read as a whole. A mouse of 1 kHz that never rests makes them in 17 minutes.
MAX_EVENTS = 1_000_000
MAX_BYTES = 256 << 20  # as JSON: equal events compress to nothing
COMPRESSION = 3  # half the time of 6, for 7 % more bytes
MAX_CONFLICTS = 100  # kept of one page of work

CHANGES = frozenset({"select", "deselect", "add", "relocate", "remove"})  # what a page shows

RawEvent = dict[str, Any]  # as `luab_collect.events.parse_event` accepted it


@dataclass(frozen=True)
class Packed:
    """A batch as it is stored."""

    events: Sequence[RawEvent]
    sha256: str
    body: bytes
    size: int  # bytes of JSON

    @property
    def first(self) -> int:
        """Number of the first event."""
        return int(self.events[0]["seq"])

    @property
    def last(self) -> int:
        """Number of the last event."""
        return int(self.events[-1]["seq"])


def pack(events: Sequence[RawEvent]) -> Packed:
    """The batch of events, which follow each other, at least one."""
    content = to_json(events)
    body = zlib.compress(content, COMPRESSION)
    return Packed(events, hashlib.sha256(content).hexdigest(), body, len(content))


def unpack(body: bytes) -> list[RawEvent]:
    """The events of a stored batch."""
    events: list[RawEvent] = from_json(zlib.decompress(body))
    return events


@dataclass(frozen=True)
class Taken:
    """What became of a batch; a conflict is kept, so it is a result and no exception."""

    acked_through: int
    conflict: int | None = None  # number of the first event that is stored with other content
    appended: int = 0


def take(connection: Connection, work: Row[Any], epoch: int, batch: Packed, now: float) -> Taken:
    """Stores what is new of a batch.

    Args:
        connection: Inside of a writing transaction.
        work: The page of work's row.
        epoch: Of the tab that sent it, from 1.
        batch: Its events.
        now: Epoch seconds.

    Raises:
        Refusal: `gap`, `epoch`, `submitted`, `too_much`; `superseded`: another tab or computer has gone on
            without these changes. What it shows is what is kept.
    """
    if not 1 <= epoch <= work.epoch:
        raise Refusal("epoch", f"epoch is {epoch}, and this page of work has had {work.epoch}")
    stored = last_seq(connection, work.id, epoch)
    if batch.first > stored + 1:
        raise Refusal(
            "gap", f"event {stored + 1} is missing before event {batch.first}", acked_through=stored
        )
    if batch.first <= stored:
        differs = _first_difference(connection, work.id, epoch, batch)
        if differs is not None:
            _keep_conflict(connection, work, epoch, batch, now)
            return Taken(stored, conflict=differs)
    tail = batch if batch.first == stored + 1 else _after(batch, stored)
    if tail is None:
        return Taken(stored)
    if work.state == "submitted":
        raise Refusal("submitted", "this page of work was submitted", acked_through=stored)
    if epoch < work.epoch and any(event["kind"] in CHANGES for event in tail.events):
        raise Refusal("superseded", "another tab has gone on with this page of work", acked_through=stored)
    others = _last_of_others(connection, work.id, epoch) if work.epoch > 1 else 0
    if others + tail.last > MAX_EVENTS:
        raise Refusal("too_much", f"a page of work may have {MAX_EVENTS:,} events", acked_through=stored)
    _append(connection, t.batches, work, epoch, tail, now)
    return Taken(tail.last, appended=len(tail.events))


def last_seq(connection: Connection, work_id: str, epoch: int) -> int:
    """Number of the last stored event of an epoch, 0 without any."""
    query = (
        select(t.batches.c.last_seq)
        .where(t.batches.c.work_id == work_id, t.batches.c.epoch == epoch)
        .order_by(t.batches.c.first_seq.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or 0


def _last_of_others(connection: Connection, work_id: str, epoch: int) -> int:
    """Number of stored events of all other epochs."""
    b = t.batches.c
    query = select(func.max(b.last_seq).label("last")).where(b.work_id == work_id, b.epoch != epoch)
    lasts = query.group_by(b.epoch).subquery()
    return int(connection.execute(select(func.sum(lasts.c.last))).scalar() or 0)


def _first_difference(connection: Connection, work_id: str, epoch: int, batch: Packed) -> int | None:
    query = select(t.batches.c.body).where(
        t.batches.c.work_id == work_id,
        t.batches.c.epoch == epoch,
        t.batches.c.first_seq <= batch.last,
        t.batches.c.last_seq >= batch.first,
    )
    there = {event["seq"]: event for row in connection.execute(query) for event in unpack(row.body)}
    return next(
        (event["seq"] for event in batch.events if there.get(event["seq"], event) != event),
        None,
    )


def _after(batch: Packed, stored: int) -> Packed | None:
    events = batch.events[stored + 1 - batch.first :]
    return pack(events) if events else None


def _keep_conflict(connection: Connection, work: Row[Any], epoch: int, batch: Packed, now: float) -> None:
    c = t.conflicts.c
    same = select(c.id).where(
        c.work_id == work.id, c.epoch == epoch, c.first_seq == batch.first, c.sha256 == batch.sha256
    )
    number = select(func.count()).select_from(t.conflicts).where(c.work_id == work.id)
    if connection.execute(same).first() or connection.execute(number).scalar_one() >= MAX_CONFLICTS:
        return
    _append(connection, t.conflicts, work, epoch, batch, now)


def _append(
    connection: Connection, table: Table, work: Row[Any], epoch: int, batch: Packed, now: float
) -> None:
    if work.stored_bytes + batch.size > MAX_BYTES:
        raise Refusal("too_much", f"a page of work may have {MAX_BYTES:,} bytes of events")
    connection.execute(
        insert(table).values(
            work_id=work.id,
            epoch=epoch,
            first_seq=batch.first,
            last_seq=batch.last,
            sha256=batch.sha256,
            body=batch.body,
            received=now,
        )
    )
    grown = update(t.work).where(t.work.c.id == work.id)
    connection.execute(grown.values(stored_bytes=t.work.c.stored_bytes + batch.size))
