"""Intervals and p-values against closed forms, exact binomial probabilities, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luab_eval.statistics import bootstrap
from luab_eval.statistics.bootstrap import (
    Difference,
    estimate,
    holm,
    mean_draws,
    metric_draws,
    p_value,
    seed_draws,
)


def right_wrong(right: int, images: int) -> np.ndarray:
    """0/1 scores [1, images]."""
    return (np.arange(images) < right)[None].astype(float)


def binomial_cdf(k: int, n: int, p: float) -> float:
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


def test_accuracy_over_resampled_images_is_binomial():
    draws = mean_draws(right_wrong(140, 200), resamples=20_000)[0]
    for k in (125, 130, 135, 140, 145, 150, 155):
        assert np.mean(draws <= k / 200 + 1e-9) == pytest.approx(binomial_cdf(k, 200, 0.7), abs=0.012)


def test_interval_is_the_exact_binomial_one():
    interval = estimate(0.9, mean_draws(right_wrong(54, 60), resamples=20_000)[0])
    # The 2.5% and 97.5% quantiles of Binomial(60, 0.9), with room for the resampling's own noise.
    assert binomial_cdf(48, 60, 0.9) < 0.018 < 0.032 < binomial_cdf(49, 60, 0.9)
    assert binomial_cdf(57, 60, 0.9) < 0.968 < 0.982 < binomial_cdf(58, 60, 0.9)
    assert (interval.low, interval.high) == (pytest.approx(49 / 60), pytest.approx(58 / 60))


def test_mean_of_any_score_has_its_standard_error():
    scores = np.random.default_rng(3).gamma(2.0, size=(2, 400))
    draws = mean_draws(scores, resamples=20_000)
    assert draws.mean(axis=1) == pytest.approx(scores.mean(axis=1), rel=0.005)
    assert draws.std(axis=1) == pytest.approx(scores.std(axis=1) / 20, rel=0.03)


@pytest.mark.parametrize(
    "scores", [[[1, 1, 0, 1, 0] * 20], [list(range(30))]], ids=["few kinds", "all differ"]
)
def test_draws_depend_on_the_seed_only_and_not_on_the_memory_limit(scores, monkeypatch):
    draws = mean_draws(scores, resamples=100, seed=5)
    assert not np.array_equal(draws, mean_draws(scores, resamples=100, seed=6))
    monkeypatch.setattr(bootstrap, "_BLOCK", 64)
    assert np.array_equal(draws, mean_draws(scores, resamples=100, seed=5))


@pytest.mark.parametrize("images", [10, 300])
def test_all_models_see_the_same_resampled_images(images):
    scores = np.random.default_rng(0).random((1, images)).round(1)
    draws = mean_draws(np.concatenate([scores, scores + 0.25]), resamples=200)
    assert draws[1] - draws[0] == pytest.approx(np.full(200, 0.25))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60))
def test_interval_lies_within_the_scores_and_around_the_mean(scores):
    draws = mean_draws([scores], resamples=400)[0]
    interval = estimate(np.mean(scores), draws, level=0.999)
    assert min(scores) - 1e-9 <= interval.low <= interval.value + 1e-9
    assert interval.value - 1e-9 <= interval.high <= max(scores) + 1e-9


@pytest.mark.parametrize(
    ("scores", "message"),
    [([[0.0, float("nan")]], "finite"), ([0.0, 1.0], "shape"), (np.empty((2, 0)), "at least one image")],
)
def test_unusable_scores_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        mean_draws(scores)


def test_p_value_of_a_paired_difference_of_accuracies():
    # The first is right alone on 30 images, the second alone on 15 (McNemar's situation).
    first, second = np.zeros(500), np.zeros(500)
    first[:30], second[30:45] = 1, 1
    draws = mean_draws([first - second], resamples=50_000)[0]
    # Exactly: the number of images on which they differ is binomial, and so is the first's part of it.
    exact = sum(
        math.comb(500, n) * 0.09**n * 0.91 ** (500 - n) * binomial_cdf(n // 2, n, 30 / 45) for n in range(100)
    )
    assert p_value(draws) == pytest.approx(2 * exact, rel=0.1)
    # Not far from the normal approximation of McNemar's test.
    assert p_value(draws) == pytest.approx(
        math.erfc(15 / math.sqrt(45 - 15**2 / 500) / math.sqrt(2)), rel=0.3
    )
    # Taken as unpaired, the same accuracies differ by the same, with more noise.
    a, b = (
        mean_draws([scores], resamples=50_000, seed=seed)[0] for seed, scores in enumerate((first, second))
    )
    assert (a - b).std() == pytest.approx(math.sqrt(0.06 * 0.94 + 0.03 * 0.97) / math.sqrt(500), rel=0.03)


def test_p_value_counts_the_smaller_side():
    assert p_value(np.array([-1.0, 1, 1, 1, 1, 1, 1, 1, 1])) == pytest.approx(2 * (1 + 1) / 10)
    assert p_value(np.ones(999)) == pytest.approx(2 / 1000)
    assert p_value(np.zeros(999)) == 1.0


def test_holm_by_hand():
    # Sorted .01 .03 .04 -> times 3, 2, 1 -> .03 .06 .04 -> never smaller than the one before.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


def test_verdict_uses_the_corrected_p():
    interval = estimate(0.1, np.linspace(0.01, 0.2, 100))
    assert Difference(interval, p=0.01, p_holm=0.04).larger_than_chance
    assert not Difference(interval, p=0.01, p_holm=0.06).larger_than_chance


@pytest.mark.parametrize(
    ("values", "quantile"), [([0.70, 0.72, 0.74], 4.3027), ([0.1, 0.2, 0.2, 0.5], 3.1824)]
)
def test_without_spread_over_images_the_interval_over_runs_is_student_t(values, quantile):
    draws = np.mean(values) + seed_draws(values, resamples=200_000)
    interval = estimate(np.mean(values), draws, seeds=len(values))
    half = quantile * np.std(values, ddof=1) / math.sqrt(len(values))
    assert interval.high - interval.value == pytest.approx(half, rel=0.03)
    assert interval.value - interval.low == pytest.approx(half, rel=0.03)


def test_one_run_says_nothing_about_another():
    assert not seed_draws([0.7], resamples=10).any()


def test_intervals_cover_and_the_test_keeps_its_level():
    rng = np.random.default_rng(0)
    covered = rejected = 0
    for repetition in range(400):
        # Two models of equal accuracy 0.8, their mistakes correlated.
        hard = rng.random(150) < 0.5
        scores = rng.random((2, 150)) < np.where(hard, 0.6, 1.0)
        draws = mean_draws(scores, resamples=400, seed=repetition)
        interval = estimate(scores[0].mean(), draws[0])
        covered += interval.low <= 0.8 <= interval.high
        rejected += p_value(draws[0] - draws[1]) < 0.05
    assert 0.91 <= covered / 400 <= 0.98
    assert 0.02 <= rejected / 400 <= 0.08


def test_intervals_over_images_and_runs_cover():
    rng = np.random.default_rng(1)
    covered = images_only = 0
    for repetition in range(400):
        # Three runs, whose accuracy varies with a standard deviation of 4 points around 70%.
        accuracy = rng.normal(0.7, 0.04, size=(3, 1))
        scores = rng.random((3, 300)) < accuracy
        draws = mean_draws(scores.mean(axis=0)[None], resamples=400, seed=repetition)[0]
        runs = seed_draws(scores.mean(axis=1), resamples=400, seed=repetition)
        both, narrow = estimate(scores.mean(), draws + runs), estimate(scores.mean(), draws)
        covered += both.low <= 0.7 <= both.high
        images_only += narrow.low <= 0.7 <= narrow.high
    assert covered / 400 >= 0.93
    assert images_only / 400 < 0.85


def test_metric_of_resampled_images():
    scores = np.random.default_rng(4).random(300)
    draws = metric_draws(lambda chosen: scores[chosen].mean(), np.zeros(300), resamples=3000)
    assert draws.std() == pytest.approx(scores.std() / math.sqrt(300), rel=0.06)


def test_metric_of_several_models_over_strata_of_fixed_size():
    strata = np.array(["in"] * 30 + ["out"] * 10)
    value = np.arange(40)

    def metric(chosen):
        inside = strata[chosen] == "in"
        return inside.sum(), (~inside).sum(), value[chosen].mean()

    draws = metric_draws(metric, strata, resamples=50)
    assert draws.shape == (3, 50)
    assert (draws[0] == 30).all() and (draws[1] == 10).all()
    assert draws[2].std() > 0
