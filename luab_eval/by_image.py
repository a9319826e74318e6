"""Scores of rows, or of pairs of image and class -> scores of images, which are independent."""

from __future__ import annotations

import numpy as np

from luab_eval.arrays import hash_of
from luab_eval.benchmark import Benchmark, Scores


def by_image(rows: Scores, pixels: np.ndarray | None, benchmark: Benchmark) -> Scores:
    """Merges the scores of each image.

    The figure stays the mean over all rows. In intervals and tests the rows of an image are one image: they
    are not independent.

    Args:
        rows: With `class_names`. A row may be a pair of image and class.
        pixels: `[N]` of the rows, the same for the same image. None: unknown, then each row is an image.
        benchmark: Its primary metric is computed again, as the order of a sum changes its last bits.
    """
    if pixels is None:
        return rows
    assert rows.class_names is not None
    _, index, position = np.unique(pixels, return_index=True, return_inverse=True)
    first, image = np.unique(index[position], return_inverse=True)  # in the order of the rows
    if len(first) == len(pixels):
        return rows
    count = np.bincount(image)
    references = np.zeros(len(image), np.int64) if rows.references is None else rows.references
    truths: list[list[tuple[str, int]]] = [[] for _ in first]
    for at, target, reference in zip(image.tolist(), rows.targets.tolist(), references.tolist(), strict=True):
        truths[at].append((rows.class_names[target], reference))
    together = np.array([hash_of(repr(sorted(each)).encode()) for each in truths], np.int64)
    per_image = np.bincount(image, rows.per_image) / count.mean()
    figure = benchmark.statistic(per_image, rows.groups[first])
    return Scores(
        rows.metrics | {benchmark.primary: figure},
        rows.ids[first],
        rows.groups[first],
        np.where(count == 1, rows.targets[first], -1),
        per_image,
        references=np.where(count == 1, references[first], together),
        of_classes=rows.per_class(),
        weights=None if (count == count[0]).all() else count / count.mean(),
    )
