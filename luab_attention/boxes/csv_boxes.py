"""Boxes in a CSV, of images in class folders."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import datasets
import numpy as np

from luab_attention.boxes.boxes import (
    MAX_SIDE,
    NOTHING,
    REASONS,
    BoxedImage,
    ImageBoxes,
    box_rows,
    from_pixels,
    usable,
)
from luab_attention.boxes.reader import BoxesById
from luab_data.console.names import few
from luab_data.constants import HEIGHT, IMAGE_ID, WIDTH
from luab_data.errors import SourceError
from luab_data.files.table_text import separator_hint, utf8
from luab_data.rows.class_names import match

CSV_COLUMNS = ("file", "x0", "y0", "x1", "y1", WIDTH, HEIGHT)
MAX_BYTES = 2**30


def load_csv_boxes(
    images: str | Path, boxes: str | Path, classes: Sequence[str] | None = None
) -> datasets.Dataset:
    """One row for each image in the CSV, in the CSV's order.

    Args:
        images: folder of `<class>/<file>`.
        boxes: CSV in UTF-8 with the columns file (`<class>/<file>`), x0, y0, x1, y1 (first and last pixel of
            the box, x1 and y1 included), width, height (of the image that the pixels are of). One line a box.
        classes: names of the labels in order; default: the class folders that the CSV names, sorted.

    Returns:
        See `box_rows`; image_id is `<class>/<name>`.

    Raises:
        SourceError: a missing file or column, an invalid box, a class that is not in `classes`.
    """
    images, boxes = Path(images), Path(boxes)
    if not images.is_dir():
        raise SourceError(f"images={str(images)!r} is not a folder; give the one that holds <class>/<file>.")
    by_file = read_boxes(boxes)
    found = sorted({file.split("/")[0] for file in by_file})
    names = list(found if classes is None else classes)
    known = [(name,) for name in names]
    labels = match([(name,) for name in found], known, "class folder", "the labels'")
    label_of = {name: label for name, label in zip(found, labels, strict=True) if label is not None}
    if unknown := [name for name in found if name not in label_of]:
        raise SourceError(
            f"{boxes} has images of classes that are none of the {len(names):,} labels: {few(unknown)}. The "
            f"labels are {few(names)}."
        )
    rows: list[BoxedImage] = []
    for file, of_file in by_file.items():
        if not (images / file).is_file():
            raise SourceError(f"{boxes} lists {file}, but there is no {images / file}.")
        rows.append(BoxedImage(images / file, _image_id(file), label_of[file.split("/")[0]], of_file))
    return box_rows(rows, names)


class CsvBoxes(BoxesById):
    """The boxes in a CSV in the format of `load_csv_boxes`, by id. They have no classes."""

    def __init__(self, label: str | None, rows: datasets.Dataset, source: Path, image_id: str = IMAGE_ID):
        super().__init__(label, rows, source, image_id)
        self._found = _by_id(source)

    def find(self, image_id: str) -> tuple[ImageBoxes, None]:
        """The boxes of an id."""
        return self._found.get(image_id, NOTHING), None


def _by_id(source: Path) -> dict[str, ImageBoxes]:
    found: dict[str, ImageBoxes] = {}
    files: dict[str, str] = {}
    for file, boxes in read_boxes(source).items():
        image_id = _image_id(file)
        if image_id in found:
            raise SourceError(
                f"{source} has boxes of {files[image_id]} and of {file}: which is row {image_id}?"
            )
        found[image_id], files[image_id] = boxes, file
    return found


def _image_id(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def read_boxes(boxes: Path) -> dict[str, ImageBoxes]:
    """A CSV in the format of `load_csv_boxes` -> the boxes of each file.

    Raises:
        SourceError: a missing file or column, or an invalid line; names the line.
    """
    reader = csv.DictReader(io.StringIO(_text(boxes), newline=""), strict=True)
    by_file: dict[str, ImageBoxes] = {}
    lines: list[tuple[int, list[float], float, float]] = []
    try:
        _check_header(boxes, reader.fieldnames or [])
        for line in reader:
            where = f"{boxes}, line {reader.line_num}"
            file = _file(line, where)
            bbox, width, height = _box(line, where)
            lines.append((reader.line_num, bbox, width, height))
            of_file = by_file.setdefault(file, ImageBoxes([], width, height))
            if (of_file.width, of_file.height) != (width, height):
                raise SourceError(
                    f"{where}: {file} is {width:g} x {height:g} pixels, but {of_file.width:g} x "
                    f"{of_file.height:g} in a line above. One image has one size."
                )
            of_file.bbox.append(bbox)
    except csv.Error as error:
        raise SourceError(f"{boxes}, line {reader.line_num}: this is no CSV: {error}.") from error
    if not lines:
        raise SourceError(f"{boxes} has no line below its header; it needs one for each box.")
    _check_boxes(boxes, lines)
    return by_file


def _check_boxes(boxes: Path, lines: Sequence[tuple[int, list[float], float, float]]) -> None:
    """Checks all boxes at once. Line by line it would take 20 s for ImageNet."""
    numbers, bbox, width, height = zip(*lines, strict=True)
    good, _ = usable(np.array(bbox), np.stack([width, height], axis=1))
    if good.all():
        return
    first = int(np.argmin(good))
    _, reason = usable(np.array(bbox)[first : first + 1], (width[first], height[first]))
    what = REASONS[next(iter(reason))][0]
    x, y, w, h = bbox[first]
    raise SourceError(
        f"{boxes}, line {numbers[first]}: {what}: x {x:g} to {x + w - 1:g}, y {y:g} to {y + h - 1:g}, of "
        f"{width[first]:g} x {height[first]:g} pixels."
    )


def _text(boxes: Path) -> str:
    if not boxes.is_file():
        raise SourceError(f"boxes={str(boxes)!r} is not a file; give a CSV with {', '.join(CSV_COLUMNS)}.")
    if boxes.stat().st_size > MAX_BYTES:
        raise SourceError(f"{boxes} is larger than {MAX_BYTES:,} bytes, which no CSV of boxes needs.")
    return utf8(boxes.read_bytes(), boxes)


def _check_header(boxes: Path, names: Sequence[str]) -> None:
    missing = [name for name in CSV_COLUMNS if name not in names]
    if not missing:
        return
    raise SourceError(
        f"{boxes}, line 1: there is no column {few(missing, 7)}; the first line is {few(names)!r}. It needs "
        f"{','.join(CSV_COLUMNS)}.{separator_hint(names)}"
    )


def _file(line: dict[str, str], where: str) -> str:
    if None in line:  # DictReader's key for fields without a column
        raise SourceError(f"{where}: more fields than columns. Write a point in numbers, not a comma.")
    file = line["file"] or ""
    if ".." in file.split("/") or file.startswith("/") or "/" not in file or "\\" in file:
        raise SourceError(f"{where}: file is {file!r}, but <class>/<file> is needed.")
    return file


def _box(line: dict[str, str], where: str) -> tuple[list[float], float, float]:
    """x, y, w, h, and the image's width and height."""
    values = {name: line[name] for name in CSV_COLUMNS[1:]}
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    try:
        x0, y0, x1, y1, width, height = (float(value) for value in values.values())
    except (TypeError, ValueError) as error:
        raise SourceError(f"{where}: the box is not four numbers and the size two: {shown}.") from error
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise SourceError(f"{where}: the box is not four finite numbers: {shown}.")
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise SourceError(f"{where}: the image's size is {width:g} x {height:g} pixels.")
    if x1 < x0 or y1 < y0:
        raise SourceError(f"{where}: the box ends before it begins: {shown}. x0, y0 is its first pixel.")
    return from_pixels(x0, y0, x1, y1), width, height
