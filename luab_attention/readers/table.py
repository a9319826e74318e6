"""Your own CSV, TSV or JSON Lines: points, or gaze and mouse samples.

A line is a point, or with `--kind scanpaths` a sample or fixation; lines of one image, annotator, task and
label are one path. In JSON Lines, x and y may also be lists: then a line is a whole path, or several points.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args

from datasets.utils.logging import get_logger

from luab_attention.columns import NOT_HERE
from luab_attention.convert import fields
from luab_attention.convert.frames import Fit, Frame, Units, frame_of
from luab_attention.convert.records import PathPart, PointPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.tables import table_rows
from luab_data.console.text import counted
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.json_items import json_lines
from luab_data.sources.entries import BYPRODUCTS, Reject

logger = get_logger(__name__)

SOURCE = AttentionSource("Human attention from a table", "unknown")

Kind = Literal["points", "scanpaths"]
Order = Literal["xy", "yx"]
SEPARATORS = {".csv": ",", ".tsv": "\t"}
MAX_PIECE = 4096  # lines of a path that are kept together
MAX_SEGMENT = 2**31 - 1  # the largest number of the column

# Option -> what the column holds. Their values are columns' names; without one, a column of the same name.
COLUMNS = {
    "image_column": "the image's file name",
    "x_column": "x",
    "y_column": "y",
    "label_column": "class",
    "weight_column": "a point's weight",
    "sign_column": "1: here, -1: not here",
    "annotator_column": "who looked",
    "task_column": "what they were asked",
    "time_column": "time of a sample",
    "duration_column": "duration of a fixation",
    "segment_column": "number of the segment; segments are not connected",
    "width_column": "width of the image, pixels",
    "height_column": "height of the image, pixels",
}
_DEFAULTS = {"image_column": "file"}
_NEEDED = ("image_column", "x_column", "y_column")
# The columns that points and scanpaths do not have.
UNREAD: dict[Kind, tuple[str, ...]] = {
    "points": ("annotator_column", "task_column", "time_column", "duration_column", "segment_column"),
    "scanpaths": ("sign_column",),
}
OTHER_KIND: dict[Kind, Kind] = {"points": "scanpaths", "scanpaths": "points"}
JSON = (".jsonl", ".ndjson")
_TIMES = {"ms": 1.0, "s": 1000.0, "us": 0.001}


def size(text: str) -> tuple[float, float]:
    """`1920x1080` -> (1920, 1080)."""
    width, by, height = text.lower().partition("x")
    if not (by and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it like 1920x1080")
    if not 0 < int(width) <= 10**5 or not 0 < int(height) <= 10**5:
        raise argparse.ArgumentTypeError(f"{text!r}: a side has 1 to 100,000 pixels")
    return float(width), float(height)


def add_options(add: Any) -> None:
    """The options of this source."""
    option = add.add_argument
    option("--kind", choices=get_args(Kind), default="points", help="default: %(default)s")
    option("--units", choices=get_args(Units), default="ratio", help="of x and y (default: %(default)s)")
    option("--order", choices=get_args(Order), default="xy", help="yx: the columns x and y are swapped")
    option("--base", type=int, choices=(0, 1), default=0, help="1: pixels are counted from 1, as in MATLAB")
    option("--screen", type=size, metavar="WxH", help="x and y are places on a screen of this size")
    option(
        "--fit",
        choices=get_args(Fit),
        help="how the screen showed the image: as large as possible, in its own size in the middle, or "
        "stretched (default: letterbox)",
    )
    option("--image-size", type=size, metavar="WxH", help="size of all images, if nothing else states it")
    option("--time-unit", choices=_TIMES, help="of time and duration (default: ms)")
    option("--separator", metavar="CHARACTER", help="default: a comma, in .tsv a tab")
    for name, what in COLUMNS.items():
        default = _default(name)
        option(_option(name), metavar="NAME", help=f"{what} (default: {default})")


def read(
    path: Path,
    *,
    kind: Kind = "points",
    units: Units = "ratio",
    order: Order = "xy",
    base: int = 0,
    screen: tuple[float, float] | None = None,
    fit: Fit | None = None,
    image_size: tuple[float, float] | None = None,
    time_unit: str | None = None,
    separator: str | None = None,
    image_column: str | None = None,
    x_column: str | None = None,
    y_column: str | None = None,
    label_column: str | None = None,
    weight_column: str | None = None,
    sign_column: str | None = None,
    annotator_column: str | None = None,
    task_column: str | None = None,
    time_column: str | None = None,
    duration_column: str | None = None,
    segment_column: str | None = None,
    width_column: str | None = None,
    height_column: str | None = None,
) -> Read:
    """A `SourceRecord` for lines that follow each other and belong together, a `Reject` for a bad line.

    Raises:
        SourceError: no table, a column that was named and is not there, or options that contradict each
        other.
    """
    given = {name: value for name, value in locals().items() if name in COLUMNS and value is not None}
    if path.suffix.lower() not in (*SEPARATORS, ".txt", *JSON):
        raise SourceError(f"{str(path)!r}: allowed are .csv, .tsv, .txt, .jsonl.")
    _require_used(
        {
            f"--base {base}": (bool(base) and units != "pixels", f"--units pixels, not with {units}"),
            f"--fit {fit}": (fit is not None and screen is None, "--screen"),
            f"--time-unit {time_unit}": (time_unit is not None and kind == "points", "--kind scanpaths"),
            f"--separator {separator}": (
                separator is not None and path.suffix.lower() in JSON,
                "a CSV or TSV",
            ),
        }
    )
    for name in given:
        _require_used({_option(name): (name in UNREAD[kind], f"--kind {OTHER_KIND[kind]}, not with {kind}")})
    if separator is not None and len(separator) != 1:
        raise SourceError(f"--separator {separator!r}: allowed is one character; a tab is $'\\t'.")
    frame = frame_of(units, base, screen, fit or "letterbox")
    lines = _TableLines(kind, order, frame, image_size, _TIMES[time_unit or "ms"], given)
    for _, group in groupby(_checked(path, lines, separator), attrgetter("key")):
        batch: list[_Line] = []
        for line in group:
            if isinstance(line, _BadLine):
                yield Reject(BYPRODUCTS, line.name, line.reason)
                continue
            batch.append(line)
            if len(batch) == MAX_PIECE:
                yield lines.record(batch)
                batch = []
        if batch:
            yield lines.record(batch)


def _require_used(options: dict[str, tuple[bool, str]]) -> None:
    """Raises SourceError for an option that would change nothing.

    Args:
        options: for each option as given, whether nothing would use it, and what it goes with.
    """
    for option, (unused, partner) in options.items():
        if unused:
            raise SourceError(f"{option} goes with {partner}.")


@dataclass
class _Line:
    """One line: its image, its parts, and what makes a path of it with others."""

    name: str
    image: str
    x: list[float]
    y: list[float]
    label: str | None
    weight: float | None = None
    sign: int | None = None
    annotator: str | None = None
    task: str | None = None
    time: list[float] | None = None
    duration: list[float] | None = None
    segment: list[int] | None = None
    size: tuple[float, float] | None = None
    whole: bool = False  # a whole path

    @property
    def key(self) -> tuple[Any, ...]:
        """Lines with the same key, one after the other, are kept together."""
        lists = (self.time is None, self.duration is None, self.segment is None)
        own = self.name if self.whole else None
        own_class = (self.label, self.weight, self.sign)
        return self.image, self.annotator, self.task, own_class, self.size, lists, own


@dataclass
class _BadLine:
    name: str
    reason: str
    key: tuple[Any, ...] = field(default=())


@dataclass(frozen=True)
class _TableLines:
    """How lines are read: the columns, by option, and the numbers."""

    kind: Kind
    order: Order
    frame: Frame
    image_size: tuple[float, float] | None
    ms: float
    columns: dict[str, str]

    def column(self, option: str) -> str:
        """The name of a column."""
        return self.columns.get(option, _default(option))

    def value(self, row: dict[str, Any], option: str) -> Any:
        """A field, None if it is missing or empty."""
        value = row.get(self.column(option))
        return None if value == "" else value

    def line(self, row: dict[str, Any], name: str) -> _Line:
        """A checked line. Raises RejectedRecord."""
        missing = [column for column in self.columns.values() if column not in row]
        if missing:
            raise RejectedRecord(f"there is no {', '.join(missing)}; it has {', '.join(row)[:100]}")
        several = isinstance(self.value(row, "x_column"), list)
        x, y = (self._list(row, f"{axis}_column", several) for axis in self.order)
        if x is None or y is None:
            raise RejectedRecord("there is no position: x or y is empty")
        if len(x) != len(y):
            names = [self.column(f"{axis}_column") for axis in self.order]
            raise RejectedRecord(
                f"{names[0]} has {counted(len(x), 'number')} and {names[1]} {len(y)}: each point needs both"
            )
        path = self.kind == "scanpaths"
        time, duration, segment = (
            self._list(row, f"{each}_column", several, low) if path else None
            for each, low in (("time", -fields.MAX_NUMBER), ("duration", 0.0), ("segment", 0.0))
        )
        weight, sign = self.value(row, "weight_column"), self.value(row, "sign_column")
        return _Line(
            name=name,
            image=fields.label(self.value(row, "image_column"), "the image's name"),
            x=x,
            y=y,
            label=fields.optional_text(self.value(row, "label_column"), "the class"),
            weight=None if weight is None else fields.number(weight, "the weight", 0.0),
            sign=None if sign is None or path else _sign(sign),
            annotator=self._text(row, "annotator_column") if path else None,
            task=self._text(row, "task_column") if path else None,
            time=None if time is None else [each * self.ms for each in time],
            duration=None if duration is None else [each * self.ms for each in duration],
            segment=None if segment is None else [_segment(each) for each in segment],
            size=self._size(row),
            whole=several and path,
        )

    def record(self, lines: list[_Line]) -> SourceRecord:
        """The record of lines with one key."""
        first = lines[0]
        label = None if first.sign == NOT_HERE else first.label  # of the image, if it has no other
        record = SourceRecord(first.image, first.name, self.frame, first.size, label, count=len(lines))
        if self.kind == "points":
            for line in lines:
                for x, y in zip(line.x, line.y, strict=True):
                    record.points.append(PointPart(x, y, line.label, line.weight, line.sign))
            return record
        joined = {name: [each for line in lines for each in getattr(line, name)] for name in ("x", "y")}
        for name in ("time", "duration", "segment"):
            if getattr(first, name) is not None:
                joined[name] = [each for line in lines for each in getattr(line, name)]
        path = PathPart(
            **joined,
            annotator=first.annotator,
            task=first.task,
            label=first.label,
            weight=first.weight,
            key=None if first.whole else repr((first.annotator, first.task, first.label)),
        )
        record.paths.append(path)
        return record

    def _list(
        self, row: dict[str, Any], option: str, several: bool, low: float = -fields.MAX_NUMBER
    ) -> list[float] | None:
        value = self.value(row, option)
        if value is None:
            return None
        name = self.column(option)
        return fields.numbers(value, name, low=low) if several else [fields.number(value, name, low)]

    def _text(self, row: dict[str, Any], option: str) -> str | None:
        return fields.optional_text(self.value(row, option), option.removesuffix("_column"))

    def _size(self, row: dict[str, Any]) -> tuple[float, float] | None:
        width, height = self.value(row, "width_column"), self.value(row, "height_column")
        if width is None or height is None:
            return self.image_size
        return fields.number(width, "the width", 1, 10**6), fields.number(height, "the height", 1, 10**6)


def _checked(path: Path, lines: _TableLines, separator: str | None) -> Iterator[_Line | _BadLine]:
    rows: Iterator[tuple[int, Any]]
    if path.suffix.lower() in JSON:
        rows = json_lines(path, BYPRODUCTS)
    else:
        needed = [lines.column(name) for name in _NEEDED]
        needed += [name for name in lines.columns.values() if name not in needed]
        separator = separator or SEPARATORS.get(path.suffix.lower(), ",")
        rows = table_rows(path, BYPRODUCTS, needed, separator)
    first = True
    for number, row in rows:
        if first and isinstance(row, dict):
            first = False
            _warn_of_unread(path, lines.kind, row)
        name = f"{path.name}, line {number}"
        try:
            if isinstance(row, RejectedRecord):
                raise row
            if not isinstance(row, dict):
                raise RejectedRecord(f"{str(row)[:40]!a} is no object with fields")
            yield lines.line(row, name)
        except RejectedRecord as error:
            yield _BadLine(name, error.reason)


def _warn_of_unread(path: Path, kind: Kind, row: dict[str, Any]) -> None:
    unread = [name for option in UNREAD[kind] if (name := _default(option)) in row]
    if unread:
        logger.warning(
            f"{path.name}: {', '.join(unread)} not read: {kind} have no such field "
            f"(--kind {OTHER_KIND[kind]} reads them)"
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sign(value: Any) -> int:
    if value in (1, -1, "1", "-1", "+1"):
        return int(value)
    raise RejectedRecord(f"the sign is {str(value)[:40]!a}; allowed are 1 (here) and -1 (not here)")


def _segment(value: float) -> int:
    return fields.whole(value, "the segment", 0, MAX_SEGMENT)


def _default(option: str) -> str:
    return _DEFAULTS.get(option, option.removesuffix("_column"))
