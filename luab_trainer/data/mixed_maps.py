"""Maps of gaze, boxes, masks and heat maps in crops of two images, as `cutmix` and `mixup` mix points."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from luab_attention.area_maps import LEAST, of_peak_1


def covered(start: float, end: float, cells: int) -> np.ndarray:
    """How much of each cell along an axis of the crop lies from `start` to `end` (ratios), `[cells]`."""
    borders = np.arange(cells + 1) / cells
    shares: np.ndarray = (np.minimum(borders[1:], end) - np.maximum(borders[:-1], start)).clip(0) * cells
    return shares


def pasted_maps(sample: dict[str, Any], other: dict[str, Any], shown: np.ndarray) -> dict[str, Any]:
    """The targets of a sample with a rectangle of another one.

    A map with less than `LEAST` of it left is no target. A class of both has one target, in which each has
    the same peak.

    Args:
        sample: See `luab_trainer.data.samples`.
        other: The same of the other row.
        shown: `[h, w]`, how much of each cell shows the other one.
    """
    maps = [_left(each, 1 - shown) for each in sample["target_maps"]]
    classes = list(sample["target_labels"])
    for theirs, label in zip(other["target_maps"], other["target_labels"], strict=True):
        left = _left(theirs, shown)
        if not left.any():
            continue
        if label in classes:
            at = classes.index(label)
            maps[at] = of_peak_1(maps[at] + left)
        else:
            maps.append(left)
            classes.append(label)
    return {"target_maps": maps, "target_labels": classes}


def blended_maps(
    sample: dict[str, Any], other: dict[str, Any], own: Sequence[float], theirs: Sequence[float]
) -> dict[str, Any]:
    """The targets of two blended samples, and their shares. A class of both has one, mixed by the shares.

    Args:
        sample: See `luab_trainer.data.samples`.
        other: The same of the other row.
        own: How much each target of `sample` counts.
        theirs: The same of `other`.
    """
    maps, classes, counts = list(sample["target_maps"]), list(sample["target_labels"]), list(own)
    for each, label, count in zip(other["target_maps"], other["target_labels"], theirs, strict=True):
        if count == 0:
            continue
        if label in classes:
            at = classes.index(label)
            maps[at] = of_peak_1(counts[at] * maps[at] + count * each)
            counts[at] += count
        else:
            maps.append(each)
            classes.append(label)
            counts.append(count)
    return {"target_maps": maps, "target_labels": classes, "target_shares": counts}


def away_of_both(
    sample: dict[str, Any],
    own: Sequence[np.ndarray],
    other: dict[str, Any],
    theirs: Sequence[np.ndarray],
    classes: Sequence[int],
) -> dict[str, Any]:
    """Where the classes of two samples are not: `target_away` for the targets of `classes`, if there are any.

    Args:
        sample: See `luab_trainer.data.samples`.
        own: Its points, of each of its targets; () without any.
        other: The same of the other row.
        theirs: The same of `other`.
        classes: Of the mixed targets.
    """
    found: dict[int, list[np.ndarray]] = {label: [] for label in classes}
    for each, places in ((sample, own), (other, theirs)):
        if places:
            for label, points in zip(each["target_labels"], places, strict=True):
                found.get(label, []).append(points)
    empty = np.zeros((0, 2), np.float32)
    away = [np.concatenate([empty, *found[label]]) for label in classes]
    return {"target_away": away} if any(map(len, away)) else {}


def _left(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What is left of a map where each cell keeps its share, peak 1 or all 0."""
    kept = values * shares
    return np.zeros_like(values) if kept.sum() < LEAST * values.sum() else of_peak_1(kept)
