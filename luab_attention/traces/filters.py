"""Which traces to keep: each criterion names why it rejects a trace."""

from collections.abc import Callable
from dataclasses import dataclass, fields

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


def reason(path: Scanpath, criteria: Criteria) -> tuple[str, str] | None:
    """The first criterion that rejects a trace in ratios, and why in words; None: it is kept.

    Criteria are checked in the order of `Criteria`, and a trace is rejected once. So the counts by criterion
    add up to the number of rejected traces.
    """
    own = quality(path)
    for name, limit in criteria.asked().items():
        measured, words = _MEASURES[name](path, own)
        if measured is None:
            continue
        if name.startswith("min_"):
            failed, wanted = measured < limit, f"at least {limit:g}"
        elif name.startswith("max_"):
            failed, wanted = measured > limit, f"at most {limit:g}"
        else:
            failed, wanted = bool(measured), ""
        if failed:
            return name, f"{words.format(measured)}{f'; {wanted} is allowed' if wanted else ''}"
    return None


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
    "in_order": lambda path, own: (own.disordered, "{:g} times go back"),
    "no_straight_lines": lambda path, own: (own.straight_line, "a line at a steady speed, as programs draw"),
    "clicked": lambda path, own: (not _clicked(path), "no click at or after its first sample"),
}


def _clicked(path: Scanpath) -> bool:
    if not path.clicks or not len(path):
        return False
    return path.time is None or path.clicks[-1].time >= path.time[0]
