"""Coming in: entry, the project's description, consent, practice, and Prolific's webhooks."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, StringConstraints
from sqlalchemy import Connection, insert, select

from luab_collect.platforms import LINK, PROLIFIC
from luab_collect.server import describe
from luab_collect.server.answers import documented
from luab_collect.server.bodies import Body, parse, parse_json, read_body
from luab_collect.server.callers import SECURITY, session_of, takes
from luab_collect.server.entry import RETURNED, Entrance
from luab_collect.server.studio import Studio
from luab_collect.server.wrong_tokens import WrongTokens
from luab_collect.store import people
from luab_collect.store import tables as t
from luab_collect.store.keys import keyed
from luab_collect.store.leases import give_back
from luab_collect.store.refusals import Refusal
from luab_collect.store.work import has_begun

Text = Annotated[str, StringConstraints(max_length=255)]
MAX_TOKEN = 8192
WRONG = ("link", "signature")  # refusals of tokens that are not ours


class EnterBody(Body):
    """Who comes in."""

    platform: Literal["link", "prolific", "url"]
    token: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)] | None = None
    parameters: Annotated[dict[Text, Text], Field(max_length=50)] = Field(default_factory=dict)


class ConsentBody(Body):
    """What is consented to."""

    version: Text


class Nothing(Body):
    """{}."""


def visit_key(secret: bytes, platform: str, visit: str) -> str:
    """The keyed hash of a platform's submission."""
    return keyed(secret, "visit", platform, visit)


def entry_routes(studio: Studio, entry: Entrance) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    secret = studio.store.secret
    same_for_all = describe.description(studio)
    wrong_tokens = WrongTokens()

    @routes.get("/api/health", summary="Whether the server is there")
    async def health() -> dict[str, str]:
        return {"state": "ok"}

    @routes.post(
        "/api/enter",
        openapi_extra=takes(EnterBody, needs_session=False),
        responses=documented("json", "link", "platform", "too_large", "request"),
        summary="Begin a session",
    )
    async def enter(request: Request) -> dict[str, Any]:
        given = parse(EnterBody, await read_body(request))
        now = studio.now()
        visitor = None
        try:
            if given.platform != LINK:
                visitor = await run_in_threadpool(
                    entry.visitor, given.platform, given.token, given.parameters
                )
            else:  # before it is the writer's turn, so that wrong links keep nobody's events waiting
                await run_in_threadpool(_require_link, studio, given.token or "")
        except Refusal as error:
            if error.code in WRONG:
                await wrong_tokens.answer_slowly()
            raise

        def change(connection: Connection) -> dict[str, Any]:
            if visitor is None:
                row, visit = people.annotator_of_link(connection, given.token or ""), None
            else:
                row = people.annotator_of(connection, secret, visitor.platform, visitor.outside_id, now)
                visit = visit_key(secret, visitor.platform, visitor.visit)
            token = people.start_session(connection, row.id, visit, now)
            return {"session": token, "annotator": row.pseudonym, "resumed": has_begun(connection, row.id)}

        return await studio.write(change)

    @routes.get(
        "/api/project",
        openapi_extra={"security": SECURITY},
        responses=documented("session"),
        summary="The project's texts and classes",
    )
    async def project(request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        given = await run_in_threadpool(_consented, studio, session.annotator)
        return {**same_for_all, "consent": describe.consent(studio, given)}

    @routes.post(
        "/api/consent",
        openapi_extra=takes(ConsentBody),
        responses=documented("json", "session", "consent", "too_large", "request"),
        summary="Consent to the present text",
    )
    async def consent(request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        given = parse(ConsentBody, await read_body(request))
        if given.version != studio.consent_version:
            raise Refusal("consent", "the text has changed: read it again")
        version, text, now = given.version, studio.consent_text, studio.now()
        await studio.write(lambda c: people.consent(c, session.annotator, version, text, now))
        return {}

    @routes.post(
        "/api/practice",
        openapi_extra=takes(Nothing),
        responses=documented("json", "session", "consent", "too_large", "request"),
        summary="The practice is finished",
    )
    async def practice(request: Request) -> dict[str, Any]:
        session = await session_of(studio, request)
        parse(Nothing, await read_body(request))
        now = studio.now()
        await studio.write(lambda c: people.practiced(c, session.annotator, now))
        return {}

    @routes.post(
        "/hooks/prolific",
        responses=documented("json", "signature", "platform", "too_large"),
        summary="Prolific's webhooks",
    )
    async def webhook(request: Request) -> dict[str, Any]:
        body = await read_body(request)
        headers, now = request.headers, studio.now()
        signature = headers.get("x-prolific-request-signature", "")
        try:
            digest = entry.webhook(body, headers.get("x-prolific-request-timestamp", ""), signature, now)
        except Refusal as error:
            if error.code in WRONG:
                await wrong_tokens.answer_slowly()
            raise
        content = parse_json(body)
        if not isinstance(content, dict):
            raise Refusal("request", "the webhook is no object")
        return await studio.write(lambda c: {"state": _take_webhook(c, secret, digest, content, now)})

    return routes


def _require_link(studio: Studio, token: str) -> None:
    """Raises Refusal (`link`, `withdrawn`)."""
    with studio.store.reading() as connection:
        people.annotator_of_link(connection, token)


def _consented(studio: Studio, annotator: int) -> bool:
    with studio.store.reading() as connection:
        return people.has_consented(connection, annotator, studio.consent_version)


def _take_webhook(
    connection: Connection, secret: bytes, digest: str, content: dict[str, Any], now: float
) -> str:
    """Gives back the pages of a submission that was returned; a replay changes nothing."""
    w = t.webhooks.c
    if connection.execute(select(w.digest).where(w.digest == digest)).first() is not None:
        return "replayed"
    status, submission = content.get("status"), content.get("resource_id")
    used = False
    if isinstance(submission, str) and isinstance(status, str) and status.upper() in RETURNED:
        a = t.assignments.c
        hers = select(a.id).where(a.visit == visit_key(secret, PROLIFIC, submission))
        used = give_back(connection, t.work.c.assignment_id.in_(hers)) > 0
    event = content.get("event_type")
    event = event[:64] if isinstance(event, str) and event.isprintable() else "unknown"
    connection.execute(insert(t.webhooks).values(digest=digest, event=event, used=used, received=now))
    return "used" if used else "ignored"
