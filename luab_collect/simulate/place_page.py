"""The events of a simulated `place` page: the categories in turn, and icons dragged onto what is there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coco_ab.simulate.annotators import annotate
from luab_collect.simulate.people import BOT, CENTERS, Person
from luab_collect.simulate.select_page import ShownImage
from luab_collect.simulate.tape import Event, Tape, frames
from luab_data.simulate import drawing
from luab_data.simulate.cursor import cursor_path

HEIGHT = 450.0  # CSS pixels of the image
LEFT, TOP = 460.0, 120.0
PALETTE = np.array([-0.4, 0.5])  # where icons are taken from, in ratios of the image
_REACH = 0.4  # of the time of an action, to go to the icon; the rest is the drag


def place_page(
    image: ShownImage,
    categories: Mapping[str, Sequence[str]],
    person: Person,
    wall: float,
    rng: np.random.Generator,
) -> list[Event]:
    """The events of one page, from `open` to `submit`.

    Args:
        image: The page's.
        categories: Category of icons -> its classes, in their order.
        person: Who places the icons.
        wall: Epoch ms.
        rng: Decides what happens.
    """
    if person.kind == BOT:
        rng = np.random.default_rng([person.number, 7])  # a program repeats itself
    known = {name for names in categories.values() for name in names}
    objects = [
        (name, _seen(box, image, person), 1)
        for name in image.truth
        if name in known
        for box in image.objects(name, rng)
    ]
    model = person.place
    record = annotate(0, objects, image.width, image.height, rng, model, categories)
    visit = _PlaceVisit(image, person, wall, rng)
    categories_told = [("category", each["timeAt"], each) for each in record["categoryHistories"]]
    actions = [("action", each["timeAt"], each) for each in record["actionHistories"]]
    for kind, time, told in sorted(
        categories_told + actions, key=lambda each: (each[1], each[0] == "action")
    ):
        visit.category(told, time) if kind == "category" else visit.act(told, time)
    return visit.submit(record["timeSpent"])


def _seen(box: drawing.Box, image: ShownImage, person: Person) -> drawing.Box:
    return drawing.Box(0, 0, image.width - 1, image.height - 1) if person.kind == CENTERS else box


class _PlaceVisit:
    """Plays a record: the way to the icon, the drag, the drop."""

    def __init__(self, image: ShownImage, person: Person, wall: float, rng: np.random.Generator):
        self._item, self._rng = image.id, rng
        self._tape = Tape(wall, person.trusted)
        width = HEIGHT * image.width / image.height
        self._tape.lay_out({image.id: (LEFT, TOP, width, HEIGHT)})
        self._tape.write("loaded", item=image.id)
        self._cursor = PALETTE
        self._over = False
        self._icons: dict[str, int] = {}  # class -> number of its icon
        self._picks = 0

    def category(self, told: Mapping[str, Any], time: float) -> None:
        self._tape.clock = max(self._tape.clock, time)
        pointer = "keyboard" if told["usingKeyboard"] else "mouse"
        self._tape.say("category", category=told["categoryIndex"], pointer=pointer)

    def act(self, told: Mapping[str, Any], time: float) -> None:
        tape, label, kind = self._tape, told["iconType"], told["actionType"]
        duration = max(100.0, time - tape.clock)
        start = PALETTE if kind == "add" else _place(told["pointFrom"])
        end = PALETTE if kind == "remove" else _place(told["pointTo"])
        self._reach(start, _REACH * duration)
        if kind == "add":
            self._picks += 1
            self._icons[label] = self._picks
        icon = {"icon": self._icons[label], "label": label}
        tape.at("pick", self._item, *start.tolist(), **icon)
        for x, y, ms in frames(*cursor_path(start, end, (1 - _REACH) * duration, self._rng)):
            tape.go(ms)
            tape.at("drag", self._item, x, y, **icon)
        tape.clock = max(tape.clock, time)
        done = {"add": "add", "move": "relocate", "remove": "remove"}[kind]
        tape.at(done, self._item, *end.tolist(), **icon)
        self._cursor, self._over = end, self._over and kind != "remove"

    def submit(self, time: float) -> list[Event]:
        self._reach(PALETTE, 300.0)
        self._tape.clock = max(self._tape.clock, time)
        self._tape.say("submit")
        return self._tape.events

    def _reach(self, aim: np.ndarray, duration: float) -> None:
        """The cursor goes there; what is over the image is recorded."""
        for x, y, ms in frames(*cursor_path(self._cursor, aim, max(50.0, duration), self._rng)):
            self._tape.go(ms)
            over = 0 <= x <= 1 and 0 <= y <= 1
            if over != self._over:
                self._tape.at("enter" if over else "leave", self._item, x, y)
                self._over = over
            elif over:
                self._tape.at("move", self._item, x, y)
        self._cursor = aim


def _place(point: Mapping[str, float]) -> np.ndarray:
    return np.array([point["x"], point["y"]], float)
