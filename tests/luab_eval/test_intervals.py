"""Intervals of means and the test of paired differences: by enumeration, simulation and closed forms."""

import itertools
import math

import numpy as np
import pytest

from luab_eval.benchmarks import find_benchmark
from luab_eval.report.certainty import assess
from luab_eval.report.runs import RunScores
from luab_eval.statistics.intervals import (
    mean_interval,
    moments,
    moments_interval,
    runs_interval,
    swap_test,
    together,
)

IMAGES = (1, 5, 20, 1000)
RATES = (0.5, 0.8, 0.98)


def right_wrong(right: int, images: int) -> np.ndarray:
    return (np.arange(images) < right).astype(float)


def compared(scores: np.ndarray):
    """The second row's difference to the first, `[2, N]` scores of ImageNet."""
    of = RunScores(scores, np.arange(scores.shape[1]).astype("S"), np.full(scores.shape[1], ""))
    rows = {"a": slice(0, 1), "b": slice(1, 2)}
    found = assess(find_benchmark("imagenet"), of, scores.mean(axis=1), rows, "a", resamples=2000, seed=0)
    return found[1]["b"]


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(10, 40, 0.1419, 0.4019), (140, 200, 0.6332, 0.7593), (800, 1000, 0.7741, 0.8236), (0, 10, 0.0, 0.2775)],
)
def test_the_interval_of_a_proportion_is_wilsons(right, images, low, high):
    found = mean_interval(right_wrong(right, images))
    assert found == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_images_that_count_differently():
    """Weights 3, 1, 1, 1 are 36 / 12 images; the deviations by hand: (9/9 + 4/9 + 1/9 + 4/9) / 12."""
    mean, variance, images = moments(np.array([1.0, 0, 1, 0]), weights=np.array([3, 1, 1, 1]) / 1.5)
    assert (mean, variance, images) == pytest.approx((4 / 6, 1 / 6, 3))
    scores = np.array([[0.2, 1, 0.6], [0, 0, 1]])
    same = np.array(mean_interval(scores, weights=np.full(3, 2.0)))
    assert same == pytest.approx(np.array(mean_interval(scores)))


def test_the_interval_of_images_of_several_classes_covers():
    """Right or wrong on one of 1 to 9 classes of an image, which are right together more often than not."""
    rng = np.random.default_rng(0)
    for images in (20, 300):
        covered = []
        for _ in range(600):
            classes = rng.integers(1, 10, images)
            means = rng.binomial(classes, rng.choice([0.5, 0.95], images)) / classes
            low, high = mean_interval(means, weights=classes / classes.mean())
            covered.append(low <= 0.725 <= high)
        assert 0.92 < np.mean(covered) < 0.99  # as independent images the classes cover 0.8


def test_whole_images_are_swapped():
    """Five images of 1 to 5 classes, all better: one way of 32 is as good, and one as bad."""
    weights = np.arange(1, 6) / 3
    of = RunScores(
        np.stack([np.zeros(5), weights]), np.arange(5).astype("S"), np.full(5, ""), weights=weights
    )
    rows = {"a": slice(0, 1), "b": slice(1, 2)}
    estimates, differences, _ = assess(
        find_benchmark("imagenet"), of, of.scores.mean(axis=1), rows, "a", 2000, 0
    )
    assert differences["b"].p == pytest.approx(2 / 32)
    assert differences["b"].estimate.value == estimates["b"].value == 1
    assert estimates["b"].low == pytest.approx(float(moments_interval(1, 0, 45 / 11, 0, 1)[0]))  # 15^2 / 55


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_one_image_says_next_to_nothing(score):
    low, high = mean_interval([score])
    assert low <= 0.06 if score else low == 0
    assert high >= 0.94 if not score else high == 1


