"""What a running server holds: the project, its database, the writer, and what never changes."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from sqlalchemy import Connection, select

from luab_collect.store import tables as t
from luab_collect.store.keys import keyed
from luab_collect.store.opening import ProjectStore
from luab_collect.store.people import Caller, session_of
from luab_collect.store.refusals import Refusal
from luab_collect.store.writer import Writer

T = TypeVar("T")

DESKS = 10_000  # pages of work whose images are kept in memory
VERSION_DIGITS = 12


@dataclass(frozen=True)
class Desk:
    """What never changes of a page of work."""

    work: str
    annotator: int
    items: frozenset[str]


class Studio:
    """A store with its writer, and what requests ask for again and again."""

    def __init__(self, store: ProjectStore):
        store.begin_serving()
        self.store = store
        self.project = store.project
        self.labels = frozenset(store.project.class_names)
        self.consent_text = store.project.consent()
        self.consent_version = hashlib.sha256(self.consent_text.encode()).hexdigest()[:VERSION_DIGITS]
        self._writer = Writer(store.engine)
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._lock = Lock()

    async def write(self, change: Callable[[Connection], T]) -> T:
        """The result of a change once it is committed; raises what it raised, Full or Unavailable."""
        return await asyncio.wrap_future(self._writer.submit(change))

    def now(self) -> float:
        """Epoch seconds."""
        return self.store.clock()

    def session(self, token: str | None) -> Caller:
        """Whose token it is; raises Refusal (`session`)."""
        if token:
            with self.store.reading() as connection:
                session = session_of(connection, token, self.now())
            if session is not None:
                return session
        raise Refusal("session", "the session is over: open your link again")

    def desk(self, work: str, annotator: int) -> Desk:
        """An annotator's page of work; raises Refusal (`work`)."""
        with self._lock:
            desk = self._desks.get(work)
        if desk is None:
            desk = self._read_desk(work)
        if desk is None or desk.annotator != annotator:
            raise Refusal("work", "there is no such page of work, or it is another annotator's")
        return desk

    def admin_token(self) -> str:
        """What opens the admin's pages; the same after a restart."""
        return keyed(self.store.secret, "admin", digits=64)

    def close(self) -> None:
        """Writes what waits, and closes the database."""
        self._writer.close()
        self.store.close()

    def _read_desk(self, work: str) -> Desk | None:
        w, p = t.work.c, t.page_items.c
        query = select(w.annotator_id, p.item_id).join(t.page_items, p.page_id == w.page_id)
        with self.store.reading() as connection:
            rows = connection.execute(query.where(w.id == work)).all()
        if not rows:
            return None
        desk = Desk(work, rows[0].annotator_id, frozenset(row.item_id for row in rows))
        with self._lock:
            self._desks[work] = desk
            if len(self._desks) > DESKS:
                self._desks.popitem(last=False)
        return desk
