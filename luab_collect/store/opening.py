"""Opens a project's database: brought to the newest version, filled with the project's pages of work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from luab_collect.items import read_items
from luab_collect.plan import plan_pages
from luab_collect.project import Project
from luab_collect.store.engine import is_full, open_engine, reading, writing
from luab_collect.store.fill import fill, inputs_of, is_filled
from luab_collect.store.leases import Rules
from luab_collect.store.meaning import keep, require_same_meaning
from luab_collect.store.migrate import upgrade
from luab_data.console.text import redact, text_of
from luab_data.errors import SourceError


class ProjectStore:
    """A project's database, brought to the newest version and filled; for commands and servers."""

    def __init__(self, project: Project, clock: Callable[[], float] = time.time):
        """Opens the database; makes it at first.

        Args:
            project: Its settings.
            clock: Epoch seconds.

        Raises:
            SourceError: the database does not fit the project, or cannot be opened.
        """
        self.project = project
        self.clock = clock
        self.secret = project.secret()
        self.rules = Rules(project.overlap, 60.0 * project.lease_minutes, project.pages_per_hit)
        self.engine: Engine = open_engine(project.database, project.folder)
        try:
            upgrade(self.engine)
            inputs = inputs_of(project)
            with self.reading() as connection:
                require_same_meaning(connection, project)
                filled = is_filled(connection, inputs)
            if not filled:
                items = read_items(project)
                pages = plan_pages(project, items)
                with self.writing() as connection:
                    fill(connection, items, pages, self.secret, inputs, project)
        except FileNotFoundError as error:
            raise SourceError(f"{error.filename} is missing: luab collect init makes it.") from error
        except DBAPIError as error:
            self.close()
            found = "its disk is full" if is_full(error) else text_of(error.orig or error).partition("\n")[0]
            raise SourceError(
                f"the database {redact(project.database)!r} cannot be opened: {found}"
            ) from error

    def begin_serving(self) -> None:
        """Notes the settings with which work is handed out from now on."""
        with self.writing() as connection:
            keep(connection, self.project)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with reading(self.engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, for commands; servers have `Studio.write`."""
        with writing(self.engine) as connection:
            yield connection

    def compact(self) -> None:
        """After a removal: takes it out of SQLite's log too. PostgreSQL's log keeps it for a time."""
        if self.engine.dialect.name == "sqlite":
            connection = self.engine.raw_connection()
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                connection.close()

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()
