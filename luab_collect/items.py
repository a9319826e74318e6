"""A folder of images -> the project's items: what is asked of each image, and what is known of it.

`luab collect init` writes them to `items.jsonl`, one a line, and what cannot be used to `rejects.jsonl`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from luab_collect.csv_files import read_table
from luab_collect.gold import Gold, gold_in_ratios, read_gold
from luab_collect.listing import CheckedImage, Rejects, check_file, image_paths
from luab_collect.project import ITEMS, Project
from luab_collect.settings import ClassSpec
from luab_data.console.bars import progress
from luab_data.console.names import few
from luab_data.console.text import counted, did_you_mean
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.durable import replacing
from luab_data.rows.class_names import plain

REJECTS = "rejects.jsonl"
ID_DIGITS = 16
NO_CLASS = "folders of no class"


@dataclass(frozen=True)
class ProjectItem:
    """An image that annotators are asked about.

    Attributes:
        id: 16 hex digits, from the path.
        file: Path below the project's images, with `/`.
        sha256: Of the file's bytes.
        width: Pixels, upright.
        height: Pixels, upright.
        classes: `select`: classes that it may be of; () if it is only gold. `place`: ().
        gold: What is known of it; None: nothing.
    """

    id: str
    file: str
    sha256: str
    width: int
    height: int
    classes: tuple[str, ...]
    gold: Gold | None


@dataclass
class Listed:
    """The items of a project, and what was left out; the numbers add up to `found`."""

    items: list[ProjectItem] = field(default_factory=list)
    rejects: Rejects = field(default_factory=Rejects)
    found: int = 0  # files with an image's suffix, and SVG
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What was found, in words."""
        asked = sum(bool(item.gold) for item in self.items)
        shown = [
            f"{counted(self.found, 'image')} found = {len(self.items):,} used"
            f" + {len(self.rejects.reasons):,} left out",
            *([f"{counted(asked, 'image')} with a known answer"] if asked else []),
            *self.notes,
        ]
        if other := sum(self.rejects.ignored.values()):
            shown.append(f"{counted(other, 'other file')} ignored ({few(sorted(self.rejects.ignored))})")
        if self.rejects.reasons:
            shown.append(f"{REJECTS} says why; the first: " + ": ".join(self.rejects.reasons[0]))
        return shown


def item_id(file: str) -> str:
    """The id of an image, from its path below the project's images."""
    return sha256(file.encode()).hexdigest()[:ID_DIGITS]


def list_items(project: Project) -> Listed:
    """Reads and checks all images of a project; raises SourceError if nothing can be asked.

    Which classes an image may be of, on `select`: the lines of `candidates`, else its first folder, else
    (images without folders) every class.
    """
    listed = Listed()
    paths = sorted(image_paths(project.images, listed.rejects))
    listed.found = len(paths) + len(listed.rejects.reasons)
    known = frozenset(paths)
    gold = {} if project.gold is None else read_gold(project.gold, project.class_names)
    _require_files(gold, known, f"gold {str(project.gold)!r}")
    classes = _classes_of(project, paths, gold, listed)
    with progress(len(classes), "Checking images", "img") as bar:
        for file, names in classes.items():
            bar.update()
            try:
                checked = check_file(project.images, file)
                listed.items.append(_item(checked, names, gold.get(file)))
            except RejectedRecord as error:
                listed.rejects.add(file, error.reason)
    if listed.found != len(listed.items) + len(listed.rejects.reasons):
        raise RuntimeError(f"{project.images}: the images do not add up. This is a bug.")
    if not listed.items:
        why = "; ".join(dict.fromkeys(reason for _, reason in listed.rejects.reasons))[:300]
        raise SourceError(
            f"{str(project.images)!r} holds no image that annotators can be asked about: "
            f"{counted(listed.found, 'image')} found{f' ({why})' if why else ''}."
            f"{_other_folders(project, listed)}"
        )
    if project.task == "select":
        asked = {name for item in listed.items for name in (*item.classes, *(item.gold or ()))}
        if empty := [name for name in project.class_names if name not in asked]:
            listed.notes.append(f"no image is asked about for {few(empty)}")
    return listed


def write_items(folder: Path, listed: Listed) -> None:
    """Writes `items.jsonl` and `rejects.jsonl`."""
    with replacing(folder / REJECTS) as file:
        for name, reason in listed.rejects.reasons:
            file.write(json.dumps({"file": name, "reason": reason}) + "\n")
    with replacing(folder / ITEMS) as file:
        for item in listed.items:
            file.write(json.dumps(asdict(item)) + "\n")


