"""CUB-GHA: gaze of people who tell birds apart (Fixation.txt, or the five runs).

`Fixation.txt` has seven numbers before the fixations (id, size, shown size, place on the display), each file
of a run has three (id, size); the number of values tells which. An id may occur again: it is another viewing.
The last fixation of a line is kept, which the authors' script drops.
"""

from pathlib import Path
from typing import Any

from luab_attention.convert import fields
from luab_attention.convert.cub import Cub
from luab_attention.convert.files import files_below
from luab_attention.convert.frames import Frame, ImagePixels, OnScreen, Region
from luab_attention.convert.records import PathPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.tables import plain_rows
from luab_data.console.names import few
from luab_data.errors import RejectedRecord, SourceError
from luab_data.sources.entries import BYPRODUCTS, Reject

SOURCE = AttentionSource(
    "CUB-GHA",
    "eye tracker",
    refusal="Its authors gave it no license, so that nobody else may publish it.",
    homepage="https://github.com/yaorong0921/CUB-GHA",
)

MAX_SIDE = 10**5
HEAD, RUN_HEAD, FIXATION = 7, 3, 3


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--cub", type=Path, metavar="DIR", help="CUB_200_2011: names and classes of the images (default: ids)"
    )


def read(path: Path, *, cub: Path | None = None) -> Read:
    """A record for each line of the file, or of each .txt in the folder.

    Raises:
        SourceError: there is none, or files of the runs and of all runs, or the folder of CUB lacks a file.
    """
    names = None if cub is None else Cub(cub)
    files: list[tuple[str, Path]] = []
    for each in files_below(path, (".txt",)) if path.is_dir() else [(path.name, path)]:
        if isinstance(each, Reject):
            yield each
        else:
            files.append(each)
    if not files:
        raise SourceError(f"{BYPRODUCTS}={str(path)!r} holds no .txt file.")
    runs = [name for name, file in files if _is_run(file)]
    others = [name for name, file in files if not _is_run(file)]
    if runs and others:
        raise SourceError(
            f"{BYPRODUCTS}={str(path)!r} holds files of runs ({few(runs)}) and others ({few(others)}): "
            "Fixation.txt has the viewings of all runs, which would count twice. Pass one file, or a folder "
            "of the runs alone."
        )
    for name, file in files:
        viewer = name.removesuffix(file.suffix) if _is_run(file) else None
        for number, cells in plain_rows(file, BYPRODUCTS, ","):
            where = f"{name}, line {number}"
            try:
                if isinstance(cells, RejectedRecord):
                    raise cells
                yield _record(cells, where, viewer, names)
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, where, error.reason)


def _is_run(file: Path) -> bool:
    return "run" in file.stem.lower()


def _record(cells: list[str], name: str, annotator: str | None, names: Cub | None) -> SourceRecord:
    while cells and not cells[-1]:  # lines may end with commas
        cells = cells[:-1]
    values = [fields.number(cell, f"value {place}") for place, cell in enumerate(cells, start=1)]
    # 7 + 3 n and 3 + 3 n values
    head = HEAD if len(values) % FIXATION == HEAD % FIXATION else RUN_HEAD
    if (len(values) - head) % FIXATION or len(values) < head + FIXATION:
        raise RejectedRecord(
            f"{len(values)} values; allowed are 3 or 7, and 3 for each of one or more fixations"
        )
    image = fields.whole(values[0], "the image's id", 1)
    width, height = (fields.whole(each, "a side of the image", 1, MAX_SIDE) for each in values[1:3])
    frame: Frame = ImagePixels()
    if head == HEAD:
        shown_width, shown_height, left, top = values[3:HEAD]
        if min(shown_width, shown_height) < 1:
            raise RejectedRecord(f"the image was shown in {shown_width:g} x {shown_height:g} pixels")
        frame = OnScreen(Region(left, top, shown_width, shown_height), shown_width, shown_height)
    places = values[head:]
    path = PathPart(places[0::3], places[1::3], duration=places[2::3], annotator=annotator)
    file, label = (str(image), None) if names is None else names.of(image)
    return SourceRecord(file, name, frame, (width, height), label, paths=[path])
