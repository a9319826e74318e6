"""The events of a simulated `select` page: the images in their order, of which some are clicked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imagenet_ab.fields import Annotation
from imagenet_ab.simulate.annotators import CELL, COLUMNS, RENDERED_WIDTH, annotate
from luab_collect.simulate.people import BOT, CENTERS, Person
from luab_collect.simulate.tape import Box, Event, Tape, frames, rest
from luab_data.simulate import drawing

ROWS = 3  # of images in the viewport; then the page is scrolled
LEFT, TOP = 32.0, 200.0  # of the first image, CSS pixels


@dataclass(frozen=True)
class ShownImage:
    """An image as the server shows it, and what is true of it.

    Attributes:
        id: Of the image.
        width: Pixels.
        height: Pixels.
        truth: class -> boxes [x0, y0, x1, y1] in ratios; of no boxes the object is anywhere.
    """

    id: str
    width: int
    height: int
    truth: Mapping[str, Sequence[Sequence[float]]]

    def objects(self, name: str, rng: np.random.Generator) -> list[drawing.Box]:
        """The boxes of a class in pixels, one in the middle where the place is not known."""
        if name not in self.truth:
            return []
        boxes = self.truth[name] or [[0.25, 0.25, 0.75, 0.75]]
        size = np.array([self.width, self.height] * 2)
        return [drawing.Box(*(int(each) for each in np.array(box) * size - (0, 0, 1, 1))) for box in boxes]


def select_page(
    images: Sequence[ShownImage], class_name: str, person: Person, wall: float, rng: np.random.Generator
) -> list[Event]:
    """The events of one page, from `open` to `submit`.

    Args:
        images: In their order on the page.
        class_name: What the page asks for.
        person: Who looks for it.
        wall: Epoch ms.
        rng: Decides what happens.
    """
    tape = Tape(wall, person.trusted)
    hand = int(rng.integers(2**31))
    tape.go(rng.uniform(300, 1500))
    for image in images:
        tape.write("loaded", item=image.id)
    for number, image in enumerate(images):
        if number % (ROWS * COLUMNS) == 0:
            tape.lay_out(*_rows(images, number // COLUMNS))
            tape.go(rng.uniform(200, 600))
        # A program repeats one visit, made by the same numbers.
        own = np.random.default_rng(hand) if person.kind == BOT else rng
        _visit(tape, image, class_name, person, own)
        tape.go(rng.uniform(20, 150))
    tape.go(rng.uniform(300, 1500))
    tape.say("submit")
    return tape.events


def _rows(images: Sequence[ShownImage], first: int) -> tuple[dict[str, Box], float]:
    """The content boxes of the images in the viewport, and how far it is scrolled."""
    boxes = {}
    for number in range(first * COLUMNS, min((first + ROWS) * COLUMNS, len(images))):
        image = images[number]
        scale = RENDERED_WIDTH / max(image.width, image.height)
        boxes[image.id] = (
            LEFT + CELL * (number % COLUMNS),
            TOP + CELL * (number // COLUMNS - first),
            image.width * scale,
            image.height * scale,
        )
    return boxes, CELL * float(first)


def _visit(tape: Tape, image: ShownImage, class_name: str, person: Person, rng: np.random.Generator) -> None:
    found = image.objects(class_name, rng)
    yes = bool(rng.random() >= person.missed if found else rng.random() < person.mistaken)
    whole = drawing.Box(0, 0, image.width - 1, image.height - 1)
    box = found[int(rng.integers(len(found)))] if found else whole
    if person.kind == CENTERS:
        box = whole
    model = replace(person.select, unselected=0.0 if yes else 1.0)
    width, height = image.width, image.height
    if person.kind == BOT:  # it knows no pixels of the image
        box, width, height = drawing.Box(0, 0, 99, 99), 100, 100
    record = annotate(image.id, box, width, height, rng, model)
    _play(tape, image.id, record.annotations[0], rng)


def _play(tape: Tape, item: str, visit: Annotation, rng: np.random.Generator) -> None:
    """Writes what the visit's record tells of."""
    track = visit.mouse_tracking
    if not track:
        return
    path = np.array([(each.x, each.y) for each in track], float)
    elapsed = np.array([each.time - track[0].time for each in track], float)
    tape.at("enter", item, *path[0].tolist())
    for x, y, ms in frames(path, elapsed):
        tape.go(ms)
        tape.at("move", item, x, y)
    x, y = path[-1].tolist()
    clicks = [each.time - track[0].time for each in visit.selected_record]
    left = max(each.time for each in visit.hovered_record) - track[0].time
    for number, (click, chosen) in enumerate(zip(clicks, visit.selected_record, strict=True)):
        tape.go(click - clicks[number - 1] if number else 0)
        if number:  # it was selected, so it is taken back first
            tape.at("deselect", item, x, y)
            tape.go(rng.uniform(150, 500))
        tape.at("select", item, chosen.x, chosen.y)
    for *place, ms in rest(x, y, left - (clicks[-1] if clicks else elapsed[-1]), rng):
        tape.go(ms)
        tape.at("move", item, *place)
    tape.at("leave", item, x, y)
