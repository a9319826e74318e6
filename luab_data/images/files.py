"""Lists the image files of a folder and the skipped files; all tools share it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from luab_data.console.names import few
from luab_data.images.pillow import SUFFIXES

IGNORED = ("__MACOSX",)

# Kinds of skipped entries, besides files without an image suffix; singular and plural.
HIDDEN, LINK, LINKED, PIPE, OUTSIDE = "hidden", "link", "linked folder", "pipe", "outside"
_WORDS = {
    OUTSIDE: ("image in no class folder", "images in no class folder"),
    LINKED: ("link to a folder", "links to folders"),
    LINK: ("link out of the folder", "links out of the folder"),
    PIPE: ("pipe or device", "pipes or devices"),
    HIDDEN: ("hidden entry", "hidden entries"),
}
BARE = "no suffix"


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, sorted.

    Hidden folders and leftovers of zip programs do not count.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not _is_hidden(entry.name)]
    return sorted(names)


def image_files(folder: Path) -> list[str]:
    """Names of the image files in `folder`, sorted, without subfolders."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image(entry.name) and entry.is_file())


def is_image(name: str) -> bool:
    """Whether a file has an image suffix, in lower or upper case, and is not hidden."""
    return name.lower().endswith(SUFFIXES) and not _is_hidden(name)


@dataclass
class Listing:
    """The images of an untrusted folder `<class>/.../<image>`, and its other files.

    Attributes:
        classes: Names of the class folders, sorted.
        images: For each class the paths of its images below its folder, at any depth, sorted.
        outside: Names of the images in no class folder, sorted.
        links: Paths below the listed folder of the links with an image suffix that are not followed.
        linked_folders: Those of the links to folders, which are not followed either.
        left_out: Number of skipped entries of each kind; files without an image suffix.
    """

    classes: list[str] = field(default_factory=list)
    images: dict[str, list[str]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    linked_folders: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return sum(map(len, self.images.values()))

    def leave_out(self, kind: str, path: str) -> None:
        """Counts a skipped entry."""
        self.left_out[kind] += 1
        if kind == LINK and is_image(path.rpartition("/")[2]):
            self.links.append(path)
        elif kind == LINKED:
            self.linked_folders.append(path)

    def note(self) -> str:
        """The skipped files in words, such as "3 files that are no images (.md, .txt)", or ""."""
        suffixes = sorted(kind for kind in self.left_out if kind not in _WORDS)
        counts = {kind: self.left_out[kind] for kind in _WORDS}
        parts = [f"{count:,} {_WORDS[kind][count > 1]}" for kind, count in counts.items() if count]
        if count := sum(self.left_out[suffix] for suffix in suffixes):
            what = "files that are no images" if count > 1 else "file that is no image"
            parts.insert(0, f"{count:,} {what} ({few(suffixes)})")
        return ", ".join(parts)


def list_images(folder: Path) -> Listing:
    """Lists an untrusted folder; always ends, and never leaves the folder.

    Links to folders are not followed. Links to files are followed only within `folder`, or within the Hub's
    cache that it is a part of. Only regular files count.
    """
    found = Listing()
    homes = _homes(folder)
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False) and not _is_hidden(entry.name):
            found.classes.append(entry.name)
            found.images[entry.name] = sorted(_images_below(folder, entry.name, homes, found))
        elif kind := _left_out(entry, homes):
            found.leave_out(kind, entry.name)
        else:
            found.outside.append(entry.name)
            found.leave_out(OUTSIDE, entry.name)
    return found


def _images_below(root: Path, name: str, homes: tuple[Path, ...], found: Listing) -> Iterator[str]:
    folder = root / name
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in _entries(folder / prefix):
            if entry.is_dir(follow_symlinks=False) and not _is_hidden(entry.name):
                waiting.append(f"{prefix}{entry.name}/")
            elif kind := _left_out(entry, homes):
                found.leave_out(kind, f"{name}/{prefix}{entry.name}")
            else:
                yield f"{prefix}{entry.name}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _left_out(entry: os.DirEntry[str], homes: tuple[Path, ...]) -> str | None:
    """The kind of `Listing.left_out` of a skipped entry; None if it is read."""
    if _is_hidden(entry.name):
        return HIDDEN
    if entry.is_symlink():
        target = Path(entry.path).resolve()
        if target.is_dir():
            return LINKED
        if not target.is_file() or not any(target.is_relative_to(home) for home in homes):
            return LINK
    elif not entry.is_file():
        return PIPE
    return None if is_image(entry.name) else (Path(entry.name).suffix.lower() or BARE)


def _homes(folder: Path) -> tuple[Path, ...]:
    """The allowed targets of links: `folder`, and `blobs` next to `snapshots` in the Hub's cache."""
    whole = folder.resolve()
    caches = [parent.parent / "blobs" for parent in whole.parents if parent.name == "snapshots"]
    return whole, *caches


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED
