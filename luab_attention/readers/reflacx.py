"""REFLACX: gaze of radiologists on chest X-rays, with zoom and pan (main_data and the metadata).

A fixation counts only inside the part of the image that was shown. Pixels per degree follow the zoom; a row
has the median. Images are joined by their DICOM id, from JPEG or PNG files.
"""

import re
from pathlib import Path
from statistics import median
from typing import Any

from luab_attention.convert import fields
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.records import PathPart, Read, RecordEntry, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.tables import table_rows
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import require_file_inside
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "REFLACX",
    "eye tracker",
    license="PhysioNet Credentialed Health Data License 1.5.0",
    refusal="PhysioNet's license for credentialed health data forbids to share them with anybody else.",
    homepage="https://physionet.org/content/reflacx-xray-localization",
)

METADATA, MAIN, FIXATIONS = "metadata_phase_*.csv", "main_data", "fixations.csv"
PIXELS = ImagePixels()
MAX_SIDE = 10**5
SHOWN = tuple(f"{side}_shown_from_image" for side in ("xmin", "ymin", "xmax", "ymax"))
DEGREES = "angular_resolution_x_pixels_per_degree"
BEGIN, END = "timestamp_start_fixation", "timestamp_end_fixation"
NEEDED = (BEGIN, END, "x_position", "y_position", DEGREES, *SHOWN)
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


def read(path: Path) -> Read:
    """A record for the fixations of each reading that are inside what was shown.

    Args:
        path: the folder with `metadata_phase_*.csv` and `main_data`.

    Raises:
        SourceError: it is not that folder.
    """
    tables = sorted(path.glob(METADATA))
    if not tables or not (path / MAIN).is_dir():
        raise SourceError(f"{BYPRODUCTS}={str(path)!r} holds no {METADATA} and {MAIN}: pass the folder.")
    root = path.resolve()
    for table in tables:
        needed = ("id", "dicom_id", "image_size_x", "image_size_y")
        for number, row in table_rows(table, BYPRODUCTS, needed):
            name = f"{table.name}, line {number}"
            try:
                if isinstance(row, RejectedRecord):
                    raise row
                yield from _reading(path, root, row)
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, name, error.reason)


def _reading(path: Path, root: Path, row: dict[str, str]) -> Any:
    reading = row["id"].strip()
    if not _ID.fullmatch(reading):
        raise RejectedRecord(f"id is {reading[:40]!a}; allowed are letters, digits, - and _")
    if row.get("eye_tracking_data_discarded", "").strip().lower() == "true":
        raise RejectedRecord("its authors discarded the eye tracking of this reading")
    dicom = fields.text(row["dicom_id"], "dicom_id")
    size = tuple(fields.whole(row[f"image_size_{axis}"], f"image_size_{axis}", 1, MAX_SIDE) for axis in "xy")
    file = path / MAIN / reading / FIXATIONS
    require_file_inside(file, root)
    kept: list[tuple[float, ...]] = []
    entries: list[RecordEntry] = []
    try:
        for number, line in table_rows(file, BYPRODUCTS, NEEDED):
            name = f"{MAIN}/{reading}/{FIXATIONS}, line {number}"
            try:
                if isinstance(line, RejectedRecord):
                    raise line
                kept.append(_fixation(line))
                entries.append(RecordEntry(name))
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, name, error.reason)
    except SourceError as error:  # of one reading's table
        reason = str(error).replace(f"{BYPRODUCTS}={str(file)!r}", f"{MAIN}/{reading}/{FIXATIONS}")
        for entry in entries:
            yield Reject(BYPRODUCTS, entry.name, reason)
        raise RejectedRecord(reason) from error
    if not kept:
        return
    x, y, begin, duration, degrees = (list(values) for values in zip(*kept, strict=True))
    yield SourceRecord(
        dicom,
        entries[0].name,
        PIXELS,
        (size[0], size[1]),
        paths=[PathPart(x, y, begin, duration, annotator=reading, key=entries[0].name)],
        pixels_per_degree=median(degrees),
        entries=entries,
    )


def _fixation(row: dict[str, str]) -> tuple[float, ...]:
    """x, y, begin and duration in ms, pixels per degree."""
    begin, end, x, y, degrees, left, top, right, bottom = (fields.number(row[name], name) for name in NEEDED)
    if end < begin:
        raise RejectedRecord(f"it ends at {end:g} s, before it begins at {begin:g} s")
    if degrees <= 0:
        raise RejectedRecord(f"{DEGREES} is {degrees:g}")
    if not (left <= x <= right and top <= y <= bottom):
        raise RejectedRecord(
            f"({x:g}, {y:g}) is outside the part that was shown, {left:g} to {right:g}, {top:g} to {bottom:g}"
        )
    return x, y, begin * 1000, (end - begin) * 1000, degrees
