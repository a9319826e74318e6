"""The annotators' API: a session of work, what is refused, hostile input, headers. Without a network."""

import asyncio
import gzip
import json
import re

import pytest
from fastapi import Request
from fixtures.shops import Annotator, Running, add_people, event, page_events
from sqlalchemy import select

from luab_collect.items import read_items
from luab_collect.review.review import read_review
from luab_collect.review.text import figures
from luab_collect.server import bodies
from luab_collect.server.answers import STATUS
from luab_collect.store import tables as t
from luab_collect.store.refusals import Refusal
from luab_collect.store.results import stored_work


@pytest.fixture
def app(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client:
        yield running


@pytest.fixture
def ann(app):
    return app.annotators("Ann")[0]


def test_a_session_of_work_from_the_link_to_the_code(app):
    (token,) = add_people(app.store, "Ann")
    ann = Annotator(app.client, token)
    assert re.fullmatch("[0-9a-f]{10}", ann.pseudonym)
    assert ann.work() == {"state": "consent"}
    ann.consent()
    seen = [ann.finish()["work"] for _ in range(2)]
    assert len(set(seen)) == 2
    done = ann.work()
    assert (done["state"], done["assignment"]["done"], done["more"]) == ("done", 2, True)
    assert re.fullmatch("[A-Z2-9]{12}", done["completion"]["code"])
    assert ann.work() == done
    following = ann.post("/api/assignments").json()
    assert (following["state"], following["assignment"]["done"]) == ("page", 0)
    assert ann.post("/api/assignments").json()["page"]["work"] == following["page"]["work"]
    with app.store.reading() as connection:
        works = list(stored_work(connection))
    assert [(work.id, work.index, work.annotator) for work in works] == [
        (seen[0], 0, ann.pseudonym),
        (seen[1], 1, ann.pseudonym),
    ]
    assert app.client.post("/api/enter", json={"platform": "link", "token": token}).json()["resumed"]


def test_a_session_of_work_on_postgresql(tmp_path, postgresql):
    running = Running(tmp_path / "shop", database=postgresql)
    with running.client:
        ann, ben = running.annotators("Ann", "Ben")
        done = [each.finish()["work"] for each in (ann, ben, ann, ben)]
        assert len(set(done)) == 4 and ann.work()["completion"]["code"] != ben.work()["completion"]["code"]
        assert ann.post("/api/assignments").json()["state"] == "done"  # all four pages are taken
        with running.store.reading() as connection:
            assert [work.id for work in stored_work(connection)] == done


def test_the_project_is_described_with_its_markup_as_text(ann):
    told = ann.get("/api/project").json()
    assert told["name"] == "Shop <b>"
    assert "<script>" not in told["instructions_html"] and "&lt;script&gt;" in told["instructions_html"]
    assert "javascript:" not in re.sub(r"\[x\]\(.*\)", "", told["instructions_html"])
    assert told["consent"]["given"] and "<em>mouse traces</em>" in told["consent"]["html"]
    assert [each["name"] for each in told["classes"]] == ["cat", "dog"]


def test_a_page_goes_on_with_what_was_durable(ann):
    page, base, epoch = ann.begin()
    item = page["items"][0]["id"]
    ann.send(base, epoch, [event(1, "open"), event(2, "move", item=item), event(3, "select", item=item)])
    again = ann.work()["page"]
    assert again["work"] == page["work"] and again["acked"] == {"1": 3} and again["epoch"] == 1
    taken = ann.post(f"{base}/epochs").json()  # it is drawn from these: before, another tab may change it
    assert again["events"] == taken["events"]  # tabs of an earlier version are drawn from the former
    assert (taken["epoch"], ann.work()["page"]["epoch"]) == (2, 2)
    assert [(each["seq"], each["kind"], each["epoch"]) for each in taken["events"]] == [
        (1, "open", 1),
        (3, "select", 1),
    ]


def test_an_answer_that_was_lost_makes_no_duplicate(app, ann):
    page, base, epoch = ann.begin()
    events = page_events(page["items"][0]["id"])
    for _ in range(2):
        assert ann.send(base, epoch, events).json() == {"acked_through": len(events)}
    for _ in range(2):
        submitted = ann.post(f"{base}/submit", {"epoch": epoch, "last_seq": len(events)})
        assert (submitted.status_code, submitted.json()) == (200, {})
    assert ann.send(base, epoch, events[2:]).json() == {"acked_through": len(events)}  # also after it
    assert app.stored(page["work"]) == {1: events}
    late = ann.send(base, epoch, [event(len(events) + 1, "hidden")])
    assert (late.status_code, late.json()["error"]) == (409, "submitted")


def test_a_page_is_submitted_only_when_all_its_events_are_there(ann):
    page, base, epoch = ann.begin()
    events = page_events(page["items"][0]["id"])
    last = len(events)

    def submit(**change):
        answer = ann.post(f"{base}/submit", {"epoch": epoch, "last_seq": last} | change)
        return answer.status_code, answer.json().get("error"), answer.json().get("acked_through")

    assert submit() == (409, "incomplete", 0)
    ann.send(base, epoch, events[:3])
    assert submit() == (409, "incomplete", 3)
    assert submit(last_seq=3) == (422, "unfinished", None)  # it is a move
    ann.send(base, epoch, events[3:])
    assert submit(last_seq=2) == (422, "unfinished", None)
    assert submit(epoch=2)[:2] == (422, "epoch")
    ann.post(f"{base}/epochs")
    ann.send(base, 2, [event(1, "open")])
    assert submit()[:2] == (409, "superseded")
    ann.send(base, 2, [event(2, "submit")])
    ann.post(f"{base}/epochs")
    ann.send(base, 3, [event(1, "submit")])
    assert submit(epoch=3, last_seq=1) == (422, "unfinished", None)  # it was never shown
    assert ann.work()["assignment"]["done"] == 0


def test_place_wants_all_categories_seen(tmp_path):
    running = Running(tmp_path / "shop", task="place")
    with running.client:
        (ann,) = running.annotators("Ann")
        _, base, epoch = ann.begin()
        ann.send(base, epoch, [event(1, "open"), event(2, "submit")])
        refused = ann.post(f"{base}/submit", {"epoch": epoch, "last_seq": 2}).json()
        assert refused["error"] == "unfinished" and "roads" in refused["reason"]
        assert ann.send(base, epoch, [event(3, "category", category=2)]).json()["error"] == "event"
        ann.send(base, epoch, [event(3, "category", category=1), event(4, "submit")])
        assert ann.post(f"{base}/submit", {"epoch": epoch, "last_seq": 4}).status_code == 200


def test_a_changed_consent_is_asked_for_again(tmp_path):
    running = Running(tmp_path / "shop")
    with running.client:
        (ann,) = running.annotators("Ann")
        assert ann.work()["state"] == "page"
        running.studio.consent_text, running.studio.consent_version = "other", "2"
        assert ann.work() == {"state": "consent"}
        assert ann.post("/api/consent", {"version": "1"}).json()["error"] == "consent"
        ann.consent()
        assert ann.work()["state"] == "page"
        with running.store.reading() as connection:
            texts = set(connection.execute(select(t.texts.c.body)).scalars())
        assert texts == {"We record your *mouse traces*.\n", "other"}


def test_what_the_practice_shows_checks_nobody(tmp_path):
    """Its answers are told to everybody who enters; the same images come back on pages of work."""
    gold = {f"gold{n}": {"cat": [[0.0, 0.0, 1.0, 1.0]] if n % 2 else None} for n in range(15)}
    running = Running(tmp_path / "shop", images=16, pages_per_hit=16, **gold)  # 7 show a cat, 8 do not
    with running.client:
        (ann,) = running.annotators("Ann")
        (page,) = ann.get("/api/project").json()["practice"]
        assert sum(item["answer"] for item in page["items"]) == 6 and len(page["items"]) == 12
        assert ann.post("/api/practice").status_code == 200
        while ann.work()["state"] == "page":
            ann.finish()
    with running.store.reading() as connection:
        review = read_review(connection, running.store.project)
    assert review.quality.whole.recall.total == 1
    told = "the practice shows 12 of 15 images with a known answer: they are not counted as gold"
    assert told in figures(review) and review.to_json()["gold"] == {"images": 15, "practiced": 12}


def test_practice_comes_first_where_answers_are_known(tmp_path):
    gold = {"gold0": {"cat": [[0.1, 0.2, 0.5, 0.6]]}, "gold1": {"cat": None, "dog": None}}
    running = Running(tmp_path / "shop", **gold)
    with running.client:
        (ann,) = running.annotators("Ann")
        assert ann.work() == {"state": "practice"}
        (page,) = ann.get("/api/project").json()["practice"]
        assert page["class_name"] == "cat"
        assert sorted(item["answer"] for item in page["items"]) == [False, True]
        assert ann.post("/api/practice").status_code == 200
        assert ann.work()["state"] == "page"
        told = json.dumps(ann.work())
        assert "gold" not in told and "answer" not in told  # a page does not say what is known


def test_images_are_served_as_they_were_planned_with(app, ann):
    item = ann.work()["page"]["items"][0]
    name = {each.id: each.file for each in read_items(app.store.project)}[item["id"]]
    answer = app.client.get(item["url"])
    assert answer.headers["content-type"] == "image/png"
    assert (
        "immutable" in answer.headers["cache-control"]
        and answer.headers["x-content-type-options"] == "nosniff"
    )
    assert answer.content == (app.store.project.images / name).read_bytes()
    (app.store.project.images / name).write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert app.client.get(item["url"]).status_code == 404
    (app.store.project.images / name).unlink()
    (app.store.project.images / name).symlink_to("/etc/passwd")
    assert app.client.get(item["url"]).status_code == 404
    for path in (
        "/media/../project.yaml",
        "/media/%2e%2e%2fsecret.key",
        "/media/x",
        "/static/..%2f__init__.py",
    ):
        assert app.client.get(path).status_code == 404


def test_every_answer_has_the_headers(app, ann):
    for answer in (app.client.get("/work"), ann.get("/api/work"), app.client.get("/nowhere")):
        headers = answer.headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "set-cookie" not in headers
    assert ann.get("/api/work").headers["cache-control"] == "no-store"
    assert "Shop &lt;b&gt;" in app.client.get("/work").text


HOSTILE_EVENTS = [
    (b'{"epoch": 1, "events": [{"seq": 1, "kind": "open", "t": NaN, "wall": 1}]}', 400),
    (b'{"epoch": 1, "events": [{"seq": 1, "kind": "open", "t": 1e308, "wall": 1}]}', 422),
    (b'{"epoch": 1, "events": [{"seq": 1, "kind": "open", "t": 1e999, "wall": 1}]}', 422),
    (b'{"epoch": 1, "events": [{"seq": 1, "kind": "open", "t": 1' + b"0" * 400 + b', "wall": 1}]}', 422),
    (b'{"epoch": 1, "events": [{"seq": 1, "kind": "open", "t": 1' + b"0" * 5000 + b', "wall": 1}]}', 400),
    (b'{"epoch": 1, "events": [{"seq": -1, "kind": "open", "t": 1, "wall": 1}]}', 422),
    (b'{"epoch": 1, "events": [{"seq": 99999999, "kind": "open", "t": 1, "wall": 1}]}', 422),
    (b'{"epoch": 1, "events": [{"seq": 1, "kind": "open", "t": 1, "wall": 1, "x": {"a": []}}]}', 422),
    (b'{"epoch": 1, "events": []}', 422),
    (b'{"epoch": 1, "events": {}}', 422),
    (b'{"epoch": 1}', 422),
    (b'{"epoch": 1.0, "events": [{"seq": 1, "kind": "open", "t": 1, "wall": 1}]}', 422),
    (b'{"epoch": 7, "events": [{"seq": 1, "kind": "open", "t": 1, "wall": 1}]}', 422),
    (b'{"epoch": 1, "extra": 1, "events": [{"seq": 1, "kind": "open", "t": 1, "wall": 1}]}', 422),
    (b"[" * 100_000, 400),
    (b"\xff\xfe", 400),
    (b"", 400),
    (b"null", 422),
    (b'"\\ud800"', 400),
    (b"x" * ((1 << 20) + 1), 413),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE_EVENTS, ids=range(len(HOSTILE_EVENTS)))
def test_hostile_events_are_refused(app, ann, body, status):
    page, base, _ = ann.begin()
    answer = ann.post(f"{base}/events", content=body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) >= {"error", "reason"} and "<" not in answer.text
    assert app.stored(page["work"]) == {}


@pytest.mark.parametrize(
    "item", ["../../etc/passwd", "'; DROP TABLE work; --", "<script>", "\ud800", "\0", "x" * 999]
)
def test_an_event_about_another_image_is_refused(app, ann, item):
    page, base, epoch = ann.begin()
    body = {"epoch": epoch, "events": [event(1, "move", item=item)]}
    answer = ann.post(f"{base}/events", content=json.dumps(body).encode())
    assert answer.status_code in (400, 422) and "<" not in answer.text
    assert app.stored(page["work"]) == {}


def test_gzip_is_taken_and_its_bombs_are_not(app, ann):
    page, base, epoch = ann.begin()
    events = page_events(page["items"][0]["id"])
    body = json.dumps({"epoch": epoch, "events": events}).encode()
    zipped = {"Content-Encoding": "gzip"}

    def send(content, headers=zipped):
        return ann.post(f"{base}/events", content=content, headers=headers).status_code

    assert send(gzip.compress(b" " * (40 << 20), 9)) == 413  # 40 MB in 40 kB
    assert send(gzip.compress(body)[:-5]) == 415
    assert send(gzip.compress(body) + gzip.compress(body)) == 415
    assert send(b"nothing of the kind") == 415
    assert send(body, {"Content-Encoding": "br"}) == 415
    assert send(gzip.compress(body)) == 200
    assert app.stored(page["work"]) == {1: events}


def test_a_sender_who_goes_silent_is_refused(monkeypatch):
    monkeypatch.setattr(bodies, "IDLE_SECONDS", 0.05)
    parts = iter([b'{"epoch":', b"1"])

    async def receive():
        for part in parts:
            return {"type": "http.request", "body": part, "more_body": True}
        return await asyncio.Event().wait()

    with pytest.raises(Refusal) as refusal:
        asyncio.run(bodies.read_body(Request({"type": "http", "headers": []}, receive)))
    assert refusal.value.code == "slow" and STATUS["slow"] == 408  # which pages send again


def test_another_annotators_page_is_not_there(app):
    ann, ben = app.annotators("Ann", "Ben")
    page, base, epoch = ann.begin()
    assert ben.post(f"{base}/epochs").json()["error"] == "work"
    assert ben.send(base, epoch, [event(1, "open")]).status_code == 404
    assert ben.post(f"{base}/submit", {"epoch": 1, "last_seq": 1}).status_code == 404
    assert ann.send(base, epoch, [event(1, "open")]).status_code == 200
    assert ben.send(base, epoch, [event(2, "hidden")]).status_code == 404  # also once it is in memory
    assert app.stored(page["work"]) == {1: [event(1, "open")]}


@pytest.mark.parametrize(
    "work", ["0" * 32, "1' OR '1'='1", "..%2f..%2f", "%00", "x" * 5000, "ABCDEF0123456789ABCDEF0123456789"]
)
def test_work_that_is_not_there_is_refused(ann, work):
    for path, body in (
        ("events", {"epoch": 1, "events": [event(1, "open")]}),
        ("epochs", {}),
        ("submit", {"epoch": 1, "last_seq": 1}),
    ):
        assert ann.post(f"/api/work/{work}/{path}", body).status_code in (404, 422)


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Bearer x", "Basic x", "Bearer \xff", "x" * 5000]
)
def test_without_a_session_nothing_is_answered(app, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("/api/project", "/api/work"):
        answer = app.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "session")


