"""Rows -> samples: decode the image, take a crop, and transform the byproducts with it.

A sample is a dict. `luab_trainer.data.collator.collate` makes a batch of them:

    pixel_values    [H, W, 3] uint8, which the model normalizes
    row             int, the row's number
    labels          int, or with several labels per image [K] float32 of 0 and 1, or with CutMix or MixUp
                    [K] float32 of shares in every row
    target_points   list of [P, 2] float32 crop ratios, x first, one entry for each target
    target_weights  list of [P] float32, sum 1, or all 0 when the target cannot be used
    target_away     if a class has such points: list of [Q, 2] float32 crop ratios, where each class is not
    target_maps     instead of points and weights, for gaze, boxes, masks and heat maps: list of [h, w]
                    float32 over the crop, peak 1, or all 0
    target_labels   list of int, the class of each target
    target_shares   with MixUp: list of float, how much each target counts in the row's terms

Without a byproduct there are no targets, here and in the batch. The byproduct terms are then neither computed
nor logged as 0.
"""

import copy
from collections.abc import Generator, Sequence
from typing import Any, get_args

import numpy as np
from torch import Tensor

from luab_attention.area_maps import GRID, Area, area_in_view
from luab_attention.targets import Byproduct, LabelPolicy, Outside, away_in_view, is_in_view, target_in_view
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_trainer.data.background import BackgroundMix, Donors, Mixer
from luab_trainer.data.cutmix import CutMix
from luab_trainer.data.mixup import MixUp
from luab_trainer.data.pairs import Pairer
from luab_trainer.data.reader import Row, RowReader
from luab_vision.geometry import View
from luab_vision.transforms import EvalTransform

AT_ONCE = 16  # rows per step, and the most images that are decoded in memory at a time

Sample = dict[str, Any]


