"""Finished pages of work for tests: projects of generated images, and annotators who answer their pages."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pages_of_work import Screen
from PIL import Image

from luab_collect.items import ProjectItem, read_items
from luab_collect.plan import PlannedPage, plan_pages
from luab_collect.project import Project
from luab_collect.setup import init_project
from luab_collect.store.results import StoredItem, StoredWork

WALL = 1_700_000_000_000.0
# (annotator, item, class) -> where it is clicked or placed; None: it is not shown.
Answer = Callable[[int, ProjectItem, str], tuple[float, float] | None]


def write_images(folder: Path, *files: str, size: tuple[int, int] = (40, 30)) -> Path:
    """Images of random pixels."""
    rng = np.random.default_rng(0)
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path)
    return folder


def make_project(folder: Path, task: str, files: list[str], classes: str, **settings: object) -> Project:
    """A project of random images; `classes`: lines, or `coco`."""
    write_images(folder / "photos", *files)
    if classes != "coco":
        (folder / "classes.txt").write_text(classes)
        classes = str(folder / "classes.txt")
    project, _ = init_project(folder / "shop", task, folder / "photos", classes, **settings)
    return project


def all_work(project: Project, annotators: int, answer: Answer) -> list[StoredWork]:
    """Each page of the plan by each annotator."""
    items = {item.id: item for item in read_items(project)}
    return [
        work(project, page, items, annotator, answer)
        for annotator in range(annotators)
        for page in plan_pages(project, list(items.values()))
    ]


def work(
    project: Project,
    page: PlannedPage,
    items: dict[str, ProjectItem],
    annotator: int,
    answer: Answer,
    **fields: object,
) -> StoredWork:
    """One page of work: every image is looked at; what is shown is selected or placed."""
    shown = [items[entry.item] for entry in page.items]
    boxes = {item.id: [10.0 + 350 * at, 20.5, 333.0, 250.0] for at, item in enumerate(shown)}
    screen = Screen(boxes, scroll=(0.0, 120.0)).open(WALL + 1000 * annotator)
    if project.task == "place":
        screen.add("category", category=0, pointer="mouse", trusted=True)
    for item in shown:
        if project.task == "select":
            _select(screen, item, answer(annotator, item, page.class_name))
        else:
            places = {name: answer(annotator, item, name) for name in project.class_names}
            shown_at = {name: place for name, place in places.items() if place is not None}
            _place(screen, item, shown_at, min(3, len(project.categories)))
    roles = {entry.item: entry.role for entry in page.items}
    stored = StoredWork(
        id=f"{annotator:04x}{page.number:028x}",
        assignment=f"{annotator:032x}",
        annotator=f"{annotator:010x}",
        index=page.number % project.pages_per_hit,
        page=page.number,
        class_name=page.class_name,
        state="submitted",
        created=WALL / 1000,
        submitted=WALL / 1000 + 60,
        verdict=None,
        items=tuple(
            StoredItem(item.id, "key", item.file, item.width, item.height, roles[item.id], None)
            for item in shown
        ),
        events={1: screen.later(200).submit().parsed()},
        conflicts=0,
    )
    return replace(stored, **fields)


def _select(screen: Screen, item: ProjectItem, place: tuple[float, float] | None) -> None:
    screen.at("enter", 0.0, 0.3, item=item.id, after=40)
    aim = place or (0.9, 0.9)
    for part in np.linspace(0.1, 1, 8):
        screen.at("move", aim[0] * part, 0.3 + (aim[1] - 0.3) * part, item=item.id, after=9.3)
    if place is not None:
        screen.at("select", *place, item=item.id, after=30)
        screen.at("move", 0.5, 0.5, item=item.id, after=20)  # not in the released track
    screen.at("leave", 1.0, 0.5, item=item.id, after=25)


def _place(
    screen: Screen, item: ProjectItem, places: dict[str, tuple[float, float]], categories: int
) -> None:
    screen.at("move", 0.5, 0.5, item=item.id, after=30)
    for number, (label, (x, y)) in enumerate(places.items(), start=1):
        icon = {"icon": number, "label": label}
        screen.at("pick", 1.4, 0.5, item=item.id, after=100, **icon)
        screen.at("drag", 1.0, 0.5, item=item.id, after=16, **icon)
        screen.at("add", 0.5, 0.5, item=item.id, after=16, **icon)
        screen.at("pick", 0.5, 0.5, item=item.id, after=100, **icon)
        screen.at("relocate", x, y, item=item.id, after=16, **icon)
    for category in range(1, categories):
        screen.later(50).add("category", category=category, pointer="keyboard", trusted=True)
