"""The user's images with boxes of their classes -> image sets for localization."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import datasets

from luab_attention.boxes.boxes import ImageBoxes
from luab_attention.boxes.formats import BoxFormat, box_format, load_boxes, without_partner
from luab_attention.boxes.rows import RowBoxes, row_size
from luab_attention.reading import Reading, label_name
from luab_data.constants import IMAGE, IMAGE_ID
from luab_data.rows.classes import is_multi_label
from luab_data.rows.columns import Columns
from luab_eval.benchmark import ImageSet, Item
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.folders import existing
from luab_eval.image_sets.own_datasets import DatasetPlace, OwnDataset, label_names, row_images
from luab_vision.geometry import MEASURE_STORED


class BoxFolder:
    """`IMAGES:BOXES`: images, flat or in class folders, and a CSV of boxes or a folder of official XML files.

    The separator is the system's for lists of paths (`;` on Windows).
    """

    expected = f"NAME=IMAGES{os.pathsep}BOXES"

    def __init__(self, own_name: str, images: str | Path, boxes: str | Path):
        self.own_name = own_name
        self.left_out = ""
        self.argument = f"{own_name}={images}{os.pathsep}{boxes}"  # of a benchmark
        self.images, self.boxes = Path(images).expanduser(), Path(boxes).expanduser()

    def find(self, root: Path) -> Path | None:
        """The folder of images, as given or below `root`, or None."""
        return existing(self.images, root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """A message on what is missing, or None."""
        places = {"folder of images": self.images, "CSV or folder of XML files": self.boxes}
        absent = [f"{what} {path}" for what, path in places.items() if existing(path, root) is None]
        if not absent:
            return None
        return f"expected {self.expected}\n  found no {', and no '.join(absent)}, nor below {root}"

    def image_set(self, root: Path) -> ImageSet:
        """The images with their boxes."""
        images, boxes = existing(self.images, root), existing(self.boxes, root)
        if images is None or boxes is None:
            raise ValueError(self.missing(root))
        rows = load_boxes(images, boxes)
        # As for ImageNet: XML boxes refer to the stored orientation.
        upright = box_format(boxes) is not BoxFormat.ILSVRC
        found, left_out = set_of_rows(self.own_name, rows, upright=upright)
        self.left_out = ", ".join(filter(None, (left_out, without_partner(images, boxes, rows))))
        return found


class BoxDataset(OwnDataset):
    """A dataset with a column `objects`."""

    def image_set(self, root: Path) -> ImageSet:
        """The images with their boxes."""
        rows, columns, numbers, without = self.read(root)
        found, left_out = set_of_rows(self.own_name, rows, columns, numbers=numbers)
        self.left_out = ", ".join(filter(None, (left_out, without)))
        return found


@lru_cache(maxsize=1)
def box_dataset(own_name: str, place: str | DatasetPlace) -> BoxDataset:
    """`BoxDataset`, the same one for all metrics of one argument: it is read, and its notes said, once."""
    return BoxDataset(own_name, place)


def set_of_rows(
    name: str,
    rows: datasets.Dataset,
    columns: Columns | None = None,
    upright: bool = True,
    numbers: Sequence[int] | None = None,
) -> tuple[ImageSet, str]:
    """Makes an item for each image and each class of it that has boxes.

    The boxes are read by `RowBoxes`.

    Args:
        name: Name of the image set.
        rows: Rows with an image, one or several labels, and boxes.
        columns: Names of the columns.
        upright: Whether the boxes refer to images with EXIF orientation applied. Boxes of an image that is
            portrait where they say landscape, or the reverse, are skipped.
        numbers: What errors call each row. Default: its position.

    Returns:
        The image set, and a message on what was skipped.

    Raises:
        ValueError: missing columns, an image with unreadable size, or no boxes.
    """
    columns = columns or Columns(IMAGE, label_name(rows, Reading()))
    several = is_multi_label(rows, columns)
    names = label_names(rows, columns)
    boxes_of = RowBoxes(columns.label, rows)
    if not upright:
        boxes_of.fix = MEASURE_STORED
    rows = rows.cast_column(columns.image, datasets.Image(decode=False))
    items: list[Item] = []
    boxes: list[ImageBoxes] = []
    numbers = range(len(rows)) if numbers is None else numbers
    ids = _ids(rows, numbers)
    images_of = row_images(rows, columns.image)
    for number, image_id, row, image in zip(numbers, ids, rows, images_of, strict=True):
        try:
            found = boxes_of.by_label(row, partial(row_size, row, columns.image, upright))
        except ValueError as error:
            raise ValueError(f"{name}, row {number} ({image_id}): {error}") from error
        for label, of_label in found.items():
            own_id = f"{image_id}/{names[label]}" if several else image_id
            items.append(Item(own_id, image, label))
            boxes.append(of_label)
    if not items:
        raise ValueError(f"{name}: none of the {len(rows):,} rows has a box of its class; {boxes_of.note()}")
    classes = None if names == wnids() else names
    images = ImageSet(f"boxes-{name}", items, classes, keep_logits=False, upright=upright, boxes=boxes)
    return images, boxes_of.note()


def _ids(rows: datasets.Dataset, numbers: Sequence[int]) -> list[str]:
    """A name for each row: its id, with its number in front if a row has none, or two have the same."""
    if IMAGE_ID not in rows.column_names:
        return [str(number) for number in numbers]
    ids = rows[IMAGE_ID][:]
    if None not in ids and len(set(ids)) == len(ids):
        return [str(one) for one in ids]
    return [f"{number} {one}" for number, one in zip(numbers, ids, strict=True)]
