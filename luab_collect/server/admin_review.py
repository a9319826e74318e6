"""The admin's pages and what they show: the review, each page of work with its events, and decisions."""

from collections.abc import Sequence
from dataclasses import asdict
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.params import Depends
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import StringConstraints
from sqlalchemy import Connection, func, select

from luab_collect import pages
from luab_collect.loading import unseen
from luab_collect.quality.facts import PageFacts
from luab_collect.review.review import decisions_about, read_review
from luab_collect.review.timeline import timeline
from luab_collect.server import media
from luab_collect.server.answers import documented
from luab_collect.server.bodies import Body, parse, read_body
from luab_collect.server.studio import Studio
from luab_collect.store import tables as t
from luab_collect.store.decisions import MAX_REASON, decide
from luab_collect.store.refusals import Refusal
from luab_collect.store.results import standing, stored_work

WORKS = 100  # pages of work in a list
BY = "admin's page"


class DecisionBody(Body):
    """A decision about a page of work or an annotator."""

    work: str | None = None
    annotator: str | None = None
    verdict: str
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)]


def add_routes(app: FastAPI, studio: Studio, only_admin: Sequence[Depends]) -> None:
    """Adds the pages and their data; `only_admin`: what every route below /admin/api needs."""
    shell = pages.admin_shell(studio.project.name)

    @app.get("/admin", response_class=HTMLResponse)
    async def page() -> HTMLResponse:
        return HTMLResponse(shell, headers={"Cache-Control": "no-cache"})

    @app.get("/admin/media/{key}", response_class=Response)
    def image(key: str) -> Response:
        return media.image(studio, key)

    app.include_router(_data_routes(studio), prefix="/admin/api", dependencies=list(only_admin))
    app.mount("/admin/static", StaticFiles(directory=pages.ADMIN_STATIC))
    app.mount("/static", StaticFiles(directory=pages.STATIC))


def _data_routes(studio: Studio) -> APIRouter:
    routes = APIRouter()
    known: dict[str, PageFacts] = {}
    one_at_a_time = Lock()

    @routes.get("/review", responses=documented("session"))
    def review() -> dict[str, Any]:
        with one_at_a_time, studio.store.reading() as connection:
            return read_review(connection, studio.project, known).to_json()

    @routes.get("/work", responses=documented("session"))
    def works(
        annotator: Annotated[str | None, Query(max_length=32)] = None,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> dict[str, Any]:
        with studio.store.reading() as connection:
            return _works(connection, annotator, offset)

    @routes.get("/work/{work}", responses=documented("session", "work"))
    def one_work(work: Annotated[str, Path(max_length=64)]) -> dict[str, Any]:
        with studio.store.reading() as connection:
            return _work(connection, work)

    @routes.post("/decisions", responses=documented("session", "json", "request", "work"))
    async def decision(request: Request) -> dict[str, Any]:
        given = parse(DecisionBody, await read_body(request))
        now = studio.now()
        covered = await studio.write(lambda c: decide(c, **given.model_dump(), by=BY, now=now))
        return covered._asdict()

    return routes


def _works(connection: Connection, annotator: str | None, offset: int) -> dict[str, Any]:
    """The submitted pages of work, the newest first."""
    w, a, p = t.work.c, t.annotators.c, t.pages.c
    conditions = [w.state == "submitted", a.withdrawn.is_(None)]
    if annotator is not None:
        conditions.append(a.pseudonym == annotator)
    joined = t.work.join(t.annotators, a.id == w.annotator_id).join(t.pages, p.id == w.page_id)
    total = connection.execute(select(func.count()).select_from(joined).where(*conditions)).scalar_one()
    columns = (w.id, a.pseudonym, p.number, p.class_name, w.created, w.submitted, w.verdict)
    query = select(*columns, a.verdict.label("of_all")).select_from(joined).where(*conditions)
    rows = connection.execute(query.order_by(w.submission.desc()).offset(offset).limit(WORKS))
    return {
        "total": total,
        "offset": offset,
        "works": [
            {
                "id": row.id,
                "annotator": row.pseudonym,
                "page": row.number,
                "class_name": row.class_name,
                "minutes": (row.submitted - row.created) / 60,
                "submitted": row.submitted,
                "verdict": standing(row.verdict, row.of_all),
            }
            for row in rows
        ],
    }


def _work(connection: Connection, identifier: str) -> dict[str, Any]:
    """One page of work, also one that is not submitted, with its events in one order."""
    found = list(stored_work(connection, identifier=identifier, all_states=True))
    if not found:
        raise Refusal("work", "there is no such page of work")
    [work] = found
    return {
        "id": work.id,
        "annotator": work.annotator,
        "class_name": work.class_name,
        "page": work.page,
        "state": work.state,
        "verdict": work.verdict,
        "conflicts": work.conflicts,
        "unseen": sorted(
            unseen((each.kind, each.fields.get("item")) for some in work.events.values() for each in some)
        ),
        "items": [{**asdict(item), "url": f"/admin/media/{item.key}"} for item in work.items],
        "events": timeline(work),
        "decisions": [asdict(each) for each in decisions_about(connection, work.id, work.annotator)],
    }
