"""Finds the class folders below a folder or in a zip.

Users often pass a parent folder, or the whole download.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from datasets.utils.logging import get_logger

from luab_data.constants import TRAIN
from luab_data.errors import SourceError
from luab_data.rows.splits import EVAL_SPLITS
from luab_data.sources.entries import IMAGE_SUFFIXES, IMAGES, is_entry

MAX_DEPTH = 5  # of ILSVRC/Data/CLS-LOC/train/<class>
MAX_FOLDERS = 5000  # that are looked at
SPLITS = {TRAIN, *EVAL_SPLITS}  # folders beside each other that are no classes
SHOWN = 5

logger = get_logger(__name__)


def folders_below(path: Path) -> Iterator[Path]:
    """The topmost folders below `path` that have images; links are not followed."""
    level, looked_at = [path], 0
    for _ in range(MAX_DEPTH + 1):
        below = []
        for folder in level:
            looked_at += 1
            if looked_at > MAX_FOLDERS:
                return
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
            if folder != path and any(is_entry(e.name, IMAGE_SUFFIXES) for e in inside):
                yield folder
            else:
                below += [Path(e.path) for e in inside if e.is_dir(follow_symlinks=False)]
        level = below


def choose_root(
    path: Path, found: Mapping[str, str], is_wanted: Callable[[str], bool], train: str = TRAIN
) -> str | None:
    """Chooses among the folders `found`: the only one, the only wanted one, or `train`.

    `found`: for each folder, a file or folder in it, for which `is_wanted` decides whether the folder is
    wanted. Returns None if no folder is wanted. Raises SourceError if the choice is ambiguous.
    """
    wanted = [folder for folder, example in found.items() if is_wanted(example)]
    named = [folder for folder in wanted if folder.rpartition("/")[2] == train]
    chosen = named if len(named) == 1 else wanted
    if len(chosen) > 1:
        listed = ", ".join(chosen[:SHOWN]) + (", ..." if len(chosen) > SHOWN else "")
        raise SourceError(f"{IMAGES}={str(path)!r} has images in several folders: pass one of {listed}.")
    return chosen[0] if chosen else None


def say(path: Path, root: str) -> None:
    """Reports the chosen folder."""
    logger.warning(f"{IMAGES}={str(path)!r}: the images are read from {root}.")
