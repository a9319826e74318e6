"""kill -9 of the real server at random moments: every acknowledged event is there once, every page once."""

import random
import threading
import time
from collections import Counter

import httpx
from fixtures.servers import Server
from fixtures.shops import add_people, event, make_shop
from sqlalchemy import select

from luab_collect.store import tables as t
from luab_collect.store.opening import ProjectStore
from luab_collect.store.results import raw_events

KILLS = 20
PEOPLE = 4


class Stubborn(threading.Thread):
    """An annotator whose browser keeps events until they are acknowledged, and tries again for ever."""

    def __init__(self, address, token, seed, over):
        super().__init__(daemon=True)
        self.address, self.token, self.over = address, token, over
        self.rng = random.Random(seed)
        self.acknowledged = {}  # (work, epoch, seq) -> event
        self.submitted = []
        self.errors = []
        self.lost_answers = 0

    def run(self):
        try:
            with httpx.Client(base_url=self.address, timeout=10) as self.http:
                self.headers = {}
                session = self.call("POST", "/api/enter", {"platform": "link", "token": self.token})
                self.headers = {"Authorization": f"Bearer {session['session']}"}
                version = self.call("GET", "/api/project")["consent"]["version"]
                self.call("POST", "/api/consent", {"version": version})
                while not self.over.is_set() and self.page():
                    pass
        except Exception as error:  # for the test to show
            self.errors.append(repr(error))

    def call(self, method, path, body=None):
        """The answer, however often the server dies meanwhile."""
        while True:
            try:
                answer = self.http.request(method, path, json=body, headers=self.headers)
            except httpx.TransportError:
                self.lost_answers += 1
                time.sleep(0.02)
                continue
            assert answer.status_code == 200, answer.text
            return answer.json()

    def page(self):
        place = self.call("GET", "/api/work")
        if place["state"] == "done" and place["more"]:
            place = self.call("POST", "/api/assignments", {})
        if place["state"] != "page":
            return False
        page = place["page"]
        work, base = page["work"], f"/api/work/{page['work']}"
        epoch = self.call("POST", f"{base}/epochs", {})["epoch"]
        item = page["items"][0]["id"]
        events = [event(1, "open")]
        events += [
            event(seq, "move", item=item, x=self.rng.random()) for seq in range(2, self.rng.randint(9, 60))
        ]
        events.append(event(len(events) + 1, "submit"))
        acked = 0
        while acked < len(events):
            batch = events[acked : acked + self.rng.randint(1, 12)]
            acked = self.call("POST", f"{base}/events", {"epoch": epoch, "events": batch})["acked_through"]
            for each in events[:acked]:
                self.acknowledged[work, epoch, each["seq"]] = each
        self.call("POST", f"{base}/submit", {"epoch": epoch, "last_seq": len(events)})
        self.submitted.append(work)
        return True


def work_on(people, events):
    """Until so many more events are acknowledged."""
    enough = sum(len(one.acknowledged) for one in people) + events
    end = time.monotonic() + 30
    while sum(len(one.acknowledged) for one in people) < enough and time.monotonic() < end:
        time.sleep(0.002)


def test_nothing_acknowledged_is_lost_by_20_kills(tmp_path):
    rng = random.Random(9)
    project = make_shop(tmp_path / "shop", images=900, overlap=2, pages_per_hit=5)
    store = ProjectStore(project)
    tokens = add_people(store, *map(str, range(PEOPLE)))
    over = threading.Event()
    server = Server(tmp_path / "shop")
    people = [Stubborn(server.address, token, number, over) for number, token in enumerate(tokens)]
    with server:
        for one in people:
            one.start()
        for _ in range(KILLS):
            if rng.random() < 0.8:
                server.wait()
                work_on(people, rng.randint(1, 120))
            else:  # killed while it starts
                time.sleep(rng.uniform(0, 0.3))
            server.kill()
            server.start(wait=False)
        over.set()
        for one in people:
            one.join(60)
        assert [one.errors for one in people] == [[]] * PEOPLE
        assert server.stop() is not None

    assert sum(one.lost_answers for one in people) > KILLS
    acknowledged = {}
    for one in people:
        acknowledged |= one.acknowledged
    with store.reading() as connection:
        works = connection.execute(select(t.work)).all()
        stored = Counter()
        content = {}
        for row in works:
            for epoch, events in raw_events(connection, row.id).items():
                assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
                stored.update((row.id, epoch, each["seq"]) for each in events)
                content |= {(row.id, epoch, each["seq"]): each for each in events}
        assert connection.execute(select(t.conflicts)).first() is None
        taken = connection.execute(select(t.pages.c.id, t.pages.c.taken)).all()
    assert len(acknowledged) > 500
    assert set(stored.values()) == {1}
    assert {key: content.get(key) for key in acknowledged} == acknowledged
    submitted = [work for one in people for work in one.submitted]
    done = [row for row in works if row.state == "submitted"]
    assert len(set(submitted)) == len(submitted) >= PEOPLE
    assert set(submitted) == {row.id for row in done}
    assert max(Counter((row.annotator_id, row.page_id) for row in works).values()) == 1
    at_it = Counter(row.page_id for row in works if row.state != "returned")
    assert all(number == at_it[page] <= 2 for page, number in taken)
    store.close()
