"""How good a recording is: rate, gaps, repeated times, share outside, jumps, bots, agreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from luab_attention.traces.deviation import deviations
from luab_attention.traces.dwell import dwell_grid, in_image
from luab_attention.traces.kinematics import intervals, path_length, speeds, steps
from luab_attention.traces.scanpath import Scanpath, connected

GAP_MS = 1000.0  # a longer interval within a segment is a gap
JUMP = 0.5  # ratio of the image: a longer step within JUMP_MS is a jump
JUMP_MS = 50.0
AGREEMENT_GRID = (8, 8)

# A line is drawn by a program if no sample leaves it by more than BEND of its length, at a steady speed. A
# cursor at whole pixels leaves it, on an image of 200 pixels, by up to 0.0025.
BEND = 0.003
STEADY = 0.1  # standard deviation of the speeds over their mean
LEAST_POSITIONS = 5  # fewer different positions say nothing
LEAST_LENGTH = 0.1  # ratio of the image; shorter movements say nothing


@dataclass(frozen=True)
class TraceQuality:
    """The quality of one trace in ratios. What it cannot have is None.

    Attributes:
        samples: number of samples.
        segments: number of segments.
        missing: number of samples without a position.
        disordered: number of samples whose time went back.
        rate: samples per second: 1000 over the median interval between moments. None without two moments,
            and for fixations.
        longest_gap: ms, the longest interval between moments of a segment. None without times, and for
            fixations.
        gaps: number of these longer than `GAP_MS`; None like `longest_gap`.
        repeated: share of the samples that repeat the time of the one before. None without times.
        outside: share of the samples outside the image; 0 without samples.
        jumps: steps longer than `JUMP` within `JUMP_MS`; without times, any longer step. None for fixations.
        straight_line: whether a program seems to have drawn it, see `is_straight_line`.
    """

    samples: int
    segments: int
    missing: int
    disordered: int
    rate: float | None
    longest_gap: float | None
    gaps: int | None
    repeated: float | None
    outside: float
    jumps: int | None
    straight_line: bool


def quality(path: Scanpath) -> TraceQuality:
    """The quality of a trace in ratios of the image."""
    between = intervals(path)
    timed = path.time is not None
    sampled = timed and path.duration is None
    return TraceQuality(
        samples=len(path),
        segments=int(path.segment[-1] - path.segment[0] + 1) if len(path) else 0,
        missing=path.missing,
        disordered=path.disordered,
        rate=1000 / float(np.median(between)) if sampled and len(between) else None,
        longest_gap=float(between.max(initial=0.0)) if sampled else None,
        gaps=int((between > GAP_MS).sum()) if sampled else None,
        repeated=(len(path) - len(path.moments())) / len(path) if timed and len(path) else None,
        outside=float((~in_image(path.xy)).mean()) if len(path) else 0.0,
        jumps=_jumps(path),
        straight_line=is_straight_line(path),
    )


def is_straight_line(path: Scanpath) -> bool:
    """Whether the longest segment is a line that people do not draw.

    It has at least `LEAST_POSITIONS` different consecutive positions, is at least `LEAST_LENGTH` long, no
    sample is further from the line between its ends than `BEND` of its length, and with times its speeds
    differ by less than `STEADY` (standard deviation over mean). Never for fixations.
    """
    if path.duration is not None or not len(path):
        return False
    part = max(path.segments(), key=path_length)
    moved = part.only(np.append(True, (np.diff(part.xy, axis=0) != 0).any(axis=1)))
    length = float(np.hypot(*(part.xy[-1] - part.xy[0])))
    if len(moved) < LEAST_POSITIONS or length < LEAST_LENGTH:
        return False
    if float(np.abs(deviations(part)).max()) > BEND * length or path_length(part) > length * (1 + BEND):
        return False
    own = speeds(moved)
    return part.time is None or (len(own) > 0 and float(own.std()) < STEADY * float(own.mean()))


def agreement(paths: Sequence[Scanpath], grid: tuple[int, int] = AGREEMENT_GRID) -> float | None:
    """How much the annotators of one image agree: the mean similarity of traces of two annotators.

        SIM(p, q) = sum of min(p, q) over the grid's cells    (Judd et al., 2012)

    p and q are the shares of time in the cells, normalized to the image. 1: the same shares, 0: no common
    cell. Traces without an annotator count as one annotator each. None without two annotators with samples
    in the image. Compare it with traces of other images: two people who look at the center of everything
    agree as well.
    """
    maps = [(path.annotator, each) for path in paths if (each := share_map(path, grid)) is not None]
    found = [
        similarity(p, q) for (one, p), (other, q) in combinations(maps, 2) if one is None or one != other
    ]
    return float(np.mean(found)) if found else None


def share_map(path: Scanpath, grid: tuple[int, int] = AGREEMENT_GRID) -> np.ndarray | None:
    """Shares of time in the grid's cells, sum 1; None without time in the image."""
    share = dwell_grid(path, grid)
    total = share.sum()
    return share / total if total > 0 else None


def similarity(p: np.ndarray, q: np.ndarray) -> float:
    """SIM of two maps that sum to 1: 1 if they are equal, 0 if they share no cell."""
    return float(np.minimum(p, q).sum())


def _jumps(path: Scanpath) -> int | None:
    if path.duration is not None:
        return None
    far = steps(path) > JUMP
    if path.time is None:
        return int(far.sum())
    return int((far & (np.diff(path.time)[connected(path)] <= JUMP_MS)).sum())