def test_a_session_is_over_in_time(app, ann):
    assert ann.get("/api/work").status_code == 200
    app.clock.now += 15 * 24 * 3600
    assert ann.get("/api/work").json()["error"] == "session"


@pytest.mark.parametrize(
    "body",
    [
        {"platform": "link"},
        {"platform": "link", "token": "x"},
        {"platform": "mturk", "token": "x"},
        {"platform": "url", "parameters": {"worker": "w"}},
        {"platform": "prolific", "parameters": {"PROLIFIC_PID": "p", "STUDY_ID": "s", "SESSION_ID": "x"}},
        {"platform": "url", "parameters": {"a": 1}},
        {"platform": "url", "parameters": {str(n): "x" for n in range(51)}},
        {"platform": "link", "token": "x" * 10_000},
        [],
    ],
)
def test_who_has_no_link_does_not_come_in(app, body):
    answer = app.client.post("/api/enter", json=body)
    assert answer.status_code in (401, 403, 422)
    assert "session" not in answer.json()


def test_sessions_of_one_annotator_are_limited(app):
    (token,) = add_people(app.store, "Ann")
    first = Annotator(app.client, token)
    for _ in range(20):
        last = Annotator(app.client, token)
    assert first.get("/api/project").status_code == 401
    assert last.get("/api/project").status_code == 200
