"""Traces: the cursor's positions before the click, each weighted by its time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from luab_attention.points import FAR_OUTSIDE

# Time in ms in which a position's weight falls by the factor e. ImageNet-AB's workers hover 0.75 s on
# average before they select an image, so the first half of a typical trace weighs a quarter of the second.
TRACE_TIME_CONSTANT = 250.0
# Positions below this share of the largest weight are dropped: at 60 Hz this keeps the last 1.7 s.
TRACE_NEGLIGIBLE = 1e-3


def trace(
    annotations: list[Mapping[str, Any] | None], time_constant: float = TRACE_TIME_CONSTANT
) -> tuple[np.ndarray, np.ndarray] | None:
    """A row's trace -> points `[P, 2]` in image ratios, weights `[P]` that sum to 1.

    The trace ends at the annotation's first selecting click, at time t_c. A position at time t has the weight
    exp(-(t_c - t) / time_constant), in ms; positions with the same time share it, because traces repeat
    times. An annotation counts if the image was selected when the page was submitted, and it has a click with
    positions before it. All annotations that count have the same total weight. None if no annotation counts.
    """
    tracks = []
    for annotation in annotations:
        if annotation is None:
            continue
        if not (annotation["selected"] and annotation["selected_record"] and annotation["mouse_tracking"]):
            continue
        clicked = min(record["time"] for record in annotation["selected_record"])
        before = [p for p in annotation["mouse_tracking"] if p["time"] <= clicked]
        if not before:
            continue
        age = clicked - np.array([p["time"] for p in before], np.float64)
        _, moment, repeats = np.unique(age, return_inverse=True, return_counts=True)
        # Ages count from the newest position: after a minute's rest, exp() would underflow to 0.
        weights = np.exp(-(age - age.min()) / time_constant) / repeats[moment]
        kept = weights > TRACE_NEGLIGIBLE * weights.max()
        points = np.array([(p["x"], p["y"]) for p in before], np.float64)
        if not (np.abs(points) <= FAR_OUTSIDE).all():  # also false for NaN
            raise ValueError(
                "mouse_tracking holds positions that are not ratios of the image, 0 to 1, x first."
            )
        tracks.append((points[kept], weights[kept] / weights[kept].sum()))
    if not tracks:
        return None
    return np.concatenate([p for p, _ in tracks]), np.concatenate([w for _, w in tracks]) / len(tracks)
