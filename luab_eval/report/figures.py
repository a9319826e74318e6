"""Results -> `Table`: each benchmark's figure for each model with its interval, and the differences.

    scores [runs, images] --(certainty)--> Estimate of each model, Difference of each to the first

The figure is the benchmark's own `statistic` of the scores of each image, the mean over a model's runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from luab_data.console.names import few
from luab_eval.benchmark import Benchmark
from luab_eval.benchmarks import benchmark_class
from luab_eval.models import FLOAT32
from luab_eval.report.certainty import assess
from luab_eval.report.parts import in_figure
from luab_eval.report.runs import (
    EvaluatedRun,
    RunScores,
    by_model,
    evaluate_again,
    only,
    precision_of,
    read_runs,
    read_scores,
    same_checkpoints,
)
from luab_eval.report.table import IN_PERCENT, PERCENT, Model, Row, Table, full_title, smallest_of
from luab_eval.results import FILE, Shown
from luab_eval.statistics.bootstrap import holm
from luab_eval.statistics.defaults import LEVEL, RESAMPLES


def figures(
    paths: Sequence[Path],
    resamples: int = RESAMPLES,
    seed: int = 0,
    min_difference: Mapping[str, float] = MappingProxyType({}),
    shown: Shown | None = None,
) -> Table:
    """The table of some results.json files; the others are compared with the first model.

    Args:
        paths: The files, or the folders that they are in.
        resamples: Number of resamples of the bootstrap.
        seed: Seed of the bootstrap.
        min_difference: The smallest difference to report: metric -> value as figures are shown, and
            `IN_PERCENT` -> percentage points of all others that are shown in %.
        shown: The models and benchmarks of the table; default: all.

    Raises:
        ValueError: unreadable results, or results that do not fit together (see `runs`); a smallest
            difference of no figure.
    """
    everything = read_runs(paths)
    runs = everything if shown is None else only(everything, shown)
    precision = precision_of(runs)
    models = by_model(runs)
    keys = list(dict.fromkeys(key for run in runs for key in run.benchmarks))
    rows = [_row(key, models, resamples, seed) for key in keys]
    _check_smallest(min_difference, rows)
    corrected = iter(holm([difference.p for row in rows for difference in row.differences.values()]))
    for row in rows:
        for name, difference in row.differences.items():
            row.differences[name] = replace(
                difference, p_holm=float(next(corrected)), smallest=smallest_of(row, min_difference)
            )
    skipped = {key: why for run in runs for key, why in run.skipped.items() if key not in keys}
    columns = tuple(_column(name, group) for name, group in models.items())
    return Table(
        columns,
        tuple(rows),
        LEVEL,
        resamples,
        skipped,
        (*_computed(precision), *same_checkpoints(runs), *_unshown(everything, runs)),
        dict(min_difference),
    )


def _check_smallest(min_difference: Mapping[str, float], rows: Sequence[Row]) -> None:
    metrics = list(dict.fromkeys(row.metric for row in rows))
    for metric, value in min_difference.items():
        if metric != IN_PERCENT and metric not in metrics:
            raise ValueError(
                f"--min-difference {metric}={value:g}: there is no such metric here; there are "
                f"{', '.join(metrics)}"
            )
    if min_difference.get(IN_PERCENT) and all(row.scale != PERCENT for row in rows):
        raise ValueError(
            f"--min-difference {min_difference[IN_PERCENT]:g} is in percentage points, and no figure here is "
            f"in %. Name the metric: --min-difference {metrics[0]}=VALUE; there are {', '.join(metrics)}"
        )


def _computed(precision: str) -> tuple[str, ...]:
    """A remark on the precision, if it is not the usual one."""
    if precision == FLOAT32:
        return ()
    return (f"Computed in {precision}, mixed precision (--bf16): figures in {FLOAT32} differ a little.",)


def _unshown(everything: Sequence[EvaluatedRun], runs: Sequence[EvaluatedRun]) -> tuple[str, ...]:
    """A remark on other results in the folder."""
    shown: dict[str, set[str]] = {}
    for run in runs:  # a checkpoint may be in several folders
        shown.setdefault(run.name, set()).update(run.benchmarks)
    others = [
        f"{run.name} ({few(left)})"
        for run in everything
        if (left := [key for key in run.benchmarks if key not in shown.get(run.name, ())])
    ]
    if not others:
        return ()
    also = f"{FILE} also has {few(others)}"
    models = by_model(everything)
    first, *rest = ({key for run in group for key in run.benchmarks} for group in models.values())
    if not any(first & each for each in rest):
        return (f"{also}.",)
    try:
        precision_of(everything)
        for key in dict.fromkeys(key for run in everything for key in run.benchmarks):
            _read_row(key, models)
    except ValueError as error:
        return (f"{also}; luab compare rejects the folder: {error}.",)
    return (f"{also}; luab compare compares all of its models.",)


def _column(name: str, runs: Sequence[EvaluatedRun]) -> Model:
    seeds = {run.name: run.seed for run in runs}
    return Model(name, runs[0].revision, tuple(seeds), tuple(seeds.values()))


def _read_row(
    key: str, models: dict[str, list[EvaluatedRun]]
) -> tuple[type[Benchmark], dict[str, list[EvaluatedRun]], RunScores, np.ndarray]:
    """The benchmark, its runs of each model, their scores, and their values in the results.

    Raises:
        ValueError: results that do not fit together.
    """
    entry = next(run.benchmarks[key] for group in models.values() for run in group if key in run.benchmarks)
    benchmark = benchmark_class(entry["benchmark"])
    runs_of = {name: _with_benchmark(benchmark, group, key) for name, group in models.items()}
    runs_of = {name: group for name, group in runs_of.items() if group}
    runs = [run for group in runs_of.values() for run in group]
    scores = _scores(benchmark, runs, key)
    values = np.array([run.figure(key, benchmark.primary) for run in runs])
    _check(benchmark, scores, values, runs, key)
    return benchmark, runs_of, scores, values


def _row(key: str, models: dict[str, list[EvaluatedRun]], resamples: int, seed: int) -> Row:
    benchmark, runs_of, scores, values = _read_row(key, models)
    runs = [run for group in runs_of.values() for run in group]
    entry = runs[0].benchmarks[key]
    rows_of, start = {}, 0  # which rows of `scores` are a model's
    for name, group in runs_of.items():
        rows_of[name] = slice(start, start := start + len(group))
    estimates, differences, remark = assess(
        benchmark, scores, values, rows_of, next(iter(models)), resamples, seed
    )
    return Row(
        benchmark=key,
        title=full_title(benchmark.title, entry.get("label", _label_of(key, benchmark.name))),
        metric=benchmark.primary,
        higher_is_better=benchmark.higher_is_better,
        images=int(in_figure(benchmark, scores.groups).sum()),
        published_images=entry["published_images"],
        left_out=entry.get("left_out", ""),  # older results do not say it
        source=". ".join(filter(None, (entry["summary"], entry["paper"], entry["download"]))),
        estimates=estimates,
        differences=differences,
        further=_further(benchmark.primary, runs_of, key),
        remark=remark or _unchecked(scores, runs),
        scale=PERCENT if benchmark.in_percent else 1.0,
    )


def _label_of(key: str, name: str) -> str:
    """The label in older results, which do not name it: the key is `NAME:LABEL`, or the user's own name."""
    kind, _, label = key.partition(":")
    return label if kind == name else key


