"""Confidence intervals of a benchmark's figures, and of their differences from the first model.

A sum of means over images has the closed forms of `intervals`; a mean of scores without bounds has Student's
t over the images, and the same test. Any other figure, such as an area under a curve, is recomputed for
resampled images (`bootstrap`). Several training runs of a model add their spread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from luab_eval.benchmark import Benchmark, SumOf
from luab_eval.report.parts import FigurePart, groups_of, in_figure, parts_of
from luab_eval.report.runs import RunScores
from luab_eval.report.table import FEWEST_DIFFERING
from luab_eval.statistics.bootstrap import (
    Difference,
    Estimate,
    estimate,
    mean_draws,
    metric_draws,
    p_value,
    seed_draws,
)
from luab_eval.statistics.defaults import LEVEL
from luab_eval.statistics.intervals import (
    Figure,
    mean_interval,
    moments,
    moments_interval,
    runs_interval,
    swap_test,
    together,
)

# Images in the smallest group below which a resampled figure gets no verdict.
FEWEST_RESAMPLED = 100


def assess(
    benchmark: type[Benchmark],
    of: RunScores,
    values: np.ndarray,
    rows: Mapping[str, slice],
    baseline: str,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Estimate], dict[str, Difference], str]:
    """Each model's figure, its difference from the baseline, and a remark for the reader, or "".

    Args:
        benchmark: The benchmark, which defines the figure.
        of: Scores of one run; for the groups.
        values: `[runs]` the figure of each run.
        rows: Model -> its runs.
        baseline: The model that the others are compared with.
        resamples: Number of resamples of the bootstrap.
        seed: Seed of the bootstrap.
    """
    parts = parts_of(benchmark, of)
    counting = of.scores[:, in_figure(benchmark, of.groups)]
    differing = {
        name: int(
            (np.abs(_mean_of_runs(counting, own) - _mean_of_runs(counting, rows[baseline])) > 1e-12).sum()
        )
        for name, own in rows.items()
        if name != baseline and baseline in rows
    }
    if benchmark.sum_of is SumOf.IMAGES and not np.isfinite(benchmark.bounds).all():
        parts = [FigurePart(of.scores, *benchmark.bounds)]
    if parts is None:
        return _resampled(benchmark, of, values, rows, baseline, differing, resamples, seed)
    low, high = benchmark.bounds
    estimates = {}
    for name, own in rows.items():
        ends = _ends(values[own], [replace(part, scores=part.scores[own]) for part in parts], LEVEL)
        estimates[name] = _estimate(values[own].mean(), ends, low, high, own)
    differences = {
        name: _difference(parts, values, rows[name], rows[baseline], images, resamples, seed)
        for name, images in differing.items()
    }
    return estimates, differences, ""


def _mean_of_runs(scores: np.ndarray, own: slice) -> np.ndarray:
    return scores[own].mean(axis=0)


def _ends(runs: np.ndarray, parts: Sequence[FigurePart], level: float) -> tuple[float, float]:
    """The interval of a model's figure, from the scores of its runs in each part."""
    of_images: list[tuple[Figure, Figure, Figure]] = []
    for part in parts:
        scores, low, high = part.scores.mean(axis=0), part.low, part.high
        if not np.isfinite(high - low):
            of_images.append(_by_t(scores, level))
            continue
        lower, upper = mean_interval(scores.clip(low, high), low, high, level, part.weights)
        of_images.append((np.average(scores, weights=part.weights), lower, upper))
    return together(float(runs.mean()), [*of_images, runs_interval(runs, level)])


def _by_t(scores: np.ndarray, level: float) -> tuple[Figure, Figure, Figure]:
    """The mean of scores without bounds, and Student's t interval over the images."""
    mean = scores.mean()
    _, below, above = runs_interval(scores, level)
    return mean, mean + below, mean + above


def _estimate(value: float, ends: tuple[float, float], low: float, high: float, own: slice) -> Estimate:
    # The spread between runs may exceed the metric's bounds.
    lower, upper = (float(np.clip(end, low, high)) for end in ends)
    return Estimate(float(value), min(lower, float(value)), max(upper, float(value)), own.stop - own.start)


