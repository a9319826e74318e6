"""The metrics of attention: values worked out by hand, constant maps, pysaliency where it is installed."""

import shutil
from pathlib import Path

import evaluate
import numpy as np
import pytest

from luab_eval import metrics
from luab_eval.metrics.fixation_prediction.fixation_prediction import (
    area_under_curve,
    auc_judd,
    auc_judd_unfixated,
    cells_of,
    information_gain,
    nss,
)
from luab_eval.metrics.map_similarity.map_similarity import cc, kl, sim, spearman

FOLDER = Path(metrics.__file__).parent
RISING = np.array([[0.1, 0.2, 0.3, 0.4]])
UNIFORM = np.full((1, 4), 0.25)


@pytest.fixture
def load(tmp_path):
    """Loads a metric from a copy of its folder, far from the package."""

    def load(name: str) -> evaluate.EvaluationModule:
        shutil.copytree(FOLDER / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        return evaluate.load(str(tmp_path / name), cache_dir=str(tmp_path / "cache"))

    return load


def at(x, y, shape):
    return cells_of([x], [y], shape)


def test_nss_has_the_population_deviation():
    scores = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert nss(scores, *at(0.9, 0.9, (2, 2))) == pytest.approx(1.341641, abs=1e-6)  # 1.5 / sqrt(1.25)
    assert nss(scores, *at(0.1, 0.9, (2, 2))) == pytest.approx(0.447214, abs=1e-6)


def test_auc_judd_against_all_cells_and_against_the_unfixated_ones():
    scores = np.array([[1.0, 2.0, 3.0, 4.0]])
    fixation = at(0.6, 0.5, (1, 4))
    assert scores[fixation] == 3
    assert auc_judd(scores, *fixation) == 0.625
    assert auc_judd_unfixated(scores, *fixation) == pytest.approx(2 / 3)


def test_information_gain_is_in_bits():
    own, baseline = np.array([[0.4, 0.6]]), np.array([[0.1, 0.9]])
    assert information_gain(own, baseline, *at(0.1, 0.5, (1, 2))) == pytest.approx(2)
    # The mean over fixations: 2 bits here, log2(0.6 / 0.9) there.
    both = cells_of([0.1, 0.9], [0.5, 0.5], (1, 2))
    assert information_gain(own, baseline, *both) == pytest.approx((2 + np.log2(0.6 / 0.9)) / 2)
    # A density of exactly 0 where somebody looked costs much and is still a number.
    assert -60 < information_gain(np.array([[0.0, 1.0]]), baseline, *at(0.1, 0.5, (1, 2))) < -40


def test_sim_and_kl_of_densities():
    assert sim(RISING, UNIFORM) == pytest.approx(0.8)
    assert kl(prediction=RISING, reference=UNIFORM) == pytest.approx(0.121777, abs=1e-6)
    assert kl(prediction=UNIFORM, reference=RISING) == pytest.approx(0.106440, abs=1e-6)
    assert sim(7 * RISING, UNIFORM) == pytest.approx(0.8)  # of any scale
    assert kl(RISING, RISING) == pytest.approx(0, abs=1e-12)


def test_spearman_of_ranks():
    assert spearman(np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 3, 2, 4]])) == pytest.approx(0.8)
    assert spearman(np.exp(RISING), RISING) == pytest.approx(1)
    # Equal cells share their mean rank: ranks 1, 2.5, 2.5, 4.
    tied = spearman(np.array([[1.0, 2, 2, 4]]), np.array([[1.0, 2, 3, 4]]))
    assert tied == pytest.approx(4.5 / np.sqrt(22.5))


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_a_constant_map_tells_nothing(value):
    flat = np.full((3, 4), value)
    fixations = cells_of([0.1, 0.7], [0.2, 0.9], (3, 4))
    assert nss(flat, *fixations) == 0
    assert auc_judd(flat, *fixations) == auc_judd_unfixated(flat, *fixations) == 0.5
    people = np.arange(12.0).reshape(3, 4)
    assert cc(flat, people) == cc(people, flat) == cc(flat, flat) == spearman(flat, people) == 0
    assert information_gain(flat, np.full((3, 4), 1 / 12), *fixations) == pytest.approx(0)
    assert np.isfinite(kl(flat, people))
    assert np.isfinite(sim(flat, people))


def test_a_fixation_of_every_cell_leaves_no_negatives():
    assert auc_judd_unfixated(np.array([[1.0, 2.0]]), *cells_of([0.1, 0.9], [0.5, 0.5], (1, 2))) == 0.5


