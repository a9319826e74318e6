"""Scanpaths at a fixed rate, segment by segment."""

from dataclasses import replace
from typing import Literal

import numpy as np

from luab_attention.traces.kinematics import duration
from luab_attention.traces.scanpath import Scanpath

Method = Literal["hold", "linear"]
METHODS = ("hold", "linear")
# Epoch times are rounded to 1e-4 ms: a sample this much before the next one is at its time.
TOLERANCE_MS = 1e-3
MAX_SAMPLES = 10_000_000  # of one resampled trace, or a little more: one a segment


def resample(path: Scanpath, rate: float, method: Method = "hold") -> Scanpath:
    """Samples at `rate` per second, from each segment's first sample up to its last.

        t_k = t_first + 1000 k / rate    while t_k <= t_last

    "hold": the position at t is that of the last sample at or before t. A cursor sends no events while it
    rests, so this is right for mouse traces. "linear": on the line between the samples around t, for gaze at
    a changing rate. Of samples with one time, the last counts. Segments stay apart; one that lasts 0 ms
    keeps one sample.

    Raises:
        ValueError: an unusable rate or method, or see `obstacle`.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}: allowed are {', '.join(METHODS)}.")
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"rate={rate}: samples per second, more than 0.")
    if (why := obstacle(path, rate)) is not None:
        raise ValueError(f"{why}.")
    if not len(path):
        return path
    parts = [_resampled(part, rate, method) for part in path.moments().segments()]
    return replace(
        path,
        time=np.concatenate([time for time, _, _ in parts]),
        xy=np.concatenate([xy for _, xy, _ in parts]),
        segment=np.concatenate([segment for _, _, segment in parts]),
    )


def obstacle(path: Scanpath, rate: float, gaps: bool = False) -> str | None:
    """Why a trace cannot have `rate` samples per second; None: it can.

    `gaps`: whether the time between segments is filled too, as in a recording.
    """
    if path.time is None:
        return "a trace without times cannot be resampled"
    if path.duration is not None:
        return "fixations (with durations) are not samples, and cannot be resampled"
    if not len(path):
        return None
    length = float(path.time[-1] - path.time[0]) if gaps else duration(path) or 0.0
    count = length * rate / 1000
    if count > MAX_SAMPLES:
        return f"{count:,.0f} samples of {length:,.0f} ms at {rate:g} per second; at most {MAX_SAMPLES:,}"
    return None


def _resampled(part: Scanpath, rate: float, method: Method) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, positions and segment numbers of one segment."""
    time = part.time
    assert time is not None
    length = float(time[-1] - time[0])
    count = int(np.floor((length + TOLERANCE_MS) * rate / 1000)) + 1
    moments = np.minimum(time[0] + np.arange(count) * 1000 / rate, time[-1])
    if method == "linear":
        xy = np.stack([np.interp(moments, time, part.xy[:, axis]) for axis in (0, 1)], axis=1)
    else:
        xy = part.xy[np.searchsorted(time, moments + TOLERANCE_MS, side="right") - 1]
    return moments, xy, np.full(count, part.segment[0])
