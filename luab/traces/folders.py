"""Output folders that are complete or not there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luab_data.errors import SourceError


@contextmanager
def finished_folder(out: Path, option: str) -> Iterator[Path]:
    """A folder that gets its name when it is complete.

    Args:
        out: its name.
        option: the option that names it, for the error.

    Raises:
        SourceError: there is something of this name already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SourceError(f"{option} {out}: there is something already. Give a new folder.")
    folder = out.with_name(f".{out.name}.partial")
    if folder.exists():  # of an interrupted run
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
        if out.exists():
            out.rmdir()
        folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
