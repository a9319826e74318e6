"""The quality of a dataset's traces: counts, spreads, suspicious traces, agreement."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luab.traces.rows import TraceRows
from luab_attention.traces.dwell import dwell_grid
from luab_attention.traces.kinematics import duration
from luab_attention.traces.quality import AGREEMENT_GRID, agreement, quality, share_map, similarity
from luab_attention.traces.scanpath import Scanpath
from luab_data.console.text import counted, printable

# Measure -> how it is printed. One number a trace is in memory.
SPREADS = {
    "samples": "samples",
    "duration_ms": "duration (ms)",
    "rate_hz": "samples per second",
    "longest_gap_ms": "longest gap (ms)",
    "repeated_times": "share of repeated times",
    "outside": "share outside the image",
}
PERCENTILES = (5, 50, 95)
THIRDS = (3, 3)
OUTSIDE = 0.5  # more than this share outside is counted
CHECKS = {
    "gaps": "with a gap over 1 s",
    "jumps": "with a jump (half the image within 50 ms)",
    "mostly_outside": "more than half outside the image",
    "repeated": "that repeat times",
    "disordered": "whose times go back",
    "missing": "with samples without a position",
    "straight_line": "that are lines as programs draw",
}


@dataclass
class TraceReport:
    """Collects one image after the other; `summary` has the results."""

    rows: int = 0
    rows_with_traces: int = 0
    traces: int = 0
    empty: int = 0
    samples: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    straight: Counter[str] = field(default_factory=Counter)
    annotators: Counter[str] = field(default_factory=Counter)
    spreads: dict[str, "array[float]"] = field(default_factory=lambda: {each: array("d") for each in SPREADS})
    same: "array[float]" = field(default_factory=lambda: array("d"))
    other: "array[float]" = field(default_factory=lambda: array("d"))
    dwell: np.ndarray = field(default_factory=lambda: np.zeros(THIRDS))
    before: np.ndarray | None = None  # a map of an earlier image

    def add(self, *rows: list[Scanpath]) -> None:
        """Adds the traces of all rows of one image."""
        found = [path for paths in rows for path in paths if len(path)]
        self.rows += len(rows)
        self.empty += sum(map(len, rows)) - len(found)
        self.rows_with_traces += sum(any(map(len, paths)) for paths in rows)
        for path in found:
            self._trace(path)
        if (agreed := agreement(found)) is not None:
            self.same.append(agreed)
        maps = [each for path in found if (each := share_map(path, AGREEMENT_GRID)) is not None]
        if maps and self.before is not None:
            self.other.append(similarity(self.before, maps[0]))
        self.before = maps[0] if maps else self.before

    def _trace(self, path: Scanpath) -> None:
        own = quality(path)
        self.traces += 1
        self.samples += own.samples
        self.dwell += dwell_grid(path, THIRDS)
        values = {
            "samples": own.samples,
            "duration_ms": duration(path),
            "rate_hz": own.rate,
            "longest_gap_ms": own.longest_gap,
            "repeated_times": own.repeated,
            "outside": own.outside,
        }
        for name, value in values.items():
            if value is not None:
                self.spreads[name].append(value)
        flags = {
            "gaps": own.gaps,
            "jumps": own.jumps,
            "mostly_outside": own.outside > OUTSIDE,
            "repeated": own.repeated,
            "disordered": own.disordered,
            "missing": own.missing,
            "straight_line": own.straight_line,
        }
        self.checks.update(name for name, flag in flags.items() if flag)
        if path.annotator is not None:
            self.annotators[path.annotator] += 1
            self.straight[path.annotator] += own.straight_line

    def summary(self) -> dict[str, Any]:
        """The results: counts of traces, `spreads` by percentile, `dwell` in thirds of the image.

        `agreement`: the mean similarity of the annotators of one image, and of the traces of two images next
        to each other in the dataset, which is what looking at the center of everything gives.
        """
        total = float(self.dwell.sum())
        return {
            "rows": self.rows,
            "rows_with_traces": self.rows_with_traces,
            "traces": self.traces,
            "entries_without_samples": self.empty,
            "samples": self.samples,
            "annotators": len(self.annotators),
            "spreads": {name: _spread(values) for name, values in self.spreads.items()},
            "checks": {name: self.checks[name] for name in CHECKS},
            "dwell_thirds": (self.dwell / total).tolist() if total > 0 else None,
            "agreement": _mean(self.same),
            "images_with_agreement": len(self.same),
            "agreement_of_other_images": _mean(self.other),
            "annotators_with_straight_lines": [
                {"annotator": name, "straight_lines": lines, "traces": self.annotators[name]}
                for name, lines in self.straight.most_common()
                if lines
            ],
        }


def trace_report(traced: TraceRows) -> dict[str, Any]:
    """The report of all rows, those of one image in memory at a time."""
    report = TraceReport()
    for rows in traced.read_images():
        report.add(*(row.paths for row in rows))
    return report.summary()


def report_lines(summary: dict[str, Any], most: int = 5) -> list[str]:
    """The report as text; `most`: annotators to name."""
    lines = [
        f"{summary['traces']:,} traces of {summary['rows_with_traces']:,} of {summary['rows']:,} rows, "
        f"{summary['samples']:,} samples, {summary['annotators']:,} annotators; "
        f"{counted(summary['entries_without_samples'], 'entry', 'entries')} without a sample",
        "",
        f"{'':<26}{'5 %':>12}{'median':>12}{'95 %':>12}",
    ]
    for name, words in SPREADS.items():
        spread = summary["spreads"][name]
        cells = ["-"] * 3 if spread is None else [f"{value:,.3g}" for value in spread]
        lines.append(f"{words:<26}" + "".join(f"{cell:>12}" for cell in cells))
    lines += ["", "traces"]
    for name, words in CHECKS.items():
        number = summary["checks"][name]
        lines.append(f"  {words:<44}{number:>10,} ({100 * number / max(summary['traces'], 1):.1f} %)")
    if summary["dwell_thirds"] is not None:
        lines += ["", "time in the thirds of the image (%)"]
        lines += ["  " + "".join(f"{100 * value:>7.1f}" for value in row) for row in summary["dwell_thirds"]]
    if summary["agreement"] is not None:
        other = summary["agreement_of_other_images"]
        lines += [
            "",
            f"annotators of an image agree by {summary['agreement']:.3f} "
            f"({counted(summary['images_with_agreement'], 'image')}); traces of two images by "
            f"{'-' if other is None else f'{other:.3f}'} (1: the same shares of time on a grid of 8 x 8)",
        ]
    for each in summary["annotators_with_straight_lines"][:most]:
        lines.append(
            f"  annotator {printable(each['annotator'])}: {each['straight_lines']:,} of {each['traces']:,} "
            "traces are straight lines"
        )
    return lines


def _spread(values: "array[float]") -> list[float] | None:
    return np.percentile(np.asarray(values), PERCENTILES).tolist() if values else None


def _mean(values: "array[float]") -> float | None:
    return float(np.mean(values)) if values else None
