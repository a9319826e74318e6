"""Several models on several benchmarks: files are checked first, and each model is loaded once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from luab_eval.arrays import hash_of
from luab_eval.benchmark import Benchmark, Predictions, Scores, name_bytes
from luab_eval.models import Classifier
from luab_eval.passes import PassSettings
from luab_eval.predict import predict
from luab_eval.results import Results
from luab_eval.tasks import UnsuitedModel

CACHE = "predictions"  # below the output folder
# What makes the names of a model's training runs differ: "runs/plain-seed0", "plain/seed-1", "plain_seed=2".
SEED = re.compile(r"[-_./ ]*seed[-_=]?\d+", re.IGNORECASE)


def usable(
    benchmarks: Sequence[Benchmark], root: Path, skip_absent: bool, partial: bool = False
) -> tuple[list[Benchmark], dict[str, str]]:
    """The benchmarks whose files are there, and the absent ones with the reason (with `skip_absent`).

    Raises:
        ValueError: files are incomplete or not as published, or absent without `skip_absent` (all of them are
            named); or two benchmarks would have one name in the table.
    """
    keys = [benchmark.key for benchmark in benchmarks]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"benchmarks are named twice: {', '.join(twice)}")
    present, absent, wrong = [], {}, []
    for benchmark in benchmarks:
        problem = benchmark.missing(root, partial)
        if problem is None:
            present.append(benchmark)
        elif skip_absent and benchmark.absent(root):
            absent[benchmark.key] = f"not in {root}; get it from {benchmark.download}"
        else:
            source = f"\n  get it from {benchmark.download}" if benchmark.download else ""
            wrong.append(f"{benchmark.key}: {problem}{source}")
    if wrong:
        raise ValueError("\n".join(["these benchmarks cannot be run as their files are:", *wrong]))
    return present, absent


def run(
    models: Sequence[str | Classifier],
    benchmarks: Sequence[Benchmark],
    root: Path,
    output_dir: Path,
    settings: PassSettings,
    load: Callable[[str], Classifier],
    skipped: dict[str, str] | None = None,
    replace_results: bool = False,
) -> Results:
    """Evaluates each model on each benchmark.

    Predictions in `output_dir` are reused.

    Args:
        models: Names for `load`, or classifiers.
        benchmarks: The benchmarks that `usable` accepted. If a model does not support one, it is skipped for
            that model.
        root: The folder of the benchmarks' files.
        output_dir: Folder for results and predictions.
        settings: Settings of the pass over the images.
        load: Loads a classifier by name.
        skipped: The benchmarks that `usable` rejected, with the reason.
        replace_results: Delete results in `output_dir` of models with the same name and other weights.

    Raises:
        ValueError: see `Results`, `predict` and `load`. All models are loaded before anything is written.
    """
    names = unique_names([model if isinstance(model, str) else model.name for model in models])
    prints = [(load(model) if isinstance(model, str) else model).fingerprint for model in models]
    _require_different(names, prints)
    results = Results(output_dir, list(zip(names, prints, strict=True)), replace_results)
    results.check(benchmarks)
    for key, why in (skipped or {}).items():
        results.skip(key, why)
    for model, name in zip(models, names, strict=True):
        classifier = replace(load(model) if isinstance(model, str) else model, name=name)
        results.add_model(classifier)
        for benchmark in benchmarks:
            try:
                answers = [
                    predict(classifier, images, output_dir / CACHE, settings)
                    for images in benchmark.image_sets(root)
                ]
                scores = benchmark.score(answers)
            except UnsuitedModel as why:
                results.skip(f"{benchmark.key} of {classifier.name}", str(why))
                results.write()
                continue
            except ValueError as error:
                raise ValueError(f"benchmark {benchmark.key}, model {classifier.name}: {error}") from error
            pixels, truths = pixels_of(scores.ids, answers), truths_of(scores, answers)
            results.add(benchmark, classifier, scores, pixels, truths)
    results.write()
    return results


def _require_different(names: Sequence[str], prints: Sequence[str]) -> None:
    """Raises ValueError if a checkpoint is given twice: it would count as two models."""
    first: dict[str, str] = {}
    for name, one in zip(names, prints, strict=True):
        if (other := first.setdefault(one, name)) != name:
            raise ValueError(
                f"--model: {other} and {name} are the same checkpoint (the same weights, configuration and "
                "image processor); leave one out"
            )


def pixels_of(ids: np.ndarray, answers: Sequence[Predictions]) -> np.ndarray | None:
    """`[M]` the hash of each image of `ids` `[M]`; None if an image set has none."""
    hashes = [one.pixels for one in answers if one.pixels is not None]
    return _of_images(ids, answers, hashes) if len(hashes) == len(answers) else None


def truths_of(scores: Scores, answers: Sequence[Predictions]) -> np.ndarray:
    """`[M]` int64, a hash of what each score is measured against: the image's class, and its `references`."""
    classes = []
    for one in answers:
        of_class = np.array([hash_of(name_bytes(name)) for name in (*one.classes, "")], np.int64)
        classes.append(of_class[one.targets])  # -1: none of the classes
    truths = _of_images(scores.ids, answers, classes)
    return truths if scores.references is None else truths ^ scores.references


def _of_images(ids: np.ndarray, answers: Sequence[Predictions], columns: Sequence[np.ndarray]) -> np.ndarray:
    """`[M]` int64, the values of the images `ids` `[M]` in `columns`, which are `[N]` for each image set."""
    if len(answers) == 1 and np.array_equal(ids, answers[0].ids):
        return columns[0]
    known = {
        image: value
        for one, column in zip(answers, columns, strict=True)
        for image, value in zip(one.ids.tolist(), column.tolist(), strict=True)
    }
    return np.array([known[image] for image in ids.tolist()], np.int64)


def unique_names(names: Sequence[str]) -> list[str]:
    """The last part of each path or id; more of it if two would be the same.

    A seed alone ("seed0") names no model: it keeps the folder that it is in.
    """
    parts = list(map(_parts, names))
    for length in range(1, max(map(len, parts)) + 1):
        short = ["/".join(part[-length:]) for part in parts]
        if len(set(short)) == len(set(parts)):
            break
    return [
        name if short.count(name) == 1 else f"{name} ({short[: at + 1].count(name)})"
        for at, name in enumerate(short)
    ]


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part) or (name,)
    if len(parts) > 1 and SEED.fullmatch(parts[-1]):
        return (*parts[:-2], "/".join(parts[-2:]))
    return parts
