"""Where the cursor was on its way to the click: positions, each with the weight that its time gives it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from luab_attention.points import FAR_OUTSIDE

# Time in which a cursor position loses weight by the factor e, ms. ImageNet-AB's workers hover 0.75 s on
# average before they select an image, so the first half of a typical track weighs a quarter of the second.
TRACE_TIME_CONSTANT = 250.0
# Positions below this share of the heaviest one's weight are left out: at 60 Hz it keeps the last 1.7 s.
TRACE_NEGLIGIBLE = 1e-3


def trace(
    annotations: list[Mapping[str, Any]], time_constant: float = TRACE_TIME_CONSTANT
) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the cursor was on its way to the click -> points `[P, 2]` image ratios, weights `[P]` of sum 1.

    A position at time t, up to the annotation's first selecting click at t_c, weighs exp(-(t_c - t) /
    time_constant) (ms), shared between the positions of the same time (tracks repeat times). Each
    annotation's weights sum to 1 over the number of annotations that count: selected when the page was
    submitted, with a click, with positions before it. None when there is none.
    """
    tracks = []
    for annotation in annotations:
        if not (annotation["selected"] and annotation["selected_record"] and annotation["mouse_tracking"]):
            continue
        clicked = min(record["time"] for record in annotation["selected_record"])
        before = [p for p in annotation["mouse_tracking"] if p["time"] <= clicked]
        if not before:
            continue
        age = clicked - np.array([p["time"] for p in before], np.float64)
        _, moment, repeats = np.unique(age, return_inverse=True, return_counts=True)
        # Ages count from the newest position: after a minute's rest exp() would underflow to nothing.
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
