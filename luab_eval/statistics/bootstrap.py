"""Bootstrap of figures without a closed form (see `intervals`), such as areas under curves.

Everything here works on draws: an array [R] of the values that a figure might have taken had other images
(and other training runs) been drawn. One way from draws to an interval, one to a p-value:

* Over images: the images are resampled with replacement (Efron and Tibshirani, 1993), the same resampled
  images for all models, which is what makes a comparison paired.
* Over seeds: with S >= 2 training runs of a model, Student-t noise with S - 1 degrees of freedom and the
  standard error of the mean over runs is added to the draws. Resampling 3 runs with replacement would make
  their spread look smaller than it is; with no spread over images this is exactly the t interval.
  With one run a figure says nothing about another training run, and `Estimate.seeds` shows it.

Intervals are percentile intervals. Resamples of few images agree more than other images would: the caller
widens them (`report.certainty`). p-values are two-sided: twice the share of draws of the difference on the
other side of 0 (one more than counted, so that p is never 0), hence p < 5% and "the 95% interval is clear of
0" say the same. Over several benchmarks they are to be corrected: `holm`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from luab_eval.statistics.defaults import LEVEL, RESAMPLES

# Numbers held at a time by the resampling, whatever the number of images: 32 MB.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval: `level` of it from `low` to `high`; over `seeds` training runs."""

    value: float
    low: float
    high: float
    seeds: int = 1
    level: float = LEVEL


@dataclass(frozen=True)
class Difference:
    """The first model's figure minus the second's, with the two-sided p-value of no difference.

    `p_holm` is p corrected for all the comparisons that were made together; the verdict is from it.
    `p_is_bound`: no resample gave as large a difference, so that p is the smallest that they can show.
    `differing`: images on which the two models' scores differ. `smallest`: differences below it are not worth
    naming.
    """

    estimate: Estimate
    p: float
    p_holm: float
    p_is_bound: bool = False
    differing: int | None = None
    smallest: float = 0.0

    @property
    def larger_than_chance(self) -> bool:
        """Whether the difference would be this large by chance in less than 1 - level of the cases."""
        return self.p_holm < 1 - self.estimate.level

    @property
    def worth_naming(self) -> bool:
        """Whether it is significant, and not below `smallest`."""
        value = abs(self.estimate.value)
        return self.larger_than_chance and value > 0 and value >= self.smallest

    @property
    def irrelevant(self) -> bool:
        """Whether all of the interval is closer to 0 than `smallest`."""
        return -self.smallest < self.estimate.low and self.estimate.high < self.smallest


def mean_draws(scores: ArrayLike, resamples: int = RESAMPLES, seed: int | Sequence[int] = 0) -> np.ndarray:
    """Means over resampled images.

    Args:
        scores: [M, N] one row a model (or a run, or a figure), one column an image; finite.
        resamples: R, how many.
        seed: Of the draws.

    Returns:
        [M, R]: column r is all rows' means over the same resampled images.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"scores must be [models, images] with at least one image, got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite: leave out the images that have none, for all models")
    rng = np.random.default_rng(seed)
    images = scores.shape[1]
    # Images with the same scores are interchangeable: a 0/1 score of two models has 4 kinds of images, and
    # how many of each a resample holds is multinomial. Exact, and independent of the number of images.
    kinds, multiplicities = np.unique(scores.T, axis=0, return_counts=True)  # [D, M], [D]
    if len(kinds) * 8 <= images:
        counts = _counts_of_kinds(multiplicities, resamples, rng)
    else:
        kinds, counts = scores.T, _counts_of_images(images, resamples, rng)
    return np.concatenate([block @ kinds for block in counts]).T / images


def metric_draws(
    metric: Callable[[np.ndarray], ArrayLike],
    strata: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int | Sequence[int] = 0,
) -> np.ndarray:
    """Any metric over resampled images, such as AUPR and mAP, which are not means over images.

    Args:
        metric: from the indices [N] of the resampled images to a number, or to one for each of M models.
        strata: [N] the group of each image; each group keeps its size (all 0: one group). A metric that
            compares two sets of images, say in and out of the distribution, has two.
        resamples: R, how many.
        seed: Of the draws.

    Returns:
        [R], or [M, R].
    """
    strata = np.asarray(strata)
    groups = [np.flatnonzero(strata == group) for group in np.unique(strata)]
    rng = np.random.default_rng(seed)
    draws = [
        metric(np.concatenate([group[rng.integers(0, len(group), len(group))] for group in groups]))
        for _ in range(resamples)
    ]
    return np.moveaxis(np.asarray(draws, dtype=np.float64), 0, -1)


def seed_draws(values: ArrayLike, resamples: int = RESAMPLES, seed: int | Sequence[int] = 0) -> np.ndarray:
    """Noise [R], around 0, of the mean over training runs whose figures are `values` [S]; 0 for one run."""
    values = np.asarray(values, dtype=np.float64)
    runs = len(values)
    if runs < 2:
        return np.zeros(resamples)
    # Another stream than the images', whose generator is made from `seed` itself.
    noise = np.random.default_rng([*np.atleast_1d(seed), 1]).standard_t(runs - 1, size=resamples)
    return noise * values.std(ddof=1) / np.sqrt(runs)


def estimate(value: float, draws: np.ndarray, seeds: int = 1, level: float = LEVEL) -> Estimate:
    """The percentile interval of `draws` [R] around the figure `value` of all images."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high), seeds, level)


def p_value(draws: np.ndarray) -> float:
    """Two-sided p-value of "the difference is 0" from draws [R] of the difference; at least 2 / (R + 1)."""
    smaller_side = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return min(1.0, 2 * (int(smaller_side) + 1) / (len(draws) + 1))


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values [K] corrected for K comparisons (Holm, 1979): those below alpha hold together."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def _counts_of_kinds(
    multiplicities: np.ndarray, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Blocks [r, D] of R rows: how often a resample holds each of D kinds of images (int64)."""
    images = multiplicities.sum()
    for rows in _blocks(resamples, width=len(multiplicities)):
        yield rng.multinomial(images, multiplicities / images, size=rows)


def _counts_of_images(images: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Blocks [r, N] of R rows: how often a resample holds each of N images (float64).

    Drawing the images one by one is ten times faster than a multinomial over them.
    """
    for rows in _blocks(resamples, width=images):
        counts = np.empty((rows, images))
        for row in counts:
            row[:] = np.bincount(rng.integers(0, images, images), minlength=images)
        yield counts


def _blocks(rows: int, width: int) -> Iterator[int]:
    """Numbers of rows that add up to `rows`, each block of [rows, width] within the memory limit."""
    block = max(1, _BLOCK // width)
    for start in range(0, rows, block):
        yield min(block, rows - start)
