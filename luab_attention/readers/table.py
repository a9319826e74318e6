"""Your own CSV, TSV or JSON Lines: points, or gaze and mouse samples.

A line is a point, or with `--kind scanpaths` a sample or fixation; lines of one image, annotator, task and
label are one path. In JSON Lines, x and y may also be lists: then a line is a whole path, or several points.
"""

import argparse
import math
from array import array
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

from luab_attention.convert.frames import Fit, Units, frame_of
from luab_attention.convert.records import Read
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.table_lines import (
    COLUMNS,
    JSON,
    OTHER_KIND,
    SEPARATORS,
    UNREAD,
    BadLine,
    Kind,
    Order,
    PathOf,
    TableLine,
    TableLines,
    default_column,
    lost_samples,
    option_of,
)
from luab_data.errors import SourceError
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource("Human attention from a table", "unknown")

MAX_PIECE = 4096  # lines of a path that are kept together
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
    option(
        "--image-size",
        type=size,
        metavar="WxH",
        help="of all images whose size no columns state; without --images",
    )
    option("--time-unit", choices=_TIMES, help="of time and duration (default: ms)")
    option("--separator", metavar="CHARACTER", help="default: a comma, in .tsv a tab")
    for name, what in COLUMNS.items():
        option(option_of(name), metavar="NAME", help=f"{what} (default: {default_column(name)})")


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
        _require_used(
            {option_of(name): (name in UNREAD[kind], f"--kind {OTHER_KIND[kind]}, not with {kind}")}
        )
    if separator is not None and len(separator) != 1:
        raise SourceError(f"--separator {separator!r}: allowed is one character; a tab is $'\\t'.")
    frame = frame_of(units, base, screen, fit or "letterbox")
    lines = TableLines(kind, order, frame, image_size, _TIMES[time_unit or "ms"], given)
    lost = _Lost(path.name)
    for _, group in groupby(lines.checked(path, separator), attrgetter("key")):
        batch: list[TableLine] = []
        for line in group:
            if isinstance(line, BadLine):
                yield Reject(BYPRODUCTS, line.name, line.reason)
                yield from lost.add(line)
                continue
            if not batch:
                yield from lost.before(line)
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


class _Lost:
    """The samples that rejected lines lost, until the next good line.

    A line whose path cannot be read was of the path of the good lines before and after it, if that is one.
    """

    def __init__(self, name: str):
        self._name = name
        self._before: PathOf | None = None
        self._unplaced: array[float] = array("d")

    def add(self, line: BadLine) -> Read:
        """A line that is rejected. Its record, if its path can be read."""
        time = math.nan if line.time is None else line.time
        if line.path is None:
            self._unplaced.append(time)
        else:
            yield lost_samples(line.path, [time], self._name)

    def before(self, line: TableLine) -> Read:
        """What was lost since the last good line, now that the next one is known: samples with times."""
        path = None if line.time is None else line.path
        if self._unplaced and path is not None and path == self._before:
            yield lost_samples(path, self._unplaced.tolist(), self._name)
        self._unplaced = array("d")
        self._before = path
