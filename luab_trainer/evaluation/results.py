"""The results of a run of benchmarks: `results.json` and the scores of each image.

`results.json`:

    {"models": [{"name", "revision", "fingerprint", "seed"}],
     "benchmarks": {KEY: {"benchmark", "title", "summary", "paper", "download", "primary", "higher_is_better",
                          "published_images", "left_out": in words,
                          "models": {MODEL: {"metrics": {NAME: value}, "per_class": {CLASS: value},
                                             "n": images, "per_image": path below the results' folder}}}},
     "skipped": {KEY: why}}

Rates are 0 to 1. A `per_image` file is an npz without pickle: `ids` (UTF-8 bytes), `groups`, `targets`,
`score`, all `[M]`. `find_benchmark(KEY's "benchmark").statistic(score, groups)` is the primary metric, of a
resample of the images as well; the rows of two models of one run are the same images in the same order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from luab_data.names import file_name
from luab_trainer.evaluation.benchmark import Benchmark, Scores
from luab_trainer.evaluation.models import Classifier

FILE = "results.json"
PER_IMAGE = "per_image"


class Results:
    """What has been measured so far; written after each benchmark: an interrupted run leaves its numbers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.content: dict[str, Any] = {"models": [], "benchmarks": {}, "skipped": {}}

    def add_model(self, model: Classifier) -> None:
        self.content["models"].append(
            {
                "name": model.name,
                "revision": model.revision,
                "fingerprint": model.fingerprint,
                "seed": model.seed,
            }
        )

    def skip(self, key: str, why: str) -> None:
        self.content["skipped"][key] = why

    def add(self, benchmark: Benchmark, model: Classifier, scores: Scores) -> None:
        """Write the scores of each image, and the results so far."""
        name = f"{file_name(model.name)}-{model.fingerprint[:8]}.npz"
        file = Path(PER_IMAGE, file_name(benchmark.key), name)
        (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
        arrays = {"ids": scores.ids, "groups": scores.groups, "targets": scores.targets}
        np.savez_compressed(self.folder / file, **arrays, score=scores.per_image)
        entry = self.content["benchmarks"].setdefault(benchmark.key, describe(benchmark))
        entry["models"][model.name] = {
            "metrics": scores.metrics,
            "per_class": scores.per_class(),
            "n": len(scores.per_image),
            "per_image": file.as_posix(),
        }
        self.write()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"{FILE}.tmp"
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.folder / FILE)


def describe(benchmark: Benchmark) -> dict[str, Any]:
    """A benchmark's entry, without results."""
    return {
        "benchmark": f"{benchmark.name}:{benchmark.argument}" if benchmark.argument else benchmark.name,
        "title": benchmark.title,
        "summary": benchmark.summary,
        "paper": benchmark.paper,
        "download": benchmark.download,
        "primary": benchmark.primary,
        "higher_is_better": benchmark.higher_is_better,
        "published_images": benchmark.images,
        "left_out": benchmark.left_out,
        "models": {},
    }
