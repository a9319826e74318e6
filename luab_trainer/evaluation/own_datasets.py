"""Datasets of one's own, as `run.py` loads them: the rows that an argument names, and top-1 accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import datasets

from luab_data.constants import IMAGE, IMAGE_ID
from luab_data.errors import SourceError
from luab_trainer.evaluation.benchmark import Benchmark, ImageSet, Item, RowImage
from luab_trainer.evaluation.class_maps import wnids
from luab_trainer.evaluation.folders import Top1, existing, own_name
from luab_trainer.inputs import class_names, find_columns, is_multi_label
from luab_trainer.rows import load_splits, pick_split
from luab_trainer.targets import Columns

EXPECTED = "NAME=DATASET@SPLIT"
OPTIONS = ("image", "label")


class OwnRows(NamedTuple):
    """Rows and where their parts are; images are not decoded."""

    rows: datasets.Dataset
    columns: Columns


class OwnDataset:
    """`DATASET@SPLIT` or `DATASET@CONFIG/SPLIT`, with `?image=COLUMN&label=COLUMN` for other columns' names.

    Args:
        own_name: for tables.
        text: the argument. DATASET is a folder or an id on the Hub; a part of a split is `train[80%:]`.

    Raises:
        ValueError: it is not of that form.
    """

    def __init__(self, own_name: str, text: str):
        place, _, options = text.partition("?")
        self.own_name = own_name
        self.dataset, at, split = place.rpartition("@")
        config, _, self.split = split.rpartition("/")
        self.config = config or None
        columns = dict(parse_qsl(options, keep_blank_values=True))
        if not (at and self.dataset and self.split) or set(columns) - set(OPTIONS):
            raise ValueError(f"expected {EXPECTED}, or {EXPECTED}?image=COLUMN&label=COLUMN; got {text!r}")
        self.image, self.label = columns.get("image", IMAGE), columns.get("label")
        self.left_out = ""
        self._read: dict[Path, OwnRows] = {}

    def find(self, root: Path) -> Path | None:
        """DATASET as a folder, as it stands or below `root`."""
        return existing(Path(self.dataset).expanduser(), root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """What is wrong with it; it is loaded to see that."""
        try:
            self.read(root)
        except SourceError as error:
            return f"expected {EXPECTED}\n  found {error}"
        return None

    def read(self, root: Path) -> OwnRows:
        """The rows, loaded once for all models.

        Raises:
            SourceError: no such dataset, split or column.
        """
        if root not in self._read:
            found = self.find(root)
            splits = load_splits(self.dataset if found is None else str(found), self.config)
            rows = pick_split(splits, self.split, self.dataset, "split")
            columns = find_columns(rows, self.image, self.label, None, None)
            self._read[root] = OwnRows(rows.cast_column(columns.image, datasets.Image(decode=False)), columns)
        return self._read[root]

    def image_set(self, root: Path) -> ImageSet:
        """All images that have a class."""
        rows, columns = self.read(root)
        if is_multi_label(rows, columns):
            raise SourceError(
                f"column {columns.label!r} of {self.dataset} has several classes an image, and top-1 "
                "accuracy needs one. run.py evaluates such sets (mAP)."
            )
        feature = rows.features[columns.label]
        named = isinstance(feature, datasets.ClassLabel)
        names = tuple(feature.names if named else class_names(rows, columns))
        labels = rows[columns.label][:]
        ids = rows[IMAGE_ID][:] if IMAGE_ID in rows.column_names else None
        images = row_images(rows.select_columns(columns.image), columns.image)
        items = [
            # An id may stand twice: the row's number tells them apart.
            Item(f"{number}" if ids is None else f"{number} {ids[number]}", image, label)
            for number, (label, image) in enumerate(zip(labels, images, strict=True))
            if label is not None and label >= 0
        ]
        without = len(labels) - len(items)
        self.left_out = f"{without:,} row{'s' * (without > 1)} without a class" if without else ""
        classes = None if names == wnids() else names
        return ImageSet(f"dataset-{self.own_name}", items, classes, upright=True)


def row_images(rows: datasets.Dataset, column: str) -> Iterator[Path | RowImage]:
    """Of each row its image's file; `RowImage` where the row holds the bytes, or a path from elsewhere."""
    number = 0
    for batch in rows.select_columns(column).with_format("arrow").iter(1000):
        images = batch[column].combine_chunks()
        paths, held = images.field("path").to_pylist(), images.field("bytes").is_valid().to_pylist()
        for path, within in zip(paths, held, strict=True):
            file = Path(path) if path and not within else None
            yield file if file is not None and file.is_file() else RowImage(rows, number, column)
            number += 1


class DatasetAccuracy(Top1, Benchmark):
    """Top-1 accuracy on any dataset that `run.py` trains on; its classes are called as the model's labels."""

    name = "dataset"
    title = "Dataset"
    summary = "top-1 accuracy on a dataset as run.py trains on; its classes are called as the model's labels"
    paper = ""
    download = "your own dataset: --benchmarks dataset:NAME=DATASET@SPLIT"
    layout = (
        "DATASET, a folder or an id on the Hub, with a split SPLIT (or CONFIG/SPLIT, or train[80%:]) and "
        "columns image and label (or ?image=COLUMN&label=COLUMN behind it)"
    )
    folders = ()
    argument_help = EXPECTED

    def __init__(self, argument: str = "", val: str | None = None):
        super().__init__(argument, val)
        self.own = OwnDataset(*own_name(self.name, argument, self.argument_help))

    @property
    def label(self) -> str:
        return self.own.own_name

    @property
    def key(self) -> str:
        return self.own.own_name

    def find(self, root: Path) -> Path | None:
        return self.own.find(root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        return self.own.missing(root, partial)

    def problem(self, folder: Path, partial: bool) -> str | None:
        return None  # `missing` says it

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        images = self.own.image_set(root)
        self.left_out = self.own.left_out
        yield images