@pytest.mark.parametrize("images", [*IMAGES, 2, 10, 50, 200])
def test_the_interval_of_a_proportion_covers(images):
    """By enumeration: all numbers of right images, weighted with their binomial probability."""
    right = np.arange(images + 1)
    low, high = np.array([mean_interval(right_wrong(k, images)) for k in right]).T
    choose = np.array(
        [math.lgamma(images + 1) - math.lgamma(k + 1) - math.lgamma(images - k + 1) for k in right]
    )
    for rate in (*RATES, *np.linspace(0.005, 0.995, 100)):
        chance = np.exp(choose + right * math.log(rate) + (images - right) * math.log(1 - rate))
        covered = chance[(low <= rate) & (rate <= high)].sum()
        assert covered >= (0.93 if rate in RATES else 0.92), (images, rate, covered)


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize(
    ("draw", "mean"),
    [
        (lambda rng, shape: (rng.random(shape) < 0.98) * 1.0, 0.98),
        (lambda rng, shape: rng.choice([0, 1 / 3, 2 / 3, 1], p=[0.1, 0.2, 0.3, 0.4], size=shape), 2 / 3),
        (lambda rng, shape: rng.beta(2, 5, shape), 2 / 7),
        (lambda rng, shape: rng.beta(0.3, 3, shape), 1 / 11),
        (lambda rng, shape: np.where(rng.random(shape) < 0.95, 0.3, 1.0), 0.335),
    ],
    ids=["right or wrong", "thirds", "bell", "near 0", "rarely 1"],
)
def test_the_interval_of_any_score_covers(images, draw, mean):
    scores = draw(np.random.default_rng(images), (1500, images))
    low, high = mean_interval(scores)
    assert np.mean((low <= mean) & (mean <= high)) >= 0.92


def test_scores_that_vary_little_have_a_narrow_interval():
    scores = np.random.default_rng(0).beta(20, 50, 1000)
    low, high = mean_interval(scores)
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / math.sqrt(1000), rel=0.2)
    # Nothing of it depends on the unit.
    scaled = mean_interval(scores * 6 - 3, -3, 3)
    assert scaled == (pytest.approx(low * 6 - 3), pytest.approx(high * 6 - 3))


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize("rate", RATES)
def test_two_models_of_equal_accuracy_are_seldom_told_apart(images, rate):
    """The error rate of verdicts, and the coverage of the difference's interval, half the mistakes shared."""
    rng = np.random.default_rng(1)
    trials, errors, covered = 400, 0, 0
    for _ in range(trials):
        hard = rng.random(images) < 0.5
        scores = (rng.random((2, images)) < np.where(hard, 2 * rate - 1 if rate > 0.5 else 0.3, 1)) * 1.0
        found = compared(scores)
        errors += found.p < 0.05
        covered += found.estimate.low <= 0 <= found.estimate.high
        assert 0 < found.p <= 1
    assert errors / trials <= 0.05 + 0.022  # two standard deviations of 400 trials
    assert covered / trials >= 0.93
    if images < 6:
        assert errors == 0


@pytest.mark.parametrize("images", [5, 20, 300])
def test_the_interval_of_a_difference_covers(images):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(500):  # the second model is right on 20% of the images alone, the first on 5%
        kind = rng.random(images)
        scores = np.stack([kind < 0.65, (kind < 0.6) | (kind > 0.8)]) * 1.0
        found = compared(scores).estimate
        covered += found.low <= 0.15 <= found.high
    assert covered / 500 >= 0.93


def test_verdict_and_interval_agree_and_no_p_is_zero():
    for images in (1, 3, 6, 9, 25):
        for alone, other in itertools.product(range(images + 1), repeat=2):
            if alone + other > images:
                continue
            scores = np.zeros((2, images))
            scores[1, :alone] = scores[0, alone : alone + other] = 1
            found = compared(scores)
            assert (found.p < 0.05) == (not found.estimate.low <= 0 <= found.estimate.high)
            assert found.estimate.low <= found.estimate.value <= found.estimate.high
            assert found.p > 0 and found.differing == alone + other
            if found.differing < 6:
                assert found.p >= 0.05


