"""Progress: a bar in a terminal, and occasional lines in a log file."""

import os
import sys
from contextlib import AbstractContextManager
from typing import Any, Protocol

LINE_EVERY = 60  # seconds

# The format of a line; without a total there is no remaining time.
_LINE = "{desc}: {n_fmt} of {total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt} {unit} [{elapsed}, {rate_fmt}]"


def quiet_bars() -> None:
    """Turns off other libraries' bars if stderr is not a terminal. Call it before tqdm is imported."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")


class Progress(Protocol):
    """The object that `progress` returns."""

    n: int  # steps done

    def update(self, n: float = 1) -> bool | None:
        """Adds `n` steps."""


def progress(
    total: int | None, desc: str, unit: str, disable: bool = False, **settings: Any
) -> AbstractContextManager[Progress]:
    """A `tqdm` for `total` steps, `settings` as there."""
    from tqdm import tqdm  # not before `quiet_bars`

    if disable or sys.stderr.isatty():
        return tqdm(total=total, desc=desc, unit=unit, disable=disable, **settings)
    line = _LINE if total is not None else _LINE_WITHOUT_TOTAL
    every = {"mininterval": LINE_EVERY, "maxinterval": LINE_EVERY, "delay": LINE_EVERY}
    return tqdm(
        total=total, desc=desc, unit=unit, disable=False, file=_Lines(), bar_format=line, **every, **settings
    )


class _Lines:
    """stderr, with a new line for each state of tqdm instead of an overwritten one."""

    def write(self, text: str) -> None:
        if line := text.strip():
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()
