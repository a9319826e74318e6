"""The results of benchmarks in one folder: `results.json` and the scores of each image.

`results.json`:

    {"models": [{"name", "revision", "fingerprint", "seed", "precision"}],
     "benchmarks": {KEY: {"benchmark", "title", "label", "summary", "paper", "download", "primary",
                          "higher_is_better", "published_images", "left_out": in words,
                          "models": {MODEL: {"metrics": {NAME: value}, "per_class": {CLASS: value},
                                             "n": images, "per_image": path below the results' folder}}}},
     "skipped": {KEY: why}}

Rates are 0 to 1. A `per_image` file is an npz without pickle: `ids` (UTF-8 bytes), `groups`, `targets`,
`score`, `pixels` (a hash of each image as it was decoded, int64), `truths` (a hash of what it was measured
against: its class, boxes or people, int64), all `[M]`.
`benchmark_class(KEY's "benchmark").statistic(score, groups)` is the primary metric, of a resample of the
images as well; the rows of two models of one run are the same images in the same order.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luab_data.console.names import file_name
from luab_data.files.whole import write_json
from luab_eval.arrays import write_arrays
from luab_eval.benchmark import Benchmark, Scores
from luab_eval.models import BFLOAT16, FLOAT32, Classifier

FILE = "results.json"
PER_IMAGE = "per_image"
MOST = 1e300  # of a metric: JSON has whole numbers that are larger than any float
MOST_BYTES = 256 << 20  # of results.json: one with 50 models and ImageNet's classes takes 60 MB


@dataclass(frozen=True)
class Shown:
    """The part of a folder's results that one run requested.

    Attributes:
        models: Names, in the requested order.
        benchmarks: Keys.
        skipped: Key -> why it was not run.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    skipped: Mapping[str, str]


