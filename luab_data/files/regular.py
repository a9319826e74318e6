"""Reads files of an untrusted folder: only regular files, and only inside the folder."""

import os
import stat
from pathlib import Path

from luab_data.errors import RejectedRecord


def require_file_inside(path: Path, folder: Path, fix: str = "put the file itself in its place") -> None:
    """Raises RejectedRecord for a link that leads out of `folder` (resolved) or nowhere.

    Args:
        path: the file.
        folder: what it has to be in.
        fix: what to do about a link that leads out, for the message.
    """
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: circular links, before Python 3.13
        raise RejectedRecord("a link that leads nowhere") from None
    if not target.is_relative_to(folder):
        raise RejectedRecord(f"a link that leads out of the folder: {fix}")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        RejectedRecord: it is another kind of file (opening a named pipe would wait forever), or larger than
            `max_bytes`.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RejectedRecord("not a regular file")
            if status.st_size > max_bytes:
                raise RejectedRecord(f"{status.st_size:,} bytes, allowed are {max_bytes:,}")
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise RejectedRecord(f"the file cannot be read: {error.strerror}") from error
    if len(content) > max_bytes:
        raise RejectedRecord(f"more than the allowed {max_bytes:,} bytes")
    return content
