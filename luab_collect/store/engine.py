"""Connections to the database: what a commit promises, who waits for whom, what a full disk looks like."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from luab_data.console.text import redact
from luab_data.errors import SourceError

if TYPE_CHECKING:
    import psycopg

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
# SQLite lets one write at a time; on PostgreSQL this lock does, so that both decide in the same order.
_LOCK = 0x4C554142
_WAIT_MS = 30_000  # for another process that writes
# Of PostgreSQL: 53100 disk_full, 53200 out_of_memory of its shared memory is not one.
_FULL_STATES = ("53100",)


def open_engine(url: str, folder: Path | None = None) -> Engine:
    """The engine of a database address, `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.

    Args:
        url: The address.
        folder: What a relative FILE is relative to; None: it must be absolute.

    Raises:
        SourceError: another kind of address.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SourceError(_no_database(url)) from None
    driver = DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise SourceError(_no_database(url))
    parsed = parsed.set(drivername=driver)
    if driver == "sqlite":
        file = parsed.database or ""
        if not file or file.startswith((":", "file:")) or (folder is None and not Path(file).is_absolute()):
            raise SourceError(_no_database(url))
        parsed = parsed.set(database=str((folder or Path()) / file))
    try:
        if driver == "sqlite":
            engine = create_engine(parsed, pool_size=16, max_overflow=48)
            event.listen(engine, "connect", _set_up_sqlite)
        else:
            engine = create_engine(parsed, pool_size=8, max_overflow=24, pool_pre_ping=True)
            event.listen(engine, "connect", _set_up_postgresql)
    except (ArgumentError, NoSuchModuleError):
        raise SourceError(_no_database(url)) from None
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database, that of its first statement."""
    # SQLite's do; on PostgreSQL each statement would see a state of its own.
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: alone, from its first statement on. Committed at the end."""
    with engine.connect().execution_options(luab_write=True) as connection, connection.begin():
        yield connection


def is_full(error: BaseException | None) -> bool:
    """Whether the database, or the disk below it, has no more room."""
    while error is not None:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, OSError) and original.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if isinstance(original, sqlite3.Error) and "disk is full" in str(original):
            return True
        if getattr(original, "sqlstate", None) in _FULL_STATES:
            return True
        error = error.__cause__
    return False


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy says when a transaction begins, see `_begin`
    for pragma in (
        f"busy_timeout={_WAIT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit is on disk: NORMAL may lose acknowledged ones at a power cut
        "foreign_keys=ON",
        "secure_delete=ON",  # who withdraws is gone from the file, not only from the tables
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _set_up_postgresql(connection: "psycopg.Connection", record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{_WAIT_MS}ms"])
    connection.commit()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("luab_write", False)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _no_database(url: str) -> str:
    return (
        f"database is {redact(url)!r}: allowed are sqlite:///FILE (with a file) and "
        "postgresql://USER:PASSWORD@HOST/NAME."
    )
