"""SALICON: mouse-contingent viewing of COCO images (JSON of 2015, or the folder of .mat files).

The JSON has fixations y first, the .mat files x first; both count pixels from 1. Only the .mat files have
times: of the mouse's samples, which are read, or with `--fixations` the fixations among them, without times.
Images have 640 x 480 pixels.
"""

from pathlib import Path
from typing import Any

import numpy as np

from luab_attention.convert import fields
from luab_attention.convert.frames import ImagePixels
from luab_attention.convert.image_keys import coco_key
from luab_attention.convert.mat_files import read_mat
from luab_attention.convert.records import PathPart, Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.json_items import json_items
from luab_data.sources.entries import BYPRODUCTS, Reject

SIZE = (640.0, 480.0)
MAX_ID = 10**12 - 1  # COCO's have 12 digits

SOURCE = AttentionSource(
    "SALICON",
    "mouse-contingent viewing",
    license="CC BY 4.0",
    sigma=19 / SIZE[0],  # of the authors' tools: 19 pixels of 640
    homepage="http://salicon.net",
)
PIXELS = ImagePixels(base=1)


def add_options(add: Any) -> None:
    """The options of this source."""
    add.add_argument(
        "--fixations",
        action="store_true",
        help="of .mat files: the fixations, which have no times, in place of the samples",
    )


def read(path: Path, *, fixations: bool = False) -> Read:
    """A `SourceRecord` for each viewing: of a JSON's annotations, or of a folder's .mat files.

    Raises:
        SourceError: neither, or an option of the other.
    """
    if path.is_dir():
        files = sorted(path.glob("*.mat"))
        if not files:
            raise SourceError(f"{BYPRODUCTS}={str(path)!r} holds no .mat file.")
        for file in files:
            yield from _of_mat(file, fixations)
    elif path.suffix.lower() == ".mat":
        yield from _of_mat(path, fixations)
    elif fixations:
        raise SourceError("--fixations goes with .mat files: the JSON has fixations alone.")
    else:
        yield from _of_json(path)


def _of_json(path: Path) -> Read:
    names: dict[int, str] = {}
    for member, item in json_items(path, BYPRODUCTS):
        if member == "images":
            try:
                image_id = fields.whole(fields.member(item, "id"), "id", 0, MAX_ID)
                name = fields.optional_text(item.get("file_name"), "file_name")
                names[image_id] = coco_key(image_id) if name is None else name
            except RejectedRecord as error:
                yield Reject(BYPRODUCTS, f"{path.name}, images", error.reason)
    number = 0
    for member, item in json_items(path, BYPRODUCTS):
        if member not in (None, "annotations"):
            continue
        number += 1
        name = f"{path.name}, annotation {number}"
        try:
            yield _record(item, name, names)
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _record(item: Any, name: str, names: dict[int, str]) -> SourceRecord:
    image_id = fields.whole(fields.member(item, "image_id"), "image_id", 0, MAX_ID)
    fixations = fields.items(fields.member(item, "fixations"), "fixations")
    if not fixations:
        raise RejectedRecord("there is no fixation")
    pairs = [fields.numbers(each, f"fixations[{place}]", 2) for place, each in enumerate(fixations)]
    path = PathPart(
        x=[x for _, x in pairs],
        y=[y for y, _ in pairs],
        annotator=fields.optional_text(item.get("worker_id"), "worker_id"),
    )
    return SourceRecord(names.get(image_id, coco_key(image_id)), name, PIXELS, SIZE, paths=[path])


def _of_mat(file: Path, fixations: bool) -> Read:
    try:
        content = read_mat(file, ("gaze",), ("resolution",))
        width, height = SIZE
        resolution = np.ravel(content.get("resolution", (height, width)))
        if resolution.tolist() != [height, width]:
            raise RejectedRecord(f"resolution is {resolution.tolist()}; allowed is 480 x 640")
        gaze = np.ravel(content["gaze"])
    except RejectedRecord as error:
        yield Reject(BYPRODUCTS, file.name, error.reason)
        return
    for number, viewing in enumerate(gaze, start=1):
        name = f"{file.name}, viewing {number}"
        try:
            part = (_fixations_of_mat if fixations else _samples_of_mat)(viewing)
            # A number tells the viewers of one file apart, and is nobody in another file.
            path = part._replace(annotator=f"{file.stem}/{number}")
            yield SourceRecord(file.stem, name, PIXELS, SIZE, paths=[path])
        except RejectedRecord as error:
            yield Reject(BYPRODUCTS, name, error.reason)


def _samples_of_mat(viewing: Any) -> PathPart:
    """The samples with their times; x comes first here."""
    places, times = _numbers(viewing, "location"), np.ravel(_numbers(viewing, "timestamp"))
    if places.shape != (len(times), 2) or not len(times):
        raise RejectedRecord(f"location has the shape {places.shape}, of {len(times)} times")
    return PathPart(places[:, 0].tolist(), places[:, 1].tolist(), time=(times - times[0]).tolist())


def _fixations_of_mat(viewing: Any) -> PathPart:
    places = _numbers(viewing, "fixations")
    if places.ndim != 2 or places.shape[1] != 2:
        raise RejectedRecord(f"fixations has the shape {places.shape}; allowed is one of (n, 2)")
    return PathPart(places[:, 0].tolist(), places[:, 1].tolist())


def _numbers(viewing: Any, name: str) -> np.ndarray:
    """A field of a viewing, float64."""
    names = getattr(viewing.dtype, "names", None) or ()
    if name not in names:
        raise RejectedRecord(f"a viewing has the fields {', '.join(names)}; needed is {name}")
    found = np.asarray(viewing[name])
    if found.dtype.kind not in "iuf":
        raise RejectedRecord(f"{name} holds no numbers")
    if not np.isfinite(found).all():
        raise RejectedRecord(f"{name} has values that are not finite")
    return found.astype(np.float64)
