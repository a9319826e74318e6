"""Results of evaluations as `luab evaluate` leaves them, from scores that the test chooses."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from miniatures import PLAIN

from luab_trainer.evaluation.benchmark import Scores
from luab_trainer.evaluation.benchmarks import find_benchmark
from luab_trainer.evaluation.models import Classifier
from luab_trainer.evaluation.results import Results


def evaluated(folder: Path, models: Mapping[str, Mapping[str, Scores]], prints: str = "") -> Path:
    """`models`: name -> benchmark -> scores; a checkpoint's fingerprint is its name and `prints`."""
    results = Results(folder)
    for number, (name, benchmarks) in enumerate(models.items()):
        classifier = Classifier(name, None, [], PLAIN, seed=number, fingerprint=f"{name}{prints}")
        results.add_model(classifier)
        for benchmark, scores in benchmarks.items():
            results.add(find_benchmark(benchmark), classifier, scores)
    return folder


def scored(benchmark: str, per_image, groups=None, ids=None) -> Scores:
    """The benchmark's scores of images that are called 0, 1, 2, ... (below their group's name)."""
    per_image = np.asarray(per_image, dtype=float)
    groups = np.full(len(per_image), "") if groups is None else np.asarray(groups)
    ids = np.array([f"{n:05d}.png".encode() for n in range(len(per_image))]) if ids is None else np.array(ids)
    judge = find_benchmark(benchmark)
    metrics = {judge.primary: judge.statistic(per_image, groups)}
    return Scores(metrics, ids, groups, np.zeros(len(per_image), int), per_image)


def right_on(images: int, *ranges: range) -> Scores:
    """ImageNet's accuracy of a model that is right on the images in `ranges`."""
    per_image = np.zeros(images)
    for right in ranges:
        per_image[list(right)] = 1
    return scored("imagenet", per_image)
