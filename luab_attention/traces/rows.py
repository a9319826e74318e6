"""A dataset row of any layout -> scanpaths.

scanpaths     the column of human attention (`luab_attention.columns`)
annotations   ImageNet-AB's (`time`, epoch ms) and COCO-AB's (`time_at`, ms since the page opened)
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import datasets
import numpy as np

from luab_attention.columns import SCANPATHS
from luab_attention.traces.scanpath import Click, Scanpath
from luab_data.console.names import few
from luab_data.constants import ANNOTATIONS
from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list
from luab_data.rows.labels import class_number, names_no_class

TRACKING = "mouse_tracking"
PAGE_TIME = "time_at"  # COCO-AB's name of a time
EXAMPLE = "Convert the data with `luab convert`, or name the column with --column."


class TraceColumn(NamedTuple):
    """A column with traces.

    Attributes:
        name: of the column.
        annotations: whether it has the layout of our annotations; otherwise that of `scanpaths`.
        timed: whether samples have times.
        fixations: whether samples have durations.
    """

    name: str
    annotations: bool
    timed: bool
    fixations: bool


def trace_column(features: datasets.Features, name: str | None = None) -> TraceColumn:
    """The column with the traces: `name`, or `scanpaths`, or `annotations`.

    Raises:
        SourceError: there is none, or it has another layout.
    """
    found = name or next((each for each in (SCANPATHS, ANNOTATIONS) if each in features), None)
    if found is None:
        raise SourceError(
            f"the rows have no traces: neither {SCANPATHS} nor {ANNOTATIONS}; they have "
            f"{few(list(features))}. {EXAMPLE}"
        )
    if found not in features:
        raise SourceError(f"--column {found!r}: there is no such column; there are {few(list(features))}.")
    entry = _entry(features[found])
    if isinstance(entry, dict) and {"x", "y"} <= entry.keys():
        return TraceColumn(found, False, "time" in entry, "duration" in entry)
    if isinstance(entry, dict) and TRACKING in entry:
        sample = _entry(entry[TRACKING])
        if isinstance(sample, dict) and {"x", "y"} <= sample.keys():
            if not ("time" in sample or PAGE_TIME in sample):
                raise SourceError(f"column {found!r}: {TRACKING} has neither time nor {PAGE_TIME}.")
            return TraceColumn(found, True, True, False)
    has = few(list(entry)) if isinstance(entry, dict) else str(entry)
    raise SourceError(
        f"column {found!r} holds no traces: it needs a list with x and y lists, or annotations with "
        f"{TRACKING}; it has {has}. {EXAMPLE}"
    )


def scanpaths_of(row: Mapping[str, Any], column: TraceColumn) -> list[Scanpath]:
    """The traces of a row in their order; entries without a sample, and null, give empty scanpaths.

    So the n-th scanpath is the n-th entry of the column.

    Raises:
        SourceError: lists of different lengths, or a duration or a weight that is not 0 or more.
        ValueError: a label that is no number.
    """
    entries = row[column.name] or []
    read = _of_annotation if column.annotations else partial(_of_entry, column=column.name)
    return [_nothing(column) if each is None else read(each) for each in entries]


def _nothing(column: TraceColumn) -> Scanpath:
    """A scanpath without samples, of a null entry."""
    time, duration = (np.zeros(0) if there else None for there in (column.timed, column.fixations))
    return _scanpath(np.zeros((0, 2)), time, duration, None)


def _of_entry(entry: Mapping[str, Any], column: str) -> Scanpath:
    lists = {name: entry.get(name) for name in ("x", "y", "time", "duration", "segment")}
    lengths = {name: len(values) for name, values in lists.items() if values is not None}
    if lists["x"] is None or lists["y"] is None or len(set(lengths.values())) > 1:
        raise SourceError(f"a scanpath whose lists have different lengths: {lengths or 'no x and y'}.")
    label: Any = entry.get("label")
    weight = entry.get("weight")
    if weight is not None and not 0 <= weight < math.inf:
        raise SourceError(f"a scanpath with the weight {weight:g}; it is 0 or more, or null for 1.")
    return _scanpath(
        np.stack([_floats(lists["x"]), _floats(lists["y"])], axis=1),
        None if lists["time"] is None else _floats(lists["time"]),
        None if lists["duration"] is None else _floats(lists["duration"]),
        None if lists["segment"] is None else np.array(lists["segment"], np.int64),
        annotator=entry.get("annotator"),
        task=entry.get("task"),
        label=None if names_no_class(label) else class_number(label, column),
        weight=1.0 if weight is None else float(weight),
    )


def _of_annotation(annotation: Mapping[str, Any]) -> Scanpath:
    """One annotation's cursor. A segment ends where the cursor left the image, and at a selecting click.

    ImageNet-AB's tracking pauses while the image is selected. Its epoch times count from the first sample;
    COCO-AB's from the opening of the page, as released.
    """
    samples = annotation[TRACKING] or []
    time = _floats([_time(each) for each in samples])
    xy = _floats([(each["x"], each["y"]) for each in samples]).reshape(-1, 2)
    clicks = _clicks(annotation)
    start = 0.0
    if samples and PAGE_TIME not in samples[0] and np.isfinite(time).any():
        start = float(np.nanmin(time))
    entered = [h["time"] for h in annotation.get("hovered_record") or [] if h["action"] == "enter"]
    selected = [each["time"] for each in annotation.get("selected_record") or []]
    segment = np.searchsorted(np.sort(_floats(entered)), time, side="right")
    segment = segment + np.searchsorted(np.sort(_floats(selected)), time, side="left")
    path = _scanpath(xy, time - start, None, None, annotator=annotation.get("worker_id"))
    # Segments follow from the times, so they are assigned to the sorted samples.
    kept = np.isfinite(xy).all(axis=1) & np.isfinite(time)
    order = np.argsort(time[kept], kind="stable")
    moved = tuple(Click(each.x, each.y, each.time - start, each.label) for each in clicks)
    return Scanpath(
        path.xy,
        path.time,
        _renumbered(np.stack([segment[kept][order], path.segment], axis=1)),
        annotator=path.annotator,
        clicks=moved,
        missing=path.missing,
        disordered=path.disordered,
    )


def _clicks(annotation: Mapping[str, Any]) -> list[Click]:
    """ImageNet-AB's selecting clicks, or COCO-AB's icons as they were put, by time."""
    found = [Click(c["x"], c["y"], float(c["time"])) for c in annotation.get("selected_record") or []]
    for action in annotation.get("action_histories") or []:
        place, time = action.get("point_to"), action.get(PAGE_TIME)
        if action["action_type"] == "add" and place and time is not None:
            found.append(Click(place["x"], place["y"], float(time), action["icon_type"]))
    return sorted(found, key=lambda each: each.time)


def _time(sample: Mapping[str, Any]) -> float | None:
    return sample["time"] if "time" in sample else sample[PAGE_TIME]


def _scanpath(
    xy: np.ndarray,
    time: np.ndarray | None,
    duration: np.ndarray | None,
    segment: np.ndarray | None,
    **known: Any,
) -> Scanpath:
    """Leaves out samples without a position or time, sorts by time, and numbers the segments from 0."""
    if duration is not None and not (np.isfinite(duration) & (duration >= 0)).all():
        raise SourceError("a trace with a duration that is not 0 ms or more.")
    there = np.isfinite(xy).all(axis=1)
    if time is not None:
        there &= np.isfinite(time)
    stretch = np.cumsum(~there)[there]  # samples around a missing one are not connected
    parts = [stretch] if segment is None else [segment[there], stretch]
    order = np.arange(int(there.sum()))
    disordered = 0
    if time is not None:
        time = time[there]
        disordered = int((np.diff(time) < 0).sum())
        order = np.argsort(time, kind="stable")
    return Scanpath(
        xy[there][order],
        None if time is None else time[order],
        _renumbered(np.stack(parts, axis=1)[order]),
        None if duration is None else duration[there][order],
        missing=int((~there).sum()),
        disordered=disordered,
        **known,
    )


def _renumbered(parts: np.ndarray) -> np.ndarray:
    """[N, k] numbers -> [N] segments from 0: a new one wherever any number changes."""
    if not len(parts):
        return np.zeros(0, np.int64)
    return np.cumsum(np.append(0, (np.diff(parts, axis=0) != 0).any(axis=1))).astype(np.int64)


def _floats(values: Sequence[Any]) -> np.ndarray:
    """float64, None as NaN."""
    return np.array(values, np.float64)


def _entry(feature: Any) -> Any:
    """The feature of a list's entries."""
    return feature.feature if is_list(feature) else feature
