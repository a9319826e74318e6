"""Starts `luab collect serve` as a process of its own, on free ports."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from luab_data.errors import SourceError

# The command without `luab`, which stands above this package.
_SERVE = "import sys; from luab_collect.commands import run; sys.exit(run('serve', sys.argv[1:]))"
_LINES = ("annotators:", "admin:")  # what `serve` prints, one address each
_PATIENCE = 20.0  # s, until it ends


class Addresses(NamedTuple):
    """Where a server listens."""

    annotators: str  # http://HOST:PORT
    admin: str  # with the admin's token


@contextmanager
def running(project: Path, before: str = "", options: Sequence[str] = ()) -> Iterator[Addresses]:
    """The addresses of a project's server while it runs; it ends with the block.

    Args:
        project: The project's folder.
        before: Python that the server's process runs first; for benchmarks.
        options: More options of `serve`.

    Raises:
        SourceError: it did not start; with what it said.
    """
    command = [sys.executable, "-c", before + _SERVE, str(project), "--port", "0", "--admin-port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield _addresses(server.stdout)
        finally:
            server.terminate()
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()


def _addresses(lines: Iterator[str]) -> Addresses:
    found: dict[str, str] = {}
    for line in lines:
        name, _, address = line.partition(" ")
        if name in _LINES:
            found[name] = address.strip()
        if len(found) == len(_LINES):
            return Addresses(found["annotators:"].removesuffix("/work"), found["admin:"])
    raise SourceError("the server did not start; what it said is above.")
