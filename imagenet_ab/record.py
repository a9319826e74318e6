"""The bytes of one ImageNet-AB XML -> a typed `Record`; of anything else -> `RejectedRecord` with the reason.

The layout is that of the released archive (Han et al., ICCV 2023): below a root of any name, one `metadata`
element for each time the image was annotated. Units: `x`, `y` are ratios of the rendered image, 0..1; sizes
and the image's position are pixels; times are epoch milliseconds; `estimate_time` is milliseconds.
"""

import re
from dataclasses import dataclass

from luab_data.errors import RejectedRecord
from luab_data.sources.entries import same_form
from luab_data.xml import Element, read_elements, shortened

MAX_TEXT = 255  # characters of one value
# A border around the image gives ratios slightly outside 0..1; a value far outside is no ratio (pixels, say).
RATIO_RANGE = (-0.5, 1.5)
# Epoch times below this are seconds (the published card's example), others milliseconds: 1e11 s is the year
# 5138 and 1e11 ms is 1973.
SECONDS_BELOW = 10**11
MAX_TIME = 10**14  # ms
MAX_COUNT = 2**31 - 1
ACTIONS = ("enter", "leave")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Position:
    """Left and top of the rendered image on the page, pixels."""

    x: float
    y: float


@dataclass(frozen=True)
class TimedPoint:
    """A cursor position or click: `x`, `y` in ratios of the image, `time` in epoch ms."""

    x: float
    y: float
    time: int


@dataclass(frozen=True)
class Hover:
    """The cursor entered or left the image: `action` is one of `ACTIONS`, `time` in epoch ms."""

    action: str
    time: int


@dataclass(frozen=True)
class Annotation:
    """One `metadata` element: one worker saw the image once. A scalar that the file does not give is None."""

    selected: bool
    selected_count: int | None = None
    selected_record: tuple[TimedPoint, ...] = ()
    mouse_tracking: tuple[TimedPoint, ...] = ()
    hovered_count: int | None = None
    hovered_record: tuple[Hover, ...] = ()
    estimate_time: int | None = None
    original_image_height: int | None = None
    original_image_width: int | None = None
    image_height: int | None = None
    image_width: int | None = None
    image_position: Position | None = None
    worker_id: str | None = None
    assignment_id: str | None = None
    page_idx: int | None = None


@dataclass(frozen=True)
class Record:
    """One XML: `image_id` (`<class>/<name>`, the `imageID` of each `metadata`), annotations in file order."""

    image_id: str
    annotations: tuple[Annotation, ...]


def parse_record(xml: bytes) -> Record:
    """Parse one XML, from anybody: it raises nothing but RejectedRecord, in bounded time and memory.

    The reason names the metadata's number, the element and the value. One bad `metadata` rejects the XML.
    """
    metadata = read_elements(xml, "metadata")
    if not metadata:
        raise RejectedRecord("no metadata element below the root")
    image_ids, annotations = [], []
    for number, element in enumerate(metadata, start=1):
        fields = _Fields(element, where=f"metadata {number}")
        image_ids.append(_image_id(fields))
        annotations.append(_annotation(fields))
        if image_ids[-1] != image_ids[0]:
            raise fields.rejected("imageID", image_ids[-1], f"that of metadata 1, {shortened(image_ids[0])}")
    return Record(image_ids[0], tuple(annotations))


def _annotation(fields: "_Fields") -> Annotation:
    position = fields.one("imagePosition")
    return Annotation(
        selected=fields.required("selected", fields.boolean("selected")),
        selected_count=fields.integer("selectedCount", MAX_COUNT),
        selected_record=tuple(_timed_point(each) for each in fields.records("selectedRecord")),
        mouse_tracking=tuple(_timed_point(each) for each in fields.records("mouseTracking")),
        hovered_count=fields.integer("hoveredCount", MAX_COUNT),
        hovered_record=tuple(_hover(each) for each in fields.records("hoveredRecord")),
        estimate_time=fields.integer("estimateTime", MAX_TIME) or None,  # 0 means unknown
        original_image_height=fields.integer("originalImageHeight", MAX_COUNT),
        original_image_width=fields.integer("originalImageWidth", MAX_COUNT),
        image_height=fields.integer("imageHeight", MAX_COUNT),
        image_width=fields.integer("imageWidth", MAX_COUNT),
        image_position=_position(position) if position else None,
        worker_id=fields.text("worker_id"),
        assignment_id=fields.text("assignment_id"),
        page_idx=fields.integer("page_idx", MAX_COUNT),
    )


