"""Test which differences between evaluated models are significant.

    luab compare runs/plain-eval runs/luab-eval
    luab compare runs/eval                        the models of one evaluation
    luab compare runs/eval/plain-seed* runs/eval/luab-seed*

Each argument is a results.json of luab evaluate, or its folder. All models are compared with the first.
Models whose names differ only by a seed (plain-seed0, plain-seed1) are training runs of one model.

Both models must be evaluated on the same images, and measured against the same classes, boxes or people:
other results are rejected, with the reason. p is two-sided: McNemar's exact test if each image is right or
wrong, otherwise a permutation test. With several training runs, the spread between them counts as well. p is
corrected over the benchmarks by Holm's method. A difference is called larger than chance if the corrected p
is below 0.05. With fewer than 6 differing images there is no verdict.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser
from luab_data.console.text import printable
from luab_eval.statistics.defaults import RESAMPLES

if TYPE_CHECKING:
    from luab_eval.report.table import Row, Table


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab compare", __doc__)
    options.add_argument("results", nargs="+", type=Path, help="results.json, or its folder")
    options.add_argument("--json", action="store_true", help="print JSON, rates instead of percent")
    options.add_argument(
        "--resamples",
        type=int,
        default=RESAMPLES,
        help="number of resamples if there is no exact test (default: %(default)s)",
    )
    options.add_argument(
        "--min-difference",
        action="append",
        default=[],
        metavar="[METRIC=]VALUE",
        help="smallest difference to report: 0.5, percentage points of the figures in %%; nss=0.1, of one "
        "metric in its own unit. May be given for several metrics (default: any)",
    )
    return options


@guarded("luab compare")
def main(argv: list[str]) -> int:
    """Run the command and return the exit status: 0, or 1 with the reason on stderr."""
    options = parser().parse_args(argv)
    require_extra("eval")
    if options.resamples < 100:
        raise ValueError(f"--resamples {options.resamples}: at least 100, or the intervals mean nothing")
    print(compare(options.results, options.resamples, options.json, smallest(options.min_difference)))
    return 0


def smallest(given: list[str]) -> dict[str, float]:
    """`--min-difference`: metric -> the smallest difference to report, "" for the figures in %.

    Raises:
        ValueError: another form, or a value that is not allowed.
    """
    found: dict[str, float] = {}
    for text in given:
        metric, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf or (number > 100 and not metric):
            raise ValueError(
                f"--min-difference {text}: give percentage points, 0 to 100, or METRIC=VALUE, such as nss=0.1"
            )
        if metric in found:
            raise ValueError(f"--min-difference {text}: a second value for {metric or 'the figures in %'}")
        found[metric] = number
    return found


def compare(
    results: list[Path], resamples: int, as_json: bool, min_difference: Mapping[str, float] | None = None
) -> str:
    """The text to print. `min_difference`: see `figures`.

    Raises:
        ValueError: the results cannot be read or compared.
    """
    from luab_data.files.whole import to_json
    from luab_eval.report.figures import figures

    table = figures(results, resamples, min_difference=min_difference or {})
    if not table.comparisons:
        names = ", ".join(model.name for model in table.models)
        raise ValueError(
            f"nothing to compare: the models are {names}; none shares a benchmark with the first"
        )
    return to_json(as_dict(table)) if as_json else as_text(table)


def as_dict(table: Table) -> dict[str, Any]:
    """What `--json` prints."""
    from luab_eval.report.table import IN_PERCENT, PERCENT

    comparisons = [
        {
            "benchmark": row.benchmark,
            "metric": row.metric,
            "higher_is_better": row.higher_is_better,
            "images": row.images,
            "model": model,
            "baseline": table.baseline,
            "values": {name: row.estimates[name].value for name in (table.baseline, model)},
            "training_runs": {name: row.estimates[name].seeds for name in (table.baseline, model)},
            "difference": difference.estimate.value,
            "interval": [difference.estimate.low, difference.estimate.high],
            "differing_images": difference.differing,
            "p": difference.p,
            "p_holm": difference.p_holm,
            "p_is_bound": difference.p_is_bound,
            "larger_than_chance": difference.larger_than_chance,
            "min_difference": difference.smallest,
            "verdict": _verdict(row, model, "no difference shown"),
        }
        for row in table.rows
        for model, difference in row.differences.items()
    ]
    return {
        "level": table.level,
        "resamples": table.resamples,
        "min_difference": table.min_difference.get(IN_PERCENT, 0.0) / PERCENT,
        "comparisons": comparisons,
    }


def as_text(table: Table) -> str:
    """A line per benchmark that compares each model with the first, then what the figures mean."""
    from luab_eval.report.terminal import grid, wrapped

    lines = []
    baseline = printable(table.baseline)
    for name in (model.name for model in table.models[1:]):
        rows = [row for row in table.rows if name in row.differences]
        if not rows:
            continue
        header = ["benchmark", "metric", baseline, printable(name), "difference", "p", "p (Holm)"]
        cells = [_cells(table, row, name) for row in rows]
        verdicts = [row.verdict(name) for row in rows]
        count = (
            f"{printable(name)} is better than {baseline} on {verdicts.count('better')} and worse on "
            f"{verdicts.count('worse')} of {len(rows)} benchmark{'s' * (len(rows) > 1)} by more than chance."
        )
        lines += [*grid([[*header, "larger than chance"], *cells], left=2), "", *wrapped([count]), ""]
    return "\n".join([*lines, *wrapped(table.notes(starred=False)), *map(printable, table.not_run())])


def _cells(table: Table, row: Row, model: str) -> list[str]:
    from luab_eval.report.table import interval, p_texts, shown, signed

    difference, digits, scale = row.differences[model], row.digits, row.scale
    return [
        printable(row.title),
        f"{printable(row.metric_name)} {row.arrow}",
        shown(row.estimates[table.baseline].value, digits, scale),
        shown(row.estimates[model].value, digits, scale),
        f"{signed(difference, digits, scale)} {interval(difference.estimate, digits, scale)}",
        *p_texts(difference),
        _verdict(row, model, "no"),
    ]


def _verdict(row: Row, model: str, nothing_shown: str) -> str:
    """The verdict in words; `nothing_shown` if the difference may be chance."""
    difference = row.differences[model]
    if difference.irrelevant:
        return "no relevant difference"
    if difference.larger_than_chance and not row.verdict(model):
        return "yes, but too small to name"
    return row.verdict(model) or nothing_shown
