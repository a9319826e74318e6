"""A project's finished work -> a dataset folder, whole or not there.

Everything is written beside the folder, into `.<name>.partial`, and moved at the end, so that an earlier
export stays until the new one is complete. A killed export goes on when it is started again, unless there is
new work; then it begins anew.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from luab_collect.derive import page_result
from luab_collect.export.building import CollectedDataset
from luab_collect.export.coco import CocoLayout
from luab_collect.export.imagenet import ImageNetLayout
from luab_collect.export.layouts import RAW, Entries, ExportLayout
from luab_collect.export.plain import PlainLayout
from luab_collect.export.views import Spool, views_of
from luab_collect.items import ProjectItem, read_items
from luab_collect.project import Project
from luab_collect.store.results import StoredWork
from luab_data.build.dataset_folder import build_folder
from luab_data.build.manifest import DESCRIPTIONS, REJECTS, Manifest
from luab_data.build.raw import FULL
from luab_data.build.verify import write_dataset_sums
from luab_data.console.disk import full_disk_explained
from luab_data.console.text import counted
from luab_data.errors import SourceError
from luab_data.files.durable import read_sealed, sync, write_json, write_sealed
from luab_data.files.whole import sole_writer
from luab_data.sources.entries import IMAGES

LAYOUTS: dict[str, Callable[[Project, Sequence[ProjectItem]], ExportLayout]] = {
    "plain": PlainLayout,
    "imagenet": ImageNetLayout,
    "coco": CocoLayout,
}
MARK = "export.json"  # in each exported folder: it may be replaced by a new export
_PLAN = "plan.json"
MOST_REASONS = 5  # in the report


class Exported:
    """Counts the pages of work, and lets those through that are exported."""

    def __init__(self, works: Iterable[StoredWork], accepted_only: bool = False):
        """Takes submitted work; `accepted_only`: only what a person accepted."""
        self._works = works
        self._accepted_only = accepted_only
        self.counts = {"submitted": 0, "exported": 0, "rejected": 0, "undecided, left out": 0}
        self.unseen = 0  # images of the exported pages that never came in the browser, by page
        self.missing: set[str] = set()  # their ids
        self.left_out: set[str] = set()  # ids of images on pages that are not exported
        self.outside = 0  # selections and icons of them that are no place in their image
        self.digest = sha256()

    def __iter__(self) -> Iterator[StoredWork]:
        for work in self._works:
            self.counts["submitted"] += 1
            left_out = ""
            if work.verdict == "reject":
                left_out = "rejected"
            elif self._accepted_only and work.verdict != "accept":
                left_out = "undecided, left out"
            if left_out:
                self.counts[left_out] += 1
                self.left_out.update(item.id for item in work.items)
                continue
            self.counts["exported"] += 1
            self.digest.update(work.id.encode())
            yield work

    def lines(self) -> list[str]:
        """The counts in words."""
        left = [
            f"{number:,} {name}" for name, number in self.counts.items() if number and name != "submitted"
        ]
        pages = f"pages of work: {self.counts['submitted']:,} submitted = {' + '.join(left) or '0 exported'}"
        lines = [pages]
        if self.unseen:
            lines.append(
                f"no answer about {counted(self.unseen, 'image')}: never came in the browser, left out"
            )
        if self.outside:
            lines.append(
                f"far outside of their image, without a place in it: {self.outside:,} selections or icons"
            )
        return lines


def export(
    project: Project,
    works: Iterable[StoredWork],
    out: str | Path,
    layout: str = "plain",
    accepted_only: bool = False,
) -> list[str]:
    """Writes the dataset folder `out`; returns what it holds, in words.

    Args:
        project: Whose work it is.
        works: Its submitted pages of work.
        out: A folder that does not exist, is empty, or is an earlier export, which is replaced.
        layout: One of `LAYOUTS`.
        accepted_only: Leave out what nobody decided about.

    Raises:
        SourceError: the project does not fit the layout, `out` has other files, there is no finished work.
    """
    out = Path(out).resolve()
    _require_replaceable(out)
    items = read_items(project)
    made = LAYOUTS[layout](project, items)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    with (
        sole_writer(partial, "--out"),
        full_disk_explained(out.parent, "Free some and run the same command again."),
        Spool(partial / "views.sqlite") as spool,
    ):
        _put_back(out)
        exported = Exported(works, accepted_only)
        for work in exported:
            result = page_result(work)
            missing = [item.item for item in result.items if not item.loaded]
            exported.unseen += len(missing)
            exported.missing.update(missing)
            exported.outside += result.outside
            for view in views_of(result, {item.id: item.role for item in work.items}):
                spool.add(view)
        spool.finish()
        if not spool.count:
            shutil.rmtree(partial, ignore_errors=True)
            raise SourceError(f"there is nothing to export yet. {'. '.join(exported.lines())}.")
        state = f"{counted(exported.counts['exported'], 'page')} of work ({exported.digest.hexdigest()[:16]})"
        plan = {"state": state, "layout": layout, "version": version("luab"), "settings": _settings(project)}
        folder = _open_partial(partial, plan)
        written = _write_raw(partial / RAW, made, items, spool)
        asked = spool.items()
        raw = CollectedDataset(project, items, made, spool, state)
        manifest = build_folder(raw, made.card_text(), folder, FULL, {"layout": layout})
        _finish(folder, partial / RAW, manifest, exported, layout)
        _replace(out, folder)
    shutil.rmtree(partial)
    left = [item for item in items if item.id not in asked]
    return [
        *exported.lines(),
        manifest.report(),
        *_left_out(out),
        *written,
        *_without_views(left, project.task, exported),
    ]


def _without_views(left: Sequence[ProjectItem], task: str, exported: Exported) -> list[str]:
    """How many images have no answer in the export, in words, and why."""

    def why(item: ProjectItem) -> tuple[str, str]:
        if item.id in exported.missing:
            return "image", "that came in the browser of nobody whose work is exported"
        if item.id in exported.left_out:
            return "image", "of which all work is rejected or left out"
        if task == "select" and not item.classes:
            may_be = "candidates of no class, of which not all need be on a page"
            return "gold image", f"that nobody was asked about: {may_be}"
        return "image", "of which nobody has submitted work yet"

    reasons = Counter(map(why, left)).most_common()
    return [f"{counted(number, noun)} {reason}" for (noun, reason), number in reasons]


def _settings(project: Project) -> str:
    """A digest of the settings that rows rest on: labels are numbers of classes."""
    settings = project.settings.model_dump_json(include={"task", "classes", "categories"})
    return sha256(settings.encode()).hexdigest()


def _left_out(out: Path) -> list[str]:
    """How many images have no row for which reason, in words."""
    with (out / REJECTS).open(encoding="utf-8") as lines:
        rejects = [reject for line in lines if (reject := json.loads(line))["source"] == IMAGES]
    reasons = Counter(reject["reason"] for reject in rejects).most_common(MOST_REASONS)
    return [f"without a row: {counted(number, 'image')} ({reason})" for reason, number in reasons]


def _require_replaceable(out: Path) -> None:
    if not out.exists() or (out / MARK).is_file():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise SourceError(f"--out {str(out)!r} holds other files. Give a folder that is empty or not there.")


def _open_partial(partial: Path, plan: dict[str, str]) -> Path:
    """The unfinished folder of the same export, or an empty one."""
    folder = partial / "dataset"
    if read_sealed(partial / _PLAN) != plan:
        shutil.rmtree(folder, ignore_errors=True)
        write_sealed(partial / _PLAN, plan)
    elif (folder / RAW).exists() or (folder / MARK).exists():  # killed while it was moved
        shutil.rmtree(folder)
    return folder


def _write_raw(folder: Path, layout: ExportLayout, items: Sequence[ProjectItem], spool: Spool) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    seen = spool.items()
    entries: Entries = ((item, spool.get(item.id)) for item in items if item.id in seen)
    written = layout.write_raw(folder, entries)
    for path in folder.iterdir():
        sync(path)
    return [f"{RAW}/{line}" for line in written]


def _finish(folder: Path, raw: Path, manifest: Manifest, exported: Exported, layout: str) -> None:
    """Adds the released files and the counts to the built folder, and their checksums to its list."""
    names = sorted(path.name for path in raw.iterdir())
    if names:
        raw.rename(folder / RAW)
    counts = {"unseen_images": exported.unseen, "outside": exported.outside}
    write_json(folder / MARK, {"layout": layout, "pages_of_work": exported.counts, **counts})
    others = (*DESCRIPTIONS, MARK, *(f"{RAW}/{name}" for name in names))
    write_dataset_sums(folder, manifest.shards, others)


def _former(out: Path) -> Path:
    return out.with_name(f".{out.name}.former")


def _put_back(out: Path) -> None:
    """After a kill between `_replace`'s moves: the earlier export is there again until this one is done."""
    former = _former(out)
    if out.exists():
        shutil.rmtree(former, ignore_errors=True)
    elif (former / MARK).is_file():
        former.rename(out)
        sync(out.parent)


def _replace(out: Path, folder: Path) -> None:
    """Puts the finished folder in place of an earlier export."""
    former = _former(out)
    shutil.rmtree(former, ignore_errors=True)
    if out.exists():
        out.rename(former)
    folder.rename(out)
    sync(out.parent)
    shutil.rmtree(former, ignore_errors=True)
