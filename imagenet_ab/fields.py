"""The fields of ImageNet-AB's XML files, each declared once: element, name in the rows, allowed values.

Each dataclass is an element of the XML, and each of its fields an element below it. The strict parser
(`record`), the columns' types (`rows`), the array code (`fast`), the writer (`write`) and the dataset card
(`card`) are derived from it. The path of a click into a row:

    <selectedRecord><x>0.54</x><y>0.47</y><time>1641425052319</time></selectedRecord>   in the file
    annotation.selected_record[0] == TimedPoint(0.54, 0.47, time=1641425052319)         `record.parse_record`
    row["annotations"][0]["selected_record"][0] == {"x": 0.54, "y": 0.47, "time": ...}  `rows.row`
    row["click"] == {"x": 0.54, "y": 0.47}                                              `clicks.click`
"""

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, NamedTuple

MAX_TEXT = 255  # characters of one value
MAX_COUNT = 2**31 - 1
MAX_TIME = 10**14  # ms
# Epoch times below this are seconds (the published card's example), others milliseconds: 1e11 s is the year
# 5138 and 1e11 ms is 1973.
SECONDS_BELOW = 10**11


@dataclass(frozen=True)
class Real:
    """A number from `low` to `high`."""

    low: float
    high: float
    unit: str
    stored = "float32"  # the type in the rows, here and below


@dataclass(frozen=True)
class Whole:
    """A whole number from 0 to `high`; with `zero_unknown`, 0 means unknown."""

    high: int = MAX_COUNT
    unit: str = ""
    zero_unknown: bool = False

    @property
    def stored(self) -> str:
        """The smallest type that holds `high`."""
        return "int32" if self.high <= MAX_COUNT else "int64"


@dataclass(frozen=True)
class Time:
    """Epoch milliseconds from 0 to `MAX_TIME`, also from epoch seconds: see `SECONDS_BELOW`."""

    stored = "int64"


@dataclass(frozen=True)
class Flag:
    """`True` or `False`, in any case."""

    stored = "bool"


@dataclass(frozen=True)
class Text:
    """Printable text of at most `MAX_TEXT` characters; with `choices`, one of them."""

    choices: tuple[str, ...] = ()
    stored = "string"


@dataclass(frozen=True)
class ImageId:
    """`<class>/<name>`: the image of the annotation."""

    stored = "string"


@dataclass(frozen=True)
class One:
    """One element with the fields of `of` below it."""

    of: type


@dataclass(frozen=True)
class Repeated:
    """Any number of elements with the fields of `of` below them. Empty elements do not count."""

    of: type


Kind = Real | Whole | Time | Flag | Text | ImageId | One | Repeated

# A border around the image gives ratios slightly outside 0..1; a value far outside is not a ratio.
RATIO = Real(-0.5, 1.5, "ratio of the image")
PAGE_PIXELS = Real(-MAX_COUNT, MAX_COUNT, "px")
PIXELS = Whole(unit="px")


class XmlField(NamedTuple):
    """One field of a class of this module."""

    name: str  # in the class and in the rows
    tag: str  # of its element in the XML
    kind: Kind
    required: bool
    description: str


def element(tag: str, kind: Kind, description: str = "", required: bool = False) -> Any:
    """Declares a dataclass's field. A missing value is None, or () if the element may repeat."""
    default = MISSING if required else () if isinstance(kind, Repeated) else None
    return field(default=default, metadata={"tag": tag, "kind": kind, "description": description})


@cache
def xml_fields(of: type) -> tuple[XmlField, ...]:
    """The fields of a class of this module, in the order of the rows."""
    return tuple(
        XmlField(each.name, required=each.default is MISSING, **each.metadata) for each in fields(of)
    )


@dataclass(frozen=True)
class Position:
    """Left and top of the rendered image on the page."""

    x: float = element("x", PAGE_PIXELS, required=True)
    y: float = element("y", PAGE_PIXELS, required=True)


@dataclass(frozen=True)
class TimedPoint:
    """A click or a position of the cursor, with its time."""

    x: float = element("x", RATIO, required=True)
    y: float = element("y", RATIO, required=True)
    time: int = element("time", Time(), required=True)


@dataclass(frozen=True)
class Hover:
    """The cursor entered or left the image."""

    action: str = element("action", Text(("enter", "leave")), required=True)
    time: int = element("time", Time(), required=True)


@dataclass(frozen=True)
class Annotation:
    """One `metadata` element: one worker saw the image once."""

    selected: bool = element(
        "selected", Flag(), "whether the image was selected when the page was submitted", required=True
    )
    selected_count: int | None = element("selectedCount", Whole(), "how many clicks selected it")
    selected_record: tuple[TimedPoint, ...] = element(
        "selectedRecord", Repeated(TimedPoint), "the clicks that selected it"
    )
    mouse_tracking: tuple[TimedPoint, ...] = element(
        "mouseTracking",
        Repeated(TimedPoint),
        "the cursor over the image, 60 Hz at most, paused while the image is selected",
    )
    hovered_count: int | None = element("hoveredCount", Whole(), "how often the cursor entered the image")
    hovered_record: tuple[Hover, ...] = element("hoveredRecord", Repeated(Hover), "`enter` and `leave`")
    estimate_time: int | None = element(
        "estimateTime", Whole(MAX_TIME, "ms", zero_unknown=True), "ms of hovering before the selection"
    )
    original_image_height: int | None = element("originalImageHeight", PIXELS, "height of the image file")
    original_image_width: int | None = element("originalImageWidth", PIXELS, "width of the image file")
    image_height: int | None = element("imageHeight", PIXELS, "height as rendered on the page")
    image_width: int | None = element("imageWidth", PIXELS, "width as rendered on the page")
    image_position: Position | None = element(  # noqa: RUF009 (Position is frozen too)
        "imagePosition", One(Position), "left and top of the image on the page, px"
    )
    worker_id: str | None = element("worker_id", Text(), "anonymized")
    assignment_id: str | None = element("assignment_id", Text(), "MTurk assignment")
    page_idx: int | None = element("page_idx", Whole(), "page of the task")


@dataclass(frozen=True)
class Record:
    """One XML: the image's id, which each `metadata` repeats, and its annotations in the file's order."""

    image_id: str = element("imageID", ImageId(), "`<wnid>/<wnid>_<n>`", required=True)
    annotations: tuple[Annotation, ...] = element("metadata", Repeated(Annotation), required=True)


[ID_FIELD, METADATA_FIELD] = xml_fields(Record)
ANNOTATION_FIELDS = {field.name: field for field in xml_fields(Annotation)}
