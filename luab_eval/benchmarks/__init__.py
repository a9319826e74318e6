"""All benchmarks by name, in the order of the tables. To add one, write its class and list it below."""

from __future__ import annotations

from luab_data.console.text import did_you_mean
from luab_eval.benchmark import Benchmark
from luab_eval.benchmarks.alignment import (
    AlignmentBenchmark,
    CorrelationAlignment,
    DivergenceAlignment,
    InformationGainAlignment,
    JuddAlignment,
    ScanpathSaliencyAlignment,
    ShuffledAlignment,
    SimilarityAlignment,
    SpearmanAlignment,
)
from luab_eval.benchmarks.backgrounds import Backgrounds
from luab_eval.benchmarks.corruptions import ImageNetC
from luab_eval.benchmarks.imagenet import (
    ImageNet,
    ImageNetV2,
    ImageNetV2Threshold,
    ImageNetV2Top,
    Occlusion,
    ReaL,
    Sketch,
)
from luab_eval.benchmarks.localization import EnergyPointingGameBenchmark, Localization, PointingGameBenchmark
from luab_eval.benchmarks.objectnet import ObjectNet
from luab_eval.benchmarks.si_score import SIScoreLocation, SIScoreRotation, SIScoreSize
from luab_eval.benchmarks.subsets import ImageNetA, ImageNetO, ImageNetR
from luab_eval.image_sets.folders import Folder
from luab_eval.image_sets.own_datasets import DatasetAccuracy

WHERE = (Localization, PointingGameBenchmark, EnergyPointingGameBenchmark)  # the model looks
ALIGN: tuple[type[AlignmentBenchmark], ...] = (
    SpearmanAlignment,
    CorrelationAlignment,
    SimilarityAlignment,
    DivergenceAlignment,
    ScanpathSaliencyAlignment,
    JuddAlignment,
    ShuffledAlignment,
    InformationGainAlignment,
)
ROBUSTNESS = (
    ImageNet,
    ReaL,
    ImageNetV2,
    ImageNetV2Threshold,
    ImageNetV2Top,
    ImageNetA,
    ImageNetR,
    Sketch,
    ImageNetO,
    ImageNetC,
    ObjectNet,
    SIScoreSize,
    SIScoreLocation,
    SIScoreRotation,
    Backgrounds,
    Occlusion,
    *WHERE,
)
SUITES = {
    "robustness": [benchmark.name for benchmark in ROBUSTNESS],
    "where": [benchmark.name for benchmark in WHERE],
    "align": [benchmark.name for benchmark in ALIGN],
}
OWN = (Folder, DatasetAccuracy)  # images of the user's
EVERY: tuple[type[Benchmark], ...] = (*ROBUSTNESS, *OWN, *ALIGN)
BENCHMARKS = {benchmark.name: benchmark for benchmark in EVERY}


def benchmark_class(text: str) -> type[Benchmark]:
    """`NAME` or `NAME:ARGUMENT` -> the kind of benchmark.

    Raises:
        ValueError: no such benchmark.
    """
    name = text.partition(":")[0]
    if name not in BENCHMARKS:
        meant = did_you_mean(name, BENCHMARKS)
        raise ValueError(f"there is no benchmark {name!r}{meant}; there are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def find_benchmark(text: str, val: str | None = None) -> Benchmark:
    """`NAME` or `NAME:ARGUMENT` -> the benchmark; `val`: see `Benchmark`.

    Raises:
        ValueError: an unknown benchmark, or an invalid argument.
    """
    return benchmark_class(text)(text.partition(":")[2], val)


def find_benchmarks(text: str, val: str | None = None) -> list[Benchmark]:
    """As `find_benchmark`; `SUITE` or `SUITE:ARGUMENT` means all of a suite, each with the argument."""
    name, colon, argument = text.partition(":")
    return [find_benchmark(f"{each}{colon}{argument}", val) for each in SUITES.get(name, [name])]


def suite(name: str) -> list[str]:
    """The names of a suite's benchmarks.

    Raises:
        ValueError: no such suite.
    """
    if name not in SUITES:
        meant = did_you_mean(name, SUITES)
        raise ValueError(f"there is no suite {name!r}{meant}; there are {', '.join(SUITES)}")
    return SUITES[name]
