"""Which page an annotator gets next, how long it is hers, and when an assignment is complete.

A page goes to `overlap` annotators, the least annotated page first, and never twice to the same one. It is
leased: each sign of life renews the lease; a page whose lease ran out is returned, so that another annotator
may get it. Who comes back first goes on where she was. A page that she finished counts even if another one
has got it meanwhile: then it has one annotator more, and no work is thrown away. Of a page none of
whose images came in her browser she is done, and it does not count for the page: that goes to another
annotator, after the pages that nobody has failed to see.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from luab_collect.store import tables as t
from luab_collect.store.ingest import last_seq
from luab_collect.store.leases import Rules, expire, recount, renew
from luab_collect.store.refusals import Refusal

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0, 1, I, O, which people confuse
CODE_LENGTH = 12
MOST_BLANK = 3  # annotators who saw no image of a page; then something is wrong with the images


@dataclass(frozen=True)
class Standing:
    """Where an annotator is.

    Attributes:
        assignment: Its row, None before the first.
        done: Pages of it that are submitted.
        work: The row of the page of work that is hers now; None: there is none.
        more: Whether another assignment can be begun.
    """

    assignment: Row[Any] | None
    done: int = 0
    work: Row[Any] | None = None
    more: bool = False


def where(connection: Connection, annotator: int, visit: str | None, rules: Rules, now: float) -> Standing:
    """An annotator's place; leases her a page where her assignment lacks some, and begins her first one.

    Args:
        connection: Inside of a writing transaction.
        annotator: Her id.
        visit: Of a platform: one assignment each. None: own links, one assignment after the other.
        rules: See there.
        now: Epoch seconds.
    """
    expire(connection, now)
    assignment = _latest(connection, annotator, visit)
    if assignment is None:
        return begin(connection, annotator, visit, rules, now)
    if assignment.completed is not None:
        more = visit is None and _free_page(connection, annotator, rules) is not None
        return Standing(assignment, _done(connection, assignment.id), more=more)
    return _go_on(connection, annotator, assignment, rules, now)


def begin(connection: Connection, annotator: int, visit: str | None, rules: Rules, now: float) -> Standing:
    """The annotator's next assignment with its first page; without any where no page is left for her."""
    free = _free_pages(annotator, rules).limit(rules.pages_per_hit)
    pages = connection.execute(select(func.count()).select_from(free.subquery())).scalar_one()
    if not pages and _returned_page(connection, annotator, rules) is None:
        return Standing(None)
    identifier = secrets.token_hex(16)
    hers = select(func.max(t.assignments.c.number)).where(t.assignments.c.annotator_id == annotator)
    connection.execute(
        insert(t.assignments).values(
            id=identifier,
            annotator_id=annotator,
            visit=visit,
            number=_following(connection, hers),
            pages=max(pages, 1),
            created=now,
        )
    )
    return _go_on(connection, annotator, _assignment(connection, identifier), rules, now)


def begin_next(
    connection: Connection, annotator: int, visit: str | None, rules: Rules, now: float
) -> Standing:
    """Begins an assignment after a complete one; raises Refusal (`assignment`) where that is not hers."""
    place = where(connection, annotator, visit, rules, now)
    if place.assignment is None or place.assignment.completed is None:
        return place  # pressed twice
    if visit is not None:
        raise Refusal("assignment", "a visit from this platform has one assignment")
    following = begin(connection, annotator, visit, rules, now)
    return following if following.assignment is not None else place


def where_it_ended(connection: Connection, annotator: int, visit: str | None) -> Standing:
    """The place of who gets no more work: her last complete assignment, for its code."""
    query = _assignments(annotator, visit).where(t.assignments.c.completed.is_not(None))
    assignment = connection.execute(query.order_by(t.assignments.c.number.desc()).limit(1)).first()
    return Standing(None) if assignment is None else Standing(assignment, _done(connection, assignment.id))


def has_begun(connection: Connection, annotator: int) -> bool:
    """Whether she has had an assignment."""
    query = select(t.assignments.c.id).where(t.assignments.c.annotator_id == annotator).limit(1)
    return connection.execute(query).first() is not None


def submit(
    connection: Connection, work: Row[Any], epoch: int, seq: int, now: float, blank: bool = False
) -> None:
    """Submits a page all of whose events are stored; the same submission again changes nothing.

    Args:
        connection: Inside of a writing transaction.
        work: The page of work's row.
        epoch: Of the tab that submits.
        seq: Number of its last event.
        now: Epoch seconds.
        blank: None of its images came.

    Raises:
        Refusal: `submitted` otherwise, `incomplete`, `unfinished`, `epoch`; `superseded`: a later tab wrote.
    """
    if work.state == "submitted":
        if (work.submitted_epoch, work.submitted_seq) == (epoch, seq):
            return
        raise Refusal("submitted", "this page of work was submitted with other events")
    if not 1 <= epoch <= work.epoch:
        raise Refusal("epoch", f"epoch is {epoch}, and this page of work has had {work.epoch}")
    b = t.batches.c
    later = select(b.epoch).where(b.work_id == work.id, b.epoch > epoch).limit(1)
    if connection.execute(later).first() is not None:
        raise Refusal("superseded", "another tab has gone on with this page of work")
    stored = last_seq(connection, work.id, epoch)
    if stored < seq:
        raise Refusal("incomplete", f"event {stored + 1} has not arrived", acked_through=stored)
    if stored > seq:
        raise Refusal("unfinished", f"event {seq} is not the last: event {stored} is", acked_through=stored)
    connection.execute(
        update(t.work)
        .where(t.work.c.id == work.id)
        .values(
            state="submitted",
            position=_done(connection, work.assignment_id),
            submitted=now,
            submission=_following(connection, select(func.max(t.work.c.submission))),
            submitted_epoch=epoch,
            submitted_seq=seq,
            blank=blank,
        )
    )
    recount(connection, [work.page_id])
    assignment = _assignment(connection, work.assignment_id)
    if _done(connection, assignment.id) >= assignment.pages:
        _complete(connection, assignment, now)


