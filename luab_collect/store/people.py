"""Who annotates: pseudonyms, own links, sessions, consent, withdrawal and what is kept how long.

The pseudonym is a keyed hash of the id outside, so that who comes back is known again, and nobody without
the key can look an id up. Outside ids and names are in tables of their own, which no export reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from luab_collect.platforms import LINK
from luab_collect.store import tables as t
from luab_collect.store.keys import PSEUDONYM_DIGITS, keyed, new_token, token_sha256
from luab_collect.store.refusals import Refusal

SESSION_SECONDS = 14 * 24 * 3600.0
MAX_SESSIONS = 20  # of one annotator; then the oldest ends


@dataclass(frozen=True)
class Caller:
    """Whose request it is."""

    annotator: int
    pseudonym: str
    platform: str
    visit: str | None
    practiced: bool
    excluded: bool  # a person decided that her work does not count


def annotator_of(
    connection: Connection, secret: bytes, platform: str, outside_id: str, now: float
) -> Row[Any]:
    """The annotator with an id outside, new or known; raises Refusal (`withdrawn`)."""
    row, pseudonym = known(connection, secret, platform, outside_id)
    if row is None:
        connection.execute(insert(t.annotators).values(pseudonym=pseudonym, platform=platform, created=now))
        row = connection.execute(select(t.annotators).where(t.annotators.c.pseudonym == pseudonym)).one()
    elif row.withdrawn is not None:
        raise Refusal("withdrawn", "you have withdrawn from this study")
    if _outside_id(connection, row.id) is None:  # new, or removed by retention
        values = {"annotator_id": row.id, "platform": platform, "outside_id": outside_id}
        connection.execute(insert(t.outside_ids).values(**values))
    return row


def known(
    connection: Connection, secret: bytes, platform: str, outside_id: str
) -> tuple[Row[Any] | None, str]:
    """The annotator with an id outside, and her pseudonym; None: a new one.

    It is the hash that knows her, also where her id was removed.
    """
    number = 0
    pseudonym = keyed(secret, "annotator", platform, outside_id, digits=PSEUDONYM_DIGITS)
    while True:
        query = select(t.annotators).where(t.annotators.c.pseudonym == pseudonym)
        row = connection.execute(query).first()
        if row is None:
            return None, pseudonym
        if row.platform == platform and _outside_id(connection, row.id) in (None, outside_id):
            return row, pseudonym
        number += 1  # another one with the same 40 bits
        pseudonym = keyed(secret, "annotator", platform, outside_id, str(number), digits=PSEUDONYM_DIGITS)


def annotator_of_link(connection: Connection, token: str) -> Row[Any]:
    """The annotator of an own link; raises Refusal (`link`, `withdrawn`)."""
    query = (
        select(t.annotators)
        .join(t.links, t.links.c.annotator_id == t.annotators.c.id)
        .where(t.links.c.token_sha256 == token_sha256(token))
    )
    row = connection.execute(query).first()
    if row is None:
        raise Refusal("link", "this link is not, or no longer, valid: ask for a new one")
    if row.withdrawn is not None:
        raise Refusal("withdrawn", "you have withdrawn from this study")
    return row


def start_session(connection: Connection, annotator: int, visit: str | None, now: float) -> str:
    """A new session's token. Earlier sessions go on, for a second tab."""
    s = t.sessions.c
    connection.execute(delete(t.sessions).where(s.expires < now))
    earlier = select(s.token_sha256).where(s.annotator_id == annotator).order_by(s.created.desc())
    ended = connection.execute(earlier.offset(MAX_SESSIONS - 1)).scalars().all()
    if ended:
        connection.execute(delete(t.sessions).where(s.token_sha256.in_(ended)))
    token = new_token()
    connection.execute(
        insert(t.sessions).values(
            token_sha256=token_sha256(token),
            annotator_id=annotator,
            visit=visit,
            created=now,
            expires=now + SESSION_SECONDS,
        )
    )
    return token