def _difference(
    parts: Sequence[FigurePart],
    values: np.ndarray,
    own: slice,
    base: slice,
    differing: int,
    resamples: int,
    seed: int,
) -> Difference:
    """Paired difference of two models' scores. The interval excludes 0 only if p < 1 - level."""
    pairs = [_mean_of_runs(part.scores, own) - _mean_of_runs(part.scores, base) for part in parts]
    value = float((values[own].mean() - values[base].mean()).round(12)) + 0.0
    width = [part.high - part.low for part in parts]
    of_parts = [
        (*moments(pair, 2 * wide, part.weights), -wide, wide)
        for part, pair, wide in zip(parts, pairs, width, strict=True)
    ]

    def ends(level: float) -> tuple[float, float]:
        of_images: list[tuple[Figure, Figure, Figure]] = [
            (of[0], *moments_interval(*of, level)) if np.isfinite(of[-1]) else _by_t(pair, level)
            for of, pair in zip(of_parts, pairs, strict=True)
        ]
        runs = [runs_interval(values[rows], level) for rows in (own, base)]
        return together(value, [*of_images, *runs])

    swapped = [
        (pair if part.weights is None else pair * part.weights) / len(pair)
        for part, pair in zip(parts, pairs, strict=True)
    ]
    p, bound = swap_test(np.concatenate(swapped), resamples, seed)
    if own.stop - own.start > 1 or base.stop - base.start > 1:
        of_runs = _level_at_zero(ends)
        p, bound = max(p, of_runs), bound and p >= of_runs
    low, high = ends(LEVEL)
    if p >= 1 - LEVEL:
        low, high = min(low, 0.0), max(high, 0.0)
    most = sum(width)
    low, high = max(low, -most), min(high, most)
    return Difference(Estimate(value, low, high, own.stop - own.start), p, p, bound, differing)


def _level_at_zero(ends: Callable[[float], tuple[float, float]]) -> float:
    """The p-value of an interval: 1 - the level at which its nearer end is 0."""
    smallest, largest = 1e-12, 1.0 - 1e-12
    for _ in range(30):
        middle = float(np.sqrt(smallest * largest))
        low, high = ends(1 - middle)
        smallest, largest = (middle, largest) if low <= 0 <= high else (smallest, middle)
    return largest


def _resampled(
    benchmark: type[Benchmark],
    of: RunScores,
    values: np.ndarray,
    rows: Mapping[str, slice],
    baseline: str,
    differing: Mapping[str, int],
    resamples: int,
    seed: int,
) -> tuple[dict[str, Estimate], dict[str, Difference], str]:
    """The bootstrap interval, widened to Wilson's interval for the size of the smallest group.

    Boyd, Eng and Page (2013) advise this for areas under precision-recall curves: resamples of few images, or
    of images with equal scores, agree with each other whatever the true value is.
    """
    _, group = groups_of(of.groups)
    fewest = int(np.bincount(group).min())
    images = _draws(benchmark, of, resamples, seed)
    low, high = benchmark.bounds
    draws, estimates = {}, {}
    for position, (name, own) in enumerate(rows.items()):
        # Separate noise for each model, because their training runs are independent.
        draws[name] = images[own].mean(axis=0) + seed_draws(values[own], resamples, [seed, position])
        found = estimate(values[own].mean(), draws[name].clip(low, high))
        ends = (found.low, found.high)
        if np.isfinite(high - low):
            share = (found.value - low) / (high - low)
            wide = moments_interval(found.value, share * (1 - share), fewest, low, high)
            ends = (min(ends[0], float(wide[0])), max(ends[1], float(wide[1])))
        estimates[name] = _estimate(found.value, ends, low, high, own)
    differences = {
        name: _resampled_difference(
            draws[name] - draws[baseline],
            estimates[name],
            estimates[baseline],
            images,
            fewest < FEWEST_RESAMPLED,
        )
        for name, images in differing.items()
    }
    few = fewest < FEWEST_RESAMPLED and bool(differences)
    remark = f"no verdict: a group of {fewest} images, fewer than {FEWEST_RESAMPLED}" if few else ""
    return estimates, differences, remark


def _resampled_difference(
    draws: np.ndarray, own: Estimate, base: Estimate, differing: int, too_few: bool
) -> Difference:
    # Equal predictions may differ by rounding, which is no difference.
    draws = draws.round(12)
    value = round(own.value - base.value, 12) + 0.0
    found = estimate(value, draws, own.seeds)
    if not too_few and differing >= FEWEST_DIFFERING:
        p = p_value(draws)
        return Difference(found, p, p, p <= 2 / (len(draws) + 1), differing)
    parts = [(own.value, own.low, own.high), (-base.value, -base.high, -base.low)]
    low, high = together(value, parts) if too_few else (found.low, found.high)
    return Difference(Estimate(value, min(low, 0.0), max(high, 0.0), own.seeds), 1.0, 1.0, False, differing)


def _draws(benchmark: type[Benchmark], of: RunScores, resamples: int, seed: int) -> np.ndarray:
    """The figure over resampled images, `[runs, R]`; each group keeps its number of images."""
    if benchmark.sum_of is SumOf.IMAGES:
        return mean_draws(of.scores, resamples, seed)
    return metric_draws(partial(_figures, benchmark, of), of.groups, resamples, seed)


def _figures(benchmark: type[Benchmark], of: RunScores, chosen: np.ndarray) -> list[float]:
    return [benchmark.statistic(scores[chosen], of.groups[chosen]) for scores in of.scores]
