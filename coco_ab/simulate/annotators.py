"""A documented model of the annotators: an image's objects -> the record of one worker.

1. The worker turns the 11 pages of icons in their order, a second or so each, some with the keyboard.
2. On a class's page, the worker drags its icon onto one of its objects: Gaussian around the box's center, the
   standard deviation `spread` of the box's width and height. A share `missed` of the classes is not seen, and
   a share `careless` of the icons falls anywhere in the image.
3. A share `moved` of the icons is dropped beside the object first and then moved onto it. With chance
   `mistaken`, an icon of a class that is not there is placed; of these, `noticed` are removed again.
4. A share `traced` of the records has the cursor's path (minimum jerk, 60 Hz); the others have none.

Positions are those of whole pixels of the rendered image. Shares and times are in the range of the released
data; sizes of 0 (`unknown_size`) and null points are its quirks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from coco_ab.classes import COCO_CLASSES, COCO_PAGES
from luab_data.simulate.cursor import anonymous_id, cursor_path, snapped
from luab_data.simulate.drawing import Box

RENDERED = np.array([450, 450])  # pixels: the page shows every image as a square
ICONS = {page: tuple(COCO_CLASSES[each] for each in numbers) for page, numbers in COCO_PAGES.items()}

Place = dict[str, float]  # `x` and `y`, in ratios of the image


@dataclass(frozen=True)
class CocoAnnotators:
    """The model's parameters; shares are 0..1."""

    spread: float = 0.12  # of the box, standard deviation of a careful drop
    missed: float = 0.08
    careless: float = 0.05
    moved: float = 0.08
    mistaken: float = 0.10  # of the images
    noticed: float = 0.7
    traced: float = 0.3
    unknown_size: float = 0.02
    workers: int = 30


ANNOTATORS = CocoAnnotators()


def annotate(
    image_id: int,
    objects: list[tuple[str, Box, int]],
    width: int,
    height: int,
    rng: np.random.Generator,
    model: CocoAnnotators = ANNOTATORS,
    pages: Mapping[str, Sequence[str]] = ICONS,
) -> dict[str, Any]:
    """One released record of an image of `width` x `height` pixels; `pages` of icons: name -> classes."""
    boxes: dict[str, list[Box | None]] = {}
    for name, box, _ in objects:
        boxes.setdefault(name, []).append(box)
    boxes = {name: each for name, each in boxes.items() if rng.random() >= model.missed}
    absent = sorted({icon for icons in pages.values() for icon in icons} - {name for name, _, _ in objects})
    wrong = str(rng.choice(absent)) if rng.random() < model.mistaken and absent else None
    if wrong:
        boxes[wrong] = [None]
    visit = _Visit(rng, traced=bool(rng.random() < model.traced))
    for page, (page_name, icons) in enumerate(pages.items()):
        visit.turn_to(page, page_name)
        for icon in icons:
            if icon in boxes:
                target = boxes[icon][int(rng.integers(len(boxes[icon])))]
                drops = _drops(target, np.array([width, height]), rng, model)
                visit.drag(icon, drops, removed=icon == wrong and rng.random() < model.noticed)
    known = bool(rng.random() >= model.unknown_size)
    return {
        "image_id": image_id,
        "originalImageHeight": height if known else 0,
        "originalImageWidth": width if known else 0,
        "imageHeight": int(RENDERED[1]),
        "imageWidth": int(RENDERED[0]),
        "page_id": int(rng.integers(20)),
        "hit_id": anonymous_id(int(rng.integers(2**31)), 32).lower(),
        "worker_id": anonymous_id(int(rng.integers(model.workers)), 10),
        "timeSpent": visit.clock + int(rng.integers(500, 4000)),
        "actionHistories": visit.actions,
        "categoryHistories": visit.categories,
        "mouseTracking": visit.track,
    }


class _Visit:
    """The actions of one worker on one page, with times in ms since the page opened."""

    def __init__(self, rng: np.random.Generator, traced: bool):
        self.clock = 0
        self.actions: list[dict[str, Any]] = []
        self.categories: list[dict[str, Any]] = []
        self.track: list[dict[str, Any]] = []
        self._rng = rng
        self._traced = traced
        self._cursor = np.array([0.5, 1.0])

    def turn_to(self, page: int, name: str) -> None:
        self.clock += int(self._rng.lognormal(7.0, 0.5))
        if page:  # the first is open from the beginning
            keyboard = bool(self._rng.random() < 0.4)
            fields = {"categoryIndex": page, "categoryName": name, "timeAt": self.clock}
            self.categories.append({**fields, "usingKeyboard": keyboard})

    def drag(self, icon: str, drops: list[Place], removed: bool) -> None:
        """Adds the icon at the first place, moves it to the others, perhaps removes it."""
        self._act("add", icon, drops[0], end=drops[0])
        for start, end in pairwise(drops):
            self._act("move", icon, end, start, end)
        if removed:
            self._act("remove", icon, drops[-1], start=drops[-1])

    def _act(
        self, kind: str, icon: str, place: Place, start: Place | None = None, end: Place | None = None
    ) -> None:
        aim = np.array(list(place.values()))
        duration = float(np.clip(self._rng.lognormal(7.0, 0.5), 200, 20_000))
        path, elapsed = cursor_path(self._cursor, aim, duration, self._rng)
        if self._traced:
            places = zip(snapped(path, RENDERED), (self.clock + elapsed).tolist(), strict=True)
            self.track += [{"x": x, "y": y, "timeAt": time} for (x, y), time in places]
        self.clock, self._cursor = self.clock + int(elapsed[-1]), path[-1]
        self.actions.append(
            {"actionType": kind, "iconType": icon, "pointFrom": start, "pointTo": end, "timeAt": self.clock}
        )


def _drops(box: Box | None, size: np.ndarray, rng: np.random.Generator, model: CocoAnnotators) -> list[Place]:
    """The one or two places where the icon is dropped; anywhere in the image without a box."""
    if box is None or rng.random() < model.careless:
        aim = rng.uniform(0, 1, 2)
    else:
        low, high = np.array([box.x0, box.y0]) / size, np.array([box.x1 + 1, box.y1 + 1]) / size
        aim = ((low + high) / 2 + rng.normal(0, model.spread, 2) * (high - low)).clip(0, 1)
    places = [aim]
    if rng.random() < model.moved:
        places.insert(0, (aim + rng.normal(0, 0.2, 2)).clip(0, 1))
    return [dict(zip("xy", snapped(place, RENDERED), strict=True)) for place in places]
