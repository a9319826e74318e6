"""The simulated annotator's protocol, against a server that fails."""

import asyncio
import json
import math

import pytest
from aiohttp import ClientSession, test_utils, web

from luab_collect.simulate import client as module
from luab_collect.simulate.client import Client, Pace, cut

WORK = "0" * 32
GONE = "the connection ends"


def page_events(count=5):
    return [{"seq": n + 1, "kind": "move", "t": 900.0 * n} for n in range(count)]


class Server:
    """One page of work; `failures` are answered first to uploads."""

    def __init__(self, *failures, acked=None):
        self.failures, self.acked = list(failures), acked
        self.stored, self.submitted, self.calls = 0, None, []

    async def __call__(self, request):
        self.calls.append(f"{request.method} {request.path}")
        body = json.loads(await request.read() or "{}")
        path = request.path.removeprefix("/api/")
        if path == "enter":
            return web.json_response({"session": "s"})
        assert request.headers["Authorization"] == "Bearer s"
        if path == "project":
            return web.json_response({"consent": {"version": "v"}})
        if path == "work":
            return web.json_response(self.place())
        if path.endswith("/epochs"):
            return web.json_response({"epoch": 1})
        if path.endswith("/events"):
            return self.upload(request, body)
        if path.endswith("/submit"):
            self.submitted = body
        return web.json_response({})

    def place(self):
        if self.submitted:
            return {"state": "done", "more": False, "completion": {"code": "C"}}
        states = ("consent", "practice")
        done = [call for call in self.calls if call.startswith("POST") and call.rpartition("/")[2] in states]
        if len(done) < 2:
            return {"state": states[len(done)]}
        return {"state": "page", "page": {"work": WORK, "items": [{"url": "/media/a"}]}}

    def upload(self, request, body):
        if self.failures:
            failure = self.failures.pop(0)
            if failure is GONE:
                request.transport.close()
                return web.Response()
            return web.json_response({"error": "x", "reason": "full of <b>"}, status=failure)
        self.stored = self.acked or body["events"][-1]["seq"]
        return web.json_response({"acked_through": self.stored})


def run(server, monkeypatch, pace=None):
    monkeypatch.setattr(module, "MAX_PAUSE", 0.0)

    async def work():
        async with (
            test_utils.RawTestServer(server) as served,
            ClientSession(served.make_url("/")) as http,
        ):
            return await Client(http, "token", lambda page: page_events(), pace or Pace(math.inf)).work()

    return asyncio.run(work())


def test_she_works_until_she_has_her_code(monkeypatch):
    server = Server()
    log = run(server, monkeypatch)
    assert (log.sent, log.acknowledged, log.submitted, log.codes, log.failure) == (5, 5, 1, ["C"], "")
    assert server.submitted == {"epoch": 1, "last_seq": 5}
    assert log.pages == {WORK: 5} and "GET /media/a" in server.calls


def test_a_busy_server_is_asked_again(monkeypatch):
    log = run(Server(503, 507, GONE), monkeypatch)
    assert (log.sent, log.acknowledged, log.failure) == (5, 5, "")
    assert log.again == {"503": 1, "507": 1, "ServerDisconnectedError": 1}
    assert len(log.delays) == 2  # of two uploads, tries again included


def test_a_refusal_ends_her_work_and_is_told(monkeypatch):
    log = run(Server(422), monkeypatch)
    assert log.failure.startswith("POST /api/work/.../events: 422")
    assert (log.sent, log.acknowledged, log.submitted) == (3, 0, 0)


def test_she_gives_up_at_last(monkeypatch):
    log = run(Server(*[503] * 50), monkeypatch)
    assert log.failure.endswith(f"503, {module.TRIES} times")


def test_what_is_not_acknowledged_is_no_success(monkeypatch):
    log = run(Server(acked=1), monkeypatch)
    assert "acknowledged through event 1 of 3" in log.failure
    assert log.acknowledged == 0


def test_a_dropout_leaves_in_the_middle(monkeypatch):
    server = Server()
    log = run(server, monkeypatch, Pace(math.inf, leaves=True))
    assert (log.sent, log.submitted, log.codes, server.submitted) == (3, 0, [], None)


@pytest.mark.parametrize(("times", "sizes"), [([0, 1999, 2000, 4100], [2, 1, 1]), ([0], [1]), ([], [])])
def test_uploads_are_of_two_seconds(times, sizes):
    assert [len(each) for each in cut([{"t": t} for t in times])] == sizes
