"""The lines of a user's table: each checked by itself, and then those that belong together as one record."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from datasets.utils.logging import get_logger

from luab_attention.columns import NOT_HERE
from luab_attention.convert import fields
from luab_attention.convert.frames import Frame
from luab_attention.convert.records import PathPart, PointPart, RecordEntry, SourceRecord
from luab_attention.convert.tables import RejectedRow, table_rows
from luab_data.console.names import few
from luab_data.console.text import counted, did_you_mean
from luab_data.errors import RejectedRecord
from luab_data.files.json_items import json_lines
from luab_data.sources.entries import BYPRODUCTS

logger = get_logger(__name__)

Kind = Literal["points", "scanpaths"]
Order = Literal["xy", "yx"]
SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON = (".jsonl", ".ndjson")
MAX_SEGMENT = 2**31 - 1  # the largest number of the column
MAX_SEEN = 100  # names of columns

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

PathOf = tuple[str, str | None, str | None, str | None]  # image, annotator, task, label


@dataclass
class TableLine:
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

    @property
    def path(self) -> PathOf | None:
        """What the lines of its path have in common; None of a whole path."""
        return None if self.whole else (self.image, self.annotator, self.task, self.label)


class BadLine(NamedTuple):
    """A line that is rejected. Its path and its time tell where a path lost a sample, if they can be read."""

    name: str
    reason: str
    path: PathOf | None = None
    time: float | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Other than that of any line."""
        return ()


