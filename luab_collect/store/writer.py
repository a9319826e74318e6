"""Group commit: one thread writes, and all changes that wait go into one transaction, committed once.

A commit waits for the disk; a hundred changes in one commit wait once. A change is known to its caller only
after the commit. All changes run one after another, so that none has to think of others.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from luab_collect.store.engine import is_full, writing
from luab_data.console.text import text_of

T = TypeVar("T")
Change = Callable[[Connection], T]

MAX_GROUP = 500  # changes in one transaction
MAX_WAITING = 5_000  # then the server says that it is busy

log = logging.getLogger(__name__)


class Full(Exception):
    """Nothing was written: the disk is full."""


class Unavailable(Exception):
    """Nothing was written: the database cannot be reached, is locked, or too much waits."""


class Writer:
    """The writing thread; close it at the end."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._waiting: queue.Queue[tuple[Change[Any], Future[Any]] | None] = queue.Queue(MAX_WAITING)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="luab-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Change[T]) -> "Future[T]":
        """The change's result, once it is committed.

        The future raises Full, Unavailable, or what the change raised: then that change alone is undone.
        """
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(Unavailable("the server is ending"))
            return future
        try:
            self._waiting.put_nowait((change, future))
        except queue.Full:
            future.set_exception(Unavailable(f"{MAX_WAITING} changes wait already"))
        return future

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()
        with suppress(queue.Empty):  # submitted at the last moment
            while following := self._waiting.get_nowait():
                following[1].set_exception(Unavailable("the server is ending"))

    def _run(self) -> None:
        while (group := self._group()) is not None:
            answers = self._commit(group)
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.set_running_or_notify_cancel():
                    continue  # its caller went away; the change is committed all the same
                if isinstance(answer, _Failed):
                    future.set_exception(answer.error)
                else:
                    future.set_result(answer)

    def _group(self) -> list[tuple[Change[Any], Future[Any]]] | None:
        """All changes that wait, at least one; None: the end."""
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        with suppress(queue.Empty):
            while len(group) < MAX_GROUP:
                following = self._waiting.get_nowait()
                if following is None:
                    self._waiting.put(None)
                    break
                group.append(following)
        return group

    def _commit(self, group: list[tuple[Change[Any], Future[Any]]]) -> list[Any]:
        """The answers to a group's changes: results, or what they raised."""
        try:
            with writing(self._engine) as connection:
                return [_one(connection, change) for change, _ in group]
        except Exception as error:  # of the database: nothing of the group is there
            full = is_full(error)
            log.error("nothing was written: %s", "the disk is full" if full else text_of(error))
            return [_Failed(Full() if full else Unavailable(text_of(error))) for _ in group]


@dataclass(frozen=True)
class _Failed:
    error: Exception


def _one(connection: Connection, change: Change[Any]) -> Any:
    """One change's result, or what it raised after it was undone; an ill database ends the transaction."""
    part = connection.begin_nested()
    try:
        result = change(connection)
        part.commit()
    except Exception as error:
        if isinstance(error, DBAPIError) and (error.connection_invalidated or is_full(error)):
            raise
        part.rollback()
        return _Failed(error)
    return result