def read_items(project: Project) -> list[ProjectItem]:
    """The items that `write_items` wrote; raises SourceError."""
    path = project.folder / ITEMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} cannot be read: {error}. Restore it from a copy of the project."
        ) from error
    items = []
    for number, line in enumerate(lines, start=1):
        try:
            items.append(_parsed(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SourceError(
                f"{path}, line {number}: this is no item ({error}). Restore the file."
            ) from error
    return items


def _parsed(value: Any) -> ProjectItem:
    gold = value["gold"]
    if gold is not None:
        gold = {
            name: None if boxes is None else tuple((a, b, c, d) for a, b, c, d in boxes)
            for name, boxes in gold.items()
        }
    return ProjectItem(**{**value, "classes": tuple(value["classes"]), "gold": gold})


def _item(checked: CheckedImage, classes: Sequence[str], gold: Gold | None) -> ProjectItem:
    known = None if gold is None else gold_in_ratios(gold, checked.width, checked.height)
    return ProjectItem(
        item_id(checked.file),
        checked.file,
        checked.sha256,
        checked.width,
        checked.height,
        tuple(classes),
        known,
    )


def _classes_of(
    project: Project, paths: Sequence[str], gold: dict[str, Gold], listed: Listed
) -> dict[str, tuple[str, ...]]:
    """File -> the classes that it may be of; files that nothing is asked about are noted as left out."""
    if project.task == "place":
        return dict.fromkeys(paths, ())
    if project.candidates is not None:
        found = _candidates(project.candidates, project.class_names, frozenset(paths))
        missing = "candidates does not list it"
    elif any("/" in path for path in paths):
        found = _by_folder(project.classes, paths, listed)
        missing = "it is in no class folder"
    else:
        listed.notes.append("no class folders: each image is asked about for every class")
        return dict.fromkeys(paths, project.class_names)
    for path in paths:
        if path not in found and path not in gold:
            listed.rejects.add(path, missing)
    return {path: found.get(path, ()) for path in paths if path in found or path in gold}


def _candidates(path: Path, classes: Sequence[str], known: frozenset[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in read_table(path, ("file", "class"), ("file", "class"), "candidates"):
        file, name = line.values.get("file", ""), line.values.get("class", "")
        if name not in classes:
            raise SourceError(f"{line.where}: there is no class {name!r}{did_you_mean(name, classes)}.")
        found[file] = tuple(dict.fromkeys((*found.get(file, ()), name)))
    _require_files(found, known, f"candidates {str(path)!r}")
    return found


def _by_folder(
    classes: Sequence[ClassSpec], paths: Sequence[str], listed: Listed
) -> dict[str, tuple[str, ...]]:
    """The classes by the images' first folder: its exact name, else without case, spaces and `_`."""
    exact = {each.folder or each.name: each.name for each in classes}
    relaxed = {plain(folder): name for folder, name in exact.items()}
    found: dict[str, tuple[str, ...]] = {}
    unknown: dict[str, None] = {}
    for path in paths:
        folder, slash, _ = path.partition("/")
        name = exact.get(folder) or relaxed.get(plain(folder))
        if slash and name is not None:
            found[path] = (name,)
        elif slash:
            unknown[folder] = None
    if unknown:
        hints = [f"{folder}{did_you_mean(folder, exact)}" for folder in unknown]
        listed.notes.append(f"{NO_CLASS}: {few(hints)}")
    return found


def _other_folders(project: Project, listed: Listed) -> str:
    """What to do about class folders of which none is a class's; empty: there are others."""
    note = next((note for note in listed.notes if note.startswith(NO_CLASS)), None)
    if note is None:
        return ""
    return (
        f" {note[0].upper()}{note[1:]}; the classes are {few(project.class_names)}. Give the classes the "
        "folders' names, put the folders' names into the column `folder` of a CSV of classes, or list "
        "which image may be of which class in --candidates."
    )


def _require_files(files: Iterable[str], known: frozenset[str], what: str) -> None:
    missing = [file for file in files if file not in known]
    if missing:
        hint = did_you_mean(missing[0], known) if len(known) <= 5000 else ""
        raise SourceError(
            f"{what} names {counted(len(missing), 'file')} that the project's images do not have: "
            f"{few([ascii(file)[:120] for file in missing])}{hint}. Paths are relative to that folder, "
            "with `/`."
        )
