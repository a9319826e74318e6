"""Images of the user's with the boxes of their classes -> image sets that ask where a model looks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import datasets

from luab_data.constants import IMAGE, IMAGE_ID
from luab_trainer.evaluation.benchmark import ImageSet, Item, RowImage
from luab_trainer.evaluation.box_sources import load_boxes
from luab_trainer.evaluation.boxes import HEIGHT, WIDTH, ImageBoxes
from luab_trainer.evaluation.class_maps import wnids
from luab_trainer.evaluation.folders import existing
from luab_trainer.evaluation.row_boxes import RowBoxes, row_size
from luab_trainer.inputs import find_columns, is_multi_label, load_splits, pick_split
from luab_trainer.same_classes import class_feature


class BoxFolder:
    """`IMAGES:BOXES`: images, flat or in class folders, and a CSV of boxes or a folder of official XML files.

    The separator is the system's for lists of paths (`;` on Windows).
    """

    expected = f"NAME=IMAGES{os.pathsep}BOXES"

    def __init__(self, own_name: str, images: str, boxes: str):
        self.own_name = own_name
        self.left_out = ""
        self.images, self.boxes = Path(images).expanduser(), Path(boxes).expanduser()

    def find(self, root: Path) -> Path | None:
        return existing(self.images, root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        places = {"folder of images": self.images, "CSV or folder of XML files": self.boxes}
        absent = [f"{what} {path}" for what, path in places.items() if existing(path, root) is None]
        if not absent:
            return None
        return f"expected {self.expected}\n  found no {', and no '.join(absent)}, nor below {root}"

    def image_set(self, root: Path) -> ImageSet:
        images, boxes = existing(self.images, root), existing(self.boxes, root)
        rows = load_boxes(images, boxes)
        # As for ImageNet itself: XML boxes are of the files' own orientation.
        found, self.left_out = set_of_rows(self.own_name, rows, upright=not boxes.is_dir())
        return found


class BoxDataset:
    """`DATASET@SPLIT` or `DATASET@CONFIG/SPLIT`: a dataset's folder or id, with a column `objects`."""

    expected = "NAME=DATASET@SPLIT"

    def __init__(self, own_name: str, dataset: str, split: str):
        self.own_name, self.dataset, self.left_out = own_name, dataset, ""
        config, _, self.split = split.rpartition("/")
        self.config = config or None

    def find(self, root: Path) -> Path | None:
        return existing(Path(self.dataset).expanduser(), root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        return None  # what there is, is seen when it is loaded

    def image_set(self, root: Path) -> ImageSet:
        found = self.find(root)
        splits = load_splits(self.dataset if found is None else str(found), self.config)
        rows = pick_split(splits, self.split, self.dataset, "split")
        found, self.left_out = set_of_rows(self.own_name, rows)
        return found


def set_of_rows(name: str, rows: datasets.Dataset, upright: bool = True) -> tuple[ImageSet, str]:
    """Rows with an image, a label (or several) and boxes -> an item for each image and class of it that has
    boxes; and what was left out, in words.

    The boxes are read by `RowBoxes`.

    Raises:
        ValueError: no such columns, labels that are no class numbers with names, an image whose size cannot
            be read, or no boxes at all.
    """
    columns = find_columns(rows, IMAGE, None, None, None)
    several = is_multi_label(rows, columns)
    feature = class_feature(rows.features[columns.label])
    if not isinstance(feature, datasets.ClassLabel):
        raise ValueError(f"{name}: labels are {feature}; class numbers with names (ClassLabel) are needed")
    boxes_of = RowBoxes(columns.label, rows)
    rows = rows.cast_column(IMAGE, datasets.Image(decode=False))
    items: list[Item] = []
    boxes: list[ImageBoxes] = []
    read = rows.remove_columns(IMAGE) if {WIDTH, HEIGHT} <= set(rows.column_names) else rows
    for number, (row, file) in enumerate(zip(read, _files(rows), strict=True)):
        image_id = str(row.get(IMAGE_ID, number))
        try:
            found = boxes_of.by_label(row, partial(row_size, row))
        except ValueError as error:
            raise ValueError(f"{name}, row {number} ({image_id}): {error}") from error
        for label, of_label in found.items():
            own_id = f"{image_id}/{feature.names[label]}" if several else image_id
            items.append(Item(own_id, file or RowImage(rows, number), label))
            boxes.append(of_label)
    if not items:
        raise ValueError(f"{name}: none of the {len(rows):,} rows has a box of its class; {boxes_of.note()}")
    classes = None if tuple(feature.names) == wnids() else tuple(feature.names)
    images = ImageSet(f"boxes-{name}", items, classes, keep_logits=False, upright=upright, boxes=boxes)
    return images, boxes_of.note()


def _files(rows: datasets.Dataset) -> Iterator[Path | None]:
    """Of each row its image's file; None where the row holds the bytes, or refers to another machine."""
    for batch in rows.select_columns(IMAGE).with_format("arrow").iter(1000):
        images = batch[IMAGE].combine_chunks()
        paths, held = images.field("path").to_pylist(), images.field("bytes").is_valid().to_pylist()
        for path, within in zip(paths, held, strict=True):
            file = Path(path) if path and not within else None
            yield file if file is not None and file.is_file() else None
