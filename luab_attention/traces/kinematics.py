"""Speed, acceleration, path length, direction changes, idle time, time to the first move.

Lengths are in the unit of the positions, times in ms, speeds in units per second. All measures stay within
segments. The mouse-tracking measures are mousetrap's (Kieslich et al., 2019, doi:10.3758/s13428-019-01238-2).
"""

import numpy as np

from luab_attention.traces.scanpath import Scanpath, connected

REST_MS = 100.0  # a cursor that moves at 60 Hz sends six events in this time; without one it rests


def steps(path: Scanpath) -> np.ndarray:
    """The length of each step within a segment, [S]."""
    return np.hypot(*np.diff(path.xy, axis=0).T)[connected(path)]


def path_length(path: Scanpath) -> float:
    """The sum of all steps within segments; 0 for one sample."""
    return float(steps(path).sum())


def intervals(path: Scanpath) -> np.ndarray:
    """The ms between consecutive moments of a segment, [S], all more than 0. Empty without times."""
    moments = path.moments()
    return np.zeros(0) if moments.time is None else np.diff(moments.time)[connected(moments)]


def speeds(path: Scanpath) -> np.ndarray:
    """The speed of each step between consecutive moments, [S]: |p_(i+1) - p_i| / (t_(i+1) - t_i) * 1000."""
    return 1000 * steps(path.moments()) / intervals(path) if path.time is not None else np.zeros(0)


def accelerations(path: Scanpath) -> np.ndarray:
    """Changes of speed in units per second squared, [A].

    The speed of a step belongs to the middle of its interval:

        a_i = (v_(i+1) - v_i) / (m_(i+1) - m_i) * 1000,    m_i = (t_i + t_(i+1)) / 2
    """
    found = [np.zeros(0)]
    for part in path.moments().segments():
        if part.time is not None and len(part) > 2:
            middles = (part.time[1:] + part.time[:-1]) / 2
            found.append(1000 * np.diff(speeds(part)) / np.diff(middles))
    return np.concatenate(found)


def duration(path: Scanpath) -> float | None:
    """The recorded time in ms: the sum over segments of last minus first time.

    Of fixations, it is the sum of their durations. None without times.
    """
    if path.duration is not None:
        return float(path.duration.sum())
    return None if path.time is None else float(intervals(path).sum())


def mean_speed(path: Scanpath) -> float | None:
    """The way between moments per recorded time. None without times, 0 if it lasts 0 ms."""
    if path.time is None or path.duration is not None:
        return None
    lasted = float(intervals(path).sum())
    return 1000 * float(steps(path.moments()).sum()) / lasted if lasted > 0 else 0.0


def direction_changes(path: Scanpath) -> tuple[int, int]:
    """How often the movement along x and along y turns around (mousetrap's `xpos_flips`, `ypos_flips`).

    Steps of 0 along an axis are skipped.
    """
    flips = [0, 0]
    for part in path.segments():
        for axis in (0, 1):
            signs = np.sign(np.diff(part.xy[:, axis]))
            signs = signs[signs != 0]
            flips[axis] += int((signs[1:] != signs[:-1]).sum())
    return flips[0], flips[1]


def idle_time(path: Scanpath, rest_ms: float = REST_MS) -> float | None:
    """The ms without movement: intervals between moments that are at one place or longer than `rest_ms`.

    A resting cursor sends no events, so a long interval is a rest (mousetrap's `idle_time` counts the first
    kind). None without times, and for fixations.
    """
    if path.time is None or path.duration is not None:
        return None
    lasted = intervals(path)
    return float(lasted[(steps(path.moments()) == 0) | (lasted > rest_ms)].sum())


def time_to_first_move(path: Scanpath) -> float | None:
    """The ms from the first sample to the first sample elsewhere in its segment or a later one.

    None without times, and if nothing ever moves.
    """
    if path.time is None or not len(path):
        return None
    moved = np.flatnonzero((path.xy != path.xy[0]).any(axis=1))
    return float(path.time[moved[0]] - path.time[0]) if len(moved) else None