@dataclass(frozen=True)
class TableLines:
    """How lines are read: the columns, by option, and the numbers."""

    kind: Kind
    order: Order
    frame: Frame
    image_size: tuple[float, float] | None
    ms: float
    columns: dict[str, str]

    def column(self, option: str) -> str:
        """The name of a column."""
        return self.columns.get(option, default_column(option))

    def checked(self, path: Path, separator: str | None) -> Iterator[TableLine | BadLine]:
        """The lines of a table; warns at the end of columns that were not read."""
        rows: Iterator[tuple[int, Any]]
        if path.suffix.lower() in JSON:
            rows = json_lines(path, BYPRODUCTS)
        else:
            needed = [self.column(name) for name in _NEEDED]
            needed += [name for name in self.columns.values() if name not in needed]
            separator = separator or SEPARATORS.get(path.suffix.lower(), ",")
            rows = table_rows(path, BYPRODUCTS, needed, separator)
        seen: dict[str, None] = {}
        for number, row in rows:
            name = f"{path.name}, line {number}"
            try:
                if isinstance(row, RejectedRecord):
                    raise row
                if not isinstance(row, dict):
                    raise RejectedRecord(f"{str(row)[:40]!a} is no object with fields")
                if len(seen) < MAX_SEEN and not row.keys() <= seen.keys():
                    seen |= dict.fromkeys(row)
                yield self.line(row, name)
            except RejectedRecord as error:
                found = row.fields if isinstance(row, RejectedRow) else row
                lost = self.lost(found) if isinstance(found, dict) and self.kind == "scanpaths" else ()
                yield BadLine(name, error.reason, *lost)
        self._warn_of_unread(path.name, seen)

    def line(self, row: dict[str, Any], name: str) -> TableLine:
        """A checked line. Raises RejectedRecord."""
        missing = [column for column in self.columns.values() if column not in row]
        if missing:
            raise RejectedRecord(f"there is no {', '.join(missing)}; it has {', '.join(row)[:100]}")
        several = isinstance(self._value(row, "x_column"), list)
        x, y = (self._list(row, f"{axis}_column", several) for axis in self.order)
        if x is None or y is None:
            raise RejectedRecord("there is no position: x or y is empty")
        names = [self.column(f"{axis}_column") for axis in self.order]
        if len(x) != len(y):
            raise RejectedRecord(
                f"{names[0]} has {counted(len(x), 'number')} and {names[1]} {len(y)}: each point needs both"
            )
        if not x:
            raise RejectedRecord(f"{names[0]} has no number")
        path = self.kind == "scanpaths"
        time = self._ms(row, "time_column", several, -fields.MAX_NUMBER) if path else None
        duration = self._ms(row, "duration_column", several, 0.0) if path else None
        segment = self._list(row, "segment_column", several, 0.0) if path else None
        weight, sign = self._value(row, "weight_column"), self._value(row, "sign_column")
        return TableLine(
            name=name,
            image=self._image(row),
            x=x,
            y=y,
            label=self._text(row, "label_column", "the class"),
            weight=None if weight is None else fields.number(weight, "the weight", 0.0),
            sign=None if sign is None or path else _sign(sign),
            annotator=self._text(row, "annotator_column", "annotator") if path else None,
            task=self._text(row, "task_column", "task") if path else None,
            time=time,
            duration=duration,
            segment=None if segment is None else [_segment(each) for each in segment],
            size=self._size(row),
            whole=several and path,
        )

    def lost(self, row: dict[str, Any]) -> tuple[PathOf | None, float | None]:
        """The path and the time of a sample whose line is rejected, each None if it cannot be read."""
        path: PathOf | None = None
        time: float | None = None
        try:
            annotator, task, label = (
                self._text(row, f"{name}_column", name) for name in ("annotator", "task", "label")
            )
            path = (self._image(row), annotator, task, label)
        except RejectedRecord:
            pass
        try:
            times = self._ms(row, "time_column", False, -fields.MAX_NUMBER)
            time = None if times is None else times[0]
        except RejectedRecord:
            pass
        return path, time

    def record(self, lines: list[TableLine]) -> SourceRecord:
        """The record of lines with one key."""
        first = lines[0]
        label = None if first.sign == NOT_HERE else first.label  # of the image, if it has no other
        entries = [RecordEntry(line.name, len(line.x)) for line in lines]
        record = SourceRecord(first.image, first.name, self.frame, first.size, label, entries=entries)
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
            key=None if first.path is None else _key(first.path),
        )
        record.paths.append(path)
        return record

    def _value(self, row: dict[str, Any], option: str) -> Any:
        """A field, None if it is missing or empty."""
        value = row.get(self.column(option))
        return None if value == "" else value

    def _list(
        self,
        row: dict[str, Any],
        option: str,
        several: bool,
        low: float = -fields.MAX_NUMBER,
        high: float = fields.MAX_NUMBER,
    ) -> list[float] | None:
        value = self._value(row, option)
        if value is None:
            return None
        name = self.column(option)
        if several:
            return fields.numbers(value, name, low=low, high=high)
        return [fields.number(value, name, low, high)]

    def _ms(self, row: dict[str, Any], option: str, several: bool, low: float) -> list[float] | None:
        """Times, of which the limits are in ms and the numbers in the table's unit."""
        found = self._list(row, option, several, low / self.ms, fields.MAX_NUMBER / self.ms)
        return None if found is None else [each * self.ms for each in found]

    def _image(self, row: dict[str, Any]) -> str:
        return fields.label(self._value(row, "image_column"), "the image's name")

    def _text(self, row: dict[str, Any], option: str, name: str) -> str | None:
        return fields.optional_text(self._value(row, option), name)

    def _size(self, row: dict[str, Any]) -> tuple[float, float] | None:
        width, height = self._value(row, "width_column"), self._value(row, "height_column")
        if width is None or height is None:
            return self.image_size
        return fields.number(width, "the width", 1, 10**6), fields.number(height, "the height", 1, 10**6)

    def _warn_of_unread(self, table: str, seen: Collection[str]) -> None:
        """Says which columns of a table are not read, and what was perhaps meant."""
        own = {self.column(option) for option in COLUMNS if option not in UNREAD[self.kind]}
        sides = [self.column(f"{side}_column") for side in ("width", "height")]
        if len([side for side in sides if side in seen]) == 1:
            own -= set(sides)
        unread = [name for name in seen if name not in own]
        of_other = [name for option in UNREAD[self.kind] if (name := default_column(option)) in unread]
        if of_other:
            logger.warning(
                f"{table}: {', '.join(of_other)} not read: {self.kind} have no such field "
                f"(--kind {OTHER_KIND[self.kind]} reads them)"
            )
        missing = own - set(seen)
        others = [f"{name[:40]}{did_you_mean(name, missing)}" for name in unread if name not in of_other]
        if others:
            logger.warning(
                f"{table}: {few(others)} not read. Columns with names of their own have options, such as "
                "--label-column NAME; a size needs width and height."
            )


def lost_samples(path: PathOf, times: list[float], name: str) -> SourceRecord:
    """The record of samples that a path lost."""
    return SourceRecord(path[0], name, paths=[PathPart([], [], key=_key(path), lost=times)], counted=False)


def option_of(name: str) -> str:
    """`label_column` -> `--label-column`."""
    return f"--{name.replace('_', '-')}"


def default_column(option: str) -> str:
    """The column that is read if an option names none."""
    return _DEFAULTS.get(option, option.removesuffix("_column"))


def _key(path: PathOf) -> str:
    """Of a path among those of its image."""
    return repr(path[1:])


def _sign(value: Any) -> int:
    if value in (1, -1, "1", "-1", "+1"):
        return int(value)
    raise RejectedRecord(f"the sign is {str(value)[:40]!a}; allowed are 1 (here) and -1 (not here)")


def _segment(value: float) -> int:
    return fields.whole(value, "the segment", 0, MAX_SEGMENT)
