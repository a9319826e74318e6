"""Who calls: the bearer token of a request. Never a cookie, which other sites make a browser send."""

from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from luab_collect.server.bodies import Body
from luab_collect.server.studio import Studio
from luab_collect.store.people import Caller

SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]


def token_of(request: Request) -> str | None:
    """The token of `Authorization: Bearer TOKEN`."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token else None


async def session_of(studio: Studio, request: Request) -> Caller:
    """Whose request it is; raises Refusal (`session`)."""
    return await run_in_threadpool(studio.session, token_of(request))


def takes(model: type[Body], needs_session: bool = True) -> dict[str, Any]:
    """OpenAPI's description of a body that the endpoint reads itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    content = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"requestBody": content} | ({"security": SECURITY} if needs_session else {})
