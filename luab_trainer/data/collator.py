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
    points_max = max((len(weights) for sample in samples for weights in sample["target_weights"]), default=1)
    points_max = 1 << (points_max - 1).bit_length()
    points = np.full((len(samples), targets_max, points_max, 2), NO_POINT, np.float32)
    weights = np.zeros((len(samples), targets_max, points_max), np.float32)
    target_labels = np.full((len(samples), targets_max), NO_TARGET, np.int64)
    for b, sample in enumerate(samples):
        for c, label in enumerate(sample["target_labels"]):
            count = len(sample["target_weights"][c])
            points[b, c, :count] = sample["target_points"][c]
            weights[b, c, :count] = sample["target_weights"][c]
            target_labels[b, c] = label
    batch = {
        "target_points": torch.from_numpy(points),
        "target_weights": torch.from_numpy(weights),
        "target_labels": torch.from_numpy(target_labels),
    }
    if "target_shares" in samples[0]:
        shares = np.zeros((len(samples), targets_max), np.float32)
        for b, sample in enumerate(samples):
            shares[b, : len(sample["target_shares"])] = sample["target_shares"]
        batch["target_shares"] = torch.from_numpy(shares)
    return batch
