"""EGD-CXR: gaze of a radiologist on chest X-rays (fixations.csv and master_sheet.csv).

FPOGX and FPOGY are ratios of a screen of 1920 x 1080, which shows the image between pads. Ids in
fixations.csv may be cut off: the master sheet has the whole ones. Images are joined by their DICOM id, from
JPEG or PNG files.
"""

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from luab_attention.convert import fields
from luab_attention.convert.frames import OnScreen, Region
from luab_attention.convert.records import PathPart, Read, RecordEntry, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.tables import table_rows
from luab_data.errors import RejectedRecord, SourceError
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "EGD-CXR",
    "eye tracker",
    license="PhysioNet Credentialed Health Data License 1.5.0",
    refusal="PhysioNet's license for credentialed health data forbids to share them with anybody else.",
    homepage="https://physionet.org/content/egd-cxr",
)

FIXATIONS, MASTER = "fixations.csv", "master_sheet.csv"
SCREEN = (1920.0, 1080.0)
SIDES = ("left", "top", "right", "bottom")
CLASSES = ("Normal", "CHF", "pneumonia")
SHORTEST_ID = 8  # characters of an id that is cut off
NEEDED = ("DICOM_ID", "SESSION_ID", "FPOGX", "FPOGY", "FPOGS", "FPOGD", "FPOGV")


class _Image(NamedTuple):
    frame: OnScreen
    label: str | None


def read(path: Path) -> Read:
    """A record for the fixations of a session on one image that follow each other.

    Args:
        path: the folder with both files.

    Raises:
        SourceError: one of them is missing, or is another table.
    """
    for name in (FIXATIONS, MASTER):
        if not (path / name).is_file():
            raise SourceError(f"{BYPRODUCTS}={str(path)!r} holds no {name}: pass the folder that has it.")
    images = yield from _images(path / MASTER)
    rows = table_rows(path / FIXATIONS, BYPRODUCTS, NEEDED)
    for (dicom, session), lines in groupby(_checked(rows), itemgetter(0, 1)):
        path_of: dict[str, list[float]] = {"x": [], "y": [], "time": [], "duration": []}
        entries: list[RecordEntry] = []
        for _, _, name, values in lines:
            if isinstance(values, RejectedRecord):
                yield Reject(BYPRODUCTS, name, values.reason)
                continue
            entries.append(RecordEntry(name))
            for each, value in zip(path_of.values(), values, strict=True):
                each.append(value)
        if not entries:
            continue
        record = SourceRecord(dicom, entries[0].name, entries=entries)
        try:
            yield _record(_whole_id(dicom, images), images, session, path_of, record)
        except RejectedRecord as error:
            yield from record.rejects(error.reason)


def _record(
    dicom: str,
    images: dict[str, _Image],
    session: str,
    path_of: dict[str, list[float]],
    record: SourceRecord,
) -> SourceRecord:
    frame, label = images[dicom]
    path = PathPart(**path_of, annotator=session, key=session)  # type: ignore[arg-type]  # four lists
    return SourceRecord(dicom, record.name, frame, label=label, paths=[path], entries=record.entries)


def _checked(rows: Any) -> Any:
    """DICOM id, session, name of the entry, and x, y, time, duration or the reason against it."""
    for number, row in rows:
        name = f"{FIXATIONS}, line {number}"
        if isinstance(row, RejectedRecord):
            yield "", "", name, row
            continue
        try:
            dicom, session = (fields.text(row[each], each) for each in NEEDED[:2])
            if fields.number(row["FPOGV"], "FPOGV", 0, 1) != 1:
                raise RejectedRecord("the tracker says that it is not valid (FPOGV 0)")
            x, y, begin, duration = (fields.number(row[each], each) for each in NEEDED[2:6])
            yield dicom, session, name, (x, y, begin * 1000, duration * 1000)
        except RejectedRecord as error:
            yield "", "", name, error


def _images(path: Path) -> Any:
    """By DICOM id, where the screen showed the image, and its class; yields the rejects."""
    found: dict[str, _Image] = {}
    pads = [f"image_{side}_pad" for side in SIDES]
    for number, row in table_rows(path, BYPRODUCTS, ("dicom_id", *pads)):
        name = f"{MASTER}, line {number}"
        try:
            if isinstance(row, RejectedRecord):
                raise row
            dicom = fields.text(row["dicom_id"], "dicom_id")
            if dicom in found:
                raise RejectedRecord(f"second line of the image {dicom}")
            left, top, right, bottom = (fields.number(row[pad], pad, 0, SCREEN[0]) for pad in pads)
            width, height = SCREEN[0] - left - right, SCREEN[1] - top - bottom
            if min(width, height) < 1:
                raise RejectedRecord(f"the pads leave {width:g} x {height:g} pixels for the image")
            place = Region(left / SCREEN[0], top / SCREEN[1], width / SCREEN[0], height / SCREEN[1])
            found[dicom] = _Image(OnScreen(place, width, height), _label(row))
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)
    return found


def _label(row: dict[str, str]) -> str | None:
    """The class whose column alone is 1; None if the sheet has none of them, or several are 1."""
    values = {name.lower(): value.strip() for name, value in row.items()}
    chosen = [name for name in CLASSES if values.get(name.lower()) in ("1", "1.0")]
    return chosen[0] if len(chosen) == 1 else None


def _whole_id(dicom: str, images: dict[str, _Image]) -> str:
    if dicom in images:
        return dicom
    fitting = [each for each in images if each.startswith(dicom)] if len(dicom) >= SHORTEST_ID else []
    if len(fitting) != 1:
        raise RejectedRecord(f"{len(fitting)} images of {MASTER} begin with the id {dicom[:60]!a}")
    return fitting[0]
