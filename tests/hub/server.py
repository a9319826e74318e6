"""The Hub's public HTTP API on 127.0.0.1, for the real clients, with failures on request."""

import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from hub.api import Answers
from hub.repositories import Refusal, Repository


@dataclass
class Rule:
    """What goes wrong: at the next `times` requests whose `METHOD /path` matches, after `skip` others.

    `action` runs before the request is carried out, or after (and then the answer is lost); it raises
    `Refusal` or `Broken`, or does what it likes.
    """

    pattern: str
    action: Callable[[], None]
    times: int = 1
    skip: int = 0
    after: bool = False


class Broken(Exception):
    """The connection ends without an answer."""


class Hub(ThreadingHTTPServer):
    """`users`: tokens by user. `seen`: all requests so far, as `METHOD /path`. `sent`: bytes of contents by
    path, as they went out. `rules`: what goes wrong.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        # Another host to the clients, as the Hub's storage is: no token must go there.
        self.storage_url = f"http://localhost:{self.server_port}"
        self.users: dict[str, str] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.sent: dict[str, int] = {}
        self.rules: list[Rule] = []
        self.page_size = 1000
        self.lock = threading.RLock()

    def handle_error(self, request, client_address):
        """Nothing: a client that was killed leaves a broken connection."""

    def add(self, kind: str, repo_id: str, **settings) -> Repository:
        self.repositories[kind, repo_id] = Repository(kind, repo_id, **settings)
        return self.repositories[kind, repo_id]

    def dataset(self, repo_id: str) -> Repository:
        return self.repositories["dataset", repo_id]

    def model(self, repo_id: str) -> Repository:
        return self.repositories["model", repo_id]

    def fail(self, pattern: str, status: int, times: int = 1, **headers: str) -> None:
        """`status` as the answer; headers with `_` for `-`."""

        def refuse() -> None:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            raise Refusal(status, message="on request", headers=named)

        self.rules.append(Rule(pattern, refuse, times))

    def drop(self, pattern: str, times: int = 1, after: bool = False) -> None:
        """The connection breaks: before the request is carried out, or after."""

        def action() -> None:
            raise Broken

        self.rules.append(Rule(pattern, action, times, after=after))

    def count(self, pattern: str) -> int:
        """How many requests so far."""
        return sum(bool(re.search(pattern, line)) for line in self.seen)


class _Handler(Answers, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *args):
        pass

    def answer(self) -> None:
        # Small answers in several packets would wait 40 ms each for the client's acknowledgement.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        line = f"{self.command} {parts.path}"
        self.server.seen.append(line)
        try:
            self.meet(line, after=False)
            status, headers, content = self.route(parts.path)
            self.meet(line, after=True)
        except Refusal as refusal:
            status, content = refusal.status, json.dumps({"error": refusal.message}).encode()
            headers = {"X-Error-Message": refusal.message, **refusal.headers}
            headers |= {"X-Error-Code": refusal.code} if refusal.code else {}
        except Broken:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def meet(self, line: str, after: bool) -> None:
        """Applies the rules for this request."""
        for rule in self.server.rules:
            if rule.after == after and rule.times and re.search(rule.pattern, line):
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.times -= 1
                rule.action()
