"""`luab collect export` on a project's database: whose work is exported, and what is never read."""

import json
import time

import pytest
from fixtures.finished_work import WALL, make_project
from fixtures.pages_of_work import Screen
from sqlalchemy import Engine, event

from luab.cli import main
from luab_collect.store.decisions import decide
from luab_collect.store.ingest import pack, take
from luab_collect.store.leases import own, take_over
from luab_collect.store.opening import ProjectStore
from luab_collect.store.people import annotator_of
from luab_collect.store.results import page_items
from luab_collect.store.retention import withdraw
from luab_collect.store.work import submit, where

OUTSIDE = "5f0c0ffee0prolific-{}"


def do_a_page(store, annotator, now):
    """Finishes an annotator's page: selects all images; the id of the page of work, or None."""
    with store.writing() as connection:
        work = where(connection, annotator, None, store.rules, now).work
        if work is None:
            return None
        items = page_items(connection, work.page_id)
        screen = Screen({item.id: [10.0 + 200 * at, 20.0, 180.0, 120.0] for at, item in enumerate(items)})
        screen.open(WALL)
        for item in items:
            screen.at("enter", 0.1, 0.1, item=item.id, after=30).at("move", 0.3, 0.3, item=item.id, after=20)
            screen.at("select", 0.5, 0.25, item=item.id, after=20).at("leave", 1, 1, item=item.id, after=20)
        screen.submit()
        epoch = take_over(connection, own(connection, work.id, annotator), store.rules, now)
        row = own(connection, work.id, annotator)
        take(connection, row, epoch, pack(screen.events), now)
        submit(connection, row, epoch, len(screen.events), now)
        return work.id


@pytest.fixture
def shop(tmp_path):
    """Three annotators did a page each; one withdrew, work of another was rejected."""
    files = [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(4)]
    project = make_project(tmp_path, "select", files, "cat\ndog\n", overlap=3)
    store = ProjectStore(project)
    now, done = time.time(), {}
    for name in ("ann", "bob", "cyd"):
        with store.writing() as connection:
            person = annotator_of(connection, store.secret, "prolific", OUTSIDE.format(name), now)
        done[name] = (person, [work for _ in range(2) if (work := do_a_page(store, person.id, now))])
    with store.writing() as connection:
        withdraw(connection, done["cyd"][0].id, now)
        decide(connection, verdict="reject", reason="asleep", by="me", now=now, work=done["bob"][1][0])
    store.close()
    return project, done


def test_withdrawn_and_rejected_work_and_outside_ids_are_in_no_export(shop, tmp_path, capsys):
    project, done = shop
    assert len(done["ann"][1]) == 2
    statements = []

    def note(connection, cursor, statement, *rest):
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert main(["collect", "export", str(project.folder), "--out", str(tmp_path / "out")]) == 0
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert statements and not any("outside_ids" in each.lower() for each in statements)
    shown = capsys.readouterr().out
    assert "pages of work: 4 submitted = 3 exported + 1 rejected" in shown
    assert f"luab train --dataset {tmp_path / 'out'}" in shown
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"5f0c0ffee0" not in written
    assert done["cyd"][0].pseudonym.encode() not in written
    assert done["ann"][0].pseudonym.encode() in written
    counts = json.loads((tmp_path / "out" / "export.json").read_text())["pages_of_work"]
    assert counts == {"submitted": 4, "exported": 3, "rejected": 1, "undecided, left out": 0}


def test_layouts_and_errors_of_the_command(shop, tmp_path, capsys):
    project, _ = shop
    command = ["collect", "export", str(project.folder)]
    assert main([*command, "--output-dir", str(tmp_path / "out"), "--layout", "imagenet"]) == 0
    assert "raw/imagenet_ab_v1_0.tar.gz: 8 XML files, each read back and equal" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "coco"), "--layout", "coco"]) == 1
    assert capsys.readouterr().err.startswith("luab collect: --layout coco is of the task place")
    with pytest.raises(SystemExit):
        main(["collect", "export", str(project.folder), "--out", "x", "--layout", "imagnet"])
    assert "did you mean imagenet" in capsys.readouterr().err
    assert main([*command, "--out", str(project.folder)]) == 1
    assert "holds other files" in capsys.readouterr().err
