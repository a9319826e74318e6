"""`luab collect serve` as a process of its own, which tests may kill; forked, so that it starts at once."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx

MODULES = [
    "luab_collect.commands.serve",
    "luab_collect.server.app",
    "luab_collect.server.admin",
    "luab_collect.server.serving",
    "jinja2",
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(MODULES)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _serve(log: str, argv: list[str]) -> None:
    import argparse

    from luab_collect.commands import serve

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    options = argparse.ArgumentParser()
    serve.add_options(options)
    serve.run(options.parse_args(argv))


class Server:
    """A project served at one port, again and again."""

    def __init__(self, folder: Path, *options: str):
        self.folder, self.options = folder, options
        self.verify = False  # or what knows the certificate
        self.port, self.admin_port = free_port(), free_port()
        self.log = folder.parent / "server.log"
        self.process = None

    @property
    def address(self) -> str:
        return f"http{'s' if '--tls-cert' in self.options else ''}://127.0.0.1:{self.port}"

    def start(self, wait: bool = True) -> "Server":
        argv = [str(self.folder), "--port", str(self.port), "--admin-port", str(self.admin_port)]
        arguments = (str(self.log), [*argv, *self.options])
        self.process = _context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + 60
        with httpx.Client(base_url=self.address, verify=self.verify) as http:
            while True:
                try:
                    if http.get("/api/health").status_code == 200:
                        return
                except httpx.TransportError:
                    if time.monotonic() > end or not self.process.is_alive():
                        raise RuntimeError(self.log.read_text()) from None
                    time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(30)
        return self.process.exitcode

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.is_alive():
            self.kill()
