"""The check of a conversion: how many points lie inside the true boxes or masks, as read and read otherwise.

A source that is read with x and y swapped, mirrored, or counted from the wrong pixel gives plausible numbers.
Where there are boxes or masks of the same images, another reading then puts more points inside them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from luab_attention.boxes.boxes import inside
from luab_attention.convert.frames import Frame, ImagePixels, Region, Screen
from luab_data.build.manifest import INNER

COMPARED = "points compared with true boxes or masks"
PLACES, OUTSIDE = "points and samples", "points and samples outside the image"
NO_RATIOS = f"{INNER}points and samples in percent or pixels"
LIKE_RATIOS = f"{INNER}of these from 0 to 1, in both axes"
AS_READ = "of these inside, as read"
SWAPPED, MIRRORED, UPSIDE_DOWN = "x and y swapped", "mirrored left to right", "mirrored upside down"
FROM_1, FROM_0 = "counted from 1", "counted from 0"
READINGS = (SWAPPED, MIRRORED, UPSIDE_DOWN, FROM_1, FROM_0)

# A warning needs a difference of this many standard deviations, and of this share of the points: neighboring
# samples of a gaze depend on each other, so that chance alone gives more than independent points would.
SIGMAS, SHARE = 4.0, 0.01
ROUNDING = 1e-6


class Truth(NamedTuple):
    """A true place of an object: a box [x, y, w, h] in ratios, or a mask bool [H, W]."""

    place: np.ndarray
    label: str | None

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Which points [P, 2], in ratios, are in it: bool [P]."""
        if self.place.ndim == 1:
            return inside(points, self.place)
        height, width = self.place.shape
        cells = np.floor(points * (width, height)).astype(np.int64)
        there = ((cells >= 0) & (cells < (width, height))).all(axis=1)
        cells = cells.clip(0, (width - 1, height - 1))
        return there & self.place[cells[:, 1], cells[:, 0]]


class Positions(NamedTuple):
    """Positions of one class in ratios [P, 2], as read in a frame, of an image of this size in pixels."""

    ratios: np.ndarray
    label: str | None
    frame: Frame
    region: Region
    size: tuple[float, float] | None

    def readings(self) -> Iterator[tuple[str, np.ndarray]]:
        """The other readings of the same numbers, in ratios [P, 2]."""
        x, y = self.ratios.T
        numbers = self.region.numbers(x, y)
        yield SWAPPED, np.stack(self.region.ratios(numbers[1], numbers[0]), axis=1)
        yield MIRRORED, np.stack([1 - x, y], axis=1)
        yield UPSIDE_DOWN, np.stack([x, 1 - y], axis=1)
        frame = self.frame
        if isinstance(frame, ImagePixels) or (isinstance(frame, Screen) and frame.units == "pixels"):
            other = replace(frame, base=1 - frame.base).region(self.size)
            name = FROM_0 if frame.base else FROM_1
            yield name, np.stack(other.ratios(*numbers), axis=1)


def check_row(positions: Sequence[Positions], truths: Sequence[Truth]) -> dict[str, int]:
    """Counts of one row: points compared, inside as read, and for each other reading those it changes."""
    counts: dict[str, int] = {}
    for each in positions if truths else ():
        own = _truths_of(each.label, truths)
        if not own or not len(each.ratios):
            continue
        read = _hits(each.ratios, own)
        _add(counts, COMPARED, len(read))
        _add(counts, AS_READ, int(read.sum()))
        for reading, points in each.readings():
            other = _hits(points, own)
            _add(counts, only(reading), int((other & ~read).sum()))
            _add(counts, not_in(reading), int((read & ~other).sum()))
    return counts


def only(reading: str) -> str:
    """The fact that counts the points that are inside in this other reading alone."""
    return f"{INNER}inside only if {reading}"


def not_in(reading: str) -> str:
    """The fact that counts the points that are inside as read, and not in this other reading."""
    return f"{INNER}no longer inside if {reading}"


class ReadingCount(NamedTuple):
    """A reading, the share of the compared points that it puts inside, and whether it fits better."""

    reading: str
    share: float
    better: bool


