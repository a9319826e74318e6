"""Background mix: the pixels far from the byproduct come from another image, and the label stays.

What usually surrounds an object predicts its class too, so a classifier learns the surroundings. In a mixed
crop only what is near the byproduct goes with the label. The other image's object is covered with the
opposite part of its own image, so the crop has one object.

This is ours. Related: Mixed-Rand (Xiao et al., "Noise or Signal", ICLR 2021) swaps backgrounds by masks, and
CutMix (Yun et al., ICCV 2019) pastes rectangles at random places and mixes the labels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from luab_attention.density import nearness
from luab_attention.targets import Byproduct, target_in_view
from luab_trainer.data.reader import Row, RowReader
from luab_vision.geometry import View, to_view
from luab_vision.images import OpenedImage
from luab_vision.transforms import EvalTransform

EDGE = 0.05  # width of a disc's soft edge, in image ratios
MAX_DONORS = 50  # rows that are drawn to find one with a byproduct

Donors = Callable[[np.random.Generator], tuple[Row, int]]  # draws a row, with its number


@dataclass(frozen=True)
class BackgroundMix:
    """How to mix. Lengths are in ratios of the image.

    Args:
        share: Share of the crops with a usable byproduct that are mixed, 0 to 1.
        radius: Distance from the byproduct within which pixels stay. Each crop draws it from 0.4 `radius` to
            `radius`: some crops show all of the object, others nothing of what is around it.
        cover: Distance from the other image's byproduct within which its pixels are covered.
    """

    share: float = 1.0
    radius: float = 0.35
    cover: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share}: a share of the crops, 0 to 1.")
        for name in ("radius", "cover"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)}: a ratio of the image, more than 0.")

    def background(self, crop: Tensor, view: View, points: np.ndarray) -> Tensor:
        """The crop with its object covered, uint8 `[h, w, 3]`.

        Args:
            crop: uint8 `[h, w, 3]`, the view of the other image.
            view: The crop's part of its image.
            points: `[P, 2]` crop ratios, x first, of the image's byproducts; may be outside the crop.
        """
        opposite = crop.roll((crop.shape[0] // 2, crop.shape[1] // 2), (0, 1))
        return _blend(opposite, crop, view, points, self.cover)

    def blend(
        self, crop: Tensor, background: Tensor, view: View, points: np.ndarray, rng: np.random.Generator
    ) -> Tensor:
        """The crop near the points, the background elsewhere, uint8 `[h, w, 3]`.

        Args:
            crop: uint8 `[h, w, 3]`, the view of the image.
            background: uint8 `[h, w, 3]`.
            view: The crop's part of its image.
            points: `[P, 2]` crop ratios, x first, of the crop's byproducts.
            rng: Draws the radius.
        """
        return _blend(crop, background, view, points, rng.uniform(0.4, 1) * self.radius)


def _blend(near: Tensor, far: Tensor, view: View, points: np.ndarray, radius: float) -> Tensor:
    """`near` within the radius of the points, `far` elsewhere."""
    extent = (view.width, view.height)
    disc = nearness(
        torch.from_numpy(points * np.array(extent, np.float32)),
        torch.ones(len(points)),
        (near.shape[0], near.shape[1]),
        radius,
        EDGE,
        extent,
    )[..., None]
    return torch.lerp(far.float(), near.float(), disc).round().to(torch.uint8)


class Mixer:
    """Chooses what is mixed: which crops, and with which rows.

    Args:
        mix: How to mix.
        reader: Reads the other rows.
        transform: Makes the crops of the training images.
    """

    def __init__(self, mix: BackgroundMix, reader: RowReader, transform: EvalTransform):
        self.mix, self.reader, self.transform = mix, reader, transform

    def mixed(
        self,
        position: int,
        labels: int | Tensor,
        byproducts: list[Byproduct],
        view: View,
        donors: Donors,
        rng: np.random.Generator,
    ) -> Callable[[Tensor], Tensor] | None:
        """Puts another background behind the crop, when called; None if this crop is not mixed.

        An object without a byproduct in the crop would be lost, and its label be wrong: such a crop is not
        mixed.
        """
        targets = [target_in_view(byproduct, view) for byproduct in byproducts]
        seen = [points[weights > 0] for points, weights in targets if weights.any()]
        if not seen or len(seen) < _count(labels) or rng.random() >= self.mix.share:
            return None
        points = np.concatenate(seen)
        for _ in range(MAX_DONORS):
            row, other = donors(rng)
            if other == position:
                continue
            with self.reader.named(row, other):
                image, its_labels, its = self.reader.open(row)
            if its and len(its) == _count(its_labels):
                background = partial(self._background, row, other, image, its, rng)
                return lambda crop: self.mix.blend(crop, background(), view, points, rng)
        return None

    def _background(
        self,
        row: Row,
        position: int,
        image: OpenedImage,
        byproducts: list[Byproduct],
        rng: np.random.Generator,
    ) -> Tensor:
        view = self.transform.view(image.width, image.height, rng)
        with self.reader.named(row, position):
            crop = self.transform.crop(self.reader.pixels(image), view)
        points = to_view(np.concatenate([byproduct.points for byproduct in byproducts]), view)
        return self.mix.background(crop, view, points.astype(np.float32))


def _count(labels: int | Tensor) -> int:
    """The number of classes in an image."""
    return int(labels.sum()) if isinstance(labels, Tensor) else 1
