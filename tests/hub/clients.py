"""Runs code of ours and the real clients against the Hub on this machine, each time in a fresh process.

The clients read HF_ENDPOINT and HF_HOME when they are imported. So a server of forks (`forks.py`) is started
with these set, imports them once, and forks a process for each run: some ms instead of seconds, and a kill
is a kill.
"""

import os
import pickle
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Result:
    """How a process ended (negative: by this signal), what it wrote, and what its function returned."""

    status: int
    output: str
    value: Any = None


class Running:
    """A process under way. `pid` is for those who want to kill it."""

    def __init__(self, clients: "Clients", pid: int, log: Path, answer: Path):
        self.pid, self._clients, self._log, self._answer = pid, clients, log, answer

    def result(self) -> Result:
        status = self._clients.order(wait=self.pid)
        output = self._log.read_text(errors="replace")
        self._clients.outputs.append(output)
        value = pickle.loads(self._answer.read_bytes()) if self._answer.exists() else None
        return Result(status, output, value)


class Clients:
    """Processes for which `url` is the Hub. `home`: their cache, common to all of them."""

    def __init__(self, url: str, home: Path):
        self.home, self.outputs, self._runs = home, [], 0
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1,localhost",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        }  # fmt: skip
        command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._forks = subprocess.Popen(command, env=self.environment, **pipes)

    def close(self) -> None:
        self._forks.kill()
        self._forks.communicate()

    def order(self, **order: Any) -> int:
        self._forks.stdin.write(pickle.dumps(order))
        self._forks.stdin.flush()
        return pickle.load(self._forks.stdout)

    def start(
        self, function: Callable, *args: Any, token: str | None = None, cwd: Path | None = None
    ) -> Running:
        """`function(*args)`, which must be importable, as the user who has this token."""
        self._runs += 1
        log, answer = self.home / f"{self._runs}.log", self.home / f"{self._runs}.answer"
        environment = {"HF_TOKEN": token} if token else {}
        names = {"module": function.__module__, "function": function.__name__, "args": args}
        places = {"log": log, "answer": answer, "cwd": cwd or self.home}
        return Running(self, self.order(**names, **places, environment=environment), log, answer)

    def call(self, function: Callable, *args: Any, **settings: Any) -> Result:
        return self.start(function, *args, **settings).result()

    def script(self, file: Path, *args: Any, **settings: Any) -> Result:
        """A script with these arguments, as from the command line."""
        return self.call(run_script, str(file), [str(arg) for arg in args], **settings)


def run_script(file: str, args: list[str]) -> None:
    sys.argv = [file, *args]
    runpy.run_path(file, run_name="__main__")
