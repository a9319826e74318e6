"""Forgetting: an annotator who withdraws, and ids outside after their time."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from luab_collect.platforms import PLATFORMS, PSEUDONYM
from luab_collect.store import tables as t
from luab_collect.store.leases import recount
from luab_collect.store.people import known

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Withdrawal:
    """What is removed with an annotator."""

    annotator: int
    pseudonym: str
    platform: str
    pages: int  # of work
    batches: int  # of events


def find(connection: Connection, secret: bytes, given: str, by: str | None = None) -> list[Withdrawal]:
    """The annotators whom a pseudonym, a link's name or an id at a platform may mean, and what there is.

    Args:
        connection: To the database.
        secret: The project's key.
        given: What she is called.
        by: One of `CALLED_BY`, which one annotator at most has. None: any of them, which several may have, as
            whoever comes by an address chooses her own id.
    """
    a = t.annotators.c
    found: list[Row[Any]] = []
    if by in (None, PSEUDONYM):
        found += connection.execute(select(t.annotators).where(a.pseudonym == given)).all()
    for platform in PLATFORMS:
        if by in (None, platform) and (row := known(connection, secret, platform, given)[0]) is not None:
            found.append(row)
    return [_withdrawal(connection, row) for row in {row.id: row for row in found}.values()]


def _withdrawal(connection: Connection, row: Row[Any]) -> Withdrawal:
    pages = select(func.count()).select_from(t.work).where(t.work.c.annotator_id == row.id)
    batches = select(func.count()).select_from(t.batches).where(t.batches.c.work_id.in_(_work_of(row.id)))
    return Withdrawal(
        row.id,
        row.pseudonym,
        row.platform,
        connection.execute(pages).scalar_one(),
        connection.execute(batches).scalar_one(),
    )


def withdraw(connection: Connection, annotator: int, now: float) -> None:
    """Removes all that an annotator did and who she is; her pages go to others.

    What stays: that this pseudonym withdrew, so that she is not asked again, when, and the codes of complete
    assignments, by which she was paid.
    """
    w, a = t.work.c, t.annotators.c
    pages = list(connection.execute(select(w.page_id).where(w.annotator_id == annotator)).scalars())
    for table in (t.batches, t.conflicts, t.decisions):
        connection.execute(delete(table).where(table.c.work_id.in_(_work_of(annotator))))
    connection.execute(delete(t.work).where(w.annotator_id == annotator))
    for table in (t.links, t.outside_ids, t.sessions, t.consents, t.decisions):
        connection.execute(delete(table).where(table.c.annotator_id == annotator))
    connection.execute(update(t.annotators).where(a.id == annotator).values(withdrawn=now))
    recount(connection, pages)


def purge(connection: Connection, older_than_days: float, now: float) -> dict[str, int]:
    """Removes ids outside and names of annotators without a sign of life since, and what is over by itself.

    Their pseudonyms, work and events stay. Returns how many rows of each table went.
    """
    before = now - older_than_days * DAY
    a = t.annotators.c
    idle = select(a.id).where(a.created < before, ~_seen_since(before))
    removed = {}
    for table in (t.outside_ids, t.links, t.sessions):
        found = connection.execute(delete(table).where(table.c.annotator_id.in_(idle)))
        removed[table.name] = found.rowcount
    over = connection.execute(delete(t.sessions).where(t.sessions.c.expires < now))
    removed["sessions"] += over.rowcount
    old = connection.execute(delete(t.webhooks).where(t.webhooks.c.received < before))
    removed["webhooks"] = old.rowcount
    return removed


def _work_of(annotator: int) -> Any:
    return select(t.work.c.id).where(t.work.c.annotator_id == annotator)


def _seen_since(before: float) -> Any:
    """Condition on `annotators`: a session begun or work done since."""
    w, s, a = t.work.c, t.sessions.c, t.annotators.c
    worked = (
        select(w.id)
        .join(t.batches, t.batches.c.work_id == w.id, isouter=True)
        .where(w.annotator_id == a.id, or_(w.created >= before, t.batches.c.received >= before))
    )
    began = select(s.token_sha256).where(s.annotator_id == a.id, s.created >= before)
    return or_(worked.correlate(t.annotators).exists(), began.correlate(t.annotators).exists())
