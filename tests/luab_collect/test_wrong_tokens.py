"""Wrong tokens are answered slowly once there are many; who has a right one never waits."""

import pytest
from fixtures.shops import Running, add_people

from luab_collect.server import wrong_tokens
from luab_collect.server.wrong_tokens import BURST, EACH, PAUSE, WrongTokens


def test_the_budget_is_spent_and_comes_back():
    now = [100.0]
    wrong = WrongTokens(lambda: now[0])
    assert [wrong.pause() for _ in range(BURST + 2)] == [0.0] * BURST + [PAUSE, PAUSE]
    now[0] += 2 * EACH
    assert [wrong.pause() for _ in range(3)] == [0.0, 0.0, PAUSE]
    now[0] += 1e6
    assert [wrong.pause() for _ in range(BURST + 1)] == [0.0] * BURST + [PAUSE]  # no more than at first


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setattr(wrong_tokens, "BURST", 2)
    prolific = {"completion_url": "https://app.prolific.com/", "webhook_secret": "s"}
    running = Running(tmp_path / "shop", platforms={"prolific": prolific})
    yield running
    running.studio.close()


@pytest.fixture
def waited(monkeypatch):
    """How long answers were kept back, s; the test does not wait."""
    times = []

    async def sleep(seconds):
        times.append(seconds)

    monkeypatch.setattr(wrong_tokens.asyncio, "sleep", sleep)
    return times


def enter(app, token):
    return app.client.post("/api/enter", json={"platform": "link", "token": token})


def test_wrong_links_wait_and_right_ones_do_not(app, waited):
    [token] = add_people(app.store, "Ann")
    assert [enter(app, f"wrong{n}").json()["error"] for n in range(4)] == ["link"] * 4
    assert waited == [0.0, 0.0, PAUSE, PAUSE]
    assert enter(app, token).status_code == 200 and len(waited) == 4


def test_signatures_count_too(app, waited):
    headers = {"X-Prolific-Request-Signature": "no", "X-Prolific-Request-Timestamp": "1"}
    for _ in range(3):
        assert app.client.post("/hooks/prolific", content=b"{}", headers=headers).status_code == 401
    token = app.client.post("/api/enter", json={"platform": "prolific", "token": "no.jwt.here"})
    assert (token.status_code, token.json()["error"]) == (401, "signature")
    assert waited == [0.0, 0.0, PAUSE, PAUSE]


def test_a_wrong_link_takes_no_turn_of_the_writer(app, waited, monkeypatch):
    async def busy(change):
        raise AssertionError("it was asked to write")

    monkeypatch.setattr(app.studio, "write", busy)
    assert enter(app, "wrong").status_code == 401