class RowToSample:
    """Rows -> samples, one per row.

    With several labels per image, a point of a class that is not among them gives no target.

    Args:
        transform: Image -> view and crop; see `luab_vision.transforms`.
        byproduct: The byproduct that becomes the target. None: no targets, and no byproduct columns are read
            but the point, for "authors" and `mix`.
        columns: Names of the row's columns.
        outside: How to treat points outside the view; see `target_in_view`.
        num_labels: K. Required with several labels per image, `cutmix` and `mixup`, otherwise only checked.
        label_policy: Which of an image's several labels a crop keeps. "keep": all. "authors": a class loses
            its label if its point is outside the view; a class without a point keeps it (the COCO loader of
            Han et al., ICCV 2023). This needs the point column, with any `byproduct`.
        mix: How other images' backgrounds are put behind the byproducts, or without a `byproduct` behind the
            clicks. None: they are not.
        cutmix: How rectangles of other rows' crops are pasted, after the `mix`; the other crop has none of
            either. The `label_policy` is about each of the two crops alone. None: they are not.
        mixup: How other rows' crops are blended in, in crops without a rectangle. None: they are not.
        rows_name: What to call the rows in errors, such as "evaluation".
        grid: Cells of the maps of gaze, boxes, masks and heat maps, (h, w). The loss averages them on the
            model's grid: exactly if whole cells fit in; see `luab_attention.area_maps.map_grid`.
        sigma: Of the Gaussian around a fixation, in ratios of the image's width. None: see
            `luab_attention.blur.fixation_sigma`.
    """

    def __init__(
        self,
        transform: EvalTransform,
        byproduct: ByproductKind | None = None,
        columns: Columns | None = None,
        outside: Outside = "drop",
        num_labels: int | None = None,
        label_policy: LabelPolicy = "keep",
        mix: BackgroundMix | None = None,
        cutmix: CutMix | None = None,
        mixup: MixUp | None = None,
        rows_name: str = "",
        grid: tuple[int, int] = GRID,
        sigma: float | None = None,
    ):
        if label_policy not in get_args(LabelPolicy):
            raise ValueError(
                f"label_policy={label_policy!r} is unknown; take one of {', '.join(get_args(LabelPolicy))}."
            )
        self.transform = transform
        self.byproduct = byproduct
        self.outside = outside
        self.label_policy = label_policy
        self.grid = grid
        by_point = label_policy == "authors" or mix is not None
        self.reader = RowReader(
            byproduct or ("click" if by_point else None),
            columns or Columns(),
            num_labels,
            several_labels=label_policy == "authors",
            rows_name=rows_name,
            sigma=sigma,
        )
        self.mixer = None if mix is None else Mixer(mix, self.reader, transform)
        self.pairer: Pairer | None = None
        if cutmix is not None or mixup is not None:
            self.pairer = Pairer(cutmix, mixup, num_labels, self._unmixed)

    def without_mixing(self) -> "RowToSample":
        """The same without a background mix, CutMix or MixUp."""
        other = copy.copy(self)
        other.mixer, other.pairer = None, None
        return other

    def __call__(
        self,
        rows: Sequence[Row],
        rngs: Sequence[np.random.Generator],
        positions: Sequence[int],
        donors: Donors | None = None,
    ) -> list[Sample]:
        """The samples of the rows.

        Args:
            rows: The rows.
            rngs: The random generator of each row.
            positions: The rows' numbers, for errors.
            donors: Draws a row whose background or crop is mixed in. None: nothing is mixed.

        Raises:
            ValueError: an unreadable image, a missing label, a point that is not in ratios. Names the row.
        """
        samples: list[Sample] = []
        for start in range(0, len(rows), AT_ONCE):
            group = slice(start, start + AT_ONCE)
            steps = [
                self._in_two_steps(*each, donors)
                for each in zip(rows[group], rngs[group], positions[group], strict=True)
            ]
            for geometry in steps:
                next(geometry)
            samples.extend(
                self._finished(next(pixels), rng, donors)
                for pixels, rng in zip(steps, rngs[group], strict=True)
            )
        return samples

    def _in_two_steps(
        self, row: Row, rng: np.random.Generator, position: int, donors: Donors | None
    ) -> Generator[Sample, None, None]:
        """Computes the geometry, then the pixels; yields the sample after the second step.

        All rows take the first step, then all take the second. Each step's code stays in the CPU cache, so a
        batch takes a tenth less time than its rows one by one.
        """
        with self.reader.named(row, position):
            image, labels, byproducts = self.reader.open(row)
            view = self.transform.view(image.width, image.height, rng)
            steps = self.transform.steps(rng)
            moves = [step.move for step in steps if step.move is not None]
            sample = self._labels_and_targets(labels, byproducts, view, moves)
        yield {}
        with self.reader.named(row, position):
            pixels = self.reader.pixels(image)
            crop = self.transform.crop(pixels, view)
        if self.mixer is not None and donors is not None:
            crop = self.mixer(crop, pixels, view, position, sample["labels"], byproducts, donors, rng, moves)
        del pixels  # they would stay until the group's last row
        yield {"pixel_values": self.transform.changed(crop, steps), "row": position, **sample}

    def _unmixed(self, row: Row, rng: np.random.Generator, position: int) -> Sample:
        """A row's sample before all that `_finished` does, with no other row's pixels."""
        steps = self._in_two_steps(row, rng, position, None)
        next(steps)
        return next(steps)

    def _finished(self, sample: Sample, rng: np.random.Generator, donors: Donors | None) -> Sample:
        """Another row's rectangle or its share, then the augmentations that do not move pixels."""
        if self.pairer is not None:
            sample = self.pairer(sample, donors, rng)
        return {**sample, "pixel_values": self.transform.augment(sample["pixel_values"], rng)}

    def _labels_and_targets(
        self,
        labels: int | Tensor,
        byproducts: Sequence[Byproduct | Area],
        view: View,
        moves: Sequence[np.ndarray],
    ) -> Sample:
        if self.label_policy == "authors" and isinstance(labels, Tensor):
            labels[[b.label for b in byproducts if not self._is_in_view(b, view, moves)]] = 0
            byproducts = [byproduct for byproduct in byproducts if labels[byproduct.label]]
        if self.byproduct is None:
            return {"labels": labels}
        sample = {"labels": labels, "target_labels": [byproduct.label for byproduct in byproducts]}
        if self.byproduct in AREA_KINDS:
            areas = [each for each in byproducts if isinstance(each, Area)]
            return sample | {"target_maps": [area_in_view(area, view, self.grid, moves) for area in areas]}
        clicked = [each for each in byproducts if isinstance(each, Byproduct)]
        targets = [target_in_view(each, view, self.outside, moves) for each in clicked]
        away = [away_in_view(each, view, moves) for each in clicked]
        return sample | {
            "target_points": [points for points, _ in targets],
            "target_weights": [weights for _, weights in targets],
            **({"target_away": away} if any(map(len, away)) else {}),
        }

    def _is_in_view(self, byproduct: Byproduct | Area, view: View, moves: Sequence[np.ndarray]) -> bool:
        if isinstance(byproduct, Area):
            return bool(area_in_view(byproduct, view, self.grid, moves).any())
        return is_in_view(byproduct, view, moves)
