"""Detects a full disk, which each library reports in its own way or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luab_data.console.text import text_of
from luab_data.errors import SourceError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PROBE_BYTES = 1 << 20


@contextmanager
def full_disk_explained(folder: str | Path, fix: str) -> Iterator[None]:
    """Around code that writes to `folder`: a full disk becomes a `SourceError` with `fix`."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if _is_full(Path(folder)):
            found = text_of(error).partition("\n")[0]
            raise SourceError(f"{str(folder)!r}: no space left on its disk ({found}). {fix}") from error
        if says_full(error):  # in another folder: a cache, or temporary files
            raise SourceError(f"no space left on a disk, not on that of {str(folder)!r}: {error}") from error
        raise


def _is_full(folder: Path) -> bool:
    """Whether a small file can no longer be written: torch's error does not mention a full disk."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in _FULL
    return False


def says_full(error: BaseException | None) -> bool:
    """Whether an exception or one of its causes reports a full disk."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _FULL) or "No space left on device" in text_of(
            error
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
