"""Commands for people: links, status, withdrawal, retention; and what of people is where."""

import json
import re
import sqlite3

import pytest
from fixtures.shops import Annotator, Clock, Running, make_shop
from sqlalchemy import select

from luab.commands.collect import main
from luab_collect.store import people, retention
from luab_collect.store import tables as t
from luab_collect.store.keys import keyed
from luab_collect.store.opening import ProjectStore


@pytest.fixture
def shop(tmp_path):
    make_shop(tmp_path / "shop")
    return str(tmp_path / "shop")


def tokens(printed):
    return dict(re.findall(r"^(\S+)\thttps?://\S+/work#t=(\S+)$", printed, re.MULTILINE))


def test_links_are_printed_once_listed_and_revoked(shop, capsys):
    assert main(["people", shop, "list"]) == 0
    assert "nobody yet" in capsys.readouterr().out
    assert main(["people", shop, "add", "Ann", "Ben", "--address", "https://lab.example.org/"]) == 0
    printed = capsys.readouterr().out
    links = tokens(printed)
    assert set(links) == {"Ann", "Ben"} and "https://lab.example.org/work#t=" in printed
    assert main(["people", shop, "list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"^Ann\t[0-9a-f]{10}\t0 pages$", listed, re.MULTILINE)
    assert not any(token in listed for token in links.values())
    assert links["Ann"].encode() not in b"".join(path.read_bytes() for path in _database_files(shop))
    assert main(["people", shop, "add", "Ann"]) == 0  # a new link, the same pseudonym
    again = tokens(capsys.readouterr().out)
    assert again["Ann"] != links["Ann"]
    assert main(["people", shop, "revoke", "Ben"]) == 0
    assert main(["people", shop, "revoke", "Ben"]) == 1


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["add"], "add takes names"),
        (["list", "Ann"], "list takes no names"),
        (["add", "A\nB"], "is no name"),
        (["add", ""], "is no name"),
        (["list", "--json"], "--json belongs to codes"),
        (["codes", "CODE", "--json"], "codes --json takes no CODE"),
        (["add", "Ann", "--address", "ftp://x"], "--address is 'ftp://x'"),
    ],
)
def test_what_the_command_refuses(shop, argv, reason, capsys):
    assert main(["people", shop, *argv]) == 1
    assert reason in capsys.readouterr().err


def _database_files(shop):
    from pathlib import Path

    return list(Path(shop).glob("collect.sqlite*"))


