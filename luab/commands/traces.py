"""Measure, filter, resample, export and draw traces: mouse, gaze, scanpaths.

    luab traces report data/imagenet_ab
    luab traces features data/imagenet_ab --output features.csv
    luab traces filter data/gaze --max-outside 0.5 --no-straight-lines --output-dir data/gaze-clean
    luab traces resample data/gaze --rate 60 --output-dir data/gaze-60
    luab traces density data/gaze --output density.parquet
    luab traces plot data/gaze --output-dir figures
    luab traces export data/gaze --to pymovements --output gaze.csv

DATASET is a folder or a Hub id with a column `scanpaths`, as `luab convert` writes it, or with ImageNet-AB's
or COCO-AB's `annotations`. Rows are read one by one.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser
from luab_data.console.text import counted, did_you_mean, printable
from luab_data.errors import SourceError

UNITS = ("ratio", "pixels", "degrees")


class Tool(NamedTuple):
    """One tool: what it gives, what adds its options, and what runs it."""

    summary: str
    options: Callable[[Callable[..., object]], None]
    run: Callable[[argparse.Namespace], None]


def usage() -> str:
    """The text of `luab traces --help`."""
    lines = [f"  {name:<10}{summary}" for name, (summary, _, _) in TOOLS.items()]
    closing = "`luab traces TOOL --help` lists a tool's options."
    return "\n".join([f"usage: luab traces TOOL DATASET ...\n\n{__doc__}", *lines, "", closing])


@guarded("luab traces")
def main(argv: list[str]) -> int:
    """Run the command and return the exit status."""
    if argv[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    if not argv or argv[0] not in TOOLS:
        if argv:
            problem = f"there is no tool {printable(argv[0])!r}{did_you_mean(argv[0], TOOLS)}"
            print(f"luab traces: {problem}\n", file=sys.stderr)
        print(usage(), file=sys.stderr)
        return 2
    options = parser(argv[0]).parse_args(argv[1:])
    TOOLS[argv[0]].run(options)
    return 0


def parser(tool: str) -> argparse.ArgumentParser:
    """The options of one tool."""
    options = CommandParser(f"luab traces {tool}", f"`luab traces {tool}`: {TOOLS[tool].summary}.")
    add = options.add_argument
    add("dataset", metavar="DIR_OR_ID", help="a folder or a Hub id")
    add("--config", help="the dataset's configuration")
    add("--split", default="train", help="split, or a part of one (default: %(default)s)")
    add("--column", help="the traces (default: scanpaths, or annotations)")
    add("--id-column", default="image_id", help="default: %(default)s")
    TOOLS[tool].options(add)
    return options


def _report_options(add: Callable[..., object]) -> None:
    add("--output", type=Path, metavar="FILE", help="write all figures as JSON")


def _filter_options(add: Callable[..., object]) -> None:
    add(
        "--output-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="a new folder; a trace that cannot have what a criterion asks for, such as a rate without "
        "times, stays and is counted",
    )
    add("--min-samples", type=int, metavar="N")
    add("--min-duration", type=float, metavar="MS", help="shortest recorded time")
    add("--max-duration", type=float, metavar="MS")
    add("--min-rate", type=float, metavar="HZ", help="samples per second")
    add("--max-gap", type=float, metavar="MS", help="longest interval within a segment")
    add("--max-repeated", type=float, metavar="SHARE", help="of samples that repeat a time")
    add("--max-outside", type=float, metavar="SHARE", help="of samples outside the image")
    add("--max-missing", type=float, metavar="SHARE", help="of samples without a position")
    add("--max-jumps", type=int, metavar="N", help="steps over half the image within 50 ms")
    add("--in-order", action="store_true", help="reject traces whose times go back")
    add("--no-straight-lines", action="store_true", help="reject lines at a steady speed, as programs draw")
    add("--clicked", action="store_true", help="reject traces without a click at or after their first sample")


def _resample_options(add: Callable[..., object]) -> None:
    add("--output-dir", type=Path, required=True, metavar="DIR", help="a new folder")
    _rate_options(add)


def _rate_options(add: Callable[..., object]) -> None:
    add("--rate", type=float, default=60.0, metavar="HZ", help="samples per second (default: 60)")
    add(
        "--method",
        choices=("hold", "linear"),
        default="hold",
        help="hold: the last known position, for a mouse; linear: for gaze (default: %(default)s)",
    )


def _features_options(add: Callable[..., object]) -> None:
    add("--output", type=Path, required=True, metavar="FILE", help=".csv, .tsv or .parquet")
    add("--boxes", type=Path, metavar="CSV_OR_DIR", help="true boxes, unless the rows have them (objects)")
    add("--units", choices=UNITS, default="ratio", help="of lengths and speeds (default: ratio of the image)")
    add(
        "--dispersion",
        type=float,
        metavar="D",
        help="I-DT, of samples at a fixed rate: `luab traces resample` mouse traces first; in --units "
        "(default: 0.05 ratio)",
    )
    add("--speed", type=float, metavar="V", help="I-VT, likewise, in --units per second (default: 0.5 ratio)")
    add("--min-fixation", type=float, default=100.0, metavar="MS", help="default: 100")
    add("--rest", type=float, default=100.0, metavar="MS", help="a longer interval is idle (default: 100)")


def _density_options(add: Callable[..., object]) -> None:
    add("--output", type=Path, required=True, metavar="FILE", help=".parquet")
    add("--grid", type=int, nargs=2, default=(16, 16), metavar=("H", "W"), help="cells (default: 16 16)")
    _sigma_option(add, "; 0: the shares of time in the cells")
    add("--until-click", action="store_true", help="only what is before the first click")


def _sigma_option(add: Callable[..., object], zero: str = "") -> None:
    add(
        "--sigma",
        type=float,
        help=f"of the Gaussian, ratio of the image's width{zero} (default: the data's own sigma, or one "
        "degree of visual angle if the data has pixels_per_degree, or 0.03)",
    )


def _plot_options(add: Callable[..., object]) -> None:
    add("--output-dir", type=Path, required=True, metavar="DIR")
    add("--rows", type=int, default=12, help="number of rows with traces (default: %(default)s)")
    add("--seed", type=int, default=0, help="draws the rows (default: %(default)s)")
    add("--format", choices=("png", "pdf", "svg"), default="png", help="default: %(default)s")
    _sigma_option(add)


def _export_options(add: Callable[..., object]) -> None:
    add("--to", choices=("pymovements", "bids"), required=True)
    add(
        "--output", type=Path, required=True, metavar="PATH", help="a .csv or .parquet; for BIDS a new folder"
    )
    _rate_options(add)
    add("--recorded-eye", choices=("left", "right", "cyclopean"), help="BIDS, of an eye tracker")
    add("--task-label", default="viewing", help="BIDS (default: %(default)s)")


def _run_report(options: argparse.Namespace) -> None:
    from luab.traces.report import report_lines, trace_report
    from luab.traces.rows import open_rows
    from luab_data.files.whole import write_json

    summary = trace_report(open_rows(options))
    print("\n".join(report_lines(summary)))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.output, summary)
        print(f"\nall figures in {options.output}")


def _run_filter(options: argparse.Namespace) -> None:
    from dataclasses import fields

    from luab.traces.rows import open_rows
    from luab.traces.writing import write_filtered
    from luab_attention.traces.filters import SHARES, Criteria

    criteria = Criteria(**{each.name: getattr(options, each.name) for each in fields(Criteria)})
    if not criteria.asked():
        names = ", ".join(f"--{each.name.replace('_', '-')}" for each in fields(Criteria))
        raise SourceError(f"luab traces filter needs a criterion: {names}.")
    for name, limit in criteria.asked().items():
        _require_limit(f"--{name.replace('_', '-')}", limit, most=1 if name in SHARES else None)
    counts = write_filtered(open_rows(options), options.output_dir, criteria, options.dataset)
    by = [f"{number:,} by {name}" for name, number in counts["rejected_by_criterion"].items() if number]
    shown = f" ({', '.join(by)})" if by else ""
    absent = [f"{number:,} {name}" for name, number in counts["kept_without_measure"].items() if number]
    print(
        f"{counts['found']:,} traces = {counts['kept']:,} kept + {counts['rejected']:,} rejected"
        f"{shown}\n"
        f"{counted(counts['rows'], 'row')} in {options.output_dir}; rejects.jsonl has the reasons"
    )
    if absent:
        print(f"kept although not measured: {', '.join(absent)}")


def _run_resample(options: argparse.Namespace) -> None:
    from luab.traces.rows import open_rows
    from luab.traces.writing import write_resampled

    _require_positive("--rate", options.rate)
    traced = open_rows(options)
    traced.require_samples("resampling")
    counts = write_resampled(traced, options.output_dir, options.rate, options.method, options.dataset)
    print(
        f"{counted(counts['traces'], 'trace')}: {counts['samples_before']:,} samples -> "
        f"{counts['samples_after']:,} in {options.output_dir}{_rejected(counts['rejected'])}"
    )


def _run_features(options: argparse.Namespace) -> None:
    from luab.traces.rows import boxes_of, open_rows
    from luab.traces.tables import require_table, write_features
    from luab_attention.traces.features import Thresholds

    require_table(options.output, "--output")
    own = {"dispersion": options.dispersion, "speed": options.speed}
    if options.units != "ratio" and None in own.values():
        raise SourceError(
            f"--units {options.units}: give --dispersion and --speed in this unit too; their defaults are "
            "ratios of the image."
        )
    limits = {**own, "min-fixation": options.min_fixation, "rest": options.rest}
    for name, value in limits.items():
        if value is not None:
            _require_limit(f"--{name}", value)
    thresholds = Thresholds(min_duration=options.min_fixation, rest_ms=options.rest)
    thresholds = thresholds._replace(**{name: value for name, value in own.items() if value is not None})
    traced = open_rows(options)
    boxes = boxes_of(traced, options.boxes)
    written, empty, uneven = write_features(traced, options.output, boxes, options.units, thresholds)
    print(f"{counted(written, 'trace')} in {options.output}; {_left_out(empty)}")
    if uneven:
        print(
            f"{counted(uneven, 'trace')} without a fixed rate: I-DT and I-VT miss rests; take fixations from "
            f"what `luab traces resample {options.dataset} --output-dir DIR` writes"
        )
    if boxes is not None and (skipped := boxes.note()):
        print(f"skipped: {skipped}")


def _run_density(options: argparse.Namespace) -> None:
    if options.sigma != 0:
        _require_sigma(options.sigma, "0, or ")
    for side in options.grid:
        _require_positive("--grid", side)
    from luab.traces.density import write_densities
    from luab.traces.rows import open_rows

    if options.output.suffix.lower() != ".parquet":
        raise SourceError(f"--output {options.output}: the name must end in .parquet.")
    maps, without = write_densities(
        open_rows(options), options.output, tuple(options.grid), options.sigma, options.until_click
    )
    print(f"{counted(maps, 'map')} in {options.output}; {counted(without, 'image')} without a trace")


def _run_plot(options: argparse.Namespace) -> None:
    require_extra("eval")
    _require_positive("--rows", options.rows)
    _require_sigma(options.sigma)
    from luab.traces.plots import GALLERY, write_plots
    from luab.traces.rows import open_rows

    title = f"{options.dataset}, {options.split}"
    written, total = write_plots(
        open_rows(options),
        options.output_dir,
        options.rows,
        options.seed,
        options.format,
        options.sigma,
        title,
    )
    print(
        f"{counted(written, 'figure')} of {counted(total, 'row')} in {options.output_dir}; see "
        f"{options.output_dir / GALLERY}"
    )


def _run_export(options: argparse.Namespace) -> None:
    _require_positive("--rate", options.rate)
    from luab.traces.bids import write_bids
    from luab.traces.rows import open_rows
    from luab.traces.tables import require_table, write_pymovements

    rejected = 0
    if options.to == "pymovements":
        require_table(options.output, "--output")
        written, empty, timeless = write_pymovements(open_rows(options), options.output)
        if timeless:
            print(
                f"{counted(timeless, 'trace')} without times: of these `time` is empty, so leave them out of "
                "what needs it, such as speed"
            )
    else:
        written, empty, rejected = write_bids(
            open_rows(options), options.output, options.rate, options.method, options.recorded_eye,
            options.task_label,
        )  # fmt: skip
    print(f"{counted(written, 'trace')} in {options.output}; {_left_out(empty)}{_rejected(rejected)}")


def _left_out(empty: int) -> str:
    return f"{counted(empty, 'entry', 'entries')} without a sample left out"


def _rejected(number: int) -> str:
    return f"; {number:,} rejected, see rejects.jsonl" if number else ""


def _require_positive(option: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise SourceError(f"{option} {value:g}: it must be more than 0, and finite.")


def _require_limit(option: str, value: float, most: float | None = None) -> None:
    if not 0 <= value < math.inf or (most is not None and value > most):
        raise SourceError(
            f"{option} {value:g}: allowed are numbers from 0{'' if most is None else f' to {most:g}'}."
        )


def _require_sigma(sigma: float | None, zero: str = "") -> None:
    if sigma is not None and not 0 < sigma <= 1:
        raise SourceError(
            f"--sigma {sigma:g}: it is a ratio of the image's width, {zero}above 0 and at most 1, such as "
            "0.03."
        )


TOOLS = {
    "report": Tool(
        "quality: rate, gaps, repeated times, jumps, bots, agreement of annotators",
        _report_options,
        _run_report,
    ),
    "filter": Tool(
        "a dataset with the traces that fulfil your criteria, and why the others do not",
        _filter_options,
        _run_filter,
    ),
    "resample": Tool("a dataset with traces at a fixed rate", _resample_options, _run_resample),
    "features": Tool(
        "one line of measures for each trace: speed, deviation, fixations, time on the object",
        _features_options,
        _run_features,
    ),
    "density": Tool(
        "a map of where people looked for each image, all its rows together", _density_options, _run_density
    ),
    "plot": Tool("figures for a paper, and an HTML gallery", _plot_options, _run_plot),
    "export": Tool("pymovements' columns, or BIDS", _export_options, _run_export),
}
