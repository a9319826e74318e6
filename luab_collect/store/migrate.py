"""Brings a database to the newest version of its tables, with Alembic, which also makes a new one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from luab_data.errors import SourceError

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Runs the missing migrations, all or none.

    Raises:
        SourceError: a newer version of the software made the database, or rows would refer to missing ones.
    """
    with (
        engine.connect().execution_options(luab_write=True) as connection,
        _tables_replaceable(connection),
        connection.begin(),
    ):
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as error:
            raise SourceError(
                f"a newer version of luab made the database ({error}): pip install -U 'luab[collect]'."
            ) from error
        if connection.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise SourceError(f"the database is damaged: a row of {broken[0]} refers to a missing one.")


@contextmanager
def _tables_replaceable(connection: Connection) -> Iterator[None]:
    """SQLite changes a column by making its table anew, which references to the table must not forbid.

    The setting has no effect inside of a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys=OFF").close()
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON").close()


def newest() -> str:
    """The newest version's name."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SourceError(f"{MIGRATIONS} holds no migrations: install luab again.")
    return head


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
