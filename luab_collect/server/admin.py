"""The researcher's app: on a port of its own, for this machine only, with a token.

What is here is the frame, and how far the work is; `admin_review` adds the pages and what they show.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.middleware import Middleware

from luab_collect.server.admin_review import add_routes
from luab_collect.server.answers import answer_errors, documented
from luab_collect.server.callers import token_of
from luab_collect.server.security import OnlyLoopback, SecureHeaders
from luab_collect.server.studio import Studio
from luab_collect.store.progress import progress
from luab_collect.store.refusals import Refusal

Check = Callable[[Request], Awaitable[None]]


def create_admin_app(studio: Studio) -> FastAPI:
    """The app. Every route below /admin/api needs the token."""
    app = FastAPI(
        title="luab collect: admin",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(SecureHeaders), Middleware(OnlyLoopback)],
    )
    answer_errors(app)
    only_admin = [Depends(token_check(studio))]

    @app.get("/admin/api/progress", dependencies=only_admin, responses=documented("session"))
    def shown_progress() -> dict[str, Any]:
        with studio.store.reading() as connection:
            return progress(connection, studio.store.rules, studio.now())

    add_routes(app, studio, only_admin)
    return app


def token_check(studio: Studio) -> Check:
    """A dependency that raises Refusal (`session`) for requests without the admin's token."""
    expected = studio.admin_token().encode()

    async def check(request: Request) -> None:
        given = (token_of(request) or "").encode("utf-8", "backslashreplace")
        if not hmac.compare_digest(given, expected):
            raise Refusal("session", "open the admin's address as `luab collect serve` printed it")

    return check
