"""Names in messages and on disk: shortened lists, and a file name for any text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

MOST = 5  # names in a message
# Texts that are file names already: no upper case, because some file systems ignore case.
_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9._-]*", re.ASCII)
# Windows reserves these names, also before a suffix.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.ASCII)
# File systems allow 255 bytes. The caller's prefix and suffix need room as well.
_MOST_BYTES = 120
_DIGITS = 10  # of the hash


def few(names: Sequence[object], most: int = MOST) -> str:
    """The first names of a list for a message, and the total."""
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown}, ... ({len(names):,} in all)" if len(names) > most else shown


def is_utf8(name: str) -> bool:
    """Whether a file's name is text in UTF-8: others have stand-ins for their bytes (surrogates)."""
    return name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name)


def file_name(name: str) -> str:
    """A file name for any text; different texts get different names on every file system.

    Lower-case ASCII letters, digits, `-`, `_` and `.` stay. If the text has only these, it is its own file
    name. Otherwise other characters become `_`, and `~` with a hash of the text follows.
    """
    if (
        _PLAIN.fullmatch(name)
        and not name.endswith(".")  # which Windows drops
        and not _RESERVED.fullmatch(name)
        and len(name) <= _MOST_BYTES
    ):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    readable = "".join(char if char.isalnum() or char in "-_." else "_" for char in name).lstrip(".")
    readable = readable.encode("utf-8", "ignore")[: _MOST_BYTES - _DIGITS - 1].decode("utf-8", "ignore")
    return f"{readable or '_'}~{digest}"
