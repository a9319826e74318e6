"""A dataset's rows with their scanpaths, one after the other."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np

from luab_attention.boxes.formats import box_reader
from luab_attention.boxes.reader import NO_BOXES, OTHER_CLASSES, BoxReader
from luab_attention.boxes.rows import ImageSizes, require_upright, row_size
from luab_attention.columns import ATTENTION_SOURCE
from luab_attention.traces.rows import TraceColumn, scanpaths_of, trace_column
from luab_attention.traces.scanpath import Scanpath
from luab_data.constants import HEIGHT, IMAGE, LABEL, OBJECTS, WIDTH
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list, valid
from luab_data.rows.splits import Part, find_part, load_splits, part_of

Row = Mapping[str, Any]


class TracedRow(NamedTuple):
    """A row and its traces.

    Attributes:
        number: of the row in its split.
        image_id: its id, or its number as text.
        row: its other columns; the image is not decoded.
        paths: all entries in order, empty ones too.
    """

    number: int
    image_id: str
    row: Row
    paths: list[Scanpath]

    def reject(self, at: int, **why: str) -> str:
        """The line of `rejects.jsonl` for a trace."""
        trace = {"row": self.number, "image_id": self.image_id, "trace": at}
        return json.dumps({**trace, "annotator": self.paths[at].annotator, **why}) + "\n"


@dataclass(frozen=True)
class TraceRows:
    """The rows of a split, or of a part of one.

    Attributes:
        rows: with all columns.
        part: which rows of the split they are.
        column: the column with the traces.
        id_column: the column with the image's id, which may not exist.
    """

    rows: datasets.Dataset
    part: Part
    column: TraceColumn
    id_column: str

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, *columns: str, bar: bool = True) -> Iterator[TracedRow]:
        """All rows in order, with these of the columns besides the traces, if there are such.

        One row is in memory at a time. `bar`: whether a terminal shows the progress.

        Raises:
            SourceError: a trace that cannot be read; names the row.
        """
        rows = self._light(columns)
        for offset, row in enumerate(datasets.utils.tqdm(rows, desc="rows", disable=None if bar else True)):
            yield self.traced(offset, row)

    def read_images(self, *columns: str) -> Iterator[list[TracedRow]]:
        """The rows of each image together, images in the order of their first rows; see `read`.

        Rows of one id are of one image. A row without an id is an image of its own.
        """
        first = self._first_rows()
        order = np.argsort(first, kind="stable")
        rows = self._light(columns)
        if (np.diff(order) != 1).any():
            rows = rows.select(order)
        bar = datasets.utils.tqdm(rows, desc="rows", disable=None)
        read = (self.traced(at, row) for at, row in zip(order.tolist(), bar, strict=True))
        for _, of_image in groupby(read, lambda row: first[row.number - self.part.start]):
            yield list(of_image)

    def _first_rows(self) -> np.ndarray:
        """The position of the first row of each row's image, [N]."""
        own = np.arange(len(self))
        if self.id_column not in self.rows.column_names:
            return own
        ids = self.rows.select_columns([self.id_column]).with_format("arrow")[:][self.id_column]
        codes = ids.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
        _, first, of = np.unique(codes, return_index=True, return_inverse=True)
        named = valid(ids) & np.array([each != "" for each in ids.to_pylist()], dtype=bool)
        return np.where(named, first[of], own)

    def _light(self, columns: Sequence[str]) -> datasets.Dataset:
        """The rows with these columns, their traces and their ids; the image stays encoded."""
        wanted = dict.fromkeys((self.column.name, self.id_column, *columns))
        rows = self.rows.select_columns([name for name in wanted if name in self.rows.column_names])
        if isinstance(rows.features.get(IMAGE), datasets.Image):
            rows = rows.cast_column(IMAGE, datasets.Image(decode=False))
        return rows

    def traced(self, offset: int, row: Row) -> TracedRow:
        """The row at this position among `rows`, with its traces."""
        number = self.part.start + offset
        try:
            paths = scanpaths_of(row, self.column)
        except SourceError as error:
            raise SourceError(f"row {number:,}, column {self.column.name!r}: {error}") from error
        return TracedRow(number, str(row.get(self.id_column, number)), row, paths)

    def require_samples(self, what: str) -> None:
        """Raises SourceError unless the traces are samples with times, which `what` needs."""
        if not self.column.timed:
            raise SourceError(f"{what} needs times, and column {self.column.name!r} has none.")
        if self.column.fixations:
            raise SourceError(
                f"{what} needs samples, and column {self.column.name!r} has fixations (durations)."
            )


