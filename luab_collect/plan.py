"""Items -> pages of work, by the project's seed: the same settings and images give the same pages.

`select`: a page asks for one class. It mixes its candidates (targets, each on one page), candidates of
confusable classes (distractors) and images whose answer for the class is known (gold). `place`: a page is one
image; gold images come back until they have their share of the pages.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import cycle, islice

import numpy as np

from luab_collect.items import ProjectItem
from luab_collect.project import SETTINGS, Project
from luab_collect.settings import ClassSpec
from luab_data.console.names import few
from luab_data.console.text import counted
from luab_data.errors import SourceError

TARGET, DISTRACTOR, GOLD = "target", "distractor", "gold"


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
        raise SourceError(f"{project.folder}: nothing is asked about any of its {len(items):,} images.")
    order = _rng(project.seed, "pages").permutation(len(made))
    return [
        PlannedPage(number, made[int(at)].class_name, made[int(at)].items) for number, at in enumerate(order)
    ]


def plan_lines(pages: Sequence[PlannedPage], overlap: int) -> list[str]:
    """The plan in words."""
    roles = [entry.role for page in pages for entry in page.items]
    shown = ", ".join(f"{roles.count(role):,} {role}" for role in (TARGET, DISTRACTOR, GOLD))
    return [
        f"{counted(len(pages), 'page')} of work, each for {counted(overlap, 'annotator')}",
        f"images on these pages: {shown}",
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
        if not targets:
            continue
        wanted = math.ceil(len(targets) / asked)
        rows = np.array_split(rng.permutation(len(targets)), wanted)  # sizes differ by 1 at most
        more_gold, more_distractors = _endless(known, rng), _endless(distractors, rng)
        for row in rows:
            share = len(row) / asked  # a class with few images is not buried in others
            page = [PageItem(targets[int(at)].id, TARGET) for at in row]
            page += _next(more_distractors, math.ceil(distracting * share), DISTRACTOR)
            page += _next(more_gold, math.ceil(gold * share), GOLD)
            mixed = rng.permutation(len(page))
            yield PlannedPage(0, spec.name, tuple(page[int(at)] for at in mixed))


def _place(project: Project, items: Sequence[ProjectItem]) -> Iterator[PlannedPage]:
    known = [item for item in items if item.gold is not None]
    targets = [item for item in items if item.gold is None]
    share = project.shares.gold
    wanted = round(share / (1 - share) * len(targets))
    repeats = max(len(known), wanted) if known else 0
    gold = islice(_endless(known, _rng(project.seed, GOLD)), repeats)
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


def _next(source: Iterator[ProjectItem], count: int, role: str) -> list[PageItem]:
    """The next different items of an endless source; `count` is at most the number of them."""
    found: dict[str, PageItem] = {}
    while len(found) < count:
        item = next(source)
        found.setdefault(item.id, PageItem(item.id, role))
    return list(found.values())


def _endless(items: Sequence[ProjectItem], rng: np.random.Generator) -> Iterator[ProjectItem]:
    """All items in random order, again and again, so that each comes equally often."""
    order = rng.permutation(len(items))
    return cycle([items[int(at)] for at in order])


def _rng(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one purpose, which do not change when other classes do."""
    return np.random.default_rng([seed, int.from_bytes(sha256(name.encode()).digest()[:8], "big")])
