"""What a person decides about a page of work, or about what an annotator has submitted; each is kept.

The last decision that covers a page of work is the verdict of its row, so that a later one undoes an earlier
one, whichever of the two it is about.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, insert, select, update

from luab_collect.store import tables as t
from luab_collect.store.leases import recount
from luab_collect.store.refusals import Refusal
from luab_collect.store.results import standing

VERDICTS = ("accept", "reject")
MAX_REASON = 2_000


class Decided(NamedTuple):
    """What a decision covers.

    Attributes:
        pages: Number of submitted pages of work.
        undone: Of these, those that were decided otherwise before.
    """

    pages: int
    undone: int


def decide(
    connection: Connection,
    *,
    verdict: str,
    reason: str,
    by: str,
    now: float,
    work: str | None = None,
    annotator: str | None = None,
) -> Decided:
    """Notes a decision; rejected work does not count, so that its pages go to other annotators.

    Args:
        connection: Inside of a writing transaction.
        verdict: accept or reject; the last one holds.
        reason: Why, in words.
        by: Who decided.
        now: Epoch seconds.
        work: Id of a submitted page of work; or
        annotator: The pseudonym of the one about whose work, submitted by now, it is.

    Raises:
        Refusal: `request`, `work`.
    """
    if verdict not in VERDICTS:
        raise Refusal("request", f"verdict is {verdict!a}; allowed are {', '.join(VERDICTS)}")
    if not reason.strip() or len(reason) > MAX_REASON:
        raise Refusal("request", f"a decision needs its reason, of at most {MAX_REASON:,} characters")
    if (work is None) == (annotator is None):
        raise Refusal("request", "a decision is about a page of work or about an annotator")
    w, a = t.work.c, t.annotators.c
    if work is not None:
        owned = w.id == work
        covered = and_(owned, w.state == "submitted")
        her = connection.execute(select(a.id, a.verdict).join(t.work).where(covered)).first()
        if her is None:
            raise Refusal("work", "there is no such submitted page of work")
        subject: dict[str, Any] = {"work_id": work}
    else:
        her = connection.execute(select(a.id, a.verdict).where(a.pseudonym == annotator)).first()
        if her is None:
            raise Refusal("work", "there is no such annotator")
        owned = w.annotator_id == her.id
        covered = and_(owned, w.state == "submitted")
        last = connection.execute(select(func.max(w.submission)).where(covered)).scalar()
        subject = {"annotator_id": her.id, "submission": last or 0}
        connection.execute(update(t.annotators).where(a.id == her.id).values(verdict=verdict))
    before = [
        standing(each, her.verdict) for each in connection.execute(select(w.verdict).where(covered)).scalars()
    ]
    connection.execute(update(t.work).where(covered).values(verdict=verdict))
    connection.execute(insert(t.decisions).values(**subject, verdict=verdict, reason=reason, by=by, at=now))
    recount(connection, list(connection.execute(select(w.page_id).where(owned)).scalars()))
    return Decided(len(before), sum(each not in (None, verdict) for each in before))
