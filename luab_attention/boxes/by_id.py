"""The boxes of a dataset's rows from box files, looked up by the rows' ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np

from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.csv_boxes import read_boxes
from luab_attention.boxes.ilsvrc import BoxFile, find_xml, read_box_file, xml_files
from luab_attention.boxes.rows import BoxReader, Row, Size
from luab_data import constants
from luab_data.console.names import few
from luab_data.constants import NO_LABEL
from luab_data.errors import SourceError
from luab_data.rows.class_names import match
from luab_data.rows.same_classes import class_feature, class_names_of

NOTHING = ImageBoxes([], 1, 1)


class BoxFiles(BoxReader):
    """Boxes from a CSV (see `csv_boxes`) or a folder of ImageNet's XML files (see `ilsvrc_boxes`).

    A row is looked up by its id, `<class>/<name>`; in XML files by `<name>` alone if it is unique.

    Args:
        label: see `BoxReader`.
        rows: the dataset that the rows come from.
        source: CSV or folder.
        image_id: column of the ids.

    Raises:
        SourceError: no ids, rows with several classes, unreadable files.
    """

    def __init__(
        self, label: str | None, rows: datasets.Dataset, source: Path, image_id: str = constants.IMAGE_ID
    ):
        super().__init__(label)
        if image_id not in rows.column_names:
            raise SourceError(
                f"boxes are found in {source} by the rows' ids, <class>/<name>, but there is no column "
                f"{image_id!r}; the columns are {few(rows.column_names)}."
            )
        self._id = image_id
        feature = None if label is None else rows.features[label]
        if class_feature(feature) is not feature:
            raise SourceError(
                "rows with several classes need boxes with categories: their own column `objects`."
            )
        self._xml = source.is_dir()
        self._named = isinstance(feature, datasets.ClassLabel)
        if self._xml and label is not None and not self._named:
            raise SourceError(
                f"XML files name the class of a box, but column {label!r} has numbers without names. Cast it "
                "to datasets.ClassLabel."
            )
        self._known = class_names_of(rows, label) if self._named and label is not None else []
        self._number: dict[str, int] = {}
        self._files = xml_files(source) if self._xml else {}
        self._found: dict[str, ImageBoxes] = {} if self._xml else _by_id(source)

    def read(self, row: Row, size: Size) -> tuple[ImageBoxes, np.ndarray | None]:
        """The boxes of a row by its id, and the class number of each if the file has classes."""
        image_id = str(row[self._id])
        if not self._xml:
            return self._found.get(image_id, NOTHING), None
        file = find_xml(self._files, image_id)
        return (NOTHING, None) if file is None else self._of_xml(read_box_file(file))

    def _of_xml(self, file: BoxFile) -> tuple[ImageBoxes, np.ndarray | None]:
        boxes, good = self._usable(file.bbox(), file.width, file.height)
        if not self._named:
            return boxes, None
        for name, _ in file.objects:
            if name not in self._number:
                (found,) = match([(name,)], self._known, "class of a box", "the rows'")
                self._number[name] = NO_LABEL if found is None else found
        return boxes, np.array([self._number[name] for name, _ in file.objects], np.int64)[good]


def _by_id(source: Path) -> dict[str, Any]:
    """The boxes in a CSV, by file path without suffix."""
    found: dict[str, ImageBoxes] = {}
    files: dict[str, str] = {}
    for file, boxes in read_boxes(source).items():
        image_id = str(Path(file).with_suffix("").as_posix())
        if image_id in found:
            raise SourceError(
                f"{source} has boxes of {files[image_id]} and of {file}: which is row {image_id}?"
            )
        found[image_id], files[image_id] = boxes, file
    return found
