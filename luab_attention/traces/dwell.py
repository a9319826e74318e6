"""How long a trace stays where: in boxes, in the cells of a grid, on the object before the click."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from luab_attention.boxes.boxes import inside
from luab_attention.traces.scanpath import Scanpath, connected


def held(path: Scanpath, end: float | None = None) -> np.ndarray:
    """How long each sample counts, in ms, [N].

    A fixation counts its duration. A sample counts until the next one of its segment: the cursor is held
    there. So of samples with one time, the last counts. The last sample of a segment counts until the first
    click between it and the next segment, and 0 ms without one. With an `end`, the last sample before it
    counts until then, and nothing counts after it.

    Args:
        path: the trace.
        end: time in ms of the click, None: the trace's own end.

    Raises:
        ValueError: neither times nor durations.
    """
    if path.time is None:
        if path.duration is None:
            raise ValueError("a trace without times and durations: it is not known how long samples count.")
        return path.duration.copy()
    if path.duration is not None:
        until = path.time + path.duration
    else:
        until = path.time.copy()
        until[:-1] = np.where(connected(path), path.time[1:], path.time[:-1])
        for last, click in _last_before_clicks(path):
            until[last] = click
        if end is not None and (last := int(np.searchsorted(path.time, end, side="right"))):
            until[last - 1] = end
    if end is not None:
        until = np.minimum(until, end)
    return np.maximum(until - path.time, 0.0)


def _last_before_clicks(path: Scanpath) -> Iterator[tuple[int, float]]:
    """The last sample of each segment that a click follows, and the time of the first such click."""
    assert path.time is not None
    borders = np.append(~connected(path), True)
    for click in reversed(path.clicks):  # so that the first one is the last that is given
        last = int(np.searchsorted(path.time, click.time, side="right")) - 1
        if last >= 0 and borders[last]:
            yield last, click.time


def weights(path: Scanpath, end: float | None = None) -> np.ndarray:
    """Shares of the samples, [N], sum 1: by `held` time; equal without times, or if no time passes.

    With an `end`, samples after it have none. All 0 if no sample is left.
    """
    if path.time is None and path.duration is None:
        own: np.ndarray = np.ones(len(path))
    else:
        own = held(path, end)
        if own.sum() == 0:
            own = np.ones(len(path)) if end is None or path.time is None else 1.0 * (path.time <= end)
    total = own.sum()
    return own / total if total > 0 else own


def dwell_in_boxes(path: Scanpath, boxes: np.ndarray, end: float | None = None) -> np.ndarray:
    """The share of the trace in each of the boxes, [n], of [n, 4] x, y, w, h in its unit.

    Borders belong to boxes, and boxes may overlap: the shares need not add up to 1.
    """
    own = weights(path, end)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.array([own[inside(path.xy, box[None])].sum() for box in boxes], np.float64)


def dwell_grid(path: Scanpath, grid: tuple[int, int], end: float | None = None) -> np.ndarray:
    """The share of the trace in each cell of a grid over the image, [h, w].

    The path is in ratios of the image. A sample on the border between cells counts in the right or lower one,
    on the image's right or lower edge in the last. Samples outside count nowhere: 1 minus the sum is outside.
    """
    return share_grid(path.xy, weights(path, end), grid)


def share_grid(points: np.ndarray, shares: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The sum of the shares [P] of points [P, 2], ratios, in each cell, [h, w]. See `dwell_grid`."""
    h, w = grid
    here = in_image(points)
    column = np.minimum((points[here, 0] * w).astype(np.int64), w - 1)
    row = np.minimum((points[here, 1] * h).astype(np.int64), h - 1)
    share = np.zeros((h, w))
    np.add.at(share, (row, column), shares[here])
    return share


def in_image(xy: np.ndarray) -> np.ndarray:
    """Which points [N, 2], ratios, are in the image, edges included."""
    here: np.ndarray = np.all((xy >= 0) & (xy <= 1), axis=1)
    return here


class OnObject(NamedTuple):
    """The time on the object before the click.

    Attributes:
        ms: held time in any of the boxes.
        share: of the held time before the click; None if no time passes.
        last_stay: ms for which it was on the object without leaving it, right before the click.
    """

    ms: float
    share: float | None
    last_stay: float


def on_object(path: Scanpath, boxes: np.ndarray, end: float) -> OnObject:
    """The time in the object's boxes [n, 4] before the click at `end`, in ms.

    Raises:
        ValueError: a trace without times.
    """
    if path.time is None:
        raise ValueError("a trace without times has no time on the object.")
    own = held(path, end)
    hit = inside(path.xy, boxes)
    before = np.flatnonzero(path.time <= end)
    of_click = path.segment == path.segment[before].max(initial=-1)  # a stay is within one segment
    away = before[~(hit & of_click)[before]]
    first = away[-1] + 1 if len(away) else 0
    total = float(own.sum())
    return OnObject(
        float(own[hit].sum()), float(own[hit].sum()) / total if total > 0 else None, float(own[first:].sum())
    )


def mixture(paths: list[Scanpath], until_click: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Several traces of one image -> points [P, 2], weights [P] that sum to 1.

    Each annotator has the same total weight, however many samples and traces he left; his traces share it by
    their `weight`. Samples outside the image are kept with weight 0, and the rest of the trace has all of its
    weight. Traces without an annotator count as one annotator each. Empty without a sample in the image.

    Args:
        paths: in ratios.
        until_click: whether only what is before the first click counts, where there is one.
    """
    points, shares = [np.zeros((0, 2))], [np.zeros(0)]
    of_annotator: dict[object, float] = {}
    owners: list[object] = []
    for number, path in enumerate(paths):
        own = weights(path, path.end if until_click else None) * in_image(path.xy)
        if own.sum() == 0 or path.weight <= 0:
            continue
        owner: object = number if path.annotator is None else path.annotator
        of_annotator[owner] = of_annotator.get(owner, 0.0) + path.weight
        owners.append(owner)
        points.append(path.xy)
        shares.append(own / own.sum() * path.weight)
    shares[1:] = [
        share / of_annotator[owner] / len(of_annotator)
        for share, owner in zip(shares[1:], owners, strict=True)
    ]
    return np.concatenate(points), np.concatenate(shares)
