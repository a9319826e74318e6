"""The user's datasets, loaded as in `run.py`: the rows that an argument names, and top-1 accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast, get_args
from urllib.parse import parse_qsl, urlencode

import datasets
import numpy as np

from luab_attention.facts import has_label
from luab_attention.reading import Reading, label_name, read_rows
from luab_data.constants import IMAGE, IMAGE_ID
from luab_data.errors import SourceError
from luab_data.rows.classes import class_names, is_multi_label
from luab_data.rows.columns import Columns
from luab_data.rows.labels import LabelFormat, say_notes
from luab_data.rows.same_classes import class_feature
from luab_data.rows.splits import find_part, load_splits, part_of, root_of, rows_at
from luab_eval.benchmark import ImageSet, Item, RowImage
from luab_eval.image_sets.class_maps import wnids
from luab_eval.image_sets.folders import Top1, existing, own_name

EXPECTED = "NAME=DATASET@SPLIT"
OPTIONS = ("image", "label", "label_format")


class OwnRows(NamedTuple):
    """Rows with a class, as read by `luab_attention.reading`; images are not decoded.

    Attributes:
        columns: names of their columns.
        numbers: position of each row among all rows.
        left_out: message on the skipped rows.
    """

    rows: datasets.Dataset
    columns: Columns
    numbers: list[int]
    left_out: str


class DatasetPlace(NamedTuple):
    """Where a dataset's rows are, and how to read them.

    Attributes:
        dataset: a folder or a Hub id.
        split: its name, or a part of it: `train[80%:]`.
        config: the dataset's configuration.
        options: names and values.
    """

    dataset: str
    split: str
    config: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, text: str) -> DatasetPlace:
        """`DATASET@SPLIT` or `DATASET@CONFIG/SPLIT`, each with `?NAME=VALUE&NAME=VALUE` or not.

        Commands have the parts: no text could tell them apart in all paths.

        Raises:
            ValueError: another form.
        """
        place, _, options = text.rpartition("?")
        if "@" not in place:  # no options: the ? is in a path
            place, options = text, ""
        dataset, _, rest = place.rpartition("@")
        config, _, split = rest.rpartition("/")
        if not (dataset and split):
            raise ValueError(wrong_form(text))
        return cls(dataset, split, config or None, tuple(parse_qsl(options, keep_blank_values=True)))

    def __str__(self) -> str:
        split = f"{self.config}/{self.split}" if self.config else self.split
        return f"{self.dataset}@{split}{f'?{urlencode(self.options)}' if self.options else ''}"


def wrong_form(text: str) -> str:
    """The message on an argument of another form."""
    return f"expected {EXPECTED}, or {EXPECTED}?image=COLUMN&label=COLUMN; got {text!r}"


class OwnDataset:
    """A dataset to evaluate on.

    The options `image` and `label` name other columns; `label_format=indices` or `multi_hot` is for ambiguous
    lists.

    Args:
        own_name: name in tables.
        place: where its rows are; a text is read by `DatasetPlace.read`.

    Raises:
        ValueError: another form.
    """

    def __init__(self, own_name: str, place: str | DatasetPlace):
        self.own_name = own_name
        self.place = place = DatasetPlace.read(place) if isinstance(place, str) else place
        self.dataset, self.split, self.config, _ = place
        columns = dict(place.options)
        layout = columns.get("label_format", "auto")
        if not set(columns) <= set(OPTIONS) or layout not in get_args(LabelFormat):
            raise ValueError(wrong_form(str(place)))
        self.reading = Reading(
            columns.get("image", IMAGE), columns.get("label"), label_format=cast(LabelFormat, layout)
        )
        self.left_out = ""
        self._read: dict[Path, OwnRows] = {}

    @property
    def argument(self) -> str:
        """As the argument of a benchmark."""
        return f"{self.own_name}={self.place}"

    def find(self, root: Path) -> Path | None:
        """DATASET as a folder, as given or below `root`."""
        return existing(Path(self.dataset).expanduser(), root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """Loads the dataset; returns a message on its problem, or None."""
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
            source = self.dataset if found is None else str(found)
            splits = load_splits(source, self.config)
            try:
                self._read[root] = self._rows(splits, source)
            except SourceError as error:
                raise SourceError(_in_an_argument(str(error))) from error
        return self._read[root]

    def _rows(self, splits: datasets.DatasetDict, source: str) -> OwnRows:
        part = find_part(splits, self.split, self.dataset, "split")
        rows = part_of(splits[part.split], part)
        kept = has_label(rows, label_name(rows, self.reading))
        without = int((~kept).sum())
        left_out = f"{without:,} row{'s' * (without > 1)} without a class" if without else ""
        numbers = np.flatnonzero(kept)
        read = read_rows(rows_at(rows, numbers) if without else rows, self.reading, None, root_of(source))
        say_notes(read.notes)
        rows = read.rows.cast_column(read.columns.image, datasets.Image(decode=False))
        return OwnRows(rows, read.columns, numbers.tolist(), left_out)

    def image_set(self, root: Path) -> ImageSet:
        """All images that have a class."""
        rows, columns, numbers, self.left_out = self.read(root)
        if is_multi_label(rows, columns):
            raise SourceError(
                f"column {columns.label!r} of {self.dataset} has several classes an image, and top-1 "
                "accuracy needs one. run.py evaluates such sets (mAP)."
            )
        names = label_names(rows, columns)
        labels = rows[columns.label][:]
        ids = rows[IMAGE_ID][:] if IMAGE_ID in rows.column_names else None
        images = row_images(rows.select_columns(columns.image), columns.image)
        items = [
            # An id may occur twice: the row number makes it unique.
            Item(f"{number}" if ids is None else f"{number} {ids[at]}", image, label)
            for at, (number, label, image) in enumerate(zip(numbers, labels, images, strict=True))
        ]
        classes = None if names == wnids() else names
        return ImageSet(f"dataset-{self.own_name}", items, classes, upright=True)


def label_names(rows: datasets.Dataset, columns: Columns) -> tuple[str, ...]:
    """The names of the classes by number: the ClassLabel's, or the numbers themselves."""
    feature = class_feature(rows.features[columns.label])
    return tuple(feature.names if isinstance(feature, datasets.ClassLabel) else class_names(rows, columns))