def test_area_under_curve_counts_weights_and_ties():
    assert area_under_curve([3], [1, 2, 3, 4]) == 0.625
    assert area_under_curve([3], [1, 3, 4], weights=[2, 1, 1]) == pytest.approx(2.5 / 4)
    assert area_under_curve([2, 5], [2, 4]) == pytest.approx((0.25 + 1) / 2)
    rng = np.random.default_rng(0)
    values, times = rng.integers(0, 5, 30), rng.integers(0, 4, 30)
    repeated = area_under_curve([2, 3], np.repeat(values, times))
    assert area_under_curve([2, 3], values, times) == pytest.approx(repeated)


def test_cells_of_fixations():
    row, column = cells_of([0, 0.2499, 0.25, 1.0], [0, 0.4999, 0.5, 1.0], (2, 4))
    assert row.tolist() == [0, 0, 1, 1]
    assert column.tolist() == [0, 0, 1, 3]
    for x in ([1.01], [-0.01], [], [float("nan")]):
        with pytest.raises(ValueError, match="at least one fixation, in ratios"):
            cells_of(x, [0.5] * len(x), (2, 2))


def test_fixation_prediction(load):
    metric = load("fixation_prediction")
    given = {
        "predictions": [[[0, 1], [2, 3]], [[1, 2, 3, 4]]],
        "references": [{"x": [0.9], "y": [0.9]}, {"x": [0.6], "y": [0.5]}],
    }
    found = metric.compute(**given)
    assert set(found) == {"nss", "auc_judd", "auc_judd_unfixated"}
    assert found["nss"] == pytest.approx((1.341641 + 0.5 / np.sqrt(1.25)) / 2, abs=1e-6)
    assert found["auc_judd"] == pytest.approx((3.5 / 4 + 0.625) / 2)
    assert found["auc_judd_unfixated"] == pytest.approx((1 + 2 / 3) / 2)
    more = metric.compute(
        **given,
        negatives=[{"x": [0.1, 0.9], "y": [0.1, 0.9]}, {"x": [0.9], "y": [0.5]}],
        baselines=[np.ones((2, 2)), [[1, 1, 1, 1]]],
    )
    assert more["shuffled_auc"] == pytest.approx((0.75 + 0) / 2)
    assert more["information_gain"] == pytest.approx((np.log2(0.5 / 0.25) + np.log2(0.3 / 0.25)) / 2)
    with pytest.raises(ValueError, match="1 baselines are given for 2 maps"):
        metric.compute(**given, baselines=[np.ones((2, 2))])
    with pytest.raises(ValueError, match=r"the map is \(2, 2\) and its baseline \(1, 4\)"):
        metric.compute(**given, baselines=[[[1, 1, 1, 1]], [[1, 1, 1, 1]]])
    with pytest.raises(ValueError, match="no value may be negative"):
        information_gain(np.array([[-1.0, 1]]), np.array([[1.0, 1]]), *at(0.1, 0.1, (1, 2)))


def test_map_similarity(load):
    metric = load("map_similarity")
    found = metric.compute(predictions=[RISING, [[1, 2, 3, 4]]], references=[UNIFORM, [[1, 3, 2, 4]]])
    assert found["sim"] == pytest.approx((0.8 + 0.9) / 2)
    assert found["spearman"] == found["cc"] == pytest.approx((0 + 0.8) / 2)
    assert found["kl"] == pytest.approx((0.121777 + 0.1 * np.log(1.5)) / 2, abs=1e-6)
    with pytest.raises(ValueError, match=r"of one size are needed; got \(1, 4\) and \(2, 2\)"):
        metric.compute(predictions=[RISING], references=[[[1, 2], [3, 4]]])


def test_the_definitions_are_pysaliencys():
    of = pytest.importorskip("pysaliency.metrics", reason="pysaliency is not installed", exc_type=ImportError)
    roc = pytest.importorskip("pysaliency.roc", exc_type=ImportError)
    rng = np.random.default_rng(1)
    for _ in range(20):
        one, other = rng.random((5, 7)), rng.integers(0, 4, (5, 7)).astype(float)
        x, y = rng.random(6), rng.random(6)
        cells = cells_of(x, y, (5, 7))
        row, column = cells
        assert nss(one, *cells) == pytest.approx(of.NSS(one, column, row).mean())
        for scores in (one, other):
            of_each = roc.general_rocs_per_positive(scores[cells], scores.ravel())
            assert auc_judd(scores, *cells) == pytest.approx(of_each.mean())
        assert cc(one, other) == pytest.approx(of.CC(one, other))
        assert sim(one - 0.3, other) == pytest.approx(of.SIM(one - 0.3, other))
        assert kl(one, other) == pytest.approx(of.MIT_KLDiv(one, other))