def test_links_and_sessions_end_with_a_revocation(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client:
        (ann,) = running.annotators("Ann")
        with running.store.writing() as connection:
            token = people.add_link(connection, running.store.secret, "Ann", 1.0)
            assert people.revoke_link(connection, "Ann")
        assert ann.get("/api/work").json()["error"] == "session"
        entered = running.client.post("/api/enter", json={"platform": "link", "token": token})
        assert (entered.status_code, entered.json()["error"]) == (401, "link")


def test_codes_are_listed_with_whose_they_are_and_checked(tmp_path, capsys):
    running = Running(tmp_path / "shop", pages_per_hit=1, platforms={"url": {"annotator": "worker"}})
    shop = str(tmp_path / "shop")
    assert main(["people", shop, "codes"]) == 0
    assert "no assignment is complete yet" in capsys.readouterr().out
    with running.client:
        worker = Annotator(running.client, platform="url", parameters={"worker": "worker 7"}).consent()
        worker.finish()
        first = worker.work()["completion"]["code"]
        (ann,) = running.annotators("Ann")
        ann.finish()
        second = ann.work()["completion"]["code"]
        Annotator(running.client, platform="url", parameters={"worker": "worker 8"}).consent().begin()
    assert main(["people", shop, "codes"]) == 0
    listed = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [each[:4] for each in listed] == [
        [first, worker.pseudonym, "url", "worker 7"],
        [second, ann.pseudonym, "link", "Ann"],
    ]
    assert all(re.fullmatch(r"2023-11-14 \d\d:\d\d UTC", each[4]) for each in listed)
    assert main(["review", shop, "--reject", worker.pseudonym, "--reason", "no care"]) == 0
    capsys.readouterr()
    assert main(["people", shop, "codes", second.lower(), "INVENTED2345", first]) == 1
    checked = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert checked == [listed[1], ["INVENTED2345", "no code of this project"], [*listed[0], "rejected"]]
    main(["withdraw", shop, "Ann", "--yes"])
    capsys.readouterr()
    assert main(["people", shop, "codes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [{**each, "completed": 0} for each in told] == [
        {
            "code": code,
            "annotator": who.pseudonym,
            "platform": platform,
            "outside_id": outside_id,
            "completed": 0,
            "pages": 1,
            "done": done,
            "verdict": verdict,
            "withdrawn": withdrawn,
        }
        for code, who, platform, outside_id, done, verdict, withdrawn in (
            (first, worker, "url", "worker 7", 1, "reject", False),
            (second, ann, "link", None, None, None, True),
        )
    ]


def test_a_code_says_how_many_of_the_planned_pages_were_done(tmp_path, capsys):
    running = Running(tmp_path / "shop", images=15, pages_per_hit=5)  # 5 pages
    with running.client:
        ann, ben = running.annotators("Ann", "Ben")
        ann.begin()
        ben.finish()
        while ann.work()["state"] == "page":
            ann.finish()
        assert ben.work()["state"] == "done"
    assert main(["people", str(tmp_path / "shop"), "codes", "--json"]) == 0
    told = {each["annotator"]: (each["done"], each["pages"]) for each in json.loads(capsys.readouterr().out)}
    assert told == {ann.pseudonym: (4, 5), ben.pseudonym: (1, 4)}
    assert main(["people", str(tmp_path / "shop"), "codes"]) == 0
    lines = {line.split("\t")[1]: line.split("\t")[5] for line in capsys.readouterr().out.splitlines()}
    assert lines == {ann.pseudonym: "4 of 5 pages", ben.pseudonym: "1 of 4 pages"}


def test_pseudonyms_are_keyed_hashes(tmp_path):
    store = ProjectStore(make_shop(tmp_path / "shop"), Clock())
    with store.writing() as connection:
        row = people.annotator_of(connection, store.secret, "url", "worker 7", 1.0)
        assert people.annotator_of(connection, store.secret, "url", "worker 7", 2.0).id == row.id
        assert people.annotator_of(connection, store.secret, "prolific", "worker 7", 2.0).id != row.id
    assert row.pseudonym == keyed(store.secret, "annotator", "url", "worker 7", digits=10)
    assert row.pseudonym != keyed(b"other" * 8, "annotator", "url", "worker 7", digits=10)
    store.close()


def test_two_people_with_the_same_hash_stay_two(tmp_path, monkeypatch):
    monkeypatch.setattr(people, "keyed", lambda secret, *parts, digits: f"{len(parts):010}")
    store = ProjectStore(make_shop(tmp_path / "shop"), Clock())
    with store.writing() as connection:
        first = people.annotator_of(connection, store.secret, "url", "a", 1.0)
        second = people.annotator_of(connection, store.secret, "url", "b", 1.0)
        assert (first.pseudonym, second.pseudonym) == ("0000000003", "0000000004")
        assert people.annotator_of(connection, store.secret, "url", "b", 1.0).id == second.id
    store.close()


def test_ids_outside_are_in_their_own_tables_only(tmp_path):
    """All cells of all tables: names and ids stand in `links` and `outside_ids`, and nowhere else."""
    running = Running(tmp_path / "shop", platforms={"url": {"annotator": "worker", "session": "visit"}})
    with running.client:
        entry = {
            "platform": "url",
            "parameters": {"worker": "WORKER-7", "visit": "VISIT-9", "other": "OTHER-3"},
        }
        Annotator(running.client, **entry).consent().finish()
        running.annotators("Ann Example")[0].finish()
    found = set()
    with sqlite3.connect(tmp_path / "shop" / "collect.sqlite") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            text = str(connection.execute(f"SELECT * FROM {name}").fetchall())
            found |= {
                (name, each)
                for each in ("WORKER-7", "VISIT-9", "OTHER-3", "Ann Example", "testclient")
                if each in text
            }
    assert found == {("outside_ids", "WORKER-7"), ("outside_ids", "Ann Example"), ("links", "Ann Example")}


def test_who_withdraws_is_gone_and_her_pages_are_done_by_others(tmp_path, capsys):
    running = Running(tmp_path / "shop", images=6)
    shop = str(tmp_path / "shop")
    with running.client:
        (token,) = [people_token(running, "Ann")]
        ann = Annotator(running.client, token).consent()
        ann.finish()
        _, base, epoch = ann.begin()
        assert main(["withdraw", shop, "Nobody"]) == 1
        assert "there is no annotator 'Nobody'" in capsys.readouterr().err
        assert main(["withdraw", shop, "Ann"]) == 1
        assert "2 pages of work and 1 batch of events. Nothing was removed" in capsys.readouterr().out
        assert ann.work()["state"] == "page"
        assert main(["withdraw", shop, ann.pseudonym, "--yes"]) == 0
        assert ann.get("/api/work").json()["error"] == "session"
        assert ann.send(base, epoch, [{}]).json()["error"] == "session"
        assert running.client.post("/api/enter", json={"platform": "link", "token": token}).status_code == 401
        with running.store.reading() as connection:
            left = {
                table.name: len(connection.execute(select(table)).all())
                for table in (t.batches, t.work, t.links, t.outside_ids, t.sessions, t.consents)
            }
            assert set(left.values()) == {0}
            assert list(connection.execute(select(t.pages.c.taken)).scalars()) == [0, 0]
        (ben,) = running.annotators("Ben")
        assert {ben.finish()["work"], ben.finish()["work"]} and ben.work()["state"] == "done"
        assert main(["people", shop, "add", "Ann"]) == 1
        assert "has withdrawn" in capsys.readouterr().err
    files = b"".join(path.read_bytes() for path in _database_files(shop))
    assert b"Ann" not in files and b"Ben" in files  # also not in the file's free pages


def enter_by_url(running, worker):
    return Annotator(running.client, platform="url", parameters={"worker": worker}).consent()


def there(running):
    """Pseudonyms of who has not withdrawn."""
    a = t.annotators.c
    with running.store.reading() as connection:
        return set(connection.execute(select(a.pseudonym).where(a.withdrawn.is_(None))).scalars())


@pytest.mark.parametrize("name", ["Ann", "Ben", "worker 7"])
def test_who_has_a_name_of_somebody_else_too_is_not_removed_by_it(tmp_path, capsys, name):
    running = Running(tmp_path / "shop", platforms={"url": {"annotator": "worker"}})
    shop = str(tmp_path / "shop")
    with running.client:
        stranger = enter_by_url(running, name)
        (own,) = running.annotators(name)
        for argv in (["withdraw", shop, name], ["withdraw", shop, name, "--yes"]):
            assert main(argv) == 1
            refused = capsys.readouterr().err
            assert f"{own.pseudonym} (link), {stranger.pseudonym} (url)" in refused, refused
            assert "--by" in refused and there(running) == {own.pseudonym, stranger.pseudonym}
        assert main(["withdraw", shop, name, "--yes", "--by", "link"]) == 0
        assert f"{own.pseudonym} (link): " in capsys.readouterr().out
        assert there(running) == {stranger.pseudonym}
        # A second time, and after her name was forgotten, she is still known, by the hash.
        assert main(["withdraw", shop, name, "--yes"]) == 1
        assert there(running) == {stranger.pseudonym}
        assert main(["withdraw", shop, name, "--by", "prolific"]) == 1
        assert "there is no annotator" in capsys.readouterr().err


def test_an_id_equal_to_a_pseudonym_removes_neither(tmp_path, capsys):
    running = Running(tmp_path / "shop", platforms={"url": {"annotator": "worker"}})
    shop = str(tmp_path / "shop")
    with running.client:
        (ann,) = running.annotators("Ann")
        impostor = enter_by_url(running, ann.pseudonym)
        assert main(["withdraw", shop, ann.pseudonym, "--yes"]) == 1
        assert there(running) == {ann.pseudonym, impostor.pseudonym}
        assert main(["withdraw", shop, ann.pseudonym, "--yes", "--by", "url"]) == 0
        assert there(running) == {ann.pseudonym}
        assert main(["withdraw", shop, ann.pseudonym, "--yes", "--by", "pseudonym"]) == 0
        assert there(running) == set()
        capsys.readouterr()


def test_whose_name_was_forgotten_is_found_by_it_and_not_somebody_else(tmp_path, capsys):
    running = Running(tmp_path / "shop", platforms={"url": {"annotator": "worker"}})
    shop = str(tmp_path / "shop")
    with running.client:
        (ann,) = running.annotators("Ann")
        running.clock.now += 40 * 24 * 3600
        with running.store.writing() as connection:
            assert retention.purge(connection, 30, running.clock())["links"] == 1
        assert main(["withdraw", shop, "Ann"]) == 1
        assert f"{ann.pseudonym} (link): 0 pages of work" in capsys.readouterr().out
        stranger = enter_by_url(running, "Ann")
        assert main(["withdraw", shop, "Ann", "--yes"]) == 1
        assert there(running) == {ann.pseudonym, stranger.pseudonym}
        capsys.readouterr()


def people_token(running, name):
    with running.store.writing() as connection:
        return people.add_link(connection, running.store.secret, name, running.clock())


def test_ids_outside_are_forgotten_after_their_time(tmp_path):
    clock = Clock()
    store = ProjectStore(make_shop(tmp_path / "shop"), clock)
    with store.writing() as connection:
        old = people.annotator_of(connection, store.secret, "url", "old", clock())
        people.start_session(connection, old.id, None, clock())
        clock.now += 50 * 24 * 3600
        new = people.annotator_of(connection, store.secret, "url", "new", clock())
        people.start_session(connection, new.id, None, clock())
        removed = retention.purge(connection, 30, clock())
        assert removed == {"outside_ids": 1, "links": 0, "sessions": 0, "webhooks": 0}
        assert list(connection.execute(select(t.outside_ids.c.outside_id)).scalars()) == ["new"]
        # Who comes back is known by the hash.
        assert people.annotator_of(connection, store.secret, "url", "old", clock()).id == old.id
    store.close()


def test_purge_takes_its_days_from_the_project(tmp_path, capsys):
    make_shop(tmp_path / "a")
    assert main(["purge", str(tmp_path / "a")]) == 1
    assert "set retention_days" in capsys.readouterr().err
    assert main(["purge", str(tmp_path / "a"), "--older-than", "-1"]) == 1
    make_shop(tmp_path / "b", retention_days=30)
    assert main(["purge", str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out.startswith("removed: 0 ids of platforms")


def test_a_relative_database_is_in_the_projects_folder_wherever_a_command_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "elsewhere").mkdir()
    make_shop(tmp_path / "shop", database="sqlite:///collect2.sqlite")
    monkeypatch.chdir(tmp_path)
    assert main(["people", "shop", "add", "Ann"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["people", "../shop", "list"]) == 0
    assert capsys.readouterr().out.startswith("Ann\t")
    assert [path.parent.name for path in tmp_path.rglob("collect2.sqlite")] == ["shop"]


def test_status_tells_progress_and_pace(tmp_path, capsys):
    running = Running(tmp_path / "shop", images=12)
    shop = str(tmp_path / "shop")
    with running.client:
        ann, ben = running.annotators("Ann", "Ben")
        ann.finish()
        ben.begin()
        assert main(["status", shop, "--json"]) == 0
        figures = json.loads(capsys.readouterr().out)
    assert (figures["wanted"], figures["submitted"], figures["leased"], figures["returned"]) == (4, 1, 0, 1)
    assert figures["events"]["events"] == 8 and figures["conflicts"] == 0
    assert figures["annotators"][0] | {"last": 0} == {
        "annotator": ann.pseudonym,
        "platform": "link",
        "withdrawn": False,
        "verdict": None,
        "submitted": 1,
        "last": 0,
    }
    assert main(["status", shop]) == 0
    printed = capsys.readouterr().out
    assert "1 of 4 (25%): 4 pages x 1" in printed and "bytes an event" in printed
    assert "Ann" not in printed
