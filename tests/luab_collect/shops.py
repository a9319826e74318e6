"""Projects for the server's tests, made here: small images, pages of work, annotators who send events."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from luab_collect.project import Project, write_key

POINTER = {"pointer": "mouse", "trusted": True, "layout": 1}
POSITION = {"x": 0.25, "y": 0.5, "cx": 100.0, "cy": 200}


def make_shop(folder: Path, task: str = "select", images: int = 12, **settings: Any) -> Project:
    """A project of small images; on `select` 2 pages an assignment and 3 images a page."""
    settings = {name: value for name, value in settings.items() if value is not None}
    (folder / "photos").mkdir(parents=True)
    for name, content in settings.pop("_files", {}).items():
        (folder / name).write_text(content)
    lines = []
    for number in range(images):
        name = f"photo{number:03}.png"
        Image.new("RGB", (8 + number, 6), (number * 9 % 256, 90, 30)).save(folder / "photos" / name)
        digest = hashlib.sha256((folder / "photos" / name).read_bytes()).hexdigest()
        lines.append(
            {
                "id": hashlib.sha256(name.encode()).hexdigest()[:16],
                "file": name,
                "sha256": digest,
                "width": 8 + number,
                "height": 6,
                "classes": ["cat"],
                "gold": settings.pop(f"gold{number}", None),
            }
        )
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    classes: list[dict[str, Any]] = [{"name": "cat"}, {"name": "dog"}]
    if task == "place":
        classes = [{"name": "cat", "category": "pets"}, {"name": "car", "category": "roads"}]
    defaults: dict[str, Any] = {
        "name": "Shop <b>",
        "task": task,
        "images": "photos",
        "classes": classes,
        "pages_per_hit": 2,
        "images_per_page": 3 if task == "select" else 1,
        "shares": {"target": 1.0, "distractor": 0.0, "gold": 0.0},
    }
    (folder / "project.yaml").write_text(yaml.safe_dump(defaults | settings))
    (folder / "instructions.md").write_text("# Look\n\n<script>alert(1)</script> [x](javascript:alert(1))\n")
    (folder / "consent.md").write_text("We record your *mouse traces*.\n")
    write_key(folder / "secret.key")
    return Project.read(folder)


def event(seq: int, kind: str, t: float | None = None, **fields: Any) -> dict[str, Any]:
    """An event with what its kind needs."""
    needs: dict[str, Any] = {
        "open": {"wall": 1e12},
        "submit": {"pointer": "mouse", "trusted": True},
        "category": {"pointer": "mouse", "trusted": True},
        "hidden": {},
        "visible": {},
    }.get(kind, POINTER | POSITION)
    return {"seq": seq, "kind": kind, "t": float(seq if t is None else t)} | needs | fields


def page_events(item: str, first: int = 1, moves: int = 5) -> list[dict[str, Any]]:
    """A short page of work on one image, from `open` to `submit`."""
    middle = [event(first + 1 + n, "move", item=item, x=0.001 * (first + n)) for n in range(moves)]
    after = first + 1 + moves
    return [
        event(first, "open"),
        *middle,
        event(after, "select", item=item),
        event(after + 1, "submit"),
    ]


class Clock:
    """A clock that the test moves; epoch seconds."""

    def __init__(self, now: float = 1_700_000_000.0):
        self.now = now

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Annotator:
    """One annotator over HTTP; `http` is a client of the app or of a server."""

    def __init__(self, http: Any, token: str | None = None, **enter: Any):
        self.http = http
        body = enter | ({"token": token} if token else {}) if enter else {"platform": "link", "token": token}
        answer = http.post("/api/enter", json=body)
        assert answer.status_code == 200, answer.text
        self.headers = {"Authorization": f"Bearer {answer.json()['session']}"}
        self.pseudonym = answer.json()["annotator"]

    def get(self, path: str) -> Any:
        return self.http.get(path, headers=self.headers)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        headers = self.headers | more.pop("headers", {})
        if more:
            return self.http.post(path, headers=headers, **more)
        return self.http.post(path, headers=headers, json={} if body is None else body)

    def consent(self) -> "Annotator":
        version = self.get("/api/project").json()["consent"]["version"]
        assert self.post("/api/consent", {"version": version}).status_code == 200
        return self

    def work(self) -> dict[str, Any]:
        answer = self.get("/api/work")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def begin(self) -> tuple[dict[str, Any], str, int]:
        """The page that is hers, its address and a new epoch."""
        page = self.work()["page"]
        base = f"/api/work/{page['work']}"
        return page, base, self.post(f"{base}/epochs").json()["epoch"]

    def send(self, base: str, epoch: int, events: list[dict[str, Any]]) -> Any:
        return self.post(f"{base}/events", {"epoch": epoch, "events": events})

    def finish(self) -> dict[str, Any]:
        """Does the page that is hers; returns it."""
        page, base, epoch = self.begin()
        events = page_events(page["items"][0]["id"])
        assert self.send(base, epoch, events).json() == {"acked_through": len(events)}
        answer = self.post(f"{base}/submit", {"epoch": epoch, "last_seq": len(events)})
        assert answer.status_code == 200, answer.text
        return page


def add_people(store: Any, *names: str) -> list[str]:
    """Tokens of new links."""
    from luab_collect.store import people

    with store.writing() as connection:
        return [people.add_link(connection, store.secret, name, store.clock()) for name in names]
