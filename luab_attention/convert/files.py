"""The files of an untrusted folder, in a fixed order; links that lead out of it are refused."""

import os
from collections.abc import Iterator
from pathlib import Path

from luab_data.errors import RejectedRecord
from luab_data.files.regular import require_file_inside
from luab_data.sources.entries import BYPRODUCTS, Reject, printable

LINK_FIX = "put the file itself in its place, or pass the folder that the links lead to"
FOLDER_FIX = "pass the folder itself, or put a copy in the link's place"


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path] | Reject]:
    """The path in the folder and the place of each file with one of the suffixes, at any depth, sorted.

    Hidden files and folders are skipped. Links to folders are not followed: each is a reject.
    """
    root = folder.resolve()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in folders):
            if path.is_symlink():
                name = printable(path.relative_to(folder).as_posix())
                yield Reject(BYPRODUCTS, name, f"a linked folder, which is not followed: {FOLDER_FIX}")
        for name in sorted(names):
            if name.startswith(".") or not name.lower().endswith(suffixes):
                continue
            path = Path(place, name)
            inside = path.relative_to(folder).as_posix()
            try:
                if path.is_symlink():
                    require_file_inside(path, root, LINK_FIX)
                if not path.is_file():
                    raise RejectedRecord("not a regular file")
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, printable(inside), error.reason)
                continue
            yield inside, path