def _latest(connection: Connection, annotator: int, visit: str | None) -> Row[Any] | None:
    c = t.assignments.c
    # A complete one only if there is no other.
    query = _assignments(annotator, visit).order_by(c.completed.is_not(None), c.number.desc())
    return connection.execute(query.limit(1)).first()


def _assignments(annotator: int, visit: str | None) -> Any:
    c = t.assignments.c
    return select(t.assignments).where(c.annotator_id == annotator, c.visit == visit)


def _following(connection: Connection, greatest: Any) -> int:
    """The number after the greatest one of a query; 1 without any."""
    return (connection.execute(greatest).scalar() or 0) + 1


def _go_on(
    connection: Connection, annotator: int, assignment: Row[Any], rules: Rules, now: float
) -> Standing:
    done = _done(connection, assignment.id)
    work = _current(connection, assignment.id, rules, now)
    if work is None:
        work = _lease(connection, annotator, assignment, done, rules, now)
    if work is None and done:  # all that there was for her
        _complete(connection, assignment, now)
        return Standing(_assignment(connection, assignment.id), done)
    return Standing(assignment if work is not None else None, done, work)


def _current(connection: Connection, assignment: str, rules: Rules, now: float) -> Row[Any] | None:
    """The page that she left, if it is still hers."""
    c = t.work.c
    query = (
        select(t.work)
        .where(c.assignment_id == assignment, c.state != "submitted")
        .order_by(c.state == "returned", c.created.desc())
    )
    for row in connection.execute(query).all():
        renew(connection, row, rules, now)
        after = connection.execute(select(t.work).where(c.id == row.id)).one()
        if after.state == "leased":
            return after
    return None


def _lease(
    connection: Connection, annotator: int, assignment: Row[Any], done: int, rules: Rules, now: float
) -> Row[Any] | None:
    page = _free_page(connection, annotator, rules)
    if page is None:
        return _lease_again(connection, annotator, assignment, done, rules, now)
    identifier = secrets.token_hex(16)
    connection.execute(
        insert(t.work).values(
            id=identifier,
            assignment_id=assignment.id,
            annotator_id=annotator,
            page_id=page,
            position=done,
            state="leased",
            created=now,
            leased_until=now + rules.lease,
        )
    )
    recount(connection, [page])
    return connection.execute(select(t.work).where(t.work.c.id == identifier)).one()


def _lease_again(
    connection: Connection, annotator: int, assignment: Row[Any], done: int, rules: Rules, now: float
) -> Row[Any] | None:
    """A page that she left once and that nobody has done: all others are taken."""
    left = _returned_page(connection, annotator, rules)
    if left is None:
        return None
    connection.execute(
        update(t.work)
        .where(t.work.c.id == left)
        .values(assignment_id=assignment.id, position=done, state="leased", leased_until=now + rules.lease)
    )
    row = connection.execute(select(t.work).where(t.work.c.id == left)).one()
    recount(connection, [row.page_id])
    return row


def _free_pages(annotator: int, rules: Rules) -> Any:
    hers = select(t.work.c.id).where(t.work.c.page_id == t.pages.c.id, t.work.c.annotator_id == annotator)
    return (
        select(t.pages.c.id)
        .where(t.pages.c.taken < rules.overlap, t.pages.c.blank < MOST_BLANK, ~hers.exists())
        .order_by(t.pages.c.taken, t.pages.c.blank, t.pages.c.number)
    )


def _free_page(connection: Connection, annotator: int, rules: Rules) -> int | None:
    return connection.execute(_free_pages(annotator, rules).limit(1)).scalar()


def _returned_page(connection: Connection, annotator: int, rules: Rules) -> str | None:
    c = t.work.c
    query = (
        select(c.id)
        .join(t.pages, t.pages.c.id == c.page_id)
        .where(c.annotator_id == annotator, c.state == "returned", t.pages.c.taken < rules.overlap)
        .order_by(t.pages.c.number)
        .limit(1)
    )
    return connection.execute(query).scalar()


def _assignment(connection: Connection, identifier: str) -> Row[Any]:
    return connection.execute(select(t.assignments).where(t.assignments.c.id == identifier)).one()


def _done(connection: Connection, assignment: str) -> int:
    c = t.work.c
    query = select(func.count()).select_from(t.work)
    return connection.execute(query.where(c.assignment_id == assignment, c.state == "submitted")).scalar_one()


def _complete(connection: Connection, assignment: Row[Any], now: float) -> None:
    if assignment.completed is not None:
        return
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    row = update(t.assignments).where(t.assignments.c.id == assignment.id)
    connection.execute(row.values(completed=now, code=code))
