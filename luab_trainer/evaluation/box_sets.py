"""Images of the user's with the boxes of their classes -> image sets that ask where a model looks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets

from luab_data.constants import IMAGE, IMAGE_ID, OBJECTS
from luab_trainer.evaluation.benchmark import ImageSet, Item, RowImage
from luab_trainer.evaluation.boxes import HEIGHT, WIDTH, ImageBoxes, load_boxes
from luab_trainer.evaluation.class_maps import wnids
from luab_trainer.evaluation.folders import existing
from luab_trainer.evaluation.ilsvrc_boxes import load_ilsvrc_boxes
from luab_trainer.evaluation.row_boxes import row_size
from luab_trainer.inputs import find_columns, is_multi_label, load_splits, pick_split


class BoxFolder:
    """`IMAGES:BOXES`: images, flat or in class folders, and a CSV of boxes or a folder of official XML files.

    The separator is the system's for lists of paths (`;` on Windows).
    """

    expected = f"NAME=IMAGES{os.pathsep}BOXES"

    def __init__(self, own_name: str, images: str, boxes: str):
        self.own_name = own_name
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
        if boxes.is_dir():  # as for ImageNet itself: the boxes are of the files' own orientation
            return set_of_rows(self.own_name, load_ilsvrc_boxes(images, boxes), upright=False)
        return set_of_rows(self.own_name, load_boxes(images, boxes))


class BoxDataset:
    """`DATASET@SPLIT` or `DATASET@CONFIG/SPLIT`: a dataset's folder or id, with a column `objects`."""

    expected = "NAME=DATASET@SPLIT"

    def __init__(self, own_name: str, dataset: str, split: str):
        self.own_name, self.dataset = own_name, dataset
        config, _, self.split = split.rpartition("/")
        self.config = config or None

    def find(self, root: Path) -> Path | None:
        return existing(Path(self.dataset).expanduser(), root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        return None  # what there is, is seen when it is loaded

    def image_set(self, root: Path) -> ImageSet:
        found = self.find(root)
        splits = load_splits(self.dataset if found is None else str(found), self.config)
        return set_of_rows(self.own_name, pick_split(splits, self.split, self.dataset, "split"))


def set_of_rows(name: str, rows: datasets.Dataset, upright: bool = True) -> ImageSet:
    """Rows with an image, a label (or several) and `objects` {"bbox": [[x, y, w, h]] pixels, "category":
    [int]} -> an item for each image and class of it that has boxes.

    Of a row with one label all boxes count, of several those of each label's category. The pixels are those
    of an image of `width` x `height`, or without these columns of the row's own.

    Raises:
        ValueError: no such columns, labels that are no class numbers with names, an image whose size cannot
            be read, or no boxes at all.
    """
    columns = find_columns(rows, IMAGE, None, None, None)
    if OBJECTS not in rows.column_names:
        found = ", ".join(rows.column_names)
        raise ValueError(f"{name} has no column {OBJECTS!r}, which holds the boxes; it has {found}")
    several = is_multi_label(rows, columns)
    feature = rows.features[columns.label].feature if several else rows.features[columns.label]
    if not isinstance(feature, datasets.ClassLabel):
        raise ValueError(f"{name}: labels are {feature}; class numbers with names (ClassLabel) are needed")
    rows = rows.cast_column(IMAGE, datasets.Image(decode=False))
    sized = {WIDTH, HEIGHT} <= set(rows.column_names)
    items: list[Item] = []
    boxes: list[ImageBoxes] = []
    read = rows.remove_columns(IMAGE) if sized else rows
    for number, (row, file) in enumerate(zip(read, _files(rows), strict=True)):
        image_id = str(row.get(IMAGE_ID, number))
        found = _boxes_by_label(row, columns.label)
        if found:
            try:
                width, height = row_size(row)
            except OSError as error:
                where = f"{name}, row {number} ({image_id})"
                raise ValueError(f"{where}: cannot read the image: {error}") from error
        for label, bbox in found.items():
            own_id = f"{image_id}/{feature.names[label]}" if several else image_id
            items.append(Item(own_id, file or RowImage(rows, number), label))
            boxes.append(ImageBoxes(bbox, width, height))
    if not items:
        raise ValueError(f"{name}: none of the {len(rows):,} rows has a box of its class")
    classes = None if tuple(feature.names) == wnids() else tuple(feature.names)
    return ImageSet(f"boxes-{name}", items, classes, keep_logits=False, upright=upright, boxes=boxes)


def _boxes_by_label(row: Mapping[str, Any], column: str) -> dict[int, list[list[float]]]:
    """Label -> its boxes, for the row's labels that have some; a label below 0 means that there is none."""
    labels, objects = row[column], row[OBJECTS]
    if isinstance(labels, int):
        found = {labels: list(objects["bbox"])}
    else:
        pairs = list(zip(objects["bbox"], objects["category"], strict=True))
        found = {label: [box for box, category in pairs if category == label] for label in labels}
    return {label: bbox for label, bbox in found.items() if bbox and label >= 0}


def _files(rows: datasets.Dataset) -> Iterator[Path | None]:
    """Of each row its image's file; None where the row holds the bytes, or refers to another machine."""
    for batch in rows.select_columns(IMAGE).with_format("arrow").iter(1000):
        images = batch[IMAGE].combine_chunks()
        paths, held = images.field("path").to_pylist(), images.field("bytes").is_valid().to_pylist()
        for path, within in zip(paths, held, strict=True):
            file = Path(path) if path and not within else None
            yield file if file is not None and file.is_file() else None
