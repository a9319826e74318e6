"""Reads requests' bodies: bounded, also what is compressed, and strict JSON without NaN."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from luab_collect.store.refusals import Refusal

MAX_BODY_BYTES = 1 << 20  # as sent
MAX_PLAIN_BYTES = 4 << 20  # of a compressed one
MAX_SMALL_BYTES = 64 << 10  # of requests without events
IDLE_SECONDS = 8.0  # between two parts of a body; below the server's grace at its end

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A request's JSON object: no field is unknown, none is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


async def read_body(request: Request, limit: int = MAX_SMALL_BYTES) -> bytes:
    """The body's bytes as sent.

    Raises:
        Refusal: `too_large`; `slow`: its sender went silent.
    """
    too_large = Refusal("too_large", f"a body may have {limit:,} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > limit:
        raise too_large
    parts, size = [], 0
    async for part in _parts(request):
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    """A body's parts as they come; a sender who holds the connection without sending is refused."""
    stream = request.stream()
    while True:
        try:
            yield await asyncio.wait_for(stream.__anext__(), IDLE_SECONDS)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise Refusal("slow", f"nothing came for {IDLE_SECONDS:g} s: send it again") from None


def plain(body: bytes, encoding: str | None, limit: int = MAX_PLAIN_BYTES) -> bytes:
    """The body uncompressed, which ends as soon as it is too large.

    Raises:
        Refusal: `encoding`, `too_large`.
    """
    if encoding in (None, "", "identity"):
        return body
    if encoding != "gzip":
        raise Refusal("encoding", "Content-Encoding may be gzip")
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refusal("encoding", "the body is no gzip") from error
    if len(content) > limit:
        raise Refusal("too_large", f"a body may have {limit:,} bytes uncompressed")
    if not reader.eof or reader.unused_data:
        raise Refusal("encoding", "the body is no whole gzip")
    return content


def parse_json(body: bytes) -> Any:
    """The value of strict JSON; raises Refusal (`json`)."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:  # also of UTF-8, depth, half characters, and numbers with too many digits
        raise Refusal("json", "the body is no JSON that can be read") from error


def parse(model: type[M], body: bytes) -> M:
    """The checked content of a JSON body; raises Refusal (`json`, `request`)."""
    try:
        return model.model_validate(parse_json(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"][:3])) or "the body"
        raise Refusal("request", ascii(f"{where}: {first['msg']}")[1:200]) from error
