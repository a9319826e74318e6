"""Runs simulated annotators against a server, and counts afterwards what is in its database."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from sqlalchemy import Connection, func, select

from luab_collect.gold import Gold, gold_in_ratios, read_gold
from luab_collect.items import read_items
from luab_collect.project import OTHER, Project
from luab_collect.simulate.client import Act, Client, Log, Pace
from luab_collect.simulate.people import DROPOUT, Person
from luab_collect.simulate.place_page import place_page
from luab_collect.simulate.report import Report, report
from luab_collect.simulate.select_page import ShownImage, select_page
from luab_collect.simulate.tape import Event
from luab_collect.store import people as store_people
from luab_collect.store import tables as t
from luab_collect.store.opening import ProjectStore
from luab_data.errors import RejectedRecord, SourceError

NAME = "simulated"  # how the links of simulated annotators are called
_TIMEOUT = 60.0  # s of a request
_IDS = 500  # in a query
Truth = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]  # image -> class -> boxes


def read_truth(project: Project, boxes: Path | None = None) -> Truth:
    """What the images show, as far as it is known.

    Args:
        project: Its images.
        boxes: A file like the gold file; None: the project's own gold. An image that it does not name shows
            the classes whose candidate it is, in its middle.

    Raises:
        SourceError: the file, or a box that leaves its image.
    """
    named = {} if boxes is None else read_gold(boxes, project.class_names)
    truth = {}
    for item in read_items(project):
        known: Gold | None = item.gold
        if item.file in named:
            try:
                known = gold_in_ratios(named[item.file], item.width, item.height)
            except RejectedRecord as error:
                raise SourceError(f"{boxes}: {item.file}: {error.reason}.") from error
        if known is None:
            known = dict.fromkeys(item.classes, ())
        truth[item.id] = {name: found for name, found in known.items() if found is not None}
    return truth


def simulate(
    store: ProjectStore,
    url: str,
    people: Sequence[Person],
    truth: Truth,
    pace: Pace,
    seed: int,
    start_s: float = 0.0,
) -> Report:
    """Lets all annotators work at once, and counts.

    Args:
        store: The project's database, which the server at `url` uses.
        url: `http://HOST:PORT`.
        people: The annotators.
        truth: Of the images.
        pace: Of all; who is a dropout leaves.
        seed: Decides what they do.
        start_s: They come within so many seconds.

    Raises:
        SourceError: real people work in the project, or may; nobody answers at `url`.
    """
    with store.writing() as connection:
        if real := _people(connection):
            who = "annotator who is" if real == 1 else "annotators who are"
            raise SourceError(
                f"the project has {real:,} {who} not known to be simulated (simulated ones are known by "
                "their links, which `luab collect purge` removes): simulated work would be mixed with "
                "theirs. Simulate in a project of its own, which `luab collect init` makes from the same "
                "images."
            )
        tokens = [
            store_people.add_link(connection, store.secret, f"{NAME} {seed}-{person.number}", time.time())
            for person in people
        ]
    begun = time.monotonic()
    logs = asyncio.run(_all(store.project, url, people, tokens, truth, pace, seed, start_s))
    seconds = time.monotonic() - begun
    stored, size = _stored(store, [work for log in logs for work in log.pages])
    return report(people, logs, seconds, stored, size)


def _people(connection: Connection) -> int:
    """Number of annotators without the link of a simulated one; who withdrew has no work here."""
    a, c = t.annotators.c, t.links.c
    simulated = select(c.annotator_id).where(c.name.startswith(NAME))
    query = select(func.count()).where(a.withdrawn.is_(None), a.id.not_in(simulated))
    return connection.execute(query).scalar_one()


async def _all(
    project: Project,
    url: str,
    people: Sequence[Person],
    tokens: Sequence[str],
    truth: Truth,
    pace: Pace,
    seed: int,
    start_s: float,
) -> list[Log]:
    # Each annotator has a connection of her own.
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(_TIMEOUT)
    async with aiohttp.ClientSession(
        url, connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as http:
        try:
            async with http.get("/api/health") as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceError(f"--url is {url}, where no server answers: {error}.") from error

        async def one(person: Person, token: str) -> Log:
            await asyncio.sleep(start_s * person.number / len(people))
            own = Pace(pace.speed, pace.images, pace.max_pages, person.kind == DROPOUT)
            return await Client(http, token, _act(project, person, truth, seed), own).work()

        return await asyncio.gather(*map(one, people, tokens))


def _act(project: Project, person: Person, truth: Truth, seed: int) -> Act:
    """What makes this annotator's events of a page."""
    categories = {
        category: [each.name for each in project.classes if (each.category or OTHER) == category]
        for category in project.categories
    }

    def act(page: dict[str, Any]) -> list[Event]:
        images = [
            ShownImage(item["id"], item["width"], item["height"], truth[item["id"]]) for item in page["items"]
        ]
        # By what the page shows, so that a run can be repeated, whoever gets which page.
        rng = np.random.default_rng([seed, person.number, *(int(image.id[:8], 16) for image in images[:4])])
        wall = time.time() * 1000
        if project.task == "place":
            return place_page(images[0], categories, person, wall, rng)
        return select_page(images, page["class_name"], person, wall, rng)

    return act


def _stored(store: ProjectStore, works: Sequence[str]) -> tuple[int, int]:
    """Number of stored events of pages of work, and their bytes."""
    b = t.batches.c
    columns = func.sum(b.last_seq - b.first_seq + 1), func.sum(func.length(b.body))
    events = size = 0
    with store.reading() as connection:
        for some in _chunks(works):
            count, length = connection.execute(select(*columns).where(b.work_id.in_(some))).one()
            events, size = events + (count or 0), size + (length or 0)
    return events, size


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at : at + _IDS] for at in range(0, len(values), _IDS))
