"""Open Images' points: a CSV of yes and no ("not here") answers.

`EstimatedYesNo` yes is a point, no is a point with sign -1, and unsure is rejected.
"""

import csv
import io
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from luab_attention.columns import HERE, NOT_HERE
from luab_attention.convert import fields
from luab_attention.convert.records import PointPart, Read, RecordEntry, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.tables import table_rows
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.table_text import utf8
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "Open Images points",
    "yes-or-no clicks of annotators",
    license="CC BY 4.0",
    homepage="https://storage.googleapis.com/openimages/web",
)

SIGNS = {"yes": HERE, "no": NOT_HERE}
NEEDED = ("ImageId", "X", "Y", "Label", "EstimatedYesNo")
MAX_PIECE = 4096  # lines of an image that are kept together


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--class-names",
        type=Path,
        metavar="CSV",
        help="class-descriptions CSV: id, name (default: the ids, such as /m/01g317)",
    )


def read(path: Path, *, class_names: Path | None = None) -> Read:
    """A record for the lines of an image that follow each other, a `Reject` for a bad one.

    Raises:
        SourceError: it is no such CSV.
    """
    names = {} if class_names is None else _names(class_names)
    for image, lines in groupby(_lines(path, names), itemgetter(0)):
        batch: list[PointPart] = []
        entries: list[RecordEntry] = []
        for _, name, point in lines:
            if isinstance(point, RejectedRecord):
                yield Reject(BYPRODUCTS, name, point.reason)
                continue
            batch.append(point)
            entries.append(RecordEntry(name))
            if len(batch) == MAX_PIECE:
                yield SourceRecord(image, entries[0].name, points=batch, entries=entries)
                batch, entries = [], []
        if batch:
            yield SourceRecord(image, entries[0].name, points=batch, entries=entries)


def _lines(path: Path, names: dict[str, str]) -> Any:
    """Image, name and point, or the reason against it, of each line."""
    for number, row in table_rows(path, BYPRODUCTS, NEEDED):
        name = f"{path.name}, line {number}"
        try:
            if isinstance(row, RejectedRecord):
                raise row
            image = fields.text(row["ImageId"], "ImageId")
            answer = row["EstimatedYesNo"].strip().lower()
            if answer not in SIGNS:
                raise RejectedRecord(f"EstimatedYesNo is {answer[:40]!a}; used are yes and no")
            label = fields.text(row["Label"], "Label")
            if names and label not in names:
                raise RejectedRecord(f"the class {label[:40]!a} has no name in --class-names")
            x, y = (fields.number(row[axis], axis, 0, 1) for axis in "XY")
            yield image, name, PointPart(x, y, names.get(label, label), sign=SIGNS[answer])
        except RejectedRecord as error:
            yield "", name, error


def _names(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise SourceError(f"--class-names {path}: there is no such file.")
    found: dict[str, str] = {}
    rows = csv.reader(io.StringIO(utf8(path.read_bytes(), f"--class-names {path}"), newline=""), strict=True)
    try:
        for cells in filter(None, rows):
            if len(cells) != 2:
                raise SourceError(
                    f"--class-names {path}, line {rows.line_num}: {len(cells)} fields; allowed are an id and "
                    "a name, in quotes if it has a comma."
                )
            label, name = (cell.strip() for cell in cells)
            if name in found.values():
                name = f"{name} ({label})"  # two classes of one name
            found[label] = name
    except csv.Error as error:
        raise SourceError(f"--class-names {path}, line {rows.line_num}, is no CSV: {error}.") from error
    return found
