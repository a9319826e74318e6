"""The events of a page of work -> its `PageResult`. Pure: the same events give the same result.

A page may have several epochs (tabs that wrote, one after the other), each with its own clock. They are put
onto one axis of ms by the wall clock of their `open` events; an epoch never begins before the last event of
the one before it, whatever the clocks say. A wall clock that is off by more than `CLOCK_OFF` is not used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from luab_collect.events import Event
from luab_collect.geometry import in_image, position
from luab_collect.loading import ARRIVALS, unseen
from luab_collect.results import (
    ContentBox,
    Hovering,
    Icon,
    IconAction,
    PageResult,
    PlaceItem,
    Sample,
    SelectItem,
)

# ms from when the page was handed out; the released times need a real year
CLOCK_OFF = 30 * 24 * 3600 * 1000.0


class WorkItem(Protocol):
    """An image of the page."""

    @property
    def id(self) -> str:
        """As events name it."""


class Work(Protocol):
    """A page of work with its events: `luab_collect.store.results.StoredWork`."""

    @property
    def id(self) -> str:
        """32 hex digits."""

    @property
    def assignment(self) -> str:
        """32 hex digits."""

    @property
    def annotator(self) -> str:
        """Pseudonym."""

    @property
    def index(self) -> int:
        """In its assignment, from 0."""

    @property
    def class_name(self) -> str | None:
        """What a `select` page asks for."""

    @property
    def created(self) -> float:
        """Epoch seconds."""

    @property
    def items(self) -> Sequence[WorkItem]:
        """In their positions on the page."""

    @property
    def events(self) -> Mapping[int, Sequence[Event]]:
        """Epoch -> its events in order."""


@dataclass
class _Reading:
    """What an image's events have said so far."""

    selects: list[Sample] = field(default_factory=list)
    deselects: list[Sample] = field(default_factory=list)
    selected: bool = False
    track: list[Sample] = field(default_factory=list)
    hovers: list[Hovering] = field(default_factory=list)
    boxes: list[ContentBox] = field(default_factory=list)


@dataclass
class _IconReading:
    """What an icon's events have said so far."""

    label: str
    actions: list[IconAction] = field(default_factory=list)
    paths: list[list[Sample]] = field(default_factory=list)
    place: tuple[float, float] | None = None


class _Page:
    """Reads the events of all epochs in order."""

    def __init__(self, items: Sequence[str]):
        self.items = {item: _Reading() for item in items}
        self.icons: dict[int, _IconReading] = {}
        self.categories: list[tuple[int, float, bool]] = []
        self.untrusted = self.mismatched = self.outside = 0
        self.pointers: dict[str, None] = {}
        self.visible = 0.0
        self.last = 0.0  # ms
        self._alone = items[0] if len(items) == 1 else None
        self._layouts: dict[int, Mapping[str, Sequence[float]]] = {}  # of this epoch
        self._over: dict[str, None] = {}  # items under the pointer
        self._visible_since: float | None = None
        self._held: int | None = None  # the icon whose path is open

    def read_epoch(self, events: Sequence[Event], offset: float) -> None:
        """Reads one epoch; `offset` is added to its times."""
        self._layouts = {}
        # A label that an earlier tab took up and did not place: its number is given again.
        self.icons = {number: icon for number, icon in self.icons.items() if icon.actions}
        self._visible_since = max(self.last, events[0].t + offset)
        for event in events:
            self.last = max(self.last, event.t + offset)
            self._read(event, self.last)
        self._leave_all(self.last)
        self._hide(self.last)
        self._held = None

    def _read(self, event: Event, t: float) -> None:
        fields = event.fields
        self.untrusted += fields.get("trusted") is False
        if "pointer" in fields:
            self.pointers[fields["pointer"]] = None
        if event.kind == "layout":
            self._layout(fields, t)
        elif event.kind == "hidden":
            self._hide(t)
        elif event.kind == "visible" and self._visible_since is None:
            self._visible_since = t
        elif event.kind == "category":
            self.categories.append((fields["category"], t, fields["pointer"] == "keyboard"))
        elif event.kind in ARRIVALS:
            pass  # of the whole page, not of a moment: see `unseen`
        elif "item" in fields and fields["item"] in self.items:
            self._item(event.kind, fields["item"], self._sample(fields, fields["item"], t))
        elif "icon" in fields:
            self._icon(event.kind, fields, self._sample(fields, self._alone, t))

    def _sample(self, fields: Mapping[str, Any], item: str | None, t: float) -> Sample:
        box = None if item is None else self._layouts.get(fields["layout"], {}).get(item)
        x, y, replaced = position(fields, box)
        self.mismatched += replaced
        return Sample(x, y, t, fields["pointer"], fields["trusted"])

    def _layout(self, fields: Mapping[str, Any], t: float) -> None:
        self._layouts[fields["layout"]] = fields["boxes"]
        for item, box in fields["boxes"].items():
            if item not in self.items:
                continue
            boxes = self.items[item].boxes
            left, top, width, height = map(float, box)
            seen = (fields["ratio"], fields["zoom"], fields["left"], fields["top"])
            made = ContentBox(left, top, width, height, t, *seen)
            if not boxes or boxes[-1] != replace(made, t=boxes[-1].t):
                boxes.append(made)

    def _item(self, kind: str, item: str, sample: Sample) -> None:
        reading = self.items[item]
        if kind == "select":
            reading.selects.append(sample)
            self.outside += sample.pointer != "keyboard" and not in_image(sample.x, sample.y)
            reading.selected = True
        elif kind == "deselect":
            reading.deselects.append(sample)
            reading.selected = False
        elif kind == "move":
            reading.track.append(sample)
        elif kind == "enter" and item not in self._over:
            self._over[item] = None
            reading.hovers.append(Hovering("enter", sample.t))
        elif kind == "leave" and item in self._over:
            del self._over[item]
            reading.hovers.append(Hovering("leave", sample.t))

    def _icon(self, kind: str, fields: Mapping[str, Any], sample: Sample) -> None:
        number = fields["icon"]
        icon = self.icons.setdefault(number, _IconReading(fields["label"]))
        if self._alone is not None and kind == "drag":
            self.items[self._alone].track.append(sample)
        if kind == "pick" or self._held != number:
            icon.paths.append([])
            self._held = number
        icon.paths[-1].append(sample)
        if kind in ("pick", "drag"):
            return
        self._held = None
        if kind == "cancel":
            return
        end = None if kind == "remove" else (sample.x, sample.y)
        if end is not None and not in_image(
            *end
        ):  # no page puts an icon there: one dropped outside is taken off
            self.outside += 1
            kind, end = "remove", None
        if end is None and icon.place is None:
            return  # it is not there
        if end is not None:
            icon.label = fields["label"]  # as the page shows it
        icon.actions.append(IconAction(kind, icon.place, end, sample.t, sample.pointer, sample.trusted))
        icon.place = end

    def _leave_all(self, t: float) -> None:
        """The tab is gone: so is the pointer."""
        for item in self._over:
            self.items[item].hovers.append(Hovering("leave", t))
        self._over = {}

    def _hide(self, t: float) -> None:
        if self._visible_since is not None:
            self.visible += max(0.0, t - self._visible_since)
            self._visible_since = None


