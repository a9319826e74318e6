"""Fixations in samples: I-DT and I-VT (Salvucci & Goldberg 2000, doi:10.1145/355017.355028).

Both take samples of a fixed rate, as of an eye tracker, and miss what has no samples: a resting mouse sends
no events. Resample mouse traces first (`resampling.resample`, "hold"); then these are the places where the
cursor stays. Thresholds are in the unit of the positions.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from luab_attention.traces.kinematics import intervals, speeds
from luab_attention.traces.scanpath import Scanpath

MIN_DURATION = 100.0  # ms; the usual least duration of a fixation
DISPERSION = 0.05  # ratio of the image
SPEED = 0.5  # ratios of the image per second
UNEVEN = 2.0  # a longer interval, in median intervals, is more than one lost sample or rounded time


class Fixations(NamedTuple):
    """Fixations in order of time.

    Attributes:
        xy: [F, 2] the mean of each one's samples.
        onset: [F] ms, the time of its first sample.
        offset: [F] ms, the time of its last sample.
        samples: [F] how many samples it has.
    """

    xy: np.ndarray
    onset: np.ndarray
    offset: np.ndarray
    samples: np.ndarray

    @property
    def duration(self) -> np.ndarray:
        """[F] ms."""
        return self.offset - self.onset


def fixations_by_dispersion(
    path: Scanpath, dispersion: float = DISPERSION, min_duration: float = MIN_DURATION
) -> Fixations:
    """I-DT: the longest runs of samples whose dispersion is at most `dispersion`.

        D = (max x - min x) + (max y - min y)

    A window starts with the fewest samples that cover `min_duration`. If D is at most the threshold, samples
    are added as long as it stays so, and the window is a fixation; the next one starts behind it. Otherwise
    the window's first sample is dropped. The sample that breaks the threshold is not part of the fixation.

    Raises:
        ValueError: no times, fixations instead of samples, a threshold below 0.
    """
    _require_samples(path, dispersion=dispersion, min_duration=min_duration)
    return _collected(path, lambda part: _dispersion_runs(part, dispersion, min_duration))


def fixations_by_speed(path: Scanpath, speed: float = SPEED, min_duration: float = MIN_DURATION) -> Fixations:
    """I-VT: runs of samples whose speed is below `speed`, of at least `min_duration`.

    A sample's speed is that of the step to it; the first sample of a segment has the speed of the next.

    Raises:
        ValueError: see `fixations_by_dispersion`.
    """
    _require_samples(path, speed=speed, min_duration=min_duration)
    return _collected(path, lambda part: _slow_runs(part, speed, min_duration))


def is_even(path: Scanpath) -> bool:
    """Whether samples have a fixed rate: no interval is longer than `UNEVEN` median ones."""
    between = intervals(path)
    return not len(between) or float(between.max()) <= UNEVEN * float(np.median(between))


def fixation_path(path: Scanpath, found: Fixations) -> Scanpath:
    """The fixations as a scanpath with durations, of the same annotator."""
    segment = np.zeros(len(found.onset), np.int64)
    return Scanpath(
        found.xy, found.onset, segment, found.duration, path.annotator, path.task, path.label, path.weight,
        path.clicks,
    )  # fmt: skip


def _dispersion_runs(part: Scanpath, threshold: float, min_duration: float) -> Iterator[tuple[int, int]]:
    """First and last sample of each fixation of one segment."""
    time, xy = part.time, part.xy
    assert time is not None
    start = 0
    while start < len(part):
        last = int(np.searchsorted(time, time[start] + min_duration, side="left"))
        if last >= len(part):
            return
        low, high = xy[start : last + 1].min(axis=0), xy[start : last + 1].max(axis=0)
        if (high - low).sum() > threshold:
            start += 1
            continue
        while last + 1 < len(part):
            wider = np.minimum(low, xy[last + 1]), np.maximum(high, xy[last + 1])
            if (wider[1] - wider[0]).sum() > threshold:
                break
            (low, high), last = wider, last + 1
        yield start, last
        start = last + 1


def _slow_runs(part: Scanpath, threshold: float, min_duration: float) -> Iterator[tuple[int, int]]:
    time = part.time
    assert time is not None
    if len(part) < 2:
        return
    own = speeds(part)
    slow = np.concatenate([own[:1], own]) < threshold
    borders = np.flatnonzero(np.diff(slow)) + 1
    for run in np.split(np.arange(len(part)), borders):
        if slow[run[0]] and time[run[-1]] - time[run[0]] >= min_duration:
            yield int(run[0]), int(run[-1])


def _collected(path: Scanpath, runs: Callable[[Scanpath], Iterator[tuple[int, int]]]) -> Fixations:
    found: list[tuple[float, float, float, float, int]] = []
    for part in path.moments().segments():
        assert part.time is not None
        for first, last in runs(part):
            x, y = part.xy[first : last + 1].mean(axis=0)
            found.append((x, y, part.time[first], part.time[last], last + 1 - first))
    table = np.array(found, np.float64).reshape(-1, 5)
    return Fixations(table[:, :2], table[:, 2], table[:, 3], table[:, 4].astype(np.int64))


def _require_samples(path: Scanpath, **thresholds: float) -> None:
    for name, value in thresholds.items():
        if not value >= 0:
            raise ValueError(f"{name}={value}: it must be 0 or more.")
    if path.time is None:
        raise ValueError("a trace without times has no fixations: give each sample its time.")
    if path.duration is not None:
        raise ValueError("the trace has fixations already (durations).")
