"""Row -> image, labels and byproducts, all of them checked."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, NamedTuple, TypeVar

import datasets
import numpy as np
import torch
from PIL import Image

from luab_attention.area_columns import check_areas
from luab_attention.area_maps import Area
from luab_attention.areas import areas_of
from luab_attention.boxes.rows import RowBoxes
from luab_attention.targets import ROW_LABEL, Byproduct, byproducts_of
from luab_data.constants import IMAGE_ID, OTHER_CLASS
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list, with_feature
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_vision.images import OpenedImage, open_image

Row = Mapping[str, Any]
T = TypeVar("T")


class OpenedRow(NamedTuple):
    """A row, with its image not decoded yet.

    Attributes:
        image: The image, whose size is known.
        labels: int, or with several labels per image [K] float32 of 0 and 1.
        byproducts: In image ratios, each with its class; only classes that the row has. Of gaze, boxes, masks
            and heat maps they are areas.
    """

    image: OpenedImage
    labels: int | torch.Tensor
    byproducts: Sequence[Byproduct | Area]


class RowReader:
    """Reads the rows of a dataset.

    Args:
        byproduct: The byproduct to read. None: none, and its columns are not needed.
        columns: Names of the row's columns.
        num_labels: K. Required with several labels per image, otherwise only checked.
        several_labels: Whether each image must have a list of labels.
        rows_name: What to call the rows in errors, such as "evaluation".
        sigma: Of the Gaussian around a fixation, in ratios of the image's width. None: see
            `luab_attention.blur.fixation_sigma`.
    """

    def __init__(
        self,
        byproduct: ByproductKind | None,
        columns: Columns,
        num_labels: int | None = None,
        several_labels: bool = False,
        rows_name: str = "",
        sigma: float | None = None,
    ):
        self.byproduct = byproduct
        self.columns = columns
        self.num_labels = num_labels
        self.several_labels = several_labels
        self.rows_name = rows_name
        self.sigma = sigma
        self.boxes = RowBoxes(columns.label)
        self.gaze_in_ratios = False  # known by all samples, not by those of a row
        self.needed = [columns.image, columns.label, *columns.of_byproduct(byproduct)]

    def open(self, row: Row) -> OpenedRow:
        """Reads the labels, the byproducts and the image's header.

        Raises:
            ValueError: an unreadable image, a missing label, a point that is not in ratios.
        """
        image = self._read(open_image, row[self.columns.image])
        labels = self._labels(row[self.columns.label])
        if self.byproduct in AREA_KINDS:
            return OpenedRow(image, labels, self._areas(row, labels, (image.width, image.height)))
        return OpenedRow(image, labels, self._byproducts(row, labels))

    def pixels(self, image: OpenedImage) -> np.ndarray:
        """Decodes an opened image to uint8 `[H, W, 3]`, or raises ValueError."""
        return self._read(image.pixels)

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise ValueError when a needed column is not among the dataset's."""
        missing = [name for name in self.needed if name not in names]
        if missing:
            raise ValueError(
                f"The dataset has no column {', '.join(map(repr, missing))}; it has "
                f"{', '.join(sorted(names))}. Say which columns hold the image, the label, the point and the "
                "annotations: `Columns`, or run.py's --image_column, --label_column, --point_column and "
                "--annotations_column."
            )

    def prepare(self, rows: datasets.Dataset | datasets.IterableDataset) -> Any:
        """Only the needed columns, with images as bytes: unused columns cost nothing."""
        if rows.column_names is not None:
            self.check_columns(rows.column_names)
            with_sizes = self.columns.with_byproduct(self.byproduct, rows.column_names)
            self.needed = list(dict.fromkeys([*self.needed, *with_sizes]))
            names = [*self.needed, *([IMAGE_ID] if IMAGE_ID in rows.column_names else [])]
            rows = rows.select_columns(list(dict.fromkeys(names)))
        if self.byproduct == "boxes" and rows.features is not None:
            self.boxes = boxes_of(rows, self.columns)
        elif self.byproduct == "scanpath" and isinstance(rows, datasets.Dataset):
            check_areas(rows, "scanpath", self.columns)
            self.gaze_in_ratios = True
        elif rows.features is not None and self.byproduct in ("masks", "heatmap"):
            for column in self.columns.of_byproduct(self.byproduct):
                feature = not_decoded(rows.features[column])
                if isinstance(rows, datasets.Dataset):
                    rows = with_feature(rows, column, feature)
                else:
                    rows = rows.cast_column(column, feature)
        if rows.features is not None and isinstance(rows.features[self.columns.image], datasets.Image):
            rows = rows.cast_column(self.columns.image, datasets.Image(decode=False))
        return rows.with_format(None)

    @contextmanager
    def named(self, row: Row, position: int) -> Generator[None, None, None]:
        """Puts the rows' name, and the row's number and id, into a ValueError."""
        try:
            yield
        except ValueError as error:
            start = f"{self.rows_name} row {position}".strip()
            image_id = f" ({IMAGE_ID} {row[IMAGE_ID]})" if IMAGE_ID in row else ""
            raise ValueError(f"{start[0].upper()}{start[1:]}{image_id}: {error}") from error

    def _read(self, read: Callable[..., T], *arguments: Any) -> T:
        try:
            return read(*arguments)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"cannot read the image in column {self.columns.image!r}: {error}. "
                "Repair the row or filter it out."
            ) from error

    def _labels(self, value: Any) -> int | torch.Tensor:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._several(value)
        if self.several_labels:
            raise ValueError(
                f"label_policy='authors' is for several labels an image, but column {self.columns.label!r} "
                "has one; take 'keep'"
            )
        return self._checked(value)

    def _several(self, value: Sequence[Any]) -> torch.Tensor:
        """A list of class numbers, or a multi-hot list of floats or bools -> [K] of 0 and 1."""
        if self.num_labels is None:
            raise ValueError(f"column {self.columns.label!r} has several labels; say how many (num_labels)")
        if len(value) == self.num_labels > 2 and all(label in (0, 1) for label in value):
            if all(isinstance(label, bool | float) for label in value):
                return torch.tensor(value, dtype=torch.float32)
            raise ValueError(
                f"column {self.columns.label!r} looks like multi-hot, a 0 or 1 for each class; give the "
                "numbers of the classes, or floats"
            )
        labels = torch.zeros(self.num_labels)
        labels[[self._checked(label) for label in value]] = 1
        return labels

    def _byproducts(self, row: Row, labels: int | torch.Tensor) -> list[Byproduct]:
        """The row's byproducts with their classes, in image ratios; only classes that the row has."""
        if self.byproduct is None:
            return []
        if isinstance(labels, int):
            byproducts = self._known(row)
            named = [b for b in byproducts if b.label != ROW_LABEL and self._checked(b.label) == labels]
            # What names no class counts unless something names the row's, as with gaze and masks.
            return named or [b._replace(label=labels) for b in byproducts if b.label == ROW_LABEL]
        if self.byproduct != "click":
            raise ValueError(
                f"byproduct={self.byproduct!r} does not say which of the image's labels a trace belongs to; "
                "take byproduct='click', or 'scanpath' where each path has its label"
            )
        byproducts = self._known(row)
        if any(byproduct.label == ROW_LABEL for byproduct in byproducts):
            raise ValueError(
                f"column {self.columns.point!r} has a point without a class, but the image several labels; "
                "give points as a list of {'label': int, 'x': float, 'y': float}"
            )
        return [byproduct for byproduct in byproducts if labels[self._checked(byproduct.label)]]

    def _known(self, row: Row) -> list[Byproduct]:
        """The row's byproducts, without those of a class that the rows do not have."""
        assert self.byproduct is not None
        return [b for b in byproducts_of(row, self.byproduct, self.columns) if b.label != OTHER_CLASS]

    def _areas(self, row: Row, labels: int | torch.Tensor, size: tuple[int, int]) -> list[Area]:
        """The row's areas with their classes, in image ratios; only classes that the row has."""
        assert self.byproduct in AREA_KINDS
        classes = [labels] if isinstance(labels, int) else labels.nonzero().flatten().tolist()
        areas = areas_of(
            row, self.byproduct, self.columns, classes, size, self.boxes, self.sigma, self.gaze_in_ratios
        )
        return [area._replace(label=classes[0]) if area.label == ROW_LABEL else area for area in areas]

    def _checked(self, label: Any) -> int:
        if not isinstance(label, Integral) or isinstance(label, bool):
            raise ValueError(
                f"the label in column {self.columns.label!r} is {label!r}, not a class number; encode names "
                "with `dataset.class_encode_column`, filter out rows without a label"
            )
        number = int(label)
        if number < 0 or (self.num_labels is not None and number >= self.num_labels):
            allowed = "0 or more" if self.num_labels is None else f"0 to {self.num_labels - 1}"
            raise ValueError(f"a label is {label}, allowed is {allowed}")
        return number


def boxes_of(rows: datasets.Dataset | datasets.IterableDataset, columns: Columns) -> RowBoxes:
    """Reads the boxes of a dataset's rows.

    Raises:
        SourceError: the column holds no boxes, or a stream's boxes are of classes by name.
    """
    try:
        known: Any = rows
        return RowBoxes(columns.label, known)
    except TypeError as error:  # a stream has no rows by number, to read all names from
        raise SourceError(
            f"column {columns.objects!r} names the classes of its boxes, which needs all rows: leave "
            "--streaming out, or give them as a ClassLabel."
        ) from error


def not_decoded(feature: Any) -> Any:
    """The feature of a column of images, alone or with other fields in lists: they stay files."""
    if isinstance(feature, dict):
        return {name: not_decoded(part) for name, part in feature.items()}
    if is_list(feature):
        length = {"length": feature.length} if isinstance(feature, datasets.List) else {}
        return type(feature)(not_decoded(feature.feature), **length)
    return datasets.Image(decode=False) if isinstance(feature, datasets.Image) else feature
