"""Working: the page that is hers, its events, its submission."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from sqlalchemy import Connection, Row, select

from luab_collect.events import MAX_BATCH, MAX_SEQ, parse_events
from luab_collect.server.answers import documented
from luab_collect.server.api_entry import Nothing
from luab_collect.server.bodies import MAX_BODY_BYTES, Body, parse, plain, read_body
from luab_collect.server.callers import SECURITY, session_of, takes, token_of
from luab_collect.server.describe import practice, shown
from luab_collect.server.entry import Entrance
from luab_collect.server.studio import Desk, Studio
from luab_collect.store import ingest, leases, people, results
from luab_collect.store import tables as t
from luab_collect.store import work as works
from luab_collect.store.people import Caller
from luab_collect.store.refusals import Refusal
from luab_data.errors import RejectedRecord

WorkId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Epoch = Annotated[int, Field(ge=1, le=leases.MAX_EPOCHS)]


class EventsBody(Body):
    """Events of one epoch, as `luab_collect.events` declares them."""

    epoch: Epoch
    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH)]


class SubmitBody(Body):
    """A finished page."""

    epoch: Epoch
    last_seq: Annotated[int, Field(ge=1, le=MAX_SEQ)]


def work_routes(studio: Studio, entry: Entrance) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    has_practice = bool(practice(studio.store))

    @routes.get(
        "/api/work",
        openapi_extra={"security": SECURITY},
        responses=documented("session"),
        summary="Where the annotator is, and the page that is hers",
    )
    async def work(request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        return await _place(studio, entry, session, has_practice, works.where)

    @routes.post(
        "/api/assignments",
        openapi_extra=takes(Nothing),
        responses=documented("json", "session", "assignment", "too_large", "request"),
        summary="Begin another assignment after a complete one",
    )
    async def assignments(request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        parse(Nothing, await read_body(request))
        return await _place(studio, entry, session, has_practice, works.begin_next)

    @routes.post(
        "/api/work/{work}/epochs",
        openapi_extra=takes(Nothing),
        responses=documented("json", "session", "work", "submitted", "too_large", "request"),
        summary="A tab takes the page over, and gets the events to draw it from",
    )
    async def epochs(work: WorkId, request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        parse(Nothing, await read_body(request))
        now = studio.now()

        def change(connection: Connection) -> int:
            row = leases.own(connection, work, session.annotator)
            return leases.take_over(connection, row, studio.store.rules, now)

        epoch = await studio.write(change)
        # Read after it: from now on no earlier tab changes what the page shows.
        return {"epoch": epoch, "events": await run_in_threadpool(_durable, studio, work)}

    @routes.post(
        "/api/work/{work}/events",
        openapi_extra=takes(EventsBody),
        responses=documented(
            "json", "session", "work", "conflict", "slow", "too_large", "encoding", "event", "full"
        ),
        summary="Store events; acknowledged when they are on disk",
    )
    async def events(work: WorkId, request: Request) -> dict[str, Any]:
        token, encoding = token_of(request), request.headers.get("content-encoding")
        body = await read_body(request, MAX_BODY_BYTES)
        annotator, epoch, batch = await run_in_threadpool(_batch, studio, token, work, body, encoding)
        now = studio.now()

        def change(connection: Connection) -> ingest.Taken:
            row = leases.own(connection, work, annotator)
            taken = ingest.take(connection, row, epoch, batch, now)
            leases.renew(connection, row, studio.store.rules, now)
            return taken

        taken = await studio.write(change)
        if taken.conflict is not None:
            reason = f"event {taken.conflict} is stored with other content: both are kept"
            raise Refusal("conflict", reason, seq=taken.conflict, acked_through=taken.acked_through)
        return {"acked_through": taken.acked_through}

    @routes.post(
        "/api/work/{work}/submit",
        openapi_extra=takes(SubmitBody),
        responses=documented("json", "session", "work", "incomplete", "too_large", "unfinished", "full"),
        summary="Submit a page of which all events are stored",
    )
    async def submit(work: WorkId, request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        given = parse(SubmitBody, await read_body(request))
        blank = await run_in_threadpool(_finished, studio, session.annotator, work, given)
        now = studio.now()

        def change(connection: Connection) -> None:
            row = leases.own(connection, work, session.annotator)
            works.submit(connection, row, given.epoch, given.last_seq, now, blank)

        await studio.write(change)
        return {}

    return routes


async def _place(
    studio: Studio, entry: Entrance, session: Caller, has_practice: bool, move: Any
) -> dict[str, Any]:
    """The answer of GET /api/work, after a change of place.

    Whose work was rejected gets no more, and the code of what was complete: whether she is paid is another
    question.
    """
    if session.excluded:
        place = await run_in_threadpool(_ended, studio, session)
    else:
        needs = await run_in_threadpool(_needs, studio, session, has_practice)
        if needs is not None:
            return {"state": needs}
        now, rules = studio.now(), studio.store.rules
        place = await studio.write(lambda c: move(c, session.annotator, session.visit, rules, now))
    if place.assignment is None:
        return {"state": "nothing"}
    told = {"id": place.assignment.id, "pages": place.assignment.pages, "done": place.done}
    if place.work is None:
        completion = entry.completion(session.platform, place.assignment.code)
        return {"state": "done", "assignment": told, "completion": completion, "more": place.more}
    page = await run_in_threadpool(_page, studio, place.work)
    return {"state": "page", "assignment": told, "page": page}


def _ended(studio: Studio, session: Caller) -> works.Standing:
    with studio.store.reading() as connection:
        return works.where_it_ended(connection, session.annotator, session.visit)


def _needs(studio: Studio, session: Caller, has_practice: bool) -> str | None:
    """What comes before any work."""
    with studio.store.reading() as connection:
        if not people.has_consented(connection, session.annotator, studio.consent_version):
            return "consent"
    return "practice" if has_practice and not session.practiced else None


def _page(studio: Studio, work: Row[Any]) -> dict[str, Any]:
    with studio.store.reading() as connection:
        query = select(t.pages.c.class_name).where(t.pages.c.id == work.page_id)
        return {
            "work": work.id,
            "position": work.position,
            "task": studio.project.task,
            "class_name": connection.execute(query).scalar(),
            "items": [shown(item) for item in results.page_items(connection, work.page_id)],
            "epoch": work.epoch or None,
            "acked": results.acked(connection, work.id),
            # For one more version: tabs that were opened before an upgrade draw the page from these.
            "events": results.durable_events(connection, work.id),
        }


def _durable(studio: Studio, work: str) -> list[ingest.RawEvent]:
    with studio.store.reading() as connection:
        return results.durable_events(connection, work)


def _batch(
    studio: Studio, token: str | None, work: str, body: bytes, encoding: str | None
) -> tuple[int, int, ingest.Packed]:
    """Annotator, epoch and checked events of a request; raises Refusal."""
    annotator = studio.session(token).annotator
    desk = studio.desk(work, annotator)
    given = parse(EventsBody, plain(body, encoding))
    _check_events(given.events, desk, studio.labels, len(studio.project.categories))
    return annotator, given.epoch, ingest.pack(given.events)


def _check_events(events: list[dict[str, Any]], desk: Desk, labels: frozenset[str], categories: int) -> None:
    """Raises Refusal (`event`) for what is not declared, or names an image or class that is not there."""
    try:
        parsed = parse_events(events)
    except RejectedRecord as error:
        raise Refusal("event", error.reason) from error
    for event in parsed:
        fields = event.fields
        if "item" in fields and fields["item"] not in desk.items:
            raise Refusal("event", f"event {event.seq}: item is no image of this page")
        if "label" in fields and fields["label"] not in labels:
            raise Refusal("event", f"event {event.seq}: label is no class of this project")
        if "category" in fields and fields["category"] >= categories:
            raise Refusal("event", f"event {event.seq}: category is none of the {categories} of this project")
        if "boxes" in fields and not desk.items.issuperset(fields["boxes"]):
            raise Refusal("event", f"event {event.seq}: boxes has an image that is not on this page")


def _finished(studio: Studio, annotator: int, work: str, given: SubmitBody) -> bool:
    """Whether no image of the page came; raises Refusal (`work`, `unfinished`).

    A page is unfinished if it was not looked through, or does not end by `submit`.
    """
    desk = studio.desk(work, annotator)
    with studio.store.reading() as connection:
        kind = results.last_kind(connection, work, given.epoch, given.last_seq)
        if kind not in ("submit", None):  # None: it has not arrived, see `works.submit`
            raise Refusal("unfinished", f"event {given.last_seq} is {kind}, not submit")
        first = results.last_kind(connection, work, given.epoch, 1)
        if first not in ("open", None):
            raise Refusal("unfinished", f"event 1 is {first}, not open: the page was never shown")
        if studio.project.task == "place":
            wanted = set(range(len(studio.project.categories)))
            left = wanted - results.seen_categories(connection, work)
            if left:
                names = ", ".join(studio.project.categories[number] for number in sorted(left)[:3])
                raise Refusal("unfinished", f"look through all categories of icons first: {names}")
        return desk.items == results.unseen_items(connection, work)
