"""Has a source changed since? By its files' names, sizes and times: what caches and resumed builds go by."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


def fingerprint(path: str | Path) -> str:
    """Tells one state of a file or folder from another: by names, sizes and times of change, not by content.

    A folder is walked whole, so that a cached result is never older than its files (some seconds for a
    million).
    """
    path = Path(path)
    digest = hashlib.sha256()
    files = [path] if path.is_file() else (Path(folder, name) for folder, name in _files_below(path))
    for file in files:
        status = file.stat() if file.exists() else file.lstat()
        digest.update(repr((str(file.relative_to(path)), status.st_size, status.st_mtime_ns)).encode())
    return f"{path.name} ({digest.hexdigest()[:16]})"


def without_states(text: str) -> str:
    """A text that names sources by their fingerprints -> the same with their names only.

    States tell one machine's files from another's, not what is in them: readers have no use for them.
    """
    return re.sub(r" \([0-9a-f]{16}\)", "", text)


def is_local(value: object) -> bool:
    """Whether an argument names a file or folder that exists."""
    return isinstance(value, str | Path) and Path(value).exists()


def _files_below(root: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield from ((folder, name) for name in sorted(files))
