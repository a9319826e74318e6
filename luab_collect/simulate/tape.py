"""A page's events as they are written: numbers, times, positions in ratios and in CSS pixels."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from luab_data.simulate.cursor import FRAME_MS

Event = dict[str, Any]
Box = tuple[float, float, float, float]  # left, top, width, height in CSS pixels of the viewport
VIEWPORT = (1920.0, 1080.0)
_TREMOR = 0.002  # ratio of the image, of a hand at rest


class Tape:
    """Writes the events of one page; times only go on."""

    def __init__(self, wall: float, trusted: bool, pointer: str = "mouse"):
        """Begins with `open`.

        Args:
            wall: Epoch ms when the page opened.
            trusted: What the browser says of the events.
            pointer: With which they are made.
        """
        self.events: list[Event] = []
        self.clock = 0.0  # ms since the page was visible
        self._layout = 0
        self._boxes: Mapping[str, Box] = {}
        self._pointer = {"pointer": pointer, "trusted": trusted}
        self.write("open", wall=wall)

    def write(self, kind: str, **fields: Any) -> None:
        """One event, now."""
        self.events.append({"seq": len(self.events) + 1, "kind": kind, "t": round(self.clock, 1)} | fields)

    def lay_out(self, boxes: Mapping[str, Box], top: float = 0.0) -> None:
        """The images that are in the viewport now; `top`: how far the page is scrolled."""
        self._layout += 1
        self._boxes = boxes
        shown = {item: [round(each, 2) for each in box] for item, box in boxes.items()}
        width, height = VIEWPORT
        self.write(
            "layout",
            layout=self._layout,
            width=width,
            height=height,
            ratio=1.0,
            zoom=1.0,
            left=0.0,
            top=top,
            boxes=shown,
        )

    def at(self, kind: str, item: str, x: float, y: float, **fields: Any) -> None:
        """An event at a place of an image, `x`, `y` in ratios; `fields` instead of `item` for icons."""
        left, top, width, height = self._boxes[item]
        place = {
            "x": round(x, 6),
            "y": round(y, 6),
            "cx": round(left + x * width, 2),
            "cy": round(top + y * height, 2),
        }
        self.write(kind, **(fields or {"item": item}), **place, **self._pointer, layout=self._layout)

    def say(self, kind: str, **fields: Any) -> None:
        """An event of the pointer without a place."""
        self.write(kind, **(self._pointer | fields))

    def go(self, ms: float) -> None:
        """Time goes by."""
        self.clock += max(0.0, float(ms))


def frames(path: np.ndarray, elapsed: np.ndarray) -> Iterable[tuple[float, float, float]]:
    """A path [N, 2] at ms [N] as the browser reports it, 60 times a second: x, y, ms after the one before."""
    times = np.arange(FRAME_MS, float(elapsed[-1]) + 1e-9, FRAME_MS)
    x, y = (np.interp(times, elapsed, path[:, at]) for at in (0, 1))
    for place in zip(x.tolist(), y.tolist(), strict=True):
        yield *place, FRAME_MS


def rest(x: float, y: float, ms: float, rng: np.random.Generator) -> Iterable[tuple[float, float, float]]:
    """A hand that rests at a place for some time, as `frames`."""
    for dx, dy in rng.normal(0, _TREMOR, (int(ms / FRAME_MS), 2)).tolist():
        yield min(max(x + dx, 0.0), 1.0), min(max(y + dy, 0.0), 1.0), FRAME_MS
