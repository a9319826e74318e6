"""One line of measures for each trace."""

from typing import NamedTuple

import numpy as np

from luab_attention.boxes.boxes import inside
from luab_attention.traces.deviation import deviation_area, max_deviation, straightness
from luab_attention.traces.dwell import on_object, weights
from luab_attention.traces.fixations import (
    DISPERSION,
    MIN_DURATION,
    SPEED,
    fixations_by_dispersion,
    fixations_by_speed,
)
from luab_attention.traces.kinematics import (
    REST_MS,
    accelerations,
    direction_changes,
    duration,
    idle_time,
    mean_speed,
    path_length,
    speeds,
    time_to_first_move,
)
from luab_attention.traces.quality import quality
from luab_attention.traces.scanpath import Scanpath

Value = float | int | bool | None

# Feature -> its unit and what it is; `unit` is that of the positions: see `--units`.
FEATURES: dict[str, tuple[str, str]] = {
    "samples": ("count", "samples or fixations"),
    "segments": ("count", "connected parts; nothing is measured between them"),
    "missing": ("count", "samples without a position or a time, left out"),
    "disordered": ("count", "times that went back; sorted"),
    "duration_ms": ("ms", "recorded time: last minus first of each segment; of fixations, their durations"),
    "rate_hz": ("1/s", "1000 over the median interval"),
    "longest_gap_ms": ("ms", "longest interval within a segment"),
    "gaps": ("count", "intervals longer than 1 s"),
    "repeated_times": ("share", "samples that repeat the time of the one before"),
    "outside": ("share", "samples outside the image"),
    "jumps": ("count", "steps longer than 0.5 of the image within 50 ms"),
    "straight_line": ("bool", "a line at a steady speed, as programs draw"),
    "path_length": ("unit", "all steps within segments"),
    "speed_mean": ("unit/s", "way over time"),
    "speed_max": ("unit/s", "fastest step"),
    "acceleration_max": ("unit/s2", "largest change of speed, speeding up or slowing down"),
    "max_deviation": ("unit", "largest distance to the direct path; negative on its left"),
    "deviation_area": ("unit2", "area to the direct path, left subtracted from right"),
    "straightness": ("share", "direct over traveled way; 1 is straight"),
    "x_changes": ("count", "changes of direction along x"),
    "y_changes": ("count", "changes of direction along y"),
    "idle_ms": ("ms", "intervals without movement, or longer than 100 ms"),
    "first_move_ms": ("ms", "from the first sample to the first one elsewhere"),
    "fixations_idt": ("count", "by dispersion; see --dispersion"),
    "fixation_ms_idt": ("ms", "their mean duration"),
    "fixations_ivt": ("count", "by speed; see --speed"),
    "fixation_ms_ivt": ("ms", "their mean duration"),
    "in_boxes": ("share", "of the time in the image's boxes"),
    "click_ms": ("ms", "from the first sample to the first click"),
    "on_object_ms": ("ms", "held in the image's boxes before the first click"),
    "on_object": ("share", "of the time before the first click"),
    "last_stay_ms": ("ms", "on the object without leaving it or the image, right before the click"),
}


class Thresholds(NamedTuple):
    """What counts as a fixation and as a rest; `dispersion` and `speed` in the unit of the positions."""

    dispersion: float = DISPERSION
    speed: float = SPEED
    min_duration: float = MIN_DURATION
    rest_ms: float = REST_MS


def features(
    path: Scanpath,
    boxes: np.ndarray | None = None,
    scale: tuple[float, float] = (1.0, 1.0),
    thresholds: Thresholds | None = None,
) -> dict[str, Value]:
    """All `FEATURES` of a trace; what it cannot have is None.

    Args:
        path: in ratios of the image.
        boxes: [n, 4] x, y, w, h of the object in ratios; None: not known.
        scale: width and height of the image in the unit of lengths; (1, 1) for ratios.
        thresholds: in the unit of lengths; the defaults are in ratios.
    """
    own = quality(path)
    scaled = path.scaled(*scale)
    fast, change = speeds(scaled), accelerations(scaled)
    samples = path.duration is None
    moves = samples and path.time is not None
    x_changes, y_changes = direction_changes(path)
    line: dict[str, Value] = {
        "samples": own.samples,
        "segments": own.segments,
        "missing": own.missing,
        "disordered": own.disordered,
        "duration_ms": duration(path),
        "rate_hz": own.rate,
        "longest_gap_ms": own.longest_gap,
        "gaps": own.gaps,
        "repeated_times": own.repeated,
        "outside": own.outside,
        "jumps": own.jumps,
        "straight_line": own.straight_line,
        "path_length": path_length(scaled),
        "speed_mean": mean_speed(scaled),
        "speed_max": float(fast.max()) if moves and len(fast) else None,
        "acceleration_max": float(np.abs(change).max()) if moves and len(change) else None,
        "max_deviation": max_deviation(scaled),
        "deviation_area": deviation_area(scaled),
        "straightness": straightness(scaled),
        "x_changes": x_changes,
        "y_changes": y_changes,
        "idle_ms": idle_time(path, (thresholds or Thresholds()).rest_ms),
        "first_move_ms": time_to_first_move(path) if samples else None,
    }
    line |= _fixations(scaled, thresholds or Thresholds())
    line["in_boxes"] = None
    if boxes is not None and len(boxes):
        line["in_boxes"] = float(weights(path)[inside(path.xy, boxes)].sum())
    return line | _click(path, boxes)


def _fixations(path: Scanpath, thresholds: Thresholds) -> dict[str, Value]:
    names = ("fixations_idt", "fixation_ms_idt", "fixations_ivt", "fixation_ms_ivt")
    if path.time is None or path.duration is not None:
        return dict.fromkeys(names)
    found = (
        fixations_by_dispersion(path, thresholds.dispersion, thresholds.min_duration),
        fixations_by_speed(path, thresholds.speed, thresholds.min_duration),
    )
    values: list[Value] = []
    for each in found:
        values += [len(each.onset), float(each.duration.mean()) if len(each.onset) else None]
    return dict(zip(names, values, strict=True))


def _click(path: Scanpath, boxes: np.ndarray | None) -> dict[str, Value]:
    line: dict[str, Value] = dict.fromkeys(("click_ms", "on_object_ms", "on_object", "last_stay_ms"))
    if path.end is None or path.time is None or not len(path):
        return line
    line["click_ms"] = path.end - float(path.time[0])
    if boxes is not None and len(boxes):
        ms, share, last = on_object(path, boxes, path.end)
        line |= {"on_object_ms": ms, "on_object": share, "last_stay_ms": last}
    return line
