"""Pages of work for tests: a screen with images, a pointer on it, and the events that a page would send."""

from dataclasses import dataclass, field
from typing import Any

from luab_collect.events import Event, parse_event


@dataclass(frozen=True)
class Item:
    id: str


@dataclass
class Work:
    """As `luab_collect.store.results.StoredWork`."""

    items: tuple[Item, ...]
    events: dict[int, list[Event]]
    class_name: str | None = "cat"
    id: str = "0" * 32
    assignment: str = "1" * 32
    annotator: str = "ab12cd34ef"
    index: int = 0
    created: float = 1_700_000_000.0


@dataclass
class Screen:
    """Records events as the page does: pixels and ratios of the layout at hand, rounded as there."""

    boxes: dict[str, list[float]]
    ratio: float = 1.0
    scroll: tuple[float, float] = (0.0, 0.0)
    pointer: str = "mouse"
    t: float = 0.0
    layouts: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **fields: Any) -> "Screen":
        self.events.append({"seq": len(self.events) + 1, "kind": kind, "t": round(self.t, 1), **fields})
        return self

    def open(self, wall: float = 1_700_000_000_000.0) -> "Screen":
        return self.add("open", wall=wall).layout()

    def layout(self, **boxes: list[float]) -> "Screen":
        self.boxes |= boxes
        self.layouts += 1
        shown = {item: [round(each, 2) for each in box] for item, box in self.boxes.items()}
        left, top = self.scroll
        view = {"width": 1366, "height": 768, "ratio": self.ratio, "zoom": 1.0, "left": left, "top": top}
        return self.add("layout", layout=self.layouts, boxes=shown, **view)

    def at(
        self, kind: str, x: float, y: float, item: str = "a", after: float = 0.0, **fields: Any
    ) -> "Screen":
        """An event at a ratio of the item's image, `after` ms later."""
        self.t += after
        left, top, width, height = self.boxes[item]
        if not {"icon"} & set(fields):
            fields["item"] = item
        return self.add(
            kind,
            x=round(x, 5),
            y=round(y, 5),
            cx=round(left + x * width, 2),
            cy=round(top + y * height, 2),
            pointer=fields.pop("pointer", self.pointer),
            trusted=fields.pop("trusted", True),
            layout=self.layouts,
            **fields,
        )

    def later(self, ms: float) -> "Screen":
        self.t += ms
        return self

    def submit(self) -> "Screen":
        return self.add("submit", pointer=self.pointer, trusted=True)

    def parsed(self) -> list[Event]:
        return [parse_event(event) for event in self.events]

    def work(self, **fields: Any) -> Work:
        return Work(tuple(map(Item, self.boxes)), {1: self.parsed()}, **fields)
