"""Group commit: many changes in one transaction, each undone alone if it fails."""

import threading

import pytest
from sqlalchemy import insert, select

from luab_collect.store import tables as t
from luab_collect.store import writer as writer_module
from luab_collect.store.engine import open_engine
from luab_collect.store.migrate import upgrade
from luab_collect.store.refusals import Refusal
from luab_collect.store.writer import Unavailable, Writer
from luab_data.errors import SourceError


@pytest.fixture
def engine(database):
    made = open_engine(database)
    upgrade(made)
    yield made
    made.dispose()


def put(key):
    return lambda connection: connection.execute(insert(t.meta).values(key=key, value="x")) and key


def keys(engine):
    with engine.connect() as connection:
        return set(connection.execute(select(t.meta.c.key)).scalars())


def held(writer, change):
    """A first change that waits, so that those after it are one group."""
    go = threading.Event()
    first = writer.submit(lambda c: go.wait(10) and change(c))
    return go, first


def test_changes_that_wait_are_one_commit(engine, monkeypatch):
    transactions = []
    real = writer_module.writing
    monkeypatch.setattr(writer_module, "writing", lambda e: transactions.append(1) or real(e))
    writer = Writer(engine)
    go, first = held(writer, put("first"))
    others = [writer.submit(put(f"k{number}")) for number in range(50)]
    assert not any(each.done() for each in others)
    go.set()
    assert [each.result(10) for each in (first, *others)] == ["first", *(f"k{n}" for n in range(50))]
    assert len(transactions) <= 3
    assert len(keys(engine)) == 51
    writer.close()


def test_a_change_that_fails_is_undone_alone(engine):
    writer = Writer(engine)
    go, first = held(writer, put("a"))

    def refused(connection):
        put("b")(connection)
        raise Refusal("gap", "no")

    def wrong(connection):
        put("c")(connection)
        return {}["nothing"]

    answers = [writer.submit(each) for each in (refused, put("d"), wrong, put("d"), put("e"))]
    go.set()
    assert first.result(10) == "a"
    with pytest.raises(Refusal, match="no"):
        answers[0].result(10)
    assert answers[1].result(10) == "d"
    with pytest.raises(KeyError):
        answers[2].result(10)
    with pytest.raises(Exception, match=r"(?i)unique"):
        answers[3].result(10)
    assert answers[4].result(10) == "e"
    assert keys(engine) == {"a", "d", "e"}
    writer.close()


def test_a_closed_writer_writes_what_waits_and_refuses_more(engine):
    writer = Writer(engine)
    waiting = [writer.submit(put(f"k{number}")) for number in range(20)]
    writer.close()
    assert [each.result(0) for each in waiting] == [f"k{n}" for n in range(20)]
    with pytest.raises(Unavailable, match="ending"):
        writer.submit(put("late")).result(1)


def test_too_much_that_waits_is_refused(engine, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_WAITING", 5)
    writer = Writer(engine)
    go, _ = held(writer, put("a"))
    answers = [writer.submit(put(f"k{number}")) for number in range(10)]
    with pytest.raises(Unavailable, match="wait already"):
        answers[-1].result(1)
    go.set()
    writer.close()


def test_a_database_that_went_away_is_unavailable_and_comes_back(postgresql):
    import psycopg

    engine = open_engine(postgresql)
    upgrade(engine)
    writer = Writer(engine)

    def ends_its_own_connection(connection):
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with psycopg.connect(postgresql, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
        return connection.execute(select(t.meta)).all()

    go, first = held(writer, put("lost"))
    second = writer.submit(ends_its_own_connection)
    third = writer.submit(put("lost too"))
    go.set()
    answers = [first, second, third]
    # `first` may have been a group of its own.
    failed = [each for each in answers if each.exception(20) is not None]
    assert second in failed and all(isinstance(each.exception(), Unavailable) for each in failed)
    assert writer.submit(put("back")).result(20) == "back"
    assert keys(engine) == {"back"} | {each.result() for each in answers if each not in failed}
    writer.close()
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:a.sqlite?uri=true",
        "sqlite:///relative.sqlite",  # to no folder
        "nothing",
        "postgresql+asyncpg://a@b/c",
        "oracle://u:secret@h/d",
    ],
)
def test_other_addresses_of_databases_are_refused(url):
    if url.startswith("postgresql"):
        assert open_engine(url).dialect.driver == "psycopg"  # the driver is ours to choose
        return
    with pytest.raises(SourceError, match="allowed are sqlite:///FILE") as refused:
        open_engine(url)
    assert "secret" not in str(refused.value)


def test_sqlite_promises_what_a_commit_is(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    engine.dispose()


def test_postgresql_promises_the_same(postgresql):
    engine = open_engine(postgresql)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engine.dispose()
