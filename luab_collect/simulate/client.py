"""One annotator as the server sees her: an HTTP client that enters, works, uploads and submits.

She follows the pages' own protocol: events in batches every 2 s, each tried again until it is acknowledged,
a page submitted when all are.
"""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from luab_collect.events import MAX_BATCH
from luab_collect.simulate.tape import Event

BATCH_MS = 2000.0  # of events in an upload
TRIES = 8  # of a request, with growing pauses; then the annotator gives up
MAX_PAUSE = 5.0  # s
_AGAIN = (429, 500, 502, 503, 504, 507)

# The events of a page, as the server describes it.
Act = Callable[[dict[str, Any]], list[Event]]


class GaveUp(Exception):
    """The server refused, or could not be reached for too long."""


@dataclass
class Log:
    """What one annotator did, and what the server answered.

    Attributes:
        sent: Number of events that were uploaded, each counted once.
        acknowledged: Of these, those that the server acknowledged.
        sent_bytes: Bytes of the uploads, tries again included.
        delays: Seconds until an upload was acknowledged, tries again included.
        pages: Ids of the pages of work -> number of its events, of those that were begun.
        submitted: Number of pages.
        codes: Completion codes.
        media_bytes: Bytes of images.
        again: Status or kind of error -> how often a request was tried again.
        failure: Why she gave up; "" if she did not.
    """

    sent: int = 0
    acknowledged: int = 0
    sent_bytes: int = 0
    delays: list[float] = field(default_factory=list)
    pages: dict[str, int] = field(default_factory=dict)
    submitted: int = 0
    codes: list[str] = field(default_factory=list)
    media_bytes: int = 0
    again: Counter[str] = field(default_factory=Counter)
    failure: str = ""


@dataclass(frozen=True)
class Pace:
    """How fast simulated time goes by, and what an annotator does besides.

    Attributes:
        speed: Seconds of work in a second; infinity: as fast as the server answers.
        images: Whether she loads the pages' images.
        max_pages: After how many pages she stops; None: when there is no more work.
        leaves: Whether she leaves in the middle of her first page.
    """

    speed: float = 1.0
    images: bool = True
    max_pages: int | None = None
    leaves: bool = False


class Client:
    """One annotator's way through the study."""

    def __init__(self, http: aiohttp.ClientSession, token: str, act: Act, pace: Pace):
        self.log = Log()
        self._http, self._token, self._act, self._pace = http, token, act, pace
        self._session = ""

    async def work(self) -> Log:
        """Enters and works until there is nothing more to do; never raises for what the server does."""
        try:
            entered = await self._call("POST", "/api/enter", {"platform": "link", "token": self._token})
            self._session = entered["session"]
            project = await self._call("GET", "/api/project")
            await self._until_done(project["consent"]["version"])
        except GaveUp as error:
            self.log.failure = str(error)
        return self.log

    async def _until_done(self, version: str) -> None:
        begin_next = False
        while True:
            if begin_next:
                place = await self._call("POST", "/api/assignments", {})
            else:
                place = await self._call("GET", "/api/work")
            begin_next = False
            if place["state"] == "consent":
                await self._call("POST", "/api/consent", {"version": version})
            elif place["state"] == "practice":
                await self._call("POST", "/api/practice", {})
            elif place["state"] == "page":
                if self._enough():
                    return
                await self._page(place["page"])
                if self._pace.leaves:
                    return
            elif place["state"] == "done":
                self.log.codes.append(place["completion"]["code"])
                if not place["more"] or self._enough():
                    return
                begin_next = True
            else:
                return

    def _enough(self) -> bool:
        return self._pace.max_pages is not None and self.log.submitted >= self._pace.max_pages

    async def _page(self, page: dict[str, Any]) -> None:
        work = page["work"]
        epoch = (await self._call("POST", f"/api/work/{work}/epochs", {}))["epoch"]
        if self._pace.images:
            for item in page["items"]:
                self.log.media_bytes += len(await self._raw("GET", item["url"]))
        events = self._act(page)
        self.log.pages[work] = self.log.pages.get(work, 0)
        begun = time.monotonic()
        batches = cut(events)
        for number, batch in enumerate(batches):
            if self._pace.leaves and number >= max(1, len(batches) // 2):
                return
            due = begun + batch[-1]["t"] / 1000 / self._pace.speed if math.isfinite(self._pace.speed) else 0.0
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._upload(work, epoch, batch)
        await self._call("POST", f"/api/work/{work}/submit", {"epoch": epoch, "last_seq": events[-1]["seq"]})
        self.log.submitted += 1

    async def _upload(self, work: str, epoch: int, batch: list[Event]) -> None:
        self.log.sent += len(batch)
        begun = time.monotonic()
        answer = await self._call("POST", f"/api/work/{work}/events", {"epoch": epoch, "events": batch})
        self.log.delays.append(time.monotonic() - begun)
        if answer["acked_through"] < batch[-1]["seq"]:
            raise GaveUp(f"acknowledged through event {answer['acked_through']} of {batch[-1]['seq']}")
        self.log.acknowledged += len(batch)
        self.log.pages[work] += len(batch)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode("ascii")
        return json.loads(await self._raw(method, path, content))

    async def _raw(self, method: str, path: str, content: bytes | None = None) -> bytes:
        """The answer's body; asks again while the server is busy or away."""
        headers = {"Authorization": f"Bearer {self._session}"} if self._session else {}
        if content is not None:
            headers["Content-Type"] = "application/json"
        for number in range(TRIES):
            if path.endswith("/events"):
                self.log.sent_bytes += len(content or b"")
            try:
                async with self._http.request(method, path, data=content, headers=headers) as answer:
                    status, body = answer.status, await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = type(error).__name__
            else:
                if status == 200:
                    return body
                problem = str(status)
                if status not in _AGAIN:
                    raise GaveUp(f"{method} {_shape(path)}: {problem} {body[:200]!a}")
            self.log.again[problem] += 1
            await asyncio.sleep(min(MAX_PAUSE, 0.1 * 2**number))
        raise GaveUp(f"{method} {_shape(path)}: {problem}, {TRIES} times")


def cut(events: Sequence[Event]) -> list[list[Event]]:
    """The uploads: what happened in 2 s each."""
    batches: list[list[Event]] = []
    for event in events:
        if not batches or event["t"] - batches[-1][0]["t"] >= BATCH_MS or len(batches[-1]) == MAX_BATCH:
            batches.append([])
        batches[-1].append(event)
    return batches


def _shape(path: str) -> str:
    """A path without its ids, so that equal failures are counted together."""
    return "/".join("..." if len(part) >= 16 else part for part in path.split("/"))
