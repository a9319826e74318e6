"""Files that are written atomically, strict JSON, and folders with a single writer."""

import json
import math
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from luab_data.errors import SourceError
from luab_data.files.durable import replacing

LOCK = Path(".luab", "lock")  # in each folder with a single writer; it stays there, empty
HOLDER = LOCK.with_name("holder")  # the process that writes there, for messages


def to_json(content: Any, indent: int | None = 1) -> str:
    """JSON without NaN and Infinity, which are not valid JSON.

    Raises:
        ValueError: there is such a number; the message names its place.
    """
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except ValueError as error:
        found = [place for place, value in _numbers(content, "") if not math.isfinite(value)]
        if not found:
            raise
        raise ValueError(f"{', '.join(found[:5])}: not a finite number, so it is not written") from error


def write_json(path: str | Path, content: Any, indent: int = 1) -> None:
    """Write JSON (see `to_json`) to a file atomically."""
    text = to_json(content, indent)  # before there is a file
    with replacing(Path(path)) as file:
        file.write(f"{text}\n")


@contextmanager
def sole_writer(folder: str | Path, option: str) -> Iterator[None]:
    """Makes and locks the folder against other processes of ours.

    The lock is reentrant.

    Args:
        folder: The folder to write into.
        option: The option that names the folder, for the error.

    Raises:
        SourceError: another process writes there.
    """
    folder = Path(folder).resolve()
    (folder / LOCK).parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0, is_singleton=True):
            (folder / HOLDER).write_text(f"{os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            yield
    except Timeout:
        raise SourceError(
            f"{option} {folder}: another process is writing into this folder{_holder(folder)}. Wait for it, "
            "or give another folder."
        ) from None


def _holder(folder: Path) -> str:
    """The process that writes into `folder` as " (NUMBER on HOST)"; "" if unknown."""
    try:
        with (folder / HOLDER).open(encoding="utf-8") as file:
            text = file.read(100)
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({text})" if text.isprintable() else ""


def _numbers(content: Any, place: str) -> Iterator[tuple[str, float]]:
    """Each float with its place: `metrics.loss`, `scores[3]`."""
    if isinstance(content, float):
        yield place, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from _numbers(value, f"{place}[{index}]")
