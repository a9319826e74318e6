"""Every error is `{"error": CODE, "reason": TEXT}` with one status a code, and says nothing of the inside."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from luab_collect.store.refusals import Refusal
from luab_collect.store.writer import Full, Unavailable

STATUS = {
    "json": 400,
    "link": 401,
    "session": 401,
    "signature": 401,
    "consent": 403,
    "host": 403,
    "platform": 403,
    "withdrawn": 403,
    "missing": 404,
    "work": 404,
    "method": 405,
    "slow": 408,
    "assignment": 409,
    "conflict": 409,
    "gap": 409,
    "incomplete": 409,
    "submitted": 409,
    "superseded": 409,
    "too_large": 413,
    "too_much": 413,
    "encoding": 415,
    "epoch": 422,
    "event": 422,
    "request": 422,
    "unfinished": 422,
    "internal": 500,
    "unavailable": 503,
    "full": 507,
}
RETRY_SECONDS = "5"

log = logging.getLogger(__name__)


def refusal(code: str, reason: str, **more: Any) -> JSONResponse:
    """The answer of an error."""
    headers = {"Retry-After": RETRY_SECONDS} if code in ("unavailable", "full") else None
    return JSONResponse({"error": code, "reason": reason, **more}, STATUS[code], headers)


def answer_errors(app: FastAPI) -> None:
    """Makes an app answer errors so."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        return refusal(error.code, error.reason, **error.more)

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> JSONResponse:
        return refusal("full", "the server's disk is full: nothing is lost, please wait")

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> JSONResponse:
        return refusal("unavailable", "the database does not answer: nothing is lost, please wait")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return refusal("request", "a part of the address or a header is not what is allowed there")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "missing", 405: "method"}.get(error.status_code, "request")
        answer = refusal(code, "there is no such address" if code == "missing" else str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def internal(request: Request, error: Exception) -> JSONResponse:
        log.error("internal error at %s %s", request.method, request.scope.get("route"), exc_info=error)
        return refusal("internal", "an error of the server: nothing is lost, please wait")


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for these codes."""
    schema = {
        "type": "object",
        "required": ["error", "reason"],
        "properties": {"error": {"type": "string"}, "reason": {"type": "string"}},
    }
    return {
        STATUS[code]: {
            "description": ", ".join(each for each in codes if STATUS[each] == STATUS[code]),
            "content": {"application/json": {"schema": schema}},
        }
        for code in codes
    }