class Results:
    """The results of this run and of earlier runs.

    Written after each benchmark, so an interrupted run keeps its results. Results of other models, and of
    other benchmarks of the same weights, stay. A checkpoint is one model: its earlier results under another
    name have its name of this run.

    Args:
        models: (name, fingerprint) of each model of this run.
        replace: Delete the results of models with the same name and other weights.

    Raises:
        ValueError: the folder has results of a model with the same name and other weights, or another file in
            their place. Then nothing has been written.
    """

    def __init__(self, folder: Path, models: Sequence[tuple[str, str]] = (), replace: bool = False):
        self.folder = folder
        self.content: dict[str, Any] = {"models": [], "benchmarks": {}, "skipped": {}}
        if (folder / FILE).exists():
            self.content = read(folder / FILE, "move it away, or give another --output-dir")
        self._asked: dict[str, None] = {}
        self._benchmarks: dict[str, None] = {}
        self._skipped: dict[str, str] = {}
        prints = dict(models)
        names = {fingerprint: name for name, fingerprint in models}
        others = [
            model["name"]
            for model in self.content["models"]
            if model["name"] in prints and model.get("fingerprint") not in names
        ]
        if others and not replace:
            raise ValueError(
                f"{folder / FILE} has results of {', '.join(others)} with other weights, another "
                "configuration, image processor or precision (--bf16), or of an earlier version. Give "
                "another --output-dir, or --replace to drop these results"
            )
        for name in others:
            self._drop(name)
        self._rename(
            {
                model["name"]: names.get(model.get("fingerprint"), model["name"])
                for model in self.content["models"]
            }
        )

    def check(self, benchmarks: Sequence[Benchmark]) -> None:
        """Raise ValueError if the folder's results have another benchmark with the same name."""
        for benchmark in benchmarks:
            former = self.content["benchmarks"].get(benchmark.key)
            kind = former["benchmark"].partition(":")[0] if former else benchmark.name
            if kind != benchmark.name:
                raise ValueError(
                    f"{self.folder / FILE} has results of benchmark {kind!r} under the name "
                    f"{benchmark.key!r}, which is {benchmark.name!r} now. Choose another NAME, or another "
                    "--output-dir"
                )

    def add_model(self, model: Classifier) -> None:
        """Lists a model, in the place of one of the same name."""
        entry = {
            "name": model.name,
            "revision": model.revision,
            "fingerprint": model.fingerprint,
            "seed": model.seed,
            "precision": model.precision,
        }
        self._asked[model.name] = None
        known = [one["name"] for one in self.content["models"]]
        if model.name in known:
            self.content["models"][known.index(model.name)] = entry
        else:
            self.content["models"].append(entry)

    def skip(self, key: str, why: str) -> None:
        """Notes why a benchmark is not run."""
        self._skipped[key] = self.content["skipped"][key] = why

    def add(
        self,
        benchmark: Benchmark,
        model: Classifier,
        scores: Scores,
        pixels: np.ndarray | None = None,
        truths: np.ndarray | None = None,
    ) -> None:
        """Writes the scores of each image, and the results so far.

        Args:
            benchmark: The benchmark.
            model: The model.
            scores: Its scores.
            pixels: `[M]` int64, a hash of each image.
            truths: `[M]` int64, a hash of what each score is measured against.

        Raises:
            ValueError: a score or a metric is NaN or infinite.
        """
        finite = np.isfinite(scores.per_image)
        if not finite.all():
            image = scores.ids[finite.argmin()].decode(errors="replace")
            raise ValueError(f"the score of image {image} is not a finite number")
        file = Path(
            PER_IMAGE, file_name(benchmark.key), f"{file_name(model.name)}-{model.fingerprint[:8]}.npz"
        )
        arrays = {"ids": scores.ids, "groups": scores.groups, "targets": scores.targets}
        arrays |= {"score": scores.per_image}
        arrays |= {} if pixels is None else {"pixels": pixels}
        arrays |= {} if truths is None else {"truths": truths}
        arrays |= {} if scores.weights is None else {"weights": scores.weights}
        write_arrays(self.folder / file, arrays, compressed=True)
        former = self.content["benchmarks"].get(benchmark.key, {"models": {}})
        entry = describe(benchmark) | {"models": former["models"]}
        entry["models"][model.name] = {
            "metrics": scores.metrics,
            "per_class": scores.per_class(),
            "n": len(scores.per_image),
            "per_image": file.as_posix(),
        }
        self.content["benchmarks"][benchmark.key] = entry
        self._benchmarks[benchmark.key] = None
        for key in (benchmark.key, f"{benchmark.key} of {model.name}"):
            self.content["skipped"].pop(key, None)
        self.write()

    def write(self) -> None:
        """Writes results.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / FILE, self.content)

    def shown(self) -> Shown:
        """The models and benchmarks of this run."""
        return Shown(tuple(self._asked), tuple(self._benchmarks), dict(self._skipped))

    def _rename(self, names: Mapping[str, str]) -> None:
        """Give models the names that they have now; of two results of one, those under that name stay."""
        renamed = {old: new for old, new in names.items() if old != new}
        if not renamed:
            return
        for old, new in renamed.items():
            warnings.warn(
                f"{self.folder / FILE}: {old} is the same checkpoint as {new}: one model", stacklevel=3
            )
        former = {
            names[model["name"]]: model | {"name": names[model["name"]]} for model in self.content["models"]
        }
        self.content["models"] = list(former.values())
        for entry in self.content["benchmarks"].values():
            kept = entry["models"]
            entry["models"] = {names.get(name, name): result for name, result in kept.items()}
            entry["models"] |= {name: kept[name] for name in kept if names.get(name) == name}
        self.content["skipped"] = {
            f"{key} of {renamed[name]}" if of and name in renamed else whole: why
            for whole, why in self.content["skipped"].items()
            for key, of, name in [whole.partition(" of ")]
        }

    def _drop(self, name: str) -> None:
        self.content["models"] = [model for model in self.content["models"] if model["name"] != name]
        for entry in self.content["benchmarks"].values():
            entry["models"].pop(name, None)
        self.content["benchmarks"] = {
            key: entry for key, entry in self.content["benchmarks"].items() if entry["models"]
        }


def read(file: Path, fix: str) -> dict[str, Any]:
    """The content of an untrusted results.json.

    Raises:
        ValueError: it is not a results.json; `fix` says what to do.
    """
    if not file.is_file():
        raise ValueError(f"{file}: there is no such file; {fix}")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
        content["skipped"] = content.get("skipped") or {}
        _check(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{file}: no results of luab evaluate ({type(error).__name__}: {error}); {fix}"
        ) from error
    return content


def describe(benchmark: Benchmark) -> dict[str, Any]:
    """A benchmark's entry, without results."""
    return {
        "benchmark": f"{benchmark.name}:{benchmark.argument}" if benchmark.argument else benchmark.name,
        "title": benchmark.title,
        "label": benchmark.label,
        "summary": benchmark.summary,
        "paper": benchmark.paper,
        "download": benchmark.download,
        "primary": benchmark.primary,
        "higher_is_better": benchmark.higher_is_better,
        "published_images": benchmark.images,
        "left_out": benchmark.left_out,
        "models": {},
    }


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _check(content: dict[str, Any]) -> None:
    """Raises ValueError, KeyError, TypeError or AttributeError for content of the wrong form."""
    names = [model["name"] for model in content["models"]]
    if len(set(names)) < len(names):
        raise ValueError("two models have one name")
    wrong = [name for name in names if not isinstance(name, str)]
    wrong += [
        (model.get("fingerprint"), model.get("revision"), model.get("seed"), model.get("precision"))
        for model in content["models"]
        if not isinstance(model.get("fingerprint"), str | None)
        or not isinstance(model.get("revision"), str | None)
        or not isinstance(model.get("seed"), int | None)
        or model.get("precision", FLOAT32) not in (FLOAT32, BFLOAT16)
    ]
    wrong += [why for why in content["skipped"].values() if not isinstance(why, str)]
    for entry in content["benchmarks"].values():
        texts = [entry[name] for name in ("benchmark", "summary", "paper", "download")]
        texts += [entry.get(name, "") for name in ("label", "left_out")]  # older results do not have them
        wrong += [text for text in texts if not isinstance(text, str)]
        wrong += [entry["published_images"]] * (not isinstance(entry["published_images"], int | None))
        for of_model in entry["models"].values():
            numbers = of_model["metrics"].values()
            wrong += [number for number in numbers if not _is_number(number)]
            wrong += [of_model["per_image"]] * (not isinstance(of_model["per_image"], str))
            if entry["primary"] not in of_model["metrics"]:
                raise KeyError(f"no {entry['primary']} among the metrics")
    if wrong:
        raise TypeError(f"{str(wrong[0])[:80]!r} is of a wrong type")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST
