"""How far the work is: counts for `luab collect status` and the admin's page."""

from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from luab_collect.store import tables as t
from luab_collect.store.leases import Rules, counting
from luab_collect.store.work import MOST_BLANK

HOUR = 3600.0


def progress(connection: Connection, rules: Rules, now: float) -> dict[str, Any]:
    """Counts of pages, annotators and events, and the pace.

    `wanted` pages of work are `pages` x overlap, of which `submitted` are done. Of one page at most overlap
    are: what counts besides is `beyond`, and stands for no other page. `pace` is that of work that counts;
    `left_hours` is at the pace of the last 24 hours, None without work in them. Of `blank` pages of work no
    image came in the browser; `blank_pages` are handed out no more because of that.
    """
    w = t.work.c
    counted = t.work.join(t.annotators, t.annotators.c.id == w.annotator_id)

    def number(*conditions: Any) -> int:
        query = select(func.count()).select_from(counted).where(and_(*conditions))
        return connection.execute(query).scalar_one()

    pages = connection.execute(select(func.count()).select_from(t.pages)).scalar_one()
    complete = select(func.count()).select_from(t.pages)
    wanted = pages * rules.overlap
    counts = and_(counting(), w.state == "submitted")
    of_page = select(func.count().label("done")).select_from(counted).where(counts).group_by(w.page_id)
    each = of_page.subquery().c.done
    capped = case((each > rules.overlap, rules.overlap), else_=each)
    done = int(connection.execute(select(func.coalesce(func.sum(capped), 0))).scalar_one())
    kept = number(counts)
    pace = {
        "last_hour": number(counts, w.submitted > now - HOUR),
        "last_day": number(counts, w.submitted > now - 24 * HOUR),
    }
    return {
        "pages": pages,
        "overlap": rules.overlap,
        "wanted": wanted,
        "submitted": done,
        "blank": number(w.state == "submitted", w.blank),
        "blank_pages": connection.execute(complete.where(t.pages.c.blank >= MOST_BLANK)).scalar_one(),
        "beyond": kept - done,
        "not_counted": number(w.state == "submitted") - kept,
        "leased": number(w.state == "leased", w.leased_until >= now),
        "returned": number(w.state == "returned") + number(w.state == "leased", w.leased_until < now),
        "begun_pages": connection.execute(complete.where(t.pages.c.taken > 0)).scalar_one(),
        "annotators": _annotators(connection),
        "assignments_complete": connection.execute(
            select(func.count()).select_from(t.assignments).where(t.assignments.c.completed.is_not(None))
        ).scalar_one(),
        "events": _events(connection),
        "conflicts": connection.execute(select(func.count()).select_from(t.conflicts)).scalar_one(),
        "pace": pace,
        "left_hours": (wanted - done) / (pace["last_day"] / 24) if pace["last_day"] else None,
    }


def _annotators(connection: Connection) -> list[dict[str, Any]]:
    """Each annotator's pseudonym, platform, submitted pages, last submission and whether she withdrew."""
    a, w = t.annotators.c, t.work.c
    joined = t.annotators.outerjoin(t.work, and_(w.annotator_id == a.id, w.state == "submitted"))
    query = (
        select(a.pseudonym, a.platform, a.withdrawn, a.verdict, func.count(w.id), func.max(w.submitted))
        .select_from(joined)
        .group_by(a.id)
        .order_by(func.count(w.id).desc(), a.pseudonym)
    )
    return [
        {
            "annotator": pseudonym,
            "platform": platform,
            "withdrawn": withdrawn is not None,
            "verdict": verdict,
            "submitted": submitted,
            "last": last,
        }
        for pseudonym, platform, withdrawn, verdict, submitted, last in connection.execute(query)
    ]


def _events(connection: Connection) -> dict[str, int]:
    b = t.batches.c
    query = select(
        func.count(), func.sum(b.last_seq - b.first_seq + 1), func.sum(func.length(b.body))
    ).select_from(t.batches)
    batches, events, size = connection.execute(query).one()
    return {"batches": batches, "events": events or 0, "bytes": size or 0}