def session_of(connection: Connection, token: str, now: float) -> Caller | None:
    """The session with a token, unless it is over."""
    a, s = t.annotators.c, t.sessions.c
    query = (
        select(a.id, a.pseudonym, a.platform, a.practiced, a.verdict, s.visit)
        .join(t.sessions, s.annotator_id == a.id)
        .where(s.token_sha256 == token_sha256(token), s.expires > now, a.withdrawn.is_(None))
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return Caller(
        row.id, row.pseudonym, row.platform, row.visit, row.practiced is not None, row.verdict == "reject"
    )


def has_consented(connection: Connection, annotator: int, version: str) -> bool:
    """Whether an annotator has consented to this version."""
    c = t.consents.c
    return (
        connection.execute(select(c.at).where(c.annotator_id == annotator, c.version == version)).first()
        is not None
    )


def consent(connection: Connection, annotator: int, version: str, text: str, now: float) -> None:
    """Notes a consent with its text; a second time changes nothing."""
    if has_consented(connection, annotator, version):
        return
    digest = token_sha256(text)
    if connection.execute(select(t.texts.c.sha256).where(t.texts.c.sha256 == digest)).first() is None:
        connection.execute(insert(t.texts).values(sha256=digest, body=text))
    connection.execute(
        insert(t.consents).values(annotator_id=annotator, version=version, text_sha256=digest, at=now)
    )


def practiced(connection: Connection, annotator: int, now: float) -> None:
    """Notes that an annotator has finished the practice."""
    a = t.annotators.c
    connection.execute(
        update(t.annotators).where(a.id == annotator, a.practiced.is_(None)).values(practiced=now)
    )


def add_link(connection: Connection, secret: bytes, name: str, now: float) -> str:
    """A new link's token for a person; her earlier one ends. Raises Refusal (`withdrawn`)."""
    annotator = annotator_of(connection, secret, LINK, name, now)
    token = new_token()
    connection.execute(delete(t.links).where(t.links.c.annotator_id == annotator.id))
    connection.execute(
        insert(t.links).values(
            token_sha256=token_sha256(token), annotator_id=annotator.id, name=name, created=now
        )
    )
    return token


def revoke_link(connection: Connection, name: str) -> bool:
    """Ends a person's link and sessions; False: there is no such link."""
    annotator = connection.execute(select(t.links.c.annotator_id).where(t.links.c.name == name)).scalar()
    if annotator is None:
        return False
    connection.execute(delete(t.links).where(t.links.c.annotator_id == annotator))
    connection.execute(delete(t.sessions).where(t.sessions.c.annotator_id == annotator))
    return True


def link_names(connection: Connection) -> Sequence[Any]:
    """Name, pseudonym, number of submitted pages and creation of each link, by name."""
    a, c = t.annotators.c, t.links.c
    submitted = (
        select(func.count())
        .where(t.work.c.annotator_id == a.id, t.work.c.state == "submitted")
        .scalar_subquery()
        .label("submitted")
    )
    query = select(c.name, a.pseudonym, submitted, c.created).join(t.annotators, a.id == c.annotator_id)
    return connection.execute(query.order_by(c.name)).all()


def codes(connection: Connection) -> list[dict[str, Any]]:
    """The completion codes in the order of completion, with whose they are.

    `outside_id` is None where it was removed: by retention, or because she withdrew. `completed` is in epoch
    seconds. Of the `pages` that were planned `done` were submitted, also if they were rejected; None: she
    withdrew, and her pages were removed.
    """
    a, s, o, w = t.annotators.c, t.assignments.c, t.outside_ids.c, t.work.c
    submitted = select(func.count()).where(w.assignment_id == s.id, w.state == "submitted").scalar_subquery()
    joined = t.assignments.join(t.annotators, a.id == s.annotator_id)
    query = (
        select(
            s.code,
            a.pseudonym.label("annotator"),
            a.platform,
            o.outside_id,
            s.completed,
            s.pages,
            case((a.withdrawn.is_(None), submitted)).label("done"),
            a.verdict,
            a.withdrawn.is_not(None).label("withdrawn"),
        )
        .select_from(joined.outerjoin(t.outside_ids, o.annotator_id == a.id))
        .where(s.completed.is_not(None))
        .order_by(s.completed, s.code)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _outside_id(connection: Connection, annotator: int) -> str | None:
    o = t.outside_ids.c
    return connection.execute(select(o.outside_id).where(o.annotator_id == annotator)).scalar()
