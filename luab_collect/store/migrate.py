"""Brings a database to the newest version of its tables, with Alembic, which also makes a new one."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from luab_collect.store.engine import writing
from luab_data.errors import SourceError

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Runs the missing migrations, all or none.

    Raises:
        SourceError: a newer version of the software made the database.
    """
    with writing(engine) as connection:
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as error:
            raise SourceError(
                f"a newer version of luab made the database ({error}): pip install -U 'luab[collect]'."
            ) from error


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
