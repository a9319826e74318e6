"""Files that are on disk before they get their names, and JSON with a checksum."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

_SEAL = "sha256_of_content"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Waits until a file's bytes, or the names in a folder, are on disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put(unfinished: Path, place: Path) -> None:
    """Renames a finished file, so that even after a power cut the name means a complete file."""
    sync(unfinished)
    unfinished.replace(place)
    sync(place.parent)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that gets its name when it is complete."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        yield file
    put(partial, path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces a JSON file in one step; NaN and infinity are a ValueError."""
    with replacing(path) as file:
        json.dump(content, file, indent=1, allow_nan=False)
        file.write("\n")


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON with a checksum of its content, for `read_sealed`."""
    write_json(path, {**content, _SEAL: _checksum(content)})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content that `write_sealed` wrote; None if the file is missing or damaged."""
    try:
        content = json.loads(path.read_bytes())
        seal = content.pop(_SEAL)
    except (FileNotFoundError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if seal == _checksum(content) else None


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
