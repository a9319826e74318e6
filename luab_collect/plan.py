"""Items -> pages of work, by the project's seed: the same settings and images give the same pages.

`select`: a page asks for one class. It mixes its candidates (targets, each on one page), candidates of
confusable classes (distractors) and images whose answer for the class is known (gold). Candidates whose
answer is known are gold; those that the share of gold has no place for take places of targets, so that each
candidate is on a page of its class. `place`: a page is one image; gold images come back until they have their
share of the pages.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import cycle, islice
from typing import TypeVar

import numpy as np

from luab_collect.items import ProjectItem
from luab_collect.project import SETTINGS, Project
from luab_collect.settings import ClassSpec
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.errors import SourceError

TARGET, DISTRACTOR, GOLD = "target", "distractor", "gold"

T = TypeVar("T")


@dataclass(frozen=True)
class PageItem:
    """One image of a page of work."""

    item: str  # the item's id
    role: str  # target, distractor, gold


@dataclass(frozen=True)
class PlannedPage:
    """A page of work. `overlap` annotators do it."""

    number: int  # from 0
    class_name: str | None  # what a `select` page asks for
    items: tuple[PageItem, ...]


def plan_pages(project: Project, items: Sequence[ProjectItem]) -> list[PlannedPage]:
    """The pages of work in the order in which they are handed out; raises SourceError if there is none."""
    made = list(_place(project, items) if project.task == "place" else _select(project, items))
    if not made:
        raise SourceError(f"{project.name}: nothing is asked about any of its {len(items):,} images.")
    order = _rng(project.seed, "pages").permutation(len(made))
    return [
        PlannedPage(number, made[int(at)].class_name, made[int(at)].items) for number, at in enumerate(order)
    ]


def plan_lines(pages: Sequence[PlannedPage], items: Sequence[ProjectItem], overlap: int) -> list[str]:
    """The plan of these items in words."""
    left = len(items) - len({entry.item for page in pages for entry in page.items})
    roles = [entry.role for page in pages for entry in page.items]
    no_place = (
        "candidates of no class, and more than shares.gold has places for on the pages of their classes"
    )
    shown = ", ".join(f"{roles.count(role):,} {role}" for role in (TARGET, DISTRACTOR, GOLD))
    return [
        f"{counted(len(pages), 'page')} of work, each for {counted(overlap, 'annotator')}",
        f"images on these pages: {shown}",
        *([f"{counted(left, 'gold image')} on no page: {no_place}"] if left else []),
    ]


def _select(project: Project, items: Sequence[ProjectItem]) -> Iterator[PlannedPage]:
    shares, size = project.shares, project.images_per_page
    by_class: dict[str, list[ProjectItem]] = {name: [] for name in project.class_names}
    gold_of: dict[str, list[ProjectItem]] = {name: [] for name in project.class_names}
    named = {name for item in items for name in (*item.classes, *(item.gold or ()))}
    if gone := sorted(named.difference(by_class)):
        raise SourceError(
            f"{project.folder / SETTINGS}: classes lacks {few(gone)}, which images of this project are asked "
            "about. Names of classes cannot change any more: undo that, or make a new project."
        )
    for item in items:
        for name in item.gold or ():
            gold_of[name].append(item)
        for name in item.classes:
            if name not in (item.gold or ()):
                by_class[name].append(item)
    everything = [item for item in items if item.classes]
    for spec in project.classes:
        known, targets = gold_of[spec.name], by_class[spec.name]
        rng = _rng(project.seed, spec.name)
        distractors = _distractors(spec, by_class, everything, size, rng)
        gold = min(round(shares.gold * size), len(known))
        distracting = min(round(shares.distractor * size), len(distractors))
        asked = max(1, size - gold - distracting)
        targets, known, distractors = (_mixed(each, rng) for each in (targets, known, distractors))
        entries = [PageItem(item.id, TARGET) for item in targets]
        covered = sum(math.ceil(gold * len(row) / asked) for row in _rows(entries, asked))
        if more := [PageItem(item.id, GOLD) for item in known[covered:] if spec.name in item.classes]:
            entries = _mixed([*entries, *more], rng)
        more_gold, more_distractors = cycle(known), cycle(distractors)
        for row in _rows(entries, asked):
            share = len(row) / asked  # a class with few images is not buried in others
            page = row + _next(more_distractors, math.ceil(distracting * share), DISTRACTOR)
            there = {entry.item for entry in page if entry.role == GOLD}
            places = min(math.ceil(gold * share), len(known) - len(there))
            page += _next(more_gold, places, GOLD, there)
            yield PlannedPage(0, spec.name, tuple(_mixed(page, rng)))


def _rows(entries: Sequence[PageItem], most: int) -> list[list[PageItem]]:
    """The entries in as few rows of at most `most` as there can be, whose sizes differ by 1 at most."""
    rows = math.ceil(len(entries) / most)
    parts = np.array_split(np.arange(len(entries)), rows) if rows else []
    return [[entries[int(at)] for at in part] for part in parts]


def _place(project: Project, items: Sequence[ProjectItem]) -> Iterator[PlannedPage]:
    known = [item for item in items if item.gold is not None]
    targets = [item for item in items if item.gold is None]
    share = project.shares.gold
    wanted = round(share / (1 - share) * len(targets))
    repeats = max(len(known), wanted) if known else 0
    gold = islice(cycle(_mixed(known, _rng(project.seed, GOLD))), repeats)
    for item, role in (*((item, TARGET) for item in targets), *((item, GOLD) for item in gold)):
        yield PlannedPage(0, None, (PageItem(item.id, role),))


def _distractors(
    spec: ClassSpec,
    by_class: Mapping[str, Sequence[ProjectItem]],
    everything: Sequence[ProjectItem],
    size: int,
    rng: np.random.Generator,
) -> list[ProjectItem]:
    """Candidates of confusable classes (none named: of all others, drawn) that may not be of this class."""
    if spec.confusable:
        pool: Iterator[ProjectItem] = (item for name in spec.confusable for item in by_class[name])
    else:  # a million images are not listed anew for each of a thousand classes
        pool = (
            everything[int(at)] for at in rng.integers(len(everything) or 1, size=20 * size) if everything
        )
    fits = (item for item in pool if spec.name not in item.classes and spec.name not in (item.gold or ()))
    return list({item.id: item for item in fits}.values())


def _next(
    source: Iterator[ProjectItem], count: int, role: str, without: Collection[str] = ()
) -> list[PageItem]:
    """The next different items of an endless source; `count` is at most the number of those not `without`."""
    found: dict[str, PageItem] = {}
    while len(found) < count:
        item = next(source)
        if item.id not in without:
            found.setdefault(item.id, PageItem(item.id, role))
    return list(found.values())


def _mixed(entries: Sequence[T], rng: np.random.Generator) -> list[T]:
    """All entries in random order."""
    return [entries[int(at)] for at in rng.permutation(len(entries))]


def _rng(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one purpose, which do not change when other classes do."""
    return np.random.default_rng([seed, int.from_bytes(sha256(name.encode()).digest()[:8], "big")])
