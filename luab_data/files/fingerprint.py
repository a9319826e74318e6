"""Fingerprints of sources, from their files' names, sizes and times, for caches and resumed builds."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from luab_data.constants import APPLE_DOUBLE

OF_DESKTOPS = (".ds_store", "thumbs.db", "desktop.ini")  # names, in lower case, that no source reads


def fingerprint(path: str | Path, suffixes: tuple[str, ...] = ("",)) -> str:
    """The state of a file or folder, from names, sizes and modification times, not from content.

    It walks the whole folder, so that a cached result is never older than its files (a few seconds for a
    million files). Of a folder, files count whose names end with one of `suffixes` (in lower case).
    """
    path = Path(path)
    digest = hashlib.sha256()
    files = [path] if path.is_file() else _files_below(path, suffixes)
    for file in files:
        status = file.stat() if file.exists() else file.lstat()
        digest.update(repr((str(file.relative_to(path)), status.st_size, status.st_mtime_ns)).encode())
    return f"{path.name} ({digest.hexdigest()[:16]})"


def without_states(text: str) -> str:
    """A text with fingerprints of sources -> the same text with only their names.

    Fingerprints depend on the machine, not only on the content, so they do not help readers.
    """
    return re.sub(r" \([0-9a-f]{16}\)", "", text)


def is_local(value: object) -> bool:
    """Whether an argument names a file or folder that exists."""
    return isinstance(value, str | Path) and Path(value).exists()


def _files_below(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            lower = name.lower()
            if lower.endswith(suffixes) and lower not in OF_DESKTOPS and not name.startswith(APPLE_DOUBLE):
                yield Path(folder, name)
