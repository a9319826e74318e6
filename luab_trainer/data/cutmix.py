"""CutMix: a rectangle of the crop shows another image, and the labels are of both by what is seen of each.

Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
ICCV 2019. There the other image is of the same batch; here it is any training row, so that a sample does not
depend on its batch.

The byproducts go with their pixels. What the rectangle covers no longer counts, and what it shows is a target
of the other image's class. Less than a twentieth of a crop's target is none: it may be the start of a trace.
A target counts as any other, however little is seen of its image: its class is there to be looked at. So the
term of a loss does not depend on the shares, only the cross-entropy does.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from luab_attention.targets import of_sum_1, only
from luab_trainer.data.mixed_maps import away_of_both, covered, pasted_maps
from luab_vision.geometry import inside


class Rectangle(NamedTuple):
    """Pixels of a crop: the columns from `left` to before `right`, the rows from `top` to before `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """The number of pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    def shares(self, height: int, width: int, grid: tuple[int, int]) -> np.ndarray:
        """How much of each cell of a grid over the crop is covered, `[h, w]`."""
        h, w = grid
        across = covered(self.left / width, self.right / width, w)
        return covered(self.top / height, self.bottom / height, h)[:, None] * across

    def covers(self, points: np.ndarray, height: int, width: int) -> np.ndarray:
        """Which points are on a pixel of the rectangle -> bool `[P]`.

        Args:
            points: `[P, 2]` crop ratios, x first. Those on the crop's edge are on its last pixel, those
                outside on none.
            height: Pixels of the crop.
            width: Pixels of the crop.
        """
        size = np.array((width, height))
        pixels = np.clip(np.floor(np.asarray(points, np.float64) * size), 0, size - 1)
        within = (pixels >= (self.left, self.top)) & (pixels < (self.right, self.bottom))
        return within.all(axis=-1) & inside(points)


def check_drawn(share: float, alpha: float) -> None:
    """Raises ValueError unless it is a share of the crops, and a parameter of Beta(alpha, alpha)."""
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: a share of the crops, 0 to 1.")
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha={alpha}: a parameter of the Beta distribution, more than 0.")


@dataclass(frozen=True)
class CutMix:
    """How to cut and paste.

    Args:
        share: Share of the crops that are cut-mixed, 0 to 1.
        alpha: Of lambda ~ Beta(alpha, alpha), which each of them draws. 1 is uniform; with less, most crops
            show nearly only one of the images.
    """

    share: float = 1.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_drawn(self.share, self.alpha)

    def rectangle(self, height: int, width: int, rng: np.random.Generator) -> Rectangle:
        """A random rectangle of 1 - lambda of the crop's area, with its aspect ratio, around any point of it.

        It is clipped to the crop, and may be empty.

        Args:
            height: Pixels of the crop.
            width: Pixels of the crop.
            rng: The random generator.
        """
        half = math.sqrt(1 - rng.beta(self.alpha, self.alpha)) / 2
        x, y = rng.random(2)
        return Rectangle(
            max(0, round((x - half) * width)),
            max(0, round((y - half) * height)),
            min(width, round((x + half) * width)),
            min(height, round((y + half) * height)),
        )


def pasted(sample: dict[str, Any], other: dict[str, Any], rectangle: Rectangle) -> dict[str, Any]:
    """A sample with the rectangle of another sample of the same size, labels `[K]` float32 for both.

    Each image's labels count by the share of the pixels that is seen of it. A class of both has 1.
    """
    height, width = sample["pixel_values"].shape[:2]
    left, top, right, bottom = rectangle
    pixels = sample["pixel_values"].clone()
    pixels[top:bottom, left:right] = other["pixel_values"][top:bottom, left:right]
    labels = torch.lerp(sample["labels"], other["labels"], rectangle.area / (height * width))
    mixed = {**sample, "pixel_values": pixels, "labels": labels}
    if "target_maps" in sample:
        shown = [rectangle.shares(height, width, each.shape) for each in _some_map(sample, other)]
        return mixed | (pasted_maps(sample, other, shown[0]) if shown else {})
    return mixed | _targets(sample, other, rectangle) if "target_labels" in sample else mixed


def _some_map(sample: dict[str, Any], other: dict[str, Any]) -> list[np.ndarray]:
    """One of the maps of two samples, which all have one grid; none if there is none."""
    return [*sample["target_maps"], *other["target_maps"]][:1]


def _targets(sample: dict[str, Any], other: dict[str, Any], rectangle: Rectangle) -> dict[str, Any]:
    """The targets of both samples. A class of both has one target, to which each gives half of the weight.

    Two targets would ask for attention at one place and at the other, where either is right.
    """
    size = sample["pixel_values"].shape[:2]
    points, weights, classes = [], [], list(sample["target_labels"])
    for own, counts in zip(sample["target_points"], sample["target_weights"], strict=True):
        kept = only(own, counts, ~rectangle.covers(own, *size))
        points.append(kept[0])
        weights.append(kept[1])
    names = ("target_points", "target_weights", "target_labels")
    for theirs, counts, label in zip(*(other[name] for name in names), strict=True):
        shown, shares = only(theirs, counts, rectangle.covers(theirs, *size))
        if not shares.any():
            continue
        if label in classes:
            at = classes.index(label)
            points[at] = np.concatenate([points[at], shown])
            weights[at] = of_sum_1(np.concatenate([weights[at], shares]))
        else:
            points.append(shown)
            weights.append(shares)
            classes.append(label)
    mixed = dict(zip(names, (points, weights, classes), strict=True))
    own_away, their_away = (
        [each[rectangle.covers(each, *size) == seen] for each in each_sample.get("target_away", ())]
        for each_sample, seen in ((sample, False), (other, True))
    )
    return mixed | away_of_both(sample, own_away, other, their_away, classes)
