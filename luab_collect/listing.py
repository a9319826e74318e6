"""All files of an untrusted folder of images, each with its place or the reason why it is not used."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from luab_collect.media_types import media_type
from luab_data.errors import RejectedRecord
from luab_data.files.regular import read_regular, require_file_inside
from luab_data.images.files import is_image
from luab_data.images.pillow import checked_image, open_file, upright_size
from luab_data.sources.entries import MAX_IMAGE_BYTES, entry_id, printable

SCRIPTED = (".svg", ".svgz")
MAX_PATH = 1000  # characters


@dataclass(frozen=True)
class CheckedImage:
    """An image that annotators can be shown."""

    file: str  # path below the folder, with `/`
    sha256: str
    width: int  # pixels, upright
    height: int


@dataclass
class Rejects:
    """What is not used.

    Attributes:
        reasons: Path and reason of each.
        ignored: Number of files of other kinds, by suffix.
    """

    reasons: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def add(self, file: str, reason: str) -> None:
        """Notes one file."""
        self.reasons.append((printable(file), reason))


def image_paths(folder: Path, rejects: Rejects) -> Iterator[str]:
    """Paths of the files with an image's suffix below a folder, sorted; notes all others in `rejects`.

    Links to folders are not followed, links to files only inside the folder.
    """
    root = folder.resolve()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(root / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name != "__MACOSX":
                    waiting.append(f"{path}/")
                continue
            if entry.is_symlink() and entry.is_dir():
                rejects.ignored["links to folders"] += 1
            elif entry.name.lower().endswith(SCRIPTED):
                rejects.add(path, "SVG is not shown: it can hold scripts; save it as PNG")
            elif not is_image(entry.name):
                rejects.ignored[Path(entry.name).suffix.lower()[:20]] += 1
            else:
                try:
                    _check_name(path)
                    if entry.is_symlink():
                        require_file_inside(root / path, root)
                except RejectedRecord as error:
                    rejects.add(path, error.reason)
                    continue
                yield path


def check_file(folder: Path, file: str) -> CheckedImage:
    """Reads and decodes one image of a folder; raises RejectedRecord unless annotators can be shown it."""
    content = read_regular(folder / file, MAX_IMAGE_BYTES)
    checked_image(content)
    with open_file(content) as image:
        kind = str(image.format)
        # A phone's JPEG may hold more pictures (MPO): browsers show the first one.
        moves = kind != "MPO" and getattr(image, "is_animated", False)
    if media_type(content) is None:
        raise RejectedRecord(f"browsers do not show this {kind}; save it as PNG or JPEG")
    if moves:
        raise RejectedRecord(f"a {kind} that moves; save one of its pictures")
    width, height = upright_size(content)
    return CheckedImage(file, sha256(content).hexdigest(), width, height)


def _check_name(path: str) -> None:
    if len(path) > MAX_PATH:
        raise RejectedRecord(f"its path has {len(path):,} characters, allowed are {MAX_PATH:,}")
    entry_id(path, path.count("/") + 1)  # no control characters, no backslash; UTF-8