def page_result(work: Work) -> PageResult:
    """The result of a page of work."""
    page = _Page([item.id for item in work.items])
    for events, offset in epochs(work):
        page.read_epoch(events, offset)
    missing = unseen(
        (event.kind, event.fields.get("item")) for events in work.events.values() for event in events
    )
    made: list[SelectItem | PlaceItem] = []
    for item, reading in page.items.items():
        track, boxes = tuple(reading.track), tuple(reading.boxes)
        loaded = item not in missing
        if work.class_name is None:
            made.append(PlaceItem(item, _icons(page), tuple(page.categories), track, boxes, loaded))
        else:
            selects, deselects = tuple(reading.selects), tuple(reading.deselects)
            hovers = tuple(reading.hovers)
            made.append(SelectItem(item, reading.selected, selects, deselects, track, hovers, boxes, loaded))
    return PageResult(
        work=work.id,
        assignment=work.assignment,
        annotator=work.annotator,
        index=work.index,
        class_name=work.class_name,
        started=_started(work),
        spent=page.last,
        visible=page.visible,
        items=tuple(made),
        untrusted=page.untrusted,
        pointers=tuple(page.pointers),
        mismatched=page.mismatched,
        outside=page.outside,
    )


def epochs(work: Work) -> Iterator[tuple[Sequence[Event], float]]:
    """The events of each epoch that has some, and what puts their times onto the page's axis (ms)."""
    started, last = _started(work), 0.0
    for _, events in sorted(work.events.items()):
        if events:
            wall = _wall(work, events)
            offset = last if wall is None else max(wall - started, last)
            yield events, offset
            last = max(last, *(event.t + offset for event in events))


def _started(work: Work) -> float:
    """Epoch ms at the axis's 0, which is that of the first epoch."""
    first = next((events for _, events in sorted(work.events.items()) if events), ())
    wall = _wall(work, first)
    return 1000 * work.created if wall is None else wall


def _wall(work: Work, events: Sequence[Event]) -> float | None:
    """Epoch ms at an epoch's own time 0, where it says so and its clock is not far off."""
    opened = next((event for event in events if event.kind == "open"), None)
    if opened is None:
        return None
    wall = float(opened.fields["wall"]) - opened.t
    return wall if abs(wall - 1000 * work.created) <= CLOCK_OFF else None


def _icons(page: _Page) -> tuple[Icon, ...]:
    """The icons that were placed, also those that were removed; cancelled picks of new icons are not."""
    return tuple(
        Icon(number, icon.label, tuple(icon.actions), tuple(map(tuple, icon.paths)), icon.place)
        for number, icon in sorted(page.icons.items())
        if icon.actions
    )
