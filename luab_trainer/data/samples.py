"""Rows -> samples: decode the image, take a crop, and transform the byproducts with it.

A sample is a dict. `luab_trainer.data.collator.collate` makes a batch of them:

    pixel_values    [H, W, 3] uint8, which the model normalizes
    row             int, the row's number
    labels          int, or with several labels per image [K] float32 of 0 and 1
    target_points   list of [P, 2] float32 crop ratios, x first, one entry for each target
    target_weights  list of [P] float32, sum 1, or all 0 when the target cannot be used
    target_labels   list of int, the class of each target

Without a byproduct there are no targets, here and in the batch. The byproduct terms are then neither computed
nor logged as 0.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from numbers import Integral
from typing import Any, TypeVar, get_args

import datasets
import numpy as np
import torch
from PIL import Image

from luab_attention.targets import ROW_LABEL, Byproduct, LabelPolicy, Outside, byproducts_of, target_in_view
from luab_data.constants import IMAGE_ID
from luab_data.rows.columns import ByproductKind, Columns
from luab_vision.geometry import View
from luab_vision.images import open_image
from luab_vision.transforms import EvalTransform

AT_ONCE = 16  # rows per step, and the most images that are decoded in memory at a time

Row = Mapping[str, Any]
Sample = dict[str, Any]
T = TypeVar("T")


class RowToSample:
    """Rows -> samples, one per row.

    With several labels per image, a point of a class that is not among them gives no target.

    Args:
        transform: Image -> view and crop; see `luab_vision.transforms`.
        byproduct: The byproduct that becomes the target. None: no targets, and no byproduct columns are read.
        columns: Names of the row's columns.
        outside: How to treat points outside the view; see `target_in_view`.
        num_labels: K. Required with several labels per image, otherwise only checked.
        label_policy: Which of an image's several labels a crop keeps. "keep": all. "authors": a class loses
            its label if its point is outside the view; a class without a point keeps it (the COCO loader of
            Han et al., ICCV 2023). This needs the point column, with any `byproduct`.
    """

    def __init__(
        self,
        transform: EvalTransform,
        byproduct: ByproductKind | None = None,
        columns: Columns | None = None,
        outside: Outside = "drop",
        num_labels: int | None = None,
        label_policy: LabelPolicy = "keep",
    ):
        if label_policy not in get_args(LabelPolicy):
            raise ValueError(
                f"label_policy={label_policy!r} is unknown; take one of {', '.join(get_args(LabelPolicy))}."
            )
        self.transform = transform
        self.byproduct = byproduct
        self.columns = columns or Columns()
        self.outside = outside
        self.num_labels = num_labels
        self.label_policy = label_policy
        # The byproduct that is read: for the targets, for the labels, or none.
        self._read_as = byproduct or ("click" if label_policy == "authors" else None)
        self.needed = (self.columns.image, self.columns.label, *self.columns.of_byproduct(self._read_as))

    def __call__(
        self, rows: Sequence[Row], rngs: Sequence[np.random.Generator], positions: Sequence[int]
    ) -> list[Sample]:
        """The samples of the rows. `positions`: the rows' numbers, for errors.

        Raises:
            ValueError: an unreadable image, a missing label, a point that is not in ratios. Names the row.
        """
        samples: list[Sample] = []
        for start in range(0, len(rows), AT_ONCE):
            group = slice(start, start + AT_ONCE)
            steps = [
                self._in_two_steps(*each)
                for each in zip(rows[group], rngs[group], positions[group], strict=True)
            ]
            for geometry in steps:
                next(geometry)
            samples.extend(next(pixels) for pixels in steps)
        return samples

    def _in_two_steps(
        self, row: Row, rng: np.random.Generator, position: int
    ) -> Generator[Sample, None, None]:
        """Computes the geometry, then the pixels; yields the sample after the second step.

        All rows take the first step, then all take the second. Each step's code stays in the CPU cache, so a
        batch takes a tenth less time than its rows one by one.
        """
        try:
            image = self._read(open_image, row[self.columns.image])
            view = self.transform.view(image.width, image.height, rng)
            sample = self._labels_and_targets(row, view)
            yield {}
            crop = self.transform.crop(self._read(image.pixels), view, rng)
            yield {"pixel_values": crop, "row": position, **sample}
        except ValueError as error:
            image_id = f" ({IMAGE_ID} {row[IMAGE_ID]})" if IMAGE_ID in row else ""
            raise ValueError(f"Row {position}{image_id}: {error}") from error

    def _read(self, read: Callable[..., T], *arguments: Any) -> T:
        try:
            return read(*arguments)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"cannot read the image in column {self.columns.image!r}: {error}. "
                "Repair the row or filter it out."
            ) from error

    def _labels_and_targets(self, row: Row, view: View) -> Sample:
        labels = self._labels(row[self.columns.label])
        byproducts = self._byproducts(row, labels)
        if self.label_policy == "authors" and isinstance(labels, torch.Tensor):
            labels[[b.label for b in byproducts if not target_in_view(b, view)[1].any()]] = 0
            byproducts = [byproduct for byproduct in byproducts if labels[byproduct.label]]
        if self.byproduct is None:
            return {"labels": labels}
        targets = [target_in_view(byproduct, view, self.outside) for byproduct in byproducts]
        return {
            "labels": labels,
            "target_points": [points for points, _ in targets],
            "target_weights": [weights for _, weights in targets],
            "target_labels": [byproduct.label for byproduct in byproducts],
        }

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
            names = [*self.needed, *([IMAGE_ID] if IMAGE_ID in rows.column_names else [])]
            rows = rows.select_columns(list(dict.fromkeys(names)))
        if rows.features is not None and isinstance(rows.features[self.columns.image], datasets.Image):
            rows = rows.cast_column(self.columns.image, datasets.Image(decode=False))
        return rows.with_format(None)

    def _labels(self, value: Any) -> int | torch.Tensor:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._several(value)
        if self.label_policy != "keep":
            raise ValueError(
                f"label_policy={self.label_policy!r} is for several labels an image, but column "
                f"{self.columns.label!r} has one; take 'keep'"
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
        if self._read_as is None:
            return []
        if isinstance(labels, int):
            byproducts = byproducts_of(row, self._read_as, self.columns)
            return [
                b._replace(label=labels if b.label == ROW_LABEL else self._checked(b.label))
                for b in byproducts
            ]
        if self._read_as != "click":
            raise ValueError(
                f"byproduct={self._read_as!r} does not say which of the image's labels a trace belongs to; "
                "take byproduct='click'"
            )
        byproducts = byproducts_of(row, self._read_as, self.columns)
        if any(byproduct.label == ROW_LABEL for byproduct in byproducts):
            raise ValueError(
                f"column {self.columns.point!r} has a point without a class, but the image several labels; "
                "give points as a list of {'label': int, 'x': float, 'y': float}"
            )
        return [byproduct for byproduct in byproducts if labels[self._checked(byproduct.label)]]

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
