"""Which traces to keep: each criterion names why it rejects a trace."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

from luab_attention.traces.kinematics import duration
from luab_attention.traces.quality import TraceQuality, quality
from luab_attention.traces.scanpath import Scanpath


@dataclass(frozen=True)
class Criteria:
    """What a trace must fulfil; None or False: not asked for. A value that a trace lacks does not reject it.

    Attributes:
        min_samples: the fewest samples.
        min_duration: ms, the shortest recorded time.
        max_duration: ms, the longest.
        min_rate: samples per second, the lowest.
        max_gap: ms, the longest interval within a segment.
        max_repeated: the largest share of repeated times.
        max_outside: the largest share of samples outside the image.
        max_missing: the largest share of samples without a position or a time.
        max_jumps: the most jumps.
        in_order: whether times must not go back.
        no_straight_lines: whether a line as programs draw it is rejected.
        clicked: whether there must be a click at or after the first sample.
    """

    min_samples: int | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    min_rate: float | None = None
    max_gap: float | None = None
    max_repeated: float | None = None
    max_outside: float | None = None
    max_missing: float | None = None
    max_jumps: int | None = None
    in_order: bool = False
    no_straight_lines: bool = False
    clicked: bool = False

    def asked(self) -> dict[str, float | bool]:
        """The criteria that are asked for, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value is not False}


SHARES = ("max_repeated", "max_outside", "max_missing")  # from 0 to 1


class Judgment(NamedTuple):
    """What the criteria say of a trace.

    Attributes:
        reason: the first criterion that rejects it, and why in words; None: it is kept.
        not_measured: the criteria before that one whose value it cannot have, such as a rate without times.
    """

    reason: tuple[str, str] | None
    not_measured: tuple[str, ...]


def judge(path: Scanpath, criteria: Criteria) -> Judgment:
    """Whether a trace in ratios is kept.

    Criteria are checked in the order of `Criteria`, and a trace is rejected once. So the counts by criterion
    add up to the number of rejected traces.
    """
    own = quality(path)
    absent: list[str] = []
    for name, limit in criteria.asked().items():
        measured, words = _MEASURES[name](path, own)
        if measured is None:
            absent.append(name)
            continue
        if name.startswith("min_"):
            failed, wanted = measured < limit, f"at least {limit:g}"
        elif name.startswith("max_"):
            failed, wanted = measured > limit, f"at most {limit:g}"
        else:
            failed, wanted = bool(measured), ""
        if failed:
            words = f"{words.format(measured)}{f'; {wanted} is allowed' if wanted else ''}"
            return Judgment((name, words), tuple(absent))
    return Judgment(None, tuple(absent))


_Measure = Callable[[Scanpath, TraceQuality], tuple[float | None, str]]

_MEASURES: dict[str, _Measure] = {
    "min_samples": lambda path, own: (own.samples, "{:g} samples"),
    "min_duration": lambda path, own: (duration(path), "{:g} ms are recorded"),
    "max_duration": lambda path, own: (duration(path), "{:g} ms are recorded"),
    "min_rate": lambda path, own: (own.rate, "{:.3g} samples per second"),
    "max_gap": lambda path, own: (own.longest_gap, "a gap of {:g} ms"),
    "max_repeated": lambda path, own: (own.repeated, "a share of {:.3g} of the times repeats"),
    "max_outside": lambda path, own: (own.outside, "a share of {:.3g} is outside the image"),
    "max_missing": lambda path, own: (
        own.missing / max(own.missing + own.samples, 1),
        "a share of {:.3g} has no position",
    ),
    "max_jumps": lambda path, own: (own.jumps, "{:g} jumps"),
    "in_order": lambda path, own: (None if path.time is None else own.disordered, "{:g} times go back"),
    "no_straight_lines": lambda path, own: (
        own.straight_line if path.duration is None else None,
        "a line at a steady speed, as programs draw",
    ),
    "clicked": lambda path, own: (not _clicked(path), "no click at or after its first sample"),
}


def _clicked(path: Scanpath) -> bool:
    if not path.clicks or not len(path):
        return False
    return path.time is None or path.clicks[-1].time >= path.time[0]
