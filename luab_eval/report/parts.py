"""Splits a benchmark's figure into a sum of means over images, so that its interval has a closed form.

scores [runs, M] and their groups --(parts_of)--> parts: independent images, the figure adds up their means
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from luab_eval.benchmark import Benchmark, SumOf
from luab_eval.report.runs import RunScores


@dataclass(frozen=True)
class FigurePart:
    """Images whose mean is a part of the figure.

    Attributes:
        scores: `[runs, n]`, each from `low` to `high`, whatever the model.
        weights: `[n]` of the images in the mean; None: all count the same.
    """

    scores: np.ndarray
    low: float
    high: float
    weights: np.ndarray | None = None


def parts_of(benchmark: type[Benchmark], of: RunScores) -> list[FigurePart] | None:
    """The parts whose means add up to the benchmark's figure; None: no such sum (an area under a curve).

    An image that occurs in every group, such as all its corruptions, is one image: its copies are not
    independent. Groups with different images are one part each.
    """
    if benchmark.sum_of is SumOf.NOTHING:
        return None
    if benchmark.sum_of is SumOf.IMAGES:  # whatever their groups
        low, high = benchmark.bounds
        scores = of.scores if of.weights is None else of.scores / of.weights
        return _within([FigurePart(scores, low, high, of.weights)])
    names, group = groups_of(of.groups)
    weights = np.array([benchmark.statistic(single, names) for single in np.eye(len(names))])
    if not np.isfinite(weights).all():  # a group is missing
        return None
    copies = _copies(of.ids, group, names) if len(names) > 1 else None  # [U, G]
    if copies is not None:
        low, high = np.minimum(weights, 0).sum(), np.maximum(weights, 0).sum()
        return _within([FigurePart(of.scores[:, copies] @ weights, float(low), float(high))])
    return _within(
        [
            FigurePart(of.scores[:, group == index] * weight, min(0.0, weight), max(0.0, weight))
            for index, weight in enumerate(weights.tolist())
            if weight
        ]
    )


def in_figure(benchmark: type[Benchmark], of_images: np.ndarray) -> np.ndarray:
    """`[N]` bool: whether an image's group has a weight in the figure, so that its score may change it."""
    if benchmark.sum_of is not SumOf.GROUPS:
        return np.ones(len(of_images), bool)
    names, group = groups_of(of_images)
    weights = np.array([benchmark.statistic(single, names) for single in np.eye(len(names))])
    return (weights != 0)[group]  # NaN: a group is missing, and nothing is known of the others


def groups_of(of_images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[N]` str -> the G names, and `[N]` which of them each is: `np.unique` without sorting millions."""
    listed = of_images.tolist()
    position = {name: index for index, name in enumerate(sorted(set(listed)))}
    return np.array(list(position)), np.fromiter(map(position.__getitem__, listed), np.int64, len(listed))


def _within(parts: list[FigurePart]) -> list[FigurePart] | None:
    """The parts, if their scores have bounds and respect them."""
    for part in parts:
        room = 1e-6 * (part.high - part.low)
        if (
            not np.isfinite(room)
            or part.scores.min() < part.low - room
            or part.scores.max() > part.high + room
        ):
            return None
    return parts


def _copies(ids: np.ndarray, group: np.ndarray, names: np.ndarray) -> np.ndarray | None:
    """`[U, G]` the rows of each image in each group, if every image occurs once in every group; else None.

    An id is its group's name, "/", and the image's path.
    """
    columns, first = [], None
    for index, name in enumerate(names):
        prefix = f"{name}/".encode()
        rows = np.flatnonzero(group == index)
        images = np.array([one.removeprefix(prefix) for one in ids[rows].tolist()])
        order = np.argsort(images, kind="stable")
        first = images[order] if first is None else first
        if not np.array_equal(images[order], first):
            return None
        columns.append(rows[order])
    return np.stack(columns, axis=1)
