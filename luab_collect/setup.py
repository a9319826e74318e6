"""A new project's folder, complete or not there: `luab collect init`."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from coco_ab.classes import COCO_PAGES
from luab_collect.class_files import COCO, read_classes
from luab_collect.icons import with_icons
from luab_collect.items import list_items, write_items
from luab_collect.pages import strings
from luab_collect.plan import plan_lines, plan_pages
from luab_collect.practice import practice_lines
from luab_collect.project import CONSENT, INSTRUCTIONS, KEY, SETTINGS, Project, project_of, write_key
from luab_collect.settings import Settings, dump_settings, faults_explained
from luab_data.errors import SourceError
from luab_data.files.durable import sync

# By task: images on a page, pages of an assignment, as in the paper.
SIZES = {"select": (48, 10), "place": (1, 20)}
_TEXTS = Path(__file__).parent / "texts"
_HEADER = "# Settings of this project: docs/collect.md. Paths are relative to this file.\n"


def init_project(
    folder: str | Path,
    task: str,
    images: str | Path,
    classes: str,
    candidates: str | Path | None = None,
    gold: str | Path | None = None,
    **settings: Any,
) -> tuple[Project, list[str]]:
    """Makes a project's folder; an existing folder must be empty. Also returns what it holds, in words.

    Args:
        folder: The folder to make.
        task: `select` or `place`.
        images: The folder of images, which stay where they are.
        classes: A file, or `coco`: see `luab_collect.class_files`.
        candidates: `select`: CSV `file,class`, instead of class folders.
        gold: CSV of images whose answer is known.
        settings: Further settings of `project.yaml`; None: the default.

    Raises:
        SourceError: the folder has files, or an argument is unusable; nothing is left behind.
    """
    folder = Path(folder)
    _require_usable(folder, task, images, candidates, gold)
    images_per_page, pages_per_hit = SIZES[task]
    given = {name: value for name, value in settings.items() if value is not None}
    if task == "place" and classes == COCO:
        given = {"categories": tuple(COCO_PAGES)} | given
    content: dict[str, Any] = {
        "name": folder.resolve().name,
        "task": task,
        "images": _relative(images, folder),
        "classes": read_classes(classes),
        "images_per_page": images_per_page,
        "pages_per_hit": pages_per_hit,
    }
    content |= {
        name: _relative(path, folder)
        for name, path in (("candidates", candidates), ("gold", gold))
        if path is not None
    }
    with faults_explained("settings"):
        made = Settings(**(content | given))
    strings(made.language)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        unfinished.chmod(0o700)  # it holds the key and the annotators' ids
        named = with_icons(made.classes, Path(classes).parent, unfinished)
        made = made.model_copy(update={"classes": named})
        write_project(unfinished, made)
        project = project_of(unfinished, made, "settings")
        listed = list_items(project)
        write_items(unfinished, listed)
        pages = plan_pages(project, listed.items)
        lines = [*listed.lines(), *plan_lines(pages, listed.items, project.overlap)]
        lines += practice_lines(pages, listed.items, project.task, project.class_names)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sync(folder.parent)
    return Project.read(folder), lines


def _require_usable(
    folder: Path, task: str, images: str | Path, candidates: str | Path | None, gold: str | Path | None
) -> None:
    """Raises SourceError for a folder with files, and for inputs that are not there or not of the task."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise SourceError(f"{str(folder)!r} is there, and not an empty folder: give another name.")
    if task == "place" and candidates is not None:
        raise SourceError(
            f"--candidates {str(candidates)!r} is of --task select: on `place` each image is asked about for "
            "all classes. Leave it out."
        )
    for name, path in (("--images", images), ("--candidates", candidates), ("--gold", gold)):
        if path is not None and not Path(path).exists():
            raise SourceError(f"{name} {str(path)!r}: there is no such file or folder.")


def write_project(folder: Path, settings: Settings) -> None:
    """Writes the files of a new project."""
    (folder / SETTINGS).write_text(_HEADER + dump_settings(settings), encoding="utf-8")
    (folder / INSTRUCTIONS).write_text(default_text(f"instructions_{settings.task}"), encoding="utf-8")
    (folder / CONSENT).write_text(default_text("consent"), encoding="utf-8")
    write_key(folder / KEY)


def default_text(name: str) -> str:
    """One of the texts that a new project begins with, Markdown."""
    return (_TEXTS / f"{name}.md").read_text(encoding="utf-8")


def _relative(path: str | Path, folder: Path) -> Path:
    """The path as seen from the folder, so that both can be moved together."""
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve()))
