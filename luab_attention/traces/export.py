"""Traces for other tools: pymovements' columns, and BIDS recordings."""

import gzip
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from luab_attention.traces.resampling import Method, obstacle, resample
from luab_attention.traces.scanpath import Scanpath

# pymovements.gaze.from_csv(FILE, time_column="time", pixel_columns=["x_pix", "y_pix"], trial_columns=TRIAL)
PYMOVEMENTS = (
    *("row", "image_id", "trace", "annotator", "task", "segment"),
    *("time", "x_pix", "y_pix", "duration"),
)
TRIAL = ("row", "image_id", "trace", "segment")  # an image may have several rows

BIDS_VERSION = "1.11.1"
BIDS_COLUMNS = ("timestamp", "x_coordinate", "y_coordinate")
BIDS_SPACE = "Pixels of the image that was shown: origin at its upper left corner, x to the right, y down."
# Of eye trackers, BIDS wants each eye in a file of its own, which the name tells apart.
BIDS_RECORDING = "eye1"
EYES = ("left", "right", "cyclopean")
NOT_THERE = "n/a"  # BIDS' word for a missing value
_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9]+")


def pymovements_rows(
    row: int, image_id: str, number: int, path: Scanpath, size: tuple[float, float]
) -> Iterator[Any]:
    """The lines of a trace in ratios, values in the order of `PYMOVEMENTS`.

    Positions are in pixels of the image, times in ms, None without; `TRIAL` names the columns that separate
    what must not be connected. `duration` is of fixations, None for samples.

    Args:
        row: number of the row.
        image_id: the image.
        number: of the trace in its row.
        path: the trace.
        size: width and height of the image in pixels.
    """
    pixels = path.scaled(*size).xy
    for at in range(len(path)):
        yield (
            row,
            image_id,
            number,
            path.annotator,
            path.task,
            int(path.segment[at]),
            None if path.time is None else float(path.time[at]),
            float(pixels[at, 0]),
            float(pixels[at, 1]),
            None if path.duration is None else float(path.duration[at]),
        )


def bids_label(text: str | None, otherwise: str) -> str:
    """A BIDS label: letters and digits only, or `otherwise`. Different texts may get the same one."""
    return _NOT_A_LABEL.sub("", text or "") or otherwise


def bids_recording(
    path: Scanpath, size: tuple[float, float], rate: float, method: Method = "hold"
) -> tuple[bytes, dict[str, Any]]:
    """A trace in ratios as `_physio.tsv.gz` and the content of its JSON sidecar, without `PhysioType`.

    BIDS recordings have a fixed rate, so the trace is resampled (see `resample`). Between segments the
    coordinates are n/a. The table has no header; `timestamp` is in ms, coordinates in pixels of the image.
    `timestamp` and `StartTime` are on the trace's clock, as `bids_event`.

    Raises:
        ValueError: a trace without samples; or see `resample`, where the time between segments counts too.
    """
    if not len(path):
        raise ValueError("a trace without samples cannot be exported.")
    if (why := obstacle(path, rate, gaps=True)) is not None:
        raise ValueError(f"{why}.")
    even = resample(path, rate, method)
    assert even.time is not None
    place = np.round((even.time - even.time[0]) * rate / 1000).astype(np.int64)
    xy = np.full((int(place[-1]) + 1, 2), np.nan)
    xy[place] = even.scaled(*size).xy
    table = io.StringIO()
    for at, (x, y) in enumerate(xy):
        there = [f"{value:.3f}" for value in (x, y)] if np.isfinite(x) else [NOT_THERE, NOT_THERE]
        table.write("\t".join([f"{even.time[0] + at * 1000 / rate:.3f}", *there]) + "\n")
    sidecar = {
        "SamplingFrequency": rate,
        "StartTime": _seconds(float(even.time[0])),
        "Columns": list(BIDS_COLUMNS),
        "timestamp": {"Description": "Time of the sample; StartTime is the first one.", "Units": "ms"},
        "x_coordinate": {"Description": "Pixels of the image from its left edge.", "Units": "pixel"},
        "y_coordinate": {"Description": "Pixels of the image from its upper edge.", "Units": "pixel"},
    }
    return gzip.compress(table.getvalue().encode(), mtime=0), sidecar


def bids_event(path: Scanpath) -> tuple[float, float]:
    """Onset and duration in s of the viewing: from the first sample to the last, with the gaps.

    Raises:
        ValueError: a trace without samples or times.
    """
    if path.time is None or not len(path):
        raise ValueError("a trace without samples or times has no onset.")
    return _seconds(float(path.time[0])), _seconds(float(path.time[-1] - path.time[0]))


def _seconds(ms: float) -> float:
    return round(ms / 1000, 6)


def physio_type(eye: str | None) -> dict[str, str]:
    """The fields of the sidecar that say what recorded: an eye tracker for `eye`, else any device.

    Coordinates are those of the image, wherever it was on the screen. For these BIDS has no name: "custom",
    described by a field more. "gaze-on-screen" would be pixels of the screen, whose size and distance are
    needed with it.

    Raises:
        ValueError: an unknown eye.
    """
    if eye is None:
        return {"PhysioType": "generic"}
    if eye not in EYES:
        raise ValueError(f"eye={eye!r}: allowed are {', '.join(EYES)}.")
    return {
        "PhysioType": "eyetrack",
        "RecordedEye": eye,
        "SampleCoordinateSystem": "custom",
        "SampleCoordinateSystemDescription": BIDS_SPACE,
    }
