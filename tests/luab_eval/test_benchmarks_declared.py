"""What benchmarks say of themselves to the report is true of their code."""

import numpy as np
import pytest

from luab_eval.benchmark import Benchmark, SumOf
from luab_eval.benchmarks import BENCHMARKS
from luab_eval.benchmarks.backgrounds import VARIANTS
from luab_eval.benchmarks.corruptions import CORRUPTIONS, SEVERITIES
from luab_eval.benchmarks.subsets import IN, OUT

GROUPS = {
    "imagenet_c": [f"{corruption}/{severity}" for corruption in CORRUPTIONS for severity in SEVERITIES],
    "backgrounds": list(VARIANTS),
    "imagenet_o": [IN, OUT],
}


@pytest.mark.parametrize("kind", BENCHMARKS.values(), ids=BENCHMARKS)
def test_the_figure_is_the_sum_that_the_benchmark_says(kind):
    names = np.array(GROUPS.get(kind.name, [""]))
    group = np.arange(7 * len(names)) % len(names)
    scores = np.random.default_rng(0).random(len(group))
    means = np.bincount(group, scores) / np.bincount(group)
    found = kind.statistic(scores, names[group])
    weights = np.array([kind.statistic(single, names) for single in np.eye(len(names))])
    of_groups = np.isclose(found, weights @ means) and np.isclose(found, kind.statistic(means, names))
    said = {
        SumOf.IMAGES: np.isclose(found, scores.mean()),
        SumOf.GROUPS: of_groups and not np.isclose(found, scores.mean()),
        SumOf.NOTHING: not of_groups,
    }
    assert said[kind.sum_of]


def test_a_benchmark_with_a_figure_of_its_own_must_say_what_it_is():
    with pytest.raises(TypeError, match="sum_of"):
        type("Own", (Benchmark,), {"statistic": staticmethod(lambda per_image, groups: 0.0)})
    with pytest.raises(TypeError, match="sum_of"):
        type("Own", (Benchmark,), {"sum_of": SumOf.GROUPS})


def test_a_benchmark_with_verdicts_must_say_so():
    with pytest.raises(TypeError, match="shows_verdicts"):
        type("Own", (Benchmark,), {"verdicts": lambda self, answers: None})
    with pytest.raises(TypeError, match="shows_verdicts"):
        type("Own", (Benchmark,), {"shows_verdicts": True})
