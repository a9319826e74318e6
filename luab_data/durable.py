"""What shows later whether it was damaged: checksums of files, and JSON that carries its own."""

import hashlib
import json
from pathlib import Path

from luab_data.files import sync, write_json

_SEAL = "sha256_of_content"


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def put(unfinished: Path, place: Path) -> None:
    """Gives a finished file its name: after a power cut the name is there only with the whole file."""
    sync(unfinished)
    unfinished.replace(place)
    sync(place.parent)


def write_sealed(path: Path, content: dict) -> None:
    """Writes JSON with a checksum of its content, for `read_sealed`."""
    write_json(path, {**content, _SEAL: _checksum(content)})


def read_sealed(path: Path) -> dict | None:
    """The content that `write_sealed` wrote; None where the file is missing or damaged."""
    try:
        content = json.loads(path.read_bytes())
        seal = content.pop(_SEAL)
    except (FileNotFoundError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if seal == _checksum(content) else None


def _checksum(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