def open_rows(options: argparse.Namespace) -> TraceRows:
    """The rows that the options name: `dataset`, `config`, `split`, `column`, `id_column`.

    Raises:
        SourceError: no such dataset, split or column.
    """
    splits = load_splits(options.dataset, options.config)
    part = find_part(splits, options.split, options.dataset, "split")
    rows = part_of(splits[part.split], part)
    return TraceRows(rows, part, trace_column(rows.features, options.column), options.id_column)


# The columns that `size_of` reads.
SIZES = (WIDTH, HEIGHT, IMAGE)


def size_of(row: Row, instead: str = "") -> tuple[float, float]:
    """Width and height of a row's image in pixels: the columns', or those of the image itself.

    `instead`: what else the error advises.

    Raises:
        SourceError: neither is there.
    """
    width, height = row.get(WIDTH), row.get(HEIGHT)
    if width and height:
        return width, height
    if row.get(IMAGE) is None:
        raise SourceError(
            f"the size of an image is not known: its row has neither {WIDTH} and {HEIGHT} nor {IMAGE}. "
            f"Convert the data with the images{instead}."
        )
    return row_size(row)


def scale_of(row: Row, units: str) -> tuple[float, float]:
    """Width and height of a row's image in `units`: ratio, pixels, degrees.

    Raises:
        SourceError: the size or the pixels per degree are not known.
    """
    if units == "ratio":
        return 1.0, 1.0
    width, height = size_of(row, ", or take lengths in ratios (--units ratio)")
    if units == "pixels":
        return width, height
    per_degree = (row.get(ATTENTION_SOURCE) or {}).get("pixels_per_degree")
    if not per_degree:
        raise SourceError(
            f"--units degrees: the row has no pixels_per_degree in {ATTENTION_SOURCE}. Take --units pixels."
        )
    return width / per_degree, height / per_degree


class ClassBoxes:
    """The boxes [n, 4] of a row's class in ratios, or None for a row without. Counts what it skips."""

    def __init__(self, reader: BoxReader):
        self._reader = reader
        self._sizes = ImageSizes()

    def __call__(self, row: Row) -> np.ndarray | None:
        """All boxes without categories in a row without a class. Raises SourceError for invalid boxes."""
        size = partial(self._size, row)
        if self._reader.label is None or row[self._reader.label] is not None:
            found = self._reader.by_label(row, size)
            return next(iter(found.values())).ratios() if found else None
        boxes, categories = self._reader.read(row, size)
        if categories is None and boxes.bbox:
            return boxes.ratios()
        self._reader.left_out[OTHER_CLASSES if boxes.bbox else NO_BOXES] += 1
        return None

    def _size(self, row: Row) -> tuple[float, float]:
        """That of the image, if there is one: columns say on what the boxes were measured."""
        return size_of(row) if row.get(IMAGE) is None else self._sizes(row)

    def note(self) -> str:
        """The skipped boxes and images in words; "" if there are none."""
        return self._reader.note()


def boxes_of(traced: TraceRows, boxes: Path | None) -> ClassBoxes | None:
    """What gives the boxes of a row's class; None without boxes.

    Args:
        traced: the rows.
        boxes: a CSV or a folder of XML files; None: the column `objects`, if there is one.

    Raises:
        SourceError: unreadable boxes, or all are of images of another orientation.
    """
    rows = traced.rows
    if boxes is None and OBJECTS not in rows.column_names:
        return None
    single = LABEL in rows.column_names and not is_list(rows.features[LABEL])
    reader = box_reader(LABEL if single else None, rows, boxes, traced.id_column)
    if boxes is None and isinstance(rows.features.get(IMAGE), datasets.Image):
        require_upright(rows)
    return ClassBoxes(reader)
