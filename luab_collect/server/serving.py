"""Runs both apps in one process until a signal; no address of a visitor is written anywhere."""

import asyncio
import logging
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from luab_data.errors import SourceError

LOOPBACK = "127.0.0.1"
KEEP_ALIVE = 75  # s; pages upload every 2 s, and a new TLS connection is dear
GRACE = 10  # s for requests at the end
MAX_HEADERS = 32 << 10  # bytes
CONNECTIONS = 65_536  # open files that are asked for: 200 browsers hold 1,200 connections, and 1,024 is usual


@dataclass(frozen=True)
class Certificate:
    """Files of a TLS certificate."""

    chain: Path
    key: Path


def listen(host: str, port: int, option: str) -> socket.socket:
    """A listening socket; raises SourceError, which names the option."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((host, port))
            opened.listen(2048)
        except BaseException:
            opened.close()
            raise
        return opened
    except (OSError, OverflowError) as error:
        found = error.strerror if isinstance(error, OSError) else "ports are 0 to 65535"
        raise SourceError(
            f"cannot listen at {host}, port {port}: {found}. Choose another port with {option}; "
            "0 takes any free one."
        ) from error


def serve(
    app: FastAPI,
    admin: FastAPI,
    public: socket.socket,
    private: socket.socket,
    certificate: Certificate | None = None,
) -> None:
    """Serves both until SIGINT or SIGTERM, then answers what has begun."""
    allow_connections()
    files = {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key} if certificate else {}
    asyncio.run(_both(_server(app, **files), public, _server(admin), private))


def allow_connections() -> None:
    """Raises this process's limit of open files, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # the kernel's own limit may be lower
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _both(
    first: uvicorn.Server, public: socket.socket, second: uvicorn.Server, private: socket.socket
) -> None:
    def end(*_: object) -> None:
        first.should_exit = second.should_exit = True

    # One of them takes the signals for both.
    first.handle_exit = end  # type: ignore[method-assign,assignment]
    second.capture_signals = _no_signals  # type: ignore[method-assign]
    running = [asyncio.create_task(first.serve([public])), asyncio.create_task(second.serve([private]))]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    end()
    for task in running:
        await task


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


def _server(app: FastAPI, **files: Path) -> uvicorn.Server:
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would hold addresses
        proxy_headers=False,  # and so would these
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=MAX_HEADERS,
        ws="none",
        **files,  # type: ignore[arg-type]
    )
    return uvicorn.Server(config)