@pytest.mark.parametrize(("images", "expected"), [(1, 1.0), (5, 0.0625), (6, 0.03125)])
def test_right_on_all_where_the_other_is_wrong_on_all(images, expected):
    found = compared(np.stack([np.zeros(images), np.ones(images)]))
    assert found.p == pytest.approx(expected) and not found.p_is_bound


def test_for_right_and_wrong_it_is_the_exact_mcnemar_test():
    # The first is right alone on 30 images, the second on 15.
    differences = np.concatenate([np.ones(30), -np.ones(15), np.zeros(955)])
    exact = 2 * sum(math.comb(45, k) for k in range(16)) / 2**45
    assert swap_test(differences, 100) == (pytest.approx(exact), False)
    # However clear: a number, not 0 and no bound.
    p, is_bound = swap_test(np.ones(2000), 100)
    assert 0 < p < 1e-300 and not is_bound


@pytest.mark.parametrize("size", [11, 40])
def test_for_any_scores_signs_are_tried(size):
    rng = np.random.default_rng(4)
    differences = rng.normal(0.4, 1, size)
    p, is_bound = swap_test(differences, 20_000)
    signs = rng.choice([-1, 1], (100_000, size)) @ differences
    assert p == pytest.approx(np.mean(np.abs(signs) >= abs(differences.sum())), abs=0.012)
    assert not is_bound
    assert swap_test(np.linspace(1, 2, 40), 2000) == (1 / 2001, True)


def test_few_sizes_of_many_differences_are_counted():
    thirds = np.array([1, -1] * 90 + [2] * 20 + [-2] * 8 + [0] * 500) / 3
    p, _ = swap_test(thirds, 20_000)
    z = thirds.sum() / math.sqrt((thirds**2).sum())
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.15)


def test_the_test_of_skewed_differences_keeps_its_level():
    rng = np.random.default_rng(5)
    # Better by a little on most images and worse by much on few: equal means.
    errors = [
        swap_test(np.where(rng.random(200) < 0.9, 0.1, -0.9) + rng.normal(0, 0.01, 200), 300)[0] < 0.05
        for _ in range(400)
    ]
    assert np.mean(errors) <= 0.08


def test_training_runs_are_students_t():
    assert runs_interval([0.7]) == (0, 0, 0)
    value, low, high = runs_interval([0.70, 0.72, 0.74])
    assert (value, -low, high) == (
        0,
        pytest.approx(4.3027 * 0.02 / math.sqrt(3), rel=1e-4),
        pytest.approx(-low),
    )
    # Independent parts: as the hypotenuse.
    assert together(0.5, [(0.5, 0.2, 0.9), (0.0, -0.4, 0.3)]) == (pytest.approx(0.0), pytest.approx(1.0))


def test_images_and_training_runs_together_cover():
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(400):  # three runs, whose accuracy varies by 4 points around 70%
        scores = (rng.random((3, 300)) < rng.normal(0.7, 0.04, (3, 1))) * 1.0
        of = RunScores(scores, np.arange(300).astype("S"), np.full(300, ""))
        values = scores.mean(axis=1)
        found = assess(find_benchmark("imagenet"), of, values, {"a": slice(0, 3)}, "a", 100, 0)[0]["a"]
        covered += found.low <= 0.7 <= found.high
    assert covered / 400 >= 0.93


def test_training_runs_of_two_equal_methods_are_seldom_told_apart():
    rng = np.random.default_rng(7)
    errors, rows = 0, {"a": slice(0, 3), "b": slice(3, 6)}
    for _ in range(150):  # three runs each, whose accuracy varies by 4 points
        scores = (rng.random((6, 200)) < rng.normal(0.7, 0.04, (6, 1))) * 1.0
        of = RunScores(scores, np.arange(200).astype("S"), np.full(200, ""))
        values = scores.mean(axis=1)
        found = assess(find_benchmark("imagenet"), of, values, rows, "a", 100, 0)[1]["b"]
        errors += found.p < 0.05
        assert (found.p < 0.05) <= (not found.estimate.low <= 0 <= found.estimate.high)
    assert errors / 150 <= 0.086
