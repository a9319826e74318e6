"""Confidence intervals of means over images, and tests of paired differences, also for few images.

* One interval for all scores with bounds. Wilson's (1927) for a proportion, at the effective number of
  images: N times the variance that 0/1 scores of this mean would have, over the variance that the scores
  have. For 0/1 scores that is N, and the interval is Wilson's. For others it is more, but few images that
  happen to agree prove no small variance: z² images of 0/1 scores are counted in, as many as Wilson's own
  interval adds. No end is further in than the exact one-sided limit (Clopper and Pearson, 1934): Wilson's
  interval alone covers 80% at N = 1 and a true mean of 0.8, and 90% at N = 5 and 0.98.
* Images that count differently, as those of several classes, are as many as images of one weight that would
  give this variance: the square of the weights' sum over the sum of their squares (Kish, 1965).
* One test for a paired difference: which of the two models gave which score is swapped at random, image by
  image (Fisher's randomization test). For 0/1 scores this is the exact McNemar test. Its p is at least
  2 / 2^m where the models differ on m images, so that fewer than 6 never give p < 5%.
* Parts that are independent of each other, such as groups of images or the spread between training runs,
  are put together by the squares of their distances from the mean (MOVER; Zou and Donner, 2008).

`benchmarks/intervals.py` measures how often the intervals cover and how often the test errs.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, betaincinv, ndtri, stdtrit

from luab_eval.statistics.defaults import LEVEL

# Differing images up to which all ways to swap are tried: 2^12 are no more work than 2,000 random ones.
_ALL_SWAPS = 12
_BLOCK = 1 << 24  # numbers held at a time
_EQUAL = 1e-9  # relative: sums that differ by less are the same sum in another order

Figure: TypeAlias = float | np.ndarray  # one number, also as an array of no dimension


def mean_interval(
    scores: ArrayLike,
    low: float = 0.0,
    high: float = 1.0,
    level: float = LEVEL,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The interval of a mean over images.

    Args:
        scores: `[..., N]`, N >= 1, each from `low` to `high`.
        low: The smallest possible score.
        high: The largest possible score.
        level: The confidence level.
        weights: `[N]` of the images in the mean; None: all count the same.

    Returns:
        Its ends, `[...]` each, from `low` to `high`.
    """
    share, variance, images = moments(
        (np.asarray(scores, dtype=np.float64) - low) / (high - low), weights=weights
    )
    return moments_interval(low + share * (high - low), variance, images, low, high, level)


def moments(
    scores: np.ndarray, width: float = 1.0, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """What `moments_interval` needs of scores `[..., N]`: mean, variance, number of images.

    Args:
        scores: Of each image.
        width: The variance is of scores / width.
        weights: `[N]`; None: all count the same.
    """
    weights = np.ones(scores.shape[-1]) if weights is None else weights
    mean = np.average(scores, axis=-1, weights=weights)
    variance = np.average(((scores - mean[..., None]) / width) ** 2, axis=-1, weights=weights**2)
    return mean, variance, float(weights.sum() ** 2 / (weights**2).sum())


def moments_interval(
    mean: ArrayLike, variance: ArrayLike, images: float, low: float, high: float, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """`mean_interval` of `images` scores with this mean; `variance` is of (score - low) / (high - low)."""
    share = np.clip((np.asarray(mean, dtype=np.float64) - low) / (high - low), 0, 1)
    z = -ndtri((1 - level) / 2)
    of_zero_one = share * (1 - share)
    ratio = np.divide(variance, of_zero_one, out=np.ones_like(share), where=of_zero_one > 0)
    count = images / np.minimum(1, (images * ratio + z**2) / (images + z**2))
    center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(of_zero_one / count + z**2 / (4 * count**2))
    lower = np.minimum(center - half, _exact_limit(share, count, level))
    upper = np.maximum(center + half, 1 - _exact_limit(1 - share, count, level))
    return low + np.clip(lower, 0, share) * (high - low), low + np.clip(upper, share, 1) * (high - low)


def together(value: float, parts: Sequence[tuple[Figure, Figure, Figure]]) -> tuple[float, float]:
    """The interval of a sum `value` of independent parts, each given as (its value, low, high)."""
    below = np.sqrt(sum((part - low) ** 2 for part, low, _ in parts))
    above = np.sqrt(sum((high - part) ** 2 for part, _, high in parts))
    return float(value - below), float(value + above)


def runs_interval(figures: ArrayLike, level: float = LEVEL) -> tuple[float, float, float]:
    """The uncertainty of the mean over few training runs: (0, low, high).

    This is Student's t with S - 1 degrees of freedom; for one run it is 0.

    Args:
        figures: `[S]`, the figure of each run.
        level: The confidence level.
    """
    figures = np.asarray(figures, dtype=np.float64)
    if len(figures) < 2:
        return 0.0, 0.0, 0.0
    half = -stdtrit(len(figures) - 1, (1 - level) / 2) * figures.std(ddof=1) / np.sqrt(len(figures))
    return 0.0, float(-half), float(half)


def swap_test(differences: ArrayLike, resamples: int, seed: int = 0) -> tuple[float, bool]:
    """Two-sided p-value of "which model gave which score is chance" for paired scores.

    Args:
        differences: `[N]` the first model's score minus the second's, of each image.
        resamples: Random swaps, where there are too many to try all and the differences are not alike.
        seed: Of the swaps.

    Returns:
        p, above 0; and whether it is only a bound: no random swap gave as large a difference.
    """
    signed = np.asarray(differences, dtype=np.float64).round(12)
    signed = signed[signed != 0]
    images = len(signed)
    sizes, counts = np.unique(np.abs(signed), return_counts=True)
    if len(sizes) <= 1:
        smaller = int(min((signed > 0).sum(), (signed < 0).sum()))
        return max(min(1.0, 2 * float(bdtr(smaller, images, 0.5))), 5e-324) if images else 1.0, False
    observed = abs(signed.sum()) - _EQUAL * np.abs(signed).sum()
    if images <= _ALL_SWAPS:
        bits = (np.arange(1 << images)[:, None] >> np.arange(images)) & 1
        return float(np.mean(np.abs((2 * bits - 1) @ signed) >= observed)), False
    rng = np.random.default_rng(seed)
    if len(sizes) * 8 <= images:  # of each size only how many are swapped counts
        sums = (2 * rng.binomial(counts, 0.5, size=(resamples, len(counts))) - counts) @ sizes
    else:
        sums = np.concatenate(list(_swapped_sums(signed, resamples, rng)))
    as_large = int(np.count_nonzero(np.abs(sums) >= observed))
    return (as_large + 1) / (resamples + 1), as_large == 0


def _swapped_sums(differences: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Blocks of sums of `differences` `[N]`, each with a random sign."""
    block = max(1, _BLOCK // len(differences))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        bits = np.frombuffer(rng.bytes(rows * -(-len(differences) // 8)), np.uint8).reshape(rows, -1)
        signs = np.unpackbits(bits, axis=1, count=len(differences)).astype(np.float32)
        yield 2 * (signs @ differences.astype(np.float32)).astype(np.float64) - differences.sum()


def _exact_limit(share: np.ndarray, images: np.ndarray, level: float) -> np.ndarray:
    """The exact lower limit, one-sided, of a proportion that was `share` of `images`; 0 for none."""
    seen = share * images
    return np.where(seen > 0, betaincinv(np.maximum(seen, 1e-9), images - seen + 1, 1 - level), 0.0)
