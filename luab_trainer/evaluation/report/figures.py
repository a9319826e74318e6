"""Results -> `Table`: each benchmark's figure for each model with its interval, and the differences.

    scores [runs, images] --(figure_draws)--> draws [runs, R] --(mean over runs, noise of seeds)--> Estimate
    draws of a model - draws of the first model, on the same resampled images --> Difference

What is resampled is the scores of each image, of which the benchmark's own `statistic` makes the figure.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from luab_trainer.evaluation.benchmark import Benchmark
from luab_trainer.evaluation.benchmarks import find_benchmark
from luab_trainer.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    Difference,
    estimate,
    holm,
    mean_draws,
    metric_draws,
    p_value,
    seed_draws,
)
from luab_trainer.evaluation.report.runs import Run, Scores, by_model, read_runs, read_scores
from luab_trainer.evaluation.report.table import Model, Row, Table, full_title


def figures(paths: Sequence[Path], resamples: int = RESAMPLES, seed: int = 0) -> Table:
    """The table of some results.json files; the first model is the one that the others are compared with.

    Raises:
        ValueError: results that cannot be read, or do not fit together (see `runs`).
    """
    runs = read_runs(paths)
    models = by_model(runs)
    keys = list(dict.fromkeys(key for run in runs for key in run.benchmarks))
    rows = [_row(key, models, resamples, seed) for key in keys]
    corrected = iter(holm([difference.p for row in rows for difference in row.differences.values()]))
    for row in rows:
        for name, difference in row.differences.items():
            row.differences[name] = Difference(difference.estimate, difference.p, float(next(corrected)))
    skipped = {key: why for run in runs for key, why in run.skipped.items() if key not in keys}
    columns = tuple(_column(name, group) for name, group in models.items())
    return Table(columns, tuple(rows), LEVEL, resamples, skipped)


def figure_draws(benchmark: Benchmark, of: Scores, resamples: int, seed: int) -> np.ndarray:
    """The benchmark's primary metric over resampled images, `[runs, R]`.

    An image that stands in every group (each corruption of it, say) is drawn with all its copies: they are
    no independent images. Where the groups have images of their own, each keeps its number of images.
    """
    if type(benchmark).statistic is Benchmark.statistic:  # the mean over images, whatever their groups
        return mean_draws(of.scores, resamples, seed)
    names, group = _groups(of.groups)
    copies = _copies(of.ids, group, names) if len(names) > 1 else None  # [U, G]
    if not _is_of_group_means(benchmark.statistic, group, names):
        return metric_draws(
            lambda chosen: [benchmark.statistic(scores[chosen], of.groups[chosen]) for scores in of.scores],
            of.groups,
            resamples,
            seed,
        )
    if copies is not None:
        images = of.scores[:, copies].transpose(0, 2, 1)  # [runs, G, U]
        means = mean_draws(images.reshape(-1, len(copies)), resamples, seed)
        means = means.reshape(len(of.scores), len(names), resamples)
    else:
        parts = [of.scores[:, group == index] for index in range(len(names))]
        means = np.stack([mean_draws(part, resamples, [seed, at]) for at, part in enumerate(parts)], axis=1)
    return np.array([[benchmark.statistic(draw, names) for draw in run.T] for run in means])


def _column(name: str, runs: Sequence[Run]) -> Model:
    seeds = {run.name: run.seed for run in runs}
    return Model(name, runs[0].revision, tuple(seeds), tuple(seeds.values()))


def _row(key: str, models: dict[str, list[Run]], resamples: int, seed: int) -> Row:
    runs_of = {name: _judged(group, key) for name, group in models.items()}
    runs_of = {name: group for name, group in runs_of.items() if group}
    runs = [run for group in runs_of.values() for run in group]
    entry = runs[0].benchmarks[key]
    benchmark = find_benchmark(entry["benchmark"])
    scores = read_scores(runs, key)
    values = np.array([run.result(key)["metrics"][benchmark.primary] for run in runs])
    _check(benchmark, scores, values, runs, key)
    images = figure_draws(benchmark, scores, resamples, seed)

    figure, draws, start = {}, {}, 0
    for position, (name, group) in enumerate(runs_of.items()):
        own = slice(start, start := start + len(group))
        figure[name] = float(values[own].mean())
        # Noise of its own for each model: their training runs have nothing to do with one another.
        draws[name] = images[own].mean(axis=0) + seed_draws(values[own], resamples, [seed, position])
    baseline = next(iter(models))
    differences = {
        name: _difference(figure[name] - figure[baseline], draws[name] - draws[baseline], len(runs_of[name]))
        for name in figure
        if name != baseline and baseline in figure
    }
    return Row(
        benchmark=key,
        title=full_title(benchmark),
        metric=benchmark.primary,
        higher_is_better=benchmark.higher_is_better,
        images=scores.scores.shape[1],
        published_images=entry["published_images"],
        left_out=entry.get("left_out", ""),  # older results do not say it
        source=". ".join(filter(None, (entry["summary"], entry["paper"], entry["download"]))),
        # The spread between runs may reach beyond what the metric can be.
        estimates={
            name: estimate(figure[name], draws[name].clip(*benchmark.bounds), len(runs_of[name]))
            for name in figure
        },
        differences=differences,
        further=_further(benchmark, runs_of, key),
    )


def _further(benchmark: Benchmark, runs_of: dict[str, list[Run]], key: str) -> dict[str, dict[str, float]]:
    """The metrics besides the primary one that all runs have."""
    of_runs = {name: [run.result(key)["metrics"] for run in group] for name, group in runs_of.items()}
    first, *others = (metrics for group in of_runs.values() for metrics in group)
    shared = [m for m in first if m != benchmark.primary and all(m in metrics for metrics in others)]
    return {
        metric: {
            name: float(np.mean([metrics[metric] for metrics in group])) for name, group in of_runs.items()
        }
        for metric in shared
    }


def _difference(value: float, draws: np.ndarray, seeds: int) -> Difference:
    # Models that answer alike differ by rounding only, which is no difference.
    draws = draws.round(12)
    p = p_value(draws)
    return Difference(estimate(value, draws, seeds), p, p)


def _judged(runs: Sequence[Run], key: str) -> list[Run]:
    """The runs that have the benchmark; of one checkpoint in several results, the last."""
    return list({run.name: run for run in runs if key in run.benchmarks}.values())


def _check(benchmark: Benchmark, of: Scores, values: np.ndarray, runs: Sequence[Run], key: str) -> None:
    for run, scores, value in zip(runs, of.scores, values, strict=True):
        found = benchmark.statistic(scores, of.groups)
        if not np.isclose(found, value, rtol=1e-6, atol=1e-9):
            raise ValueError(
                f"{run.folder}: {benchmark.primary} of {run.name} on {key} is {value:.6f} in the results, "
                f"but its images give {found:.6f}; the files do not belong together: evaluate it again"
            )


def _groups(of_images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[N]` str -> the G names, and `[N]` which of them each is: `np.unique` without sorting millions."""
    listed = of_images.tolist()
    position = {name: index for index, name in enumerate(sorted(set(listed)))}
    return np.array(list(position)), np.fromiter(map(position.__getitem__, listed), np.int64, len(listed))


def _copies(ids: np.ndarray, group: np.ndarray, names: np.ndarray) -> np.ndarray | None:
    """`[U, G]` the rows of each image in each group, if every image stands once in every group; else None.

    An id is its group's name, "/", and the image's path.
    """
    columns, first = [], None
    for index, name in enumerate(names):
        prefix = f"{name}/".encode()
        rows = np.flatnonzero(group == index)
        images = np.array([one.removeprefix(prefix) for one in ids[rows].tolist()])
        order = np.argsort(images, kind="stable")
        first = images[order] if first is None else first
        if not np.array_equal(images[order], first):
            return None
        columns.append(rows[order])
    return np.stack(columns, axis=1)


def _is_of_group_means(statistic: Callable, group: np.ndarray, names: np.ndarray) -> bool:
    """Whether a statistic depends on the groups' mean scores only, tried on random scores: then they are all
    that need be resampled. mCE and BG-gap do, the area under a curve does not.
    """
    scores = np.random.default_rng(0).random(len(group))
    means = np.bincount(group, scores) / np.bincount(group)
    return bool(np.isclose(statistic(scores, names[group]), statistic(means, names), rtol=1e-9))
