"""MixUp: the crop is a blend of two images, and the labels and byproducts are of both by their shares.

Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. There the other image is of the
same batch; here it is any training row, so that a sample does not depend on its batch.

    pixels = lambda a + (1 - lambda) b        lambda ~ Beta(alpha, alpha)
    loss   = lambda loss(a) + (1 - lambda) loss(b)

The second line is what MixUp does to the cross-entropy, by labels that are shares. The terms of the
byproducts follow it: each image's targets count with its share. An image without a usable target adds
nothing to a term, here as in a crop of its own, so MixUp does not change how much the byproducts weigh.
This differs from CutMix, where each pixel is of one image: what is seen of an object is seen whole.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from luab_attention.targets import of_sum_1
from luab_trainer.data.cutmix import check_drawn
from luab_trainer.data.mixed_maps import away_of_both, blended_maps


@dataclass(frozen=True)
class MixUp:
    """How to blend.

    Args:
        share: Share of the crops that are blended, 0 to 1.
        alpha: Of lambda ~ Beta(alpha, alpha), which each of them draws. 1 is uniform; with less, most crops
            show nearly only one of the images.
    """

    share: float = 1.0
    alpha: float = 0.2

    def __post_init__(self) -> None:
        check_drawn(self.share, self.alpha)


def equal_shares(weights: list[np.ndarray]) -> list[float]:
    """How much each target counts in its row's terms: all usable ones the same, of sum 1.

    Args:
        weights: `[P]`, or the map, of each target; all 0 for one that is not usable.
    """
    usable = [bool(each.any()) for each in weights]
    return [float(each) / max(1, sum(usable)) for each in usable]


def blended(sample: dict[str, Any], other: dict[str, Any], share: float) -> dict[str, Any]:
    """A sample blended with another one of the same size, labels `[K]` float32 for both.

    Args:
        sample: See `luab_trainer.data.samples`.
        other: The same of the other row.
        share: lambda, that of `sample`.
    """
    own, theirs = sample["pixel_values"].float(), other["pixel_values"].float()
    mixed = {
        **sample,
        "pixel_values": torch.lerp(theirs, own, share).round().to(torch.uint8),
        "labels": torch.lerp(other["labels"], sample["labels"], share),
    }
    if "target_maps" in sample:
        own = [share * each for each in equal_shares(sample["target_maps"])]
        theirs = [(1 - share) * each for each in equal_shares(other["target_maps"])]
        return mixed | blended_maps(sample, other, own, theirs)
    return mixed | _targets(sample, other, share) if "target_labels" in sample else mixed


def _targets(sample: dict[str, Any], other: dict[str, Any], share: float) -> dict[str, Any]:
    """The targets of both samples and their shares. A class of both has one target, mixed by the shares."""
    points, weights, classes = (list(sample[f"target_{name}"]) for name in ("points", "weights", "labels"))
    counts = [share * each for each in equal_shares(weights)]
    others = zip(
        other["target_points"],
        other["target_weights"],
        other["target_labels"],
        equal_shares(other["target_weights"]),
        strict=True,
    )
    for theirs, heights, label, part in others:
        count = (1 - share) * part
        if count == 0:
            continue
        if label not in classes:
            points.append(theirs)
            weights.append(heights)
            classes.append(label)
            counts.append(count)
            continue
        at = classes.index(label)
        both = np.concatenate([counts[at] * weights[at], count * heights])
        points[at], weights[at] = np.concatenate([points[at], theirs]), of_sum_1(both)
        counts[at] += count
    own, not_there = (each.get("target_away", ()) for each in (sample, other))
    return {
        "target_points": points,
        "target_weights": weights,
        "target_labels": classes,
        "target_shares": counts,
        **away_of_both(sample, own, other, not_there, classes),
    }