def _position(fields: "_Fields") -> Position:
    x, y = (fields.required(axis, fields.number(axis, -MAX_COUNT, MAX_COUNT)) for axis in "xy")
    return Position(x, y)


def _timed_point(fields: "_Fields") -> TimedPoint:
    x, y = (fields.required(axis, fields.number(axis, *RATIO_RANGE)) for axis in "xy")
    return TimedPoint(x, y, _time(fields))


def _hover(fields: "_Fields") -> Hover:
    action = fields.required("action", fields.text("action"))
    if action not in ACTIONS:
        raise fields.rejected("action", action, " or ".join(ACTIONS))
    return Hover(action, _time(fields))


def _time(fields: "_Fields") -> int:
    time = fields.required("time", fields.number("time", 0, MAX_TIME))
    return round(time * 1000) if time < SECONDS_BELOW else round(time)


def _image_id(fields: "_Fields") -> str:
    image_id = same_form(fields.required("imageID", fields.text("imageID")))
    parts = image_id.split("/")
    # Ids become paths when images are looked up, so they must not lead out of their folder.
    if len(parts) != 2 or any(not part.strip(". ") or set(part) & set("\\:") for part in parts):
        raise fields.rejected("imageID", image_id, "<class>/<name>, as n01440764/n01440764_105")
    return image_id


class _Fields:
    """Typed access to the children of one element; a value that is not what it should be is rejected.

    A scalar that is absent or empty is None.
    """

    def __init__(self, element: Element, where: str):
        self._element = element
        self._where = where

    def rejected(self, tag: str, got: str, allowed: str) -> RejectedRecord:
        return RejectedRecord(f"{self._where}: {tag} is {shortened(got)}, allowed is {allowed}")

    def required(self, tag: str, value):
        if value is None:
            raise RejectedRecord(f"{self._where}: {tag} is missing or empty")
        return value

    def records(self, tag: str) -> list["_Fields"]:
        """The repeated element's entries, without those with nothing in them: the release's empty list."""
        entries = enumerate(self._element.children.get(tag, ()), start=1)
        return [
            _Fields(entry, f"{self._where}: {tag} {number}")
            for number, entry in entries
            if entry.children or entry.text.strip()
        ]

    def one(self, tag: str) -> "_Fields | None":
        """The single structured child, None if there is none or it is empty."""
        self._at_most_once(tag)
        return next((_Fields(each._element, f"{self._where}: {tag}") for each in self.records(tag)), None)

    def text(self, tag: str) -> str | None:
        self._at_most_once(tag)
        for element in self._element.children.get(tag, ()):
            text = element.text.strip()
            if element.children or len(element.text) > MAX_TEXT or not text.isprintable():
                raise self.rejected(tag, text or "an element", f"plain text of at most {MAX_TEXT} characters")
            return text or None
        return None

    def number(self, tag: str, low: float, high: float) -> float | None:
        text = self.text(tag)
        value = None if text is None else _number(text, low, high)
        if value is None and text is not None:
            raise self.rejected(tag, text, f"a number from {low} to {high}")
        return value

    def integer(self, tag: str, high: int) -> int | None:
        value = self.number(tag, 0, high)
        if value is not None and not value.is_integer():
            raise self.rejected(tag, str(value), f"a whole number from 0 to {high}")
        return None if value is None else int(value)

    def boolean(self, tag: str) -> bool | None:
        text = self.text(tag)
        if text is None:
            return None
        if text.lower() not in ("true", "false"):
            raise self.rejected(tag, text, "True or False")
        return text.lower() == "true"

    def _at_most_once(self, tag: str) -> None:
        count = len(self._element.children.get(tag, ()))
        if count > 1:
            raise RejectedRecord(f"{self._where}: {tag} occurs {count} times, allowed is once")


def _number(text: str, low: float, high: float) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)  # "1e999" is infinite, and out of any range
    return value if low <= value <= high else None
