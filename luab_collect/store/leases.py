"""How long a page of work is somebody's: leases, tabs that take over, and who counts for a page."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from luab_collect.store import tables as t
from luab_collect.store.refusals import Refusal

MAX_EPOCHS = 1_000  # tabs that took over one page of work
REJECT = "reject"


@dataclass(frozen=True)
class Rules:
    """How work is shared out; from the project."""

    overlap: int
    lease: float  # s
    pages_per_hit: int


def own(connection: Connection, work_id: str, annotator: int) -> Row[Any]:
    """The row of an annotator's page of work; raises Refusal (`work`)."""
    query = select(t.work).where(t.work.c.id == work_id, t.work.c.annotator_id == annotator)
    row = connection.execute(query).first()
    if row is None:
        raise Refusal("work", "there is no such page of work, or it is another annotator's")
    return row


def renew(connection: Connection, work: Row[Any], rules: Rules, now: float) -> None:
    """A sign of life: renews a lease, also one that ran out if nobody else has taken the page."""
    if work.state == "submitted":
        return
    row = update(t.work).where(t.work.c.id == work.id)
    if work.state == "leased":
        # Not for each batch: a lease that is hardly used stays.
        if work.leased_until < now + 0.9 * rules.lease:
            connection.execute(row.values(leased_until=now + rules.lease))
        return
    query = select(t.pages.c.taken).where(t.pages.c.id == work.page_id)
    if connection.execute(query).scalar_one() < rules.overlap:
        connection.execute(row.values(state="leased", leased_until=now + rules.lease))
        recount(connection, [work.page_id])


def take_over(connection: Connection, work: Row[Any], rules: Rules, now: float) -> int:
    """A tab begins to write: its epoch; raises Refusal (`submitted`, `epoch`)."""
    if work.state == "submitted":
        raise Refusal("submitted", "this page of work was submitted")
    if work.epoch >= MAX_EPOCHS:
        raise Refusal("epoch", f"a page of work can be taken over {MAX_EPOCHS:,} times")
    renew(connection, work, rules, now)
    connection.execute(update(t.work).where(t.work.c.id == work.id).values(epoch=work.epoch + 1))
    return int(work.epoch) + 1


def expire(connection: Connection, now: float) -> None:
    """Returns pages whose lease ran out."""
    late = and_(t.work.c.state == "leased", t.work.c.leased_until < now)
    pages = connection.execute(select(t.work.c.page_id).where(late)).scalars().all()
    if pages:
        connection.execute(update(t.work).where(late).values(state="returned"))
        recount(connection, pages)


def give_back(connection: Connection, condition: Any) -> int:
    """Returns leased pages of work that meet a condition; how many."""
    met = and_(t.work.c.state == "leased", condition)
    pages = connection.execute(select(t.work.c.page_id).where(met)).scalars().all()
    connection.execute(update(t.work).where(met).values(state="returned"))
    recount(connection, pages)
    return len(pages)


def recount(connection: Connection, page_ids: Collection[int]) -> None:
    """Counts anew who has a page, after anything that changes it."""

    def number(condition: Any) -> Any:
        joined = t.work.join(t.annotators, t.annotators.c.id == t.work.c.annotator_id)
        of_page = select(func.count()).select_from(joined).where(t.work.c.page_id == t.pages.c.id)
        return of_page.where(condition).scalar_subquery()

    counts = {"taken": number(counting()), "blank": number(and_(t.work.c.blank, _kept()))}
    for start in range(0, len(page_ids), 500):  # a statement's parameters are limited
        some = list(page_ids)[start : start + 500]
        connection.execute(update(t.pages).where(t.pages.c.id.in_(some)).values(**counts))


def counting() -> Any:
    """Condition on `work` joined to `annotators`: it counts for its page's overlap."""
    return and_(t.work.c.state != "returned", ~t.work.c.blank, _kept())


def _kept() -> Any:
    """Neither rejected nor withdrawn."""
    verdict = func.coalesce(t.work.c.verdict, t.annotators.c.verdict, "")  # as `results.standing`
    return and_(verdict != REJECT, t.annotators.c.withdrawn.is_(None))
