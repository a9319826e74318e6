"""What a person decides about a page of work, or about all work of an annotator; every decision is kept."""

from sqlalchemy import Connection, insert, select, update

from luab_collect.store import tables as t
from luab_collect.store.leases import recount
from luab_collect.store.refusals import Refusal

VERDICTS = ("accept", "reject")
MAX_REASON = 2_000


def decide(
    connection: Connection,
    *,
    verdict: str,
    reason: str,
    by: str,
    now: float,
    work: str | None = None,
    annotator: str | None = None,
) -> None:
    """Notes a decision; rejected work does not count, so that its pages go to other annotators.

    Args:
        connection: Inside of a writing transaction.
        verdict: accept or reject; the last one holds.
        reason: Why, in words.
        by: Who decided.
        now: Epoch seconds.
        work: Id of a submitted page of work; or
        annotator: The pseudonym of whose all work it is about.

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
        row = connection.execute(select(w.id, w.page_id).where(w.id == work, w.state == "submitted")).first()
        if row is None:
            raise Refusal("work", "there is no such submitted page of work")
        connection.execute(update(t.work).where(w.id == work).values(verdict=verdict))
        pages = [row.page_id]
        subject = {"work_id": work}
    else:
        identifier = connection.execute(select(a.id).where(a.pseudonym == annotator)).scalar()
        if identifier is None:
            raise Refusal("work", "there is no such annotator")
        connection.execute(update(t.annotators).where(a.id == identifier).values(verdict=verdict))
        pages = list(connection.execute(select(w.page_id).where(w.annotator_id == identifier)).scalars())
        subject = {"annotator_id": identifier}
    connection.execute(insert(t.decisions).values(**subject, verdict=verdict, reason=reason, by=by, at=now))
    recount(connection, pages)