def reading_counts(facts: Mapping[str, int]) -> list[ReadingCount]:
    """The readings of a whole conversion, as read first; [] if nothing was compared."""
    compared = facts.get(COMPARED, 0)
    if not compared:
        return []
    read = facts.get(AS_READ, 0)
    found = [ReadingCount("as read", read / compared, False)]
    for reading in READINGS:
        if only(reading) in facts:
            gained, lost = facts[only(reading)], facts[not_in(reading)]
            needed = max(SIGMAS * math.sqrt(gained + lost), SHARE * compared)
            share = (read + gained - lost) / compared
            found.append(ReadingCount(reading, share, gained - lost > needed))
    return found


def count_outside(positions: Sequence[Positions]) -> dict[str, int]:
    """The points of a row, and those outside the image."""
    counts: dict[str, int] = {}
    for each in positions:
        outside = ((each.ratios < 0) | (each.ratios > 1)).any(axis=1)
        _add(counts, PLACES, len(each.ratios))
        _add(counts, OUTSIDE, int(outside.sum()))
    return counts


def count_like_ratios(positions: Sequence[Positions]) -> dict[str, int]:
    """The points of a row that were read as percents or pixels, and those whose numbers look like ratios.

    (0, 0) is a lost sample in every unit.
    """
    counts: dict[str, int] = {}
    for each in positions:
        ratios = isinstance(each.frame, Screen) and each.frame.units == "ratio"
        if not ratios and min(each.region.width, each.region.height) > 1:
            numbers = np.stack(each.region.numbers(*each.ratios.T), axis=1)
            numbers = numbers[(np.abs(numbers) > ROUNDING).any(axis=1)]
            like = ((numbers >= -ROUNDING) & (numbers <= 1 + ROUNDING)).all(axis=1)
            _add(counts, NO_RATIOS, len(like))
            _add(counts, LIKE_RATIOS, int(like.sum()))
    return counts


def ratios_warning(facts: Mapping[str, int]) -> str | None:
    """What to say if the numbers of most points look like ratios and were read as percents or pixels."""
    like, places = facts.get(LIKE_RATIOS, 0), facts.get(NO_RATIOS, 0)
    if 2 * like <= places:
        return None
    return (
        f"{like:,} of {places:,} points in percent or pixels have no number above 1, so that they lie in the "
        "corner: these look like ratios. See the options of the source, such as --units, and the picture."
    )


def outside_warning(facts: Mapping[str, int]) -> str | None:
    """What to say if most points are outside their image, which another unit explains best."""
    outside, places = facts.get(OUTSIDE, 0), facts.get(PLACES, 0)
    if 2 * outside <= places:
        return None
    return (
        f"{outside:,} of {places:,} points are outside their image: they may be in another unit, or on a "
        "screen that shows more than the image. See the options of the source, and the picture."
    )


def check_report(facts: Mapping[str, int]) -> list[str]:
    """The check in lines of text."""
    counts = reading_counts(facts)
    if not counts:
        return []
    shares = ", ".join(f"{each.reading} {100 * each.share:.1f} %" for each in counts)
    return [f"inside the true boxes or masks, of {facts[COMPARED]:,} points: {shares}"]


def check_warning(facts: Mapping[str, int]) -> str | None:
    """What to say if another reading fits better."""
    counts = reading_counts(facts)
    better = [each for each in counts if each.better]
    if not better:
        return None
    best = max(better, key=lambda each: each.share)
    return (
        f"read otherwise, more points lie inside the true boxes or masks: {100 * best.share:.1f} % if "
        f"{best.reading}, {100 * counts[0].share:.1f} % as read. Check the order, the unit and the base of "
        "the coordinates before you train."
    )


def _truths_of(label: str | None, truths: Sequence[Truth]) -> list[Truth]:
    labeled = [truth for truth in truths if truth.label is not None]
    if label is None or not labeled:
        return list(truths)
    return [truth for truth in labeled if truth.label == label]


def _hits(points: np.ndarray, truths: Sequence[Truth]) -> np.ndarray:
    return np.any([truth.holds(points) for truth in truths], axis=0)


def _add(counts: dict[str, int], name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number