def _unchecked(scores: RunScores, runs: Sequence[EvaluatedRun]) -> str:
    """A remark on compared runs whose results only have the images' names, or only the images."""
    if len(runs) < 2 or not scores.untold:
        return ""
    names = dict.fromkeys(run.name for run in scores.untold)
    if not scores.unchecked:
        return (
            "only the images are compared, and not the classes and boxes that they were measured against, "
            f"for the results of {few(list(names))} are of an earlier version"
        )
    return (
        f"only the images' names are compared, for the results of {few(scores.unchecked)} are of an earlier "
        "version and tell no pixels"
    )


def _further(primary: str, runs_of: dict[str, list[EvaluatedRun]], key: str) -> dict[str, dict[str, float]]:
    """The metrics besides the primary one that all runs have."""
    of_runs = {name: [run.result(key)["metrics"] for run in group] for name, group in runs_of.items()}
    first, *others = (metrics for group in of_runs.values() for metrics in group)
    shared = [m for m in first if m != primary and all(m in metrics for metrics in others)]
    return {
        metric: {
            name: float(np.mean([metrics[metric] for metrics in group])) for name, group in of_runs.items()
        }
        for metric in shared
    }


def _with_benchmark(benchmark: type[Benchmark], runs: Sequence[EvaluatedRun], key: str) -> list[EvaluatedRun]:
    """The runs with the benchmark; if a checkpoint is in several results, the last.

    Raises:
        ValueError: these results are of different images, classes, boxes or people.
    """
    found: dict[str, EvaluatedRun] = {}
    for run in runs:
        if key in run.benchmarks:
            if run.name in found and found[run.name].folder != run.folder:
                _scores(benchmark, [found[run.name], run], key)
            found[run.name] = run
    return list(found.values())


def _scores(benchmark: type[Benchmark], runs: Sequence[EvaluatedRun], key: str) -> RunScores:
    """As `read_scores`; ValueError also if several runs need to tell what they were measured against."""
    scores = read_scores(runs, key)
    if benchmark.truths_needed and len(runs) > 1 and scores.untold:
        old = few([f"{run.name} in {run.folder}" for run in scores.untold])
        raise ValueError(
            f"{key}: the results of {old} are of an earlier version and {benchmark.truths_needed}, "
            f"so that they are not compared; {evaluate_again(scores.untold, runs)}"
        )
    return scores


def _check(
    benchmark: type[Benchmark], of: RunScores, values: np.ndarray, runs: Sequence[EvaluatedRun], key: str
) -> None:
    for run, scores, value in zip(runs, of.scores, values, strict=True):
        found = benchmark.statistic(scores, of.groups)
        if not np.isclose(found, value, rtol=1e-6, atol=1e-9):
            raise ValueError(
                f"{run.folder}: {benchmark.primary} of {run.name} on {key} is {value:.6f} in the results, "
                f"but its images give {found:.6f}; the files do not belong together: evaluate it again"
            )
