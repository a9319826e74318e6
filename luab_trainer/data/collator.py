"""Samples -> batch. The model, the losses and the trainer rely on the batch's layout."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from luab_attention.targets import NO_POINT, NO_TARGET


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Stack the samples of `luab_trainer.data.samples`; images may have different numbers of targets.

    Returns:
        pixel_values: `[B, H, W, 3]` uint8.
        labels: `[B]` int64, or with several labels per image `[B, K]` float32 of 0 and 1, or with CutMix
            or MixUp `[B, K]` float32 of shares.
        rows: `[B]` int64, the row numbers, if the samples have them.
        and, if the samples have targets,
        target_points: `[B, C, P, 2]` float32, crop ratios, x first; (-1, -1) for padding.
        target_weights: `[B, C, P]` float32; over P they sum to 1 for a usable target, else they are all 0.
        target_labels: `[B, C]` int64, the class of each target, -1 for padding.
        target_away: `[B, C, Q, 2]` float32, crop ratios where a target's class is not, infinity for padding;
            if a sample has them.
        target_maps: `[B, C, h, w]` float32, peak 1, or all 0 for padding and for a target that cannot be
            used; instead of `target_points` and `target_weights`, for gaze, boxes, masks and heat maps.
        target_shares: `[B, C]` float32, how much each target counts in its row's terms, 0 for padding; if the
            samples have them (MixUp). Otherwise all usable targets of a row count the same.

        C is the largest number of targets of an image in the batch (at least 1). P is the largest number of
        points of a target, rounded up to a power of two, so that a compiled model sees few different shapes.
    """
    labels = [sample["labels"] for sample in samples]
    batch = {
        # In a worker torch's own collate writes into shared memory at once: one copy less than `stack`.
        "pixel_values": default_collate([sample["pixel_values"] for sample in samples]),
        "labels": torch.stack(labels) if isinstance(labels[0], Tensor) else torch.tensor(labels),
    }
    if "row" in samples[0]:
        batch["rows"] = torch.tensor([sample["row"] for sample in samples])
    return batch | _targets(samples) if "target_labels" in samples[0] else batch


def _targets(samples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    targets_max = max(1, *(len(sample["target_labels"]) for sample in samples))
    batch = {"target_labels": _padded(samples, "target_labels", targets_max, NO_TARGET, np.int64)}
    if "target_shares" in samples[0]:
        batch["target_shares"] = _padded(samples, "target_shares", targets_max, 0, np.float32)
    if "target_maps" in samples[0]:
        return batch | {"target_maps": _maps(samples, targets_max)}
    return batch | _points(samples, targets_max)


def _padded(
    samples: Sequence[Mapping[str, Any]], name: str, targets_max: int, fill: int, kind: type
) -> Tensor:
    """A number of each target, `[B, C]`."""
    found: np.ndarray = np.full((len(samples), targets_max), fill, kind)
    for b, sample in enumerate(samples):
        found[b, : len(sample[name])] = sample[name]
    return torch.from_numpy(found)


def _maps(samples: Sequence[Mapping[str, Any]], targets_max: int) -> Tensor:
    every = [each for sample in samples for each in sample["target_maps"]]
    shapes = {each.shape for each in every}
    if len(shapes) > 1:
        raise ValueError(f"target_maps have the sizes {sorted(shapes)}; all of a batch must have one.")
    found = np.zeros((len(samples), targets_max, *(shapes.pop() if shapes else (1, 1))), np.float32)
    for b, sample in enumerate(samples):
        for c, own in enumerate(sample["target_maps"]):
            found[b, c] = own
    return torch.from_numpy(found)


def _points(samples: Sequence[Mapping[str, Any]], targets_max: int) -> dict[str, Tensor]:
    points_max = max((len(weights) for sample in samples for weights in sample["target_weights"]), default=1)
    points_max = 1 << (points_max - 1).bit_length()
    points = np.full((len(samples), targets_max, points_max, 2), NO_POINT, np.float32)
    weights = np.zeros((len(samples), targets_max, points_max), np.float32)
    for b, sample in enumerate(samples):
        for c in range(len(sample["target_labels"])):
            count = len(sample["target_weights"][c])
            points[b, c, :count] = sample["target_points"][c]
            weights[b, c, :count] = sample["target_weights"][c]
    batch = {"target_points": torch.from_numpy(points), "target_weights": torch.from_numpy(weights)}
    return batch | _away(samples, targets_max)


def _away(samples: Sequence[Mapping[str, Any]], targets_max: int) -> dict[str, Tensor]:
    away_max = max((len(each) for sample in samples for each in sample.get("target_away", ())), default=0)
    if away_max == 0:
        return {}
    away = np.full((len(samples), targets_max, 1 << (away_max - 1).bit_length(), 2), np.inf, np.float32)
    for b, sample in enumerate(samples):
        for c, own in enumerate(sample.get("target_away", ())):
            away[b, c, : len(own)] = own
    return {"target_away": torch.from_numpy(away)}
