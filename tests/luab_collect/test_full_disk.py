"""A full disk: 507, nothing acknowledged is lost, and it goes on when there is room."""

import os
import shutil
import subprocess

import httpx
import pytest
from fixtures.servers import Server
from fixtures.shops import Annotator, Running, add_people, event, make_shop
from sqlalchemy import event as listener

from luab_collect.store.engine import is_full
from luab_collect.store.opening import ProjectStore
from luab_collect.store.results import raw_events


def noise(first, number=200):
    """Events that hardly compress."""
    return [
        event(seq, "hidden")
        if seq % 9 == 0
        else event(seq, "move", item="", x=hash((seq, "x")) % 10**9 / 1e9)
        for seq in range(first, first + number)
    ]


def fill_until_refused(ann, base, epoch, item, first=1):
    """Sends until the disk is full; what was acknowledged, and the refusal."""
    sent = []
    for _ in range(2000):
        batch = [each | ({"item": item} if "item" in each else {}) for each in noise(first + len(sent))]
        answer = ann.send(base, epoch, batch)
        if answer.status_code != 200:
            return sent, batch, answer
        sent += batch
        assert answer.json() == {"acked_through": sent[-1]["seq"]}
    raise AssertionError("the disk never filled")


def test_sqlite_without_room_answers_507_and_goes_on(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client:
        (ann,) = running.annotators("Ann")
        page, base, epoch = ann.begin()

        def limit(connection, record=None):
            used = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={used + 30}").close()

        listener.listen(running.store.engine, "connect", limit)
        running.store.engine.dispose()
        sent, unsent, refused = fill_until_refused(ann, base, epoch, page["items"][0]["id"])
        assert (refused.status_code, refused.json()["error"]) == (507, "full")
        assert refused.headers["retry-after"]
        assert ann.get("/api/work").status_code in (200, 507)  # it may write a lease
        assert running.stored(page["work"]).get(1, []) == sent
        listener.remove(running.store.engine, "connect", limit)
        running.store.engine.dispose()
        assert ann.send(base, epoch, unsent).status_code == 200
        assert running.stored(page["work"]) == {1: sent + unsent}


def test_a_disk_that_is_really_full(tmp_path):
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root mounts a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mount: {mounted.stderr.decode().strip()}")
    try:
        store = ProjectStore(make_shop(disk / "shop", images=6))
        (token,) = add_people(store, "Ann")
        server = Server(disk / "shop")
        server.log = tmp_path / "log"
        with server, httpx.Client(base_url=server.address, timeout=30) as http:
            ann = Annotator(http, token).consent()
            page, base, epoch = ann.begin()
            item = page["items"][0]["id"]
            (disk / "ballast").write_bytes(b"x" * 300_000)
            sent, unsent, refused = fill_until_refused(ann, base, epoch, item)
            assert (refused.status_code, refused.json()["error"]) == (507, "full")
            server.kill()  # also a crash with a full disk loses nothing
            (disk / "ballast").unlink()
            server.start()
            assert ann.send(base, epoch, unsent).json() == {"acked_through": unsent[-1]["seq"]}
        with store.reading() as connection:
            assert raw_events(connection, page["work"]) == {1: sent + unsent}
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_what_is_a_full_disk():
    import errno

    import psycopg
    from sqlalchemy.exc import OperationalError

    assert is_full(OSError(errno.ENOSPC, "no space"))
    assert is_full(OSError(errno.EDQUOT, "quota"))
    assert is_full(OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file")))
    assert not is_full(OperationalError("INSERT", {}, psycopg.errors.LockNotAvailable("busy")))
    assert not is_full(OSError(errno.EACCES, "no"))
    assert not is_full(None)
