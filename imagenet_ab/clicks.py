"""The click of a row: the authors' Z, in ratios of the image.

Z is the first click, averaged over the annotations in which the image was selected at the end (the authors'
dataloader). It is implemented twice, for one record and for the arrays of `imagenet_ab.fast`; both give the
same bits.
"""

from collections.abc import Sequence

import numpy as np

from imagenet_ab.fields import Record


def click(record: Record | None) -> dict[str, float] | None:
    """The click of one record, or None."""
    selected = [each for each in record.annotations if each.selected] if record else []
    clicks = [each.selected_record[0] for each in selected if each.selected_record]
    return dict(zip("xy", _mean([(each.x, each.y) for each in clicks]), strict=True)) if clicks else None


def click_arrays(
    files: np.ndarray, selected: np.ndarray, annotations: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The clicks of many records.

    Args:
        files: [annotations], the file of each annotation; ascending.
        selected: bool [annotations], whether the image was selected at the end.
        annotations: [points], the annotation of each selecting click; ascending, in the files' order.
        points: float64 [2, points], x and y of these clicks.

    Returns:
        Which files have a click, ascending, and these clicks: float64 [2, clicks].
    """
    owners, first = np.unique(annotations, return_index=True)
    counted = selected[owners]
    points = points[:, first[counted]]
    found, start, count = np.unique(files[owners[counted]], return_index=True, return_counts=True)
    clicks = points[:, start] + 0.0  # as a sum does: no -0.0
    for several in np.flatnonzero(count > 1):
        entries = slice(start[several], start[several] + count[several])
        clicks[:, several] = _mean(points[:, entries].T.tolist())
    return found, clicks


def _mean(points: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The mean of one or more (x, y)."""
    xs, ys = zip(*points, strict=True)
    return sum(xs) / len(xs), sum(ys) / len(ys)
