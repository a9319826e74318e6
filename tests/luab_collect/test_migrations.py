"""The tables are what the migrations make, and a database of the first version opens. On both databases."""

import re
import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fixtures.shops import make_shop
from sqlalchemy import inspect, select, text

from luab_collect.store import migrate
from luab_collect.store import tables as t
from luab_collect.store.engine import open_engine, writing
from luab_collect.store.leases import Rules
from luab_collect.store.migrate import newest, upgrade
from luab_collect.store.opening import ProjectStore
from luab_collect.store.people import annotator_of
from luab_collect.store.results import known_items, stored_work
from luab_collect.store.work import where
from luab_data.errors import SourceError


@pytest.fixture
def engine(database):
    made = open_engine(database)
    yield made
    made.dispose()


def load_first_version(engine):
    """Runs the statements that the first version's database was kept as."""
    file = Path(__file__).parent / f"first_version.{engine.dialect.name}.sql"
    with engine.begin() as connection:
        for statement in re.split(r";\n", file.read_text(encoding="utf-8")):
            if statement.strip():
                connection.exec_driver_sql(statement)


def test_migrations_make_the_tables_that_are_declared(engine):
    upgrade(engine)
    upgrade(engine)  # nothing more
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest()
        checks = inspect(connection).get_check_constraints("work")
    assert [each["name"] for each in checks] == ["ck_work_state"]


def check_first_version(engine):
    """What was collected with the first version is there, and goes on."""
    rules = Rules(overlap=1, lease=60, pages_per_hit=2)
    with writing(engine) as connection:
        (work,) = stored_work(connection)
        assert (work.annotator, work.class_name, work.state) == ("0123456789", "cat", "submitted")
        assert (work.verdict, work.conflicts, len(work.items)) == ("accept", 1, 3)
        assert [event.kind for event in work.events[1]] == ["open", "move", "select", "submit"]
        assert work.events[1][1].fields["x"] == 0.25
        another = annotator_of(connection, b"key", "url", "another", 1e9)
        assert where(connection, another.id, None, rules, 1e9).work.page_id == 2
        ann = annotator_of_link_name(connection, "Ann")
        assert where(connection, ann, None, rules, 1e9).done == 1
        numbers = select(t.assignments.c.number, t.work.c.submission, t.work.c.blank).join(t.work)
        assert connection.execute(numbers.where(t.work.c.id == work.id)).one() == (1, 1, False)


def annotator_of_link_name(connection, name):
    return connection.execute(select(t.links.c.annotator_id).where(t.links.c.name == name)).scalar()


def test_a_database_of_the_first_version_opens_with_its_work(engine):
    load_first_version(engine)
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []
    check_first_version(engine)


LATER_WORK = """
INSERT INTO work (id, assignment_id, annotator_id, page_id, position, state, created, leased_until, submitted)
SELECT 'bcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbc', assignment_id, annotator_id, 2, 1, 'submitted', 1e9, 1e9,
    1000000090.0 FROM work WHERE position = 0
"""


@pytest.mark.parametrize(
    ("decided", "verdicts"),
    [
        ([("annotator", "accept", 80)], ["accept", None]),  # the later page is not looked at
        ([("annotator", "accept", 95)], ["accept", "accept"]),
        ([("annotator", "reject", 80)], ["reject", "reject"]),
        ([("annotator", "reject", 80), ("annotator", "accept", 85)], ["accept", None]),
        # A reject of either won.
        ([("annotator", "reject", 80), ("work", "accept", 85)], ["reject", "reject"]),
        ([("work", "reject", 85), ("annotator", "accept", 95)], ["reject", "accept"]),
        ([("work", "reject", 85), ("work", "accept", 86), ("annotator", "accept", 95)], ["accept", "accept"]),
    ],
)
def test_decisions_of_earlier_versions_hold_as_they_did(engine, decided, verdicts):
    load_first_version(engine)
    with engine.begin() as connection:
        connection.execute(text(LATER_WORK))
        for number, (subject, verdict, second) in enumerate(decided, start=2):
            table, row = ("work", "ab" * 16) if subject == "work" else ("annotators", 1)
            values = {"n": number, "row": row, "verdict": verdict, "at": 1e9 + second}
            into = f'decisions (id, {subject}_id, verdict, reason, "by", at)'
            connection.execute(
                text(f"INSERT INTO {into} VALUES (:n, :row, :verdict, 'why', 'me', :at)"), values
            )
            connection.execute(text(f"UPDATE {table} SET verdict = :verdict WHERE id = :row"), values)
    upgrade(engine)
    with engine.connect() as connection:
        found = connection.execute(select(t.work.c.verdict).order_by(t.work.c.position))
        assert list(found.scalars()) == verdicts


LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade():
    op.add_column("work", sa.Column("device", sa.String(16), nullable=False, server_default="unknown"))
    with op.batch_alter_table("annotators") as table:
        table.alter_column("platform", existing_type=sa.String(16), type_=sa.String(64), nullable=False)
    {fault}
"""


@pytest.mark.parametrize("fault", ["", "raise RuntimeError('power cut')"], ids=["whole", "broken"])
def test_a_later_version_changes_a_database_wholly_or_not_at_all(engine, tmp_path, monkeypatch, fault):
    """Also SQLite's way to change a column, with foreign keys on."""
    load_first_version(engine)
    head = newest()
    shutil.copytree(migrate.MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "migrations" / "versions" / "v9999.py").write_text(LATER.format(head=head, fault=fault))
    monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path / "migrations")
    if fault:
        with pytest.raises(RuntimeError, match="power cut"):
            upgrade(engine)
        monkeypatch.undo()
    upgrade(engine)
    columns = {each["name"] for each in inspect(engine).get_columns("work")}
    assert ("device" in columns) is not bool(fault)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    check_first_version(engine)


def test_images_whose_answer_is_known_are_read_alone(tmp_path, database):
    project = make_shop(tmp_path / "shop", database=database, gold0={"cat": None}, gold1={"cat": []})
    store = ProjectStore(project)
    with store.reading() as connection:
        assert len(list(connection.execute(select(t.items.c.id)))) > 2
        found = known_items(connection)
    store.close()
    assert sorted(str(item.gold) for item in found) == ["{'cat': None}", "{'cat': []}"]


def test_a_newer_database_is_refused(engine):
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SourceError, match="a newer version of luab made the database"):
        upgrade(engine)


def test_other_pages_than_the_projects_are_refused(tmp_path, database):
    project = make_shop(tmp_path / "shop", database=database)
    ProjectStore(project).close()
    ProjectStore(project).close()
    other = make_shop(tmp_path / "other", database=database, seed=1)
    with pytest.raises(SourceError, match="other images or pages of work"):
        ProjectStore(other)
    ProjectStore(project).close()  # the first one is as it was
