"""One viewing of one image: samples or fixations, in segments.

Rules for all measures of this package:

* Samples of different segments are not connected. Nothing is interpolated or measured between them.
* Times never go back. Of samples that repeat a time, the last is where the cursor ended in that ms: it counts
  for times, speeds and resampling. Lengths and shapes use all samples.
* A measure that a trace does not have is None (no time, one sample), never NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Click:
    """A click on the image: x, y in the unit of its scanpath, and its time in ms.

    `label`: the class's name, if the click has one.
    """

    x: float
    y: float
    time: float
    label: str | None = None


@dataclass(frozen=True)
class Scanpath:
    """One annotator's trace on one image.

    Attributes:
        xy: [N, 2] float64, x first; ratios of the image unless `scaled`. Finite.
        time: [N] ms, never going back; None without times.
        duration: [N] ms of each fixation; None for samples.
        segment: [N] whole numbers, never going back.
        annotator: who, None if unknown.
        task: which task, None if there is one only.
        label: number of the class that it belongs to, None without.
        weight: of this trace among those of its image.
        clicks: the clicks on the image, in order of time.
        missing: number of samples without a position or a time, which are left out. The path breaks there.
        disordered: number of samples with an earlier time than the one before. They are sorted by time.
    """

    xy: np.ndarray
    time: np.ndarray | None
    segment: np.ndarray
    duration: np.ndarray | None = None
    annotator: str | None = None
    task: str | None = None
    label: int | None = None
    weight: float = 1.0
    clicks: tuple[Click, ...] = ()
    missing: int = 0
    disordered: int = 0

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def end(self) -> float | None:
        """The time in ms of the first click, up to which the trace is judged. None: there is no click."""
        return self.clicks[0].time if self.clicks else None

    def segments(self) -> Iterator["Scanpath"]:
        """Each segment as a scanpath of its own, in order."""
        borders = np.flatnonzero(np.diff(self.segment)) + 1
        if len(self) and not len(borders):
            yield self
            return
        for part in np.split(np.arange(len(self)), borders):
            if len(part):
                yield self.only(part)

    def only(self, kept: np.ndarray) -> "Scanpath":
        """The samples `kept`, a mask or their positions."""
        return replace(
            self,
            xy=self.xy[kept],
            time=None if self.time is None else self.time[kept],
            duration=None if self.duration is None else self.duration[kept],
            segment=self.segment[kept],
        )

    def moments(self) -> "Scanpath":
        """Without samples that a later one of the same segment and time replaces. All without times."""
        if self.time is None or len(self) < 2:
            return self
        replaced = (np.diff(self.time) == 0) & (np.diff(self.segment) == 0)
        return self.only(np.append(~replaced, True)) if replaced.any() else self

    def scaled(self, width: float, height: float) -> "Scanpath":
        """In another unit: x times `width`, y times `height`, clicks too."""
        scale = np.array((width, height), np.float64)
        clicks = tuple(replace(each, x=each.x * width, y=each.y * height) for each in self.clicks)
        return replace(self, xy=self.xy * scale, clicks=clicks)

    def before(self, end: float) -> "Scanpath":
        """The samples up to and including the time `end`, in ms. All without times."""
        return self if self.time is None else self.only(self.time <= end)


def connected(path: Scanpath) -> np.ndarray:
    """Whether each sample is in the segment of the one before, bool [N - 1]."""
    return np.diff(path.segment) == 0
