"""The annotators' app. What it takes and answers is in `create_app`'s routes, and at /api/openapi.json."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware

from luab_collect import pages
from luab_collect.server import media
from luab_collect.server.answers import answer_errors, documented
from luab_collect.server.api_entry import entry_routes
from luab_collect.server.api_work import work_routes
from luab_collect.server.entry import Entrance
from luab_collect.server.security import SecureHeaders
from luab_collect.server.studio import Studio

T = TypeVar("T")


class Static(StaticFiles):
    """The pages' files, asked for anew each time (by ETag): an upgrade shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The answer with its headers."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(studio: Studio, tls: bool = False) -> FastAPI:
    """The app; it closes the studio when it ends.

    Args:
        studio: The project's.
        tls: Whether it is served by TLS.

    Raises:
        SourceError: the project's texts cannot be read, or its platforms' settings do not fit together.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        studio.close()

    app = FastAPI(
        title="luab collect",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[Middleware(SecureHeaders, tls=tls)],
    )
    answer_errors(app)
    entry = Entrance(studio.project)
    shell = pages.shell(studio.project.name, studio.project.language)

    @app.get("/work", response_class=HTMLResponse, summary="The pages' shell")
    async def page() -> HTMLResponse:
        return HTMLResponse(shell, headers={"Cache-Control": "no-cache"})

    @app.get("/media/{key}", response_class=Response, responses=documented("missing"), summary="An image")
    def image(key: str) -> Response:
        return media.image(studio, key)

    @app.get("/icons/{number}", response_class=Response, responses=documented("missing"), summary="An icon")
    def icon(number: int) -> Response:
        return media.icon(studio, number)

    app.include_router(entry_routes(studio, entry))
    app.include_router(work_routes(studio, entry))
    app.mount("/static", Static(directory=pages.STATIC))
    return app
