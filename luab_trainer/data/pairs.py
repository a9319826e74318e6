"""Crops of two images: CutMix or MixUp, at most one of both in a crop."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luab_trainer.data.background import Donors
from luab_trainer.data.cutmix import CutMix, pasted
from luab_trainer.data.mixup import MixUp, blended, equal_shares
from luab_trainer.data.reader import Row

MAX_DRAWS = 50  # to find another row than the own


class Pairer:
    """Mixes other rows into samples; all of their labels become shares, float32 `[K]`.

    Args:
        cutmix: How to cut and paste. None: never.
        mixup: How to blend. None: never. With both, their shares of the crops are at most 1 together.
        num_labels: K.
        read: A row, its random generator and its number -> its sample, not mixed with others.

    Raises:
        ValueError: `num_labels` is not known, or there are more than all crops.
    """

    def __init__(
        self,
        cutmix: CutMix | None,
        mixup: MixUp | None,
        num_labels: int | None,
        read: Callable[[Row, np.random.Generator, int], dict[str, Any]],
    ):
        if num_labels is None:
            raise ValueError(
                f"num_labels=None: with {'mixup' if cutmix is None else 'cutmix'} a crop has a share of each "
                "class; say how many classes there are (num_labels)."
            )
        self.cut_share = 0.0 if cutmix is None else cutmix.share
        self.mix_share = 0.0 if mixup is None else mixup.share
        if self.cut_share + self.mix_share > 1:
            raise ValueError(
                f"cutmix has {self.cut_share:g} of the crops and mixup {self.mix_share:g}: a crop has one of "
                "them, so give at most 1 together."
            )
        self.cutmix, self.mixup, self.num_labels, self.read = cutmix, mixup, num_labels, read

    def __call__(
        self, sample: dict[str, Any], donors: Donors | None, rng: np.random.Generator
    ) -> dict[str, Any]:
        """The sample mixed with another row, or only with its labels as shares.

        Args:
            sample: See `luab_trainer.data.samples`; before the augmentations that do not move pixels.
            donors: Draws the other row. None: there is none.
            rng: The row's random generator.

        Raises:
            ValueError: the other row cannot be read. Names it.
        """
        mixed = self._mixed({**sample, "labels": self._shares(sample["labels"])}, donors, rng)
        if self.mixup is None or "target_labels" not in mixed:
            return mixed
        counted = mixed["target_maps" if "target_maps" in mixed else "target_weights"]
        return {"target_shares": equal_shares(counted), **mixed}

    def _mixed(
        self, sample: dict[str, Any], donors: Donors | None, rng: np.random.Generator
    ) -> dict[str, Any]:
        if donors is None:
            return sample
        drawn = rng.random()
        if self.cutmix is not None and drawn < self.cut_share:
            height, width = sample["pixel_values"].shape[:2]
            rectangle = self.cutmix.rectangle(height, width, rng)
            other = self._other(sample["row"], donors, rng) if rectangle.area else None
            return sample if other is None else pasted(sample, other, rectangle)
        if self.mixup is not None and drawn < self.cut_share + self.mix_share:
            share = float(rng.beta(self.mixup.alpha, self.mixup.alpha))
            other = self._other(sample["row"], donors, rng)
            return sample if other is None else blended(sample, other, share)
        return sample

    def _other(self, own: int, donors: Donors, rng: np.random.Generator) -> dict[str, Any] | None:
        """The sample of another row; None if there is no other."""
        for _ in range(MAX_DRAWS):
            row, position = donors(rng)
            if position != own:
                other = self.read(row, rng, position)
                return {**other, "labels": self._shares(other["labels"])}
        return None

    def _shares(self, labels: int | Tensor) -> Tensor:
        """[K] float32: one class of share 1, or several labels as they are."""
        if isinstance(labels, Tensor):
            return labels
        shares = torch.zeros(self.num_labels)
        shares[labels] = 1
        return shares