def _in_an_argument(message: str) -> str:
    """A message of `run.py`, with its options replaced by the syntax of the argument."""
    for option, here in (
        ("--split", "Name one behind the @"),
        ("--image_column", "Name it behind the split: ?image=COLUMN"),
        ("--label_column", "Name it behind the split: ?label=COLUMN"),
    ):
        message = message.replace(f"Set {option}", here)
    return message.replace("--label_format ", "?label_format=")


def row_images(rows: datasets.Dataset, column: str) -> Iterator[Path | RowImage]:
    """The image file of each row; `RowImage` if the row has the bytes, or a path from elsewhere."""
    number = 0
    for batch in rows.select_columns(column).with_format("arrow").iter(1000):
        images = batch[column].combine_chunks()
        paths, held = images.field("path").to_pylist(), images.field("bytes").is_valid().to_pylist()
        for path, within in zip(paths, held, strict=True):
            file = Path(path) if path and not within else None
            yield file if file is not None and file.is_file() else RowImage(rows, number, column)
            number += 1


class DatasetAccuracy(Top1):
    """Top-1 accuracy on any dataset that `run.py` accepts; its class names are the model's labels."""

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
        """The dataset's name in tables."""
        return self.own.own_name

    @property
    def key(self) -> str:
        """The dataset's name in results."""
        return self.own.own_name

    def find(self, root: Path) -> Path | None:
        """The dataset's folder, or None."""
        return self.own.find(root)

    def missing(self, root: Path, partial: bool = False) -> str | None:
        """A message on what is missing, or None."""
        return self.own.missing(root, partial)

    def problem(self, folder: Path, partial: bool) -> str | None:
        """None: `missing` reports problems."""
        return None  # `missing` reports problems

    def image_sets(self, root: Path) -> Iterator[ImageSet]:
        """The one image set of the dataset."""
        images = self.own.image_set(root)
        self.left_out = self.own.left_out
        yield images
