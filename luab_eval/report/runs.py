"""Results of one or several evaluations -> models, with their training runs grouped.

    results.json --(read_runs)--> Run, one a checkpoint --(by_model)--> runs of each model
    per_image files --(read_scores)--> scores [runs, images] of a benchmark, the same images in each row

A results folder is untrusted: no pickle, no path out of the folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from luab_data.console.names import few
from luab_eval.arrays import read_arrays
from luab_eval.benchmarks import benchmark_class
from luab_eval.models import FLOAT32, SCHEME
from luab_eval.results import FILE, Shown, read
from luab_eval.suite import SEED, unique_names

ALL_SEEDS = "-seed*"  # behind the name of a model's runs, where another model has that name


@dataclass(frozen=True)
class EvaluatedRun:
    """One evaluated checkpoint.

    Attributes:
        folder: Of the results, where its `per_image` paths begin.
        precision: In which the model was computed: "float32" or "bfloat16".
        listed_as: The name in its results.json; `name` may have been made unique.
        benchmarks: Key -> the benchmark's entry in results.json; this run's part is `result(key)`.
        skipped: Key -> why it was not run.
    """

    name: str
    revision: str
    fingerprint: str
    seed: int | None
    precision: str
    folder: Path
    listed_as: str
    benchmarks: dict[str, dict[str, Any]]
    skipped: dict[str, str]

    def result(self, key: str) -> dict[str, Any]:
        """This run's entry for a benchmark in results.json."""
        return self.benchmarks[key]["models"][self.listed_as]

    def figure(self, key: str, metric: str) -> float:
        """This run's value of a benchmark's metric.

        Raises:
            ValueError: its results do not have it.
        """
        metrics = self.result(key)["metrics"]
        if metric not in metrics:
            raise ValueError(
                f"{self.folder / FILE}: the results of {self.name} on {key} have no {metric}, but "
                f"{few(list(metrics))}; evaluate it again"
            )
        return float(metrics[metric])


def read_runs(paths: Sequence[Path]) -> list[EvaluatedRun]:
    """All checkpoints of some results.json files, or of the folders that hold them, in their order.

    If several checkpoints have one name, the results folder is added to it, with as much of its path as tells
    the checkpoints apart. A checkpoint has one name, the first one that it is listed as, with the first of
    its folders.

    Raises:
        ValueError: no such file, not a results.json, or nothing was evaluated in it; or several checkpoints
            of one name in one folder.
    """
    runs = _of_one_name([run for path in paths for run in _read(path)])
    first: dict[str, dict[str, Path]] = {}  # name -> checkpoint -> its first folder
    for run in runs:
        first.setdefault(run.name, {}).setdefault(_checkpoint(run), run.folder.resolve())
    shared = {name: folders for name, folders in first.items() if len(folders) > 1}
    places = list(dict.fromkeys(folder for folders in shared.values() for folder in folders.values()))
    if places:
        short = dict(zip(places, unique_names([str(folder) for folder in places]), strict=True))
        runs = [
            replace(run, name=f"{short[shared[run.name][_checkpoint(run)]]}: {run.name}")
            if run.name in shared
            else run
            for run in runs
        ]
        _require_own_names(runs)
    return runs


def same_checkpoints(runs: Sequence[EvaluatedRun]) -> list[str]:
    """A remark on each model that is listed under several names."""
    listed: dict[str, dict[str, None]] = {}
    for run in runs:
        listed.setdefault(run.name, {})[run.listed_as] = None
    return [
        f"{few(list(names))} are the same checkpoint, and one model: {name}."
        for name, names in listed.items()
        if len(names) > 1
    ]


def _of_one_name(runs: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    """One name for one checkpoint. Earlier fingerprints are of the weights alone, which two may share."""
    names: dict[str, str] = {}
    return [
        replace(run, name=names.setdefault(run.fingerprint, run.name))
        if run.fingerprint.startswith(SCHEME)
        else run
        for run in runs
    ]


def _checkpoint(run: EvaluatedRun) -> str:
    """What tells its weights from others'. Older results have no fingerprint: then it is their folder."""
    return run.fingerprint or str(run.folder.resolve())


def _require_own_names(runs: Sequence[EvaluatedRun]) -> None:
    """Raises ValueError if one name stands for several checkpoints, of which only one would count."""
    first: dict[str, EvaluatedRun] = {}
    for run in runs:
        other = first.setdefault(run.name, run)
        if _checkpoint(other) != _checkpoint(run):
            raise ValueError(
                f"{other.folder} and {run.folder} have results of other weights, and both are called "
                f"{run.name!r}; evaluate one of them again into a folder of another name"
            )


def only(runs: Sequence[EvaluatedRun], shown: Shown) -> list[EvaluatedRun]:
    """The runs of the models and benchmarks of one evaluation.

    Raises:
        ValueError: none of the benchmarks was run.
    """
    named = {run.name: run for run in runs}
    found = []
    for name in shown.models:
        if run := named.get(name):
            benchmarks = {key: run.benchmarks[key] for key in shown.benchmarks if key in run.benchmarks}
            found.append(replace(run, benchmarks=benchmarks, skipped=dict(shown.skipped)))
    found = [run for run in found if run.benchmarks]
    if not found:
        skipped = "".join(f"\n  {key}: {why}" for key, why in shown.skipped.items())
        raise ValueError(f"no model was evaluated on a benchmark. Not run:{skipped}")
    return found


def precision_of(runs: Sequence[EvaluatedRun]) -> str:
    """The precision in which all of the runs were computed.

    Raises:
        ValueError: they differ in it.
    """
    kinds = {run.precision: run.name for run in runs}
    if len(kinds) > 1:
        found = ", ".join(f"{name} in {kind}" for kind, name in kinds.items())
        raise ValueError(
            f"models that were evaluated in different precisions are not compared: {found}. Evaluate all "
            "with --bf16, or all without"
        )
    return next(iter(kinds))


def by_model(runs: Sequence[EvaluatedRun]) -> dict[str, list[EvaluatedRun]]:
    """Model name -> its runs: those whose names are the same but for a seed ("plain-seed0", "plain-seed1").

    A name without a seed ("plain") is a model of its own. The same checkpoint in several results (other
    benchmarks each) is one run for each benchmark.
    """
    together: dict[tuple[str, bool], list[EvaluatedRun]] = {}
    for run in runs:
        seeded = SEED.search(run.name) is not None
        name = SEED.sub("", run.name).strip("-_./ ") or "model"
        together.setdefault((name, True) if seeded else (run.name, False), []).append(run)
    single = {run.name for group in together.values() for run in group[:1] if _names(group) == 1}
    models = {}
    for (name, _), group in together.items():
        # A model with one checkpoint keeps the user's name.
        several = f"{name}{ALL_SEEDS}" if name in single else name
        models[several if _names(group) > 1 else group[0].name] = group
    return models


def _names(runs: Sequence[EvaluatedRun]) -> int:
    return len({run.name for run in runs})


@dataclass(frozen=True)
class RunScores:
    """The scores of several runs on the same images.

    Attributes:
        scores: `[runs, N]`, as `Scores.per_image`.
        ids: `[N]` bytes.
        groups: `[N]` str.
        unchecked: Names of runs whose results have no hash of the images' pixels, only their names.
        untold: Runs whose results have no hash of what the scores were measured against.
        weights: `[N]`, as `Scores.weights`.
    """

    scores: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    unchecked: tuple[str, ...] = ()
    untold: tuple[EvaluatedRun, ...] = ()
    weights: np.ndarray | None = None


def read_scores(runs: Sequence[EvaluatedRun], key: str) -> RunScores:
    """The input of `Benchmark.statistic` for each run's primary metric; one image per column.

    Raises:
        ValueError: a file is missing, damaged or outside its results' folder, or the runs saw different
            images: other names, or other pixels; or were measured against different classes, boxes or people.
    """
    tables = [_per_image(run, key) for run in runs]
    first = tables[0]
    rows = [first["score"]]
    for run, table in zip(runs[1:], tables[1:], strict=True):
        try:
            rows.append(_in_order(table, first, (run, runs[0]), key)["score"])
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    unchecked = dict.fromkeys(
        run.name for run, table in zip(runs, tables, strict=True) if "pixels" not in table
    )
    untold = tuple(run for run, table in zip(runs, tables, strict=True) if "truths" not in table)
    scores = np.stack(rows).astype(np.float64)
    return RunScores(scores, first["ids"], first["groups"], tuple(unchecked), untold, first.get("weights"))


def evaluate_again(old: Sequence[EvaluatedRun], runs: Sequence[EvaluatedRun]) -> str:
    """What to do with the results `old`, of an earlier version, among those of all `runs`."""
    newer = {run.name for run in runs if run not in old}
    if spare := dict.fromkeys(str(run.folder) for run in old if run.name in newer):
        return f"leave out {few(list(spare))}: the other results of the same model are newer"
    folders = dict.fromkeys(str(run.folder) for run in old)
    return f"evaluate it again on the same data into {few(list(folders))}"


def _read(path: Path) -> list[EvaluatedRun]:
    file = path / FILE if path.is_dir() else path
    content = read(file, f"give its {FILE}, or the folder that it wrote")
    runs = [
        EvaluatedRun(
            name=model["name"],
            revision=model.get("revision") or "",
            fingerprint=model.get("fingerprint") or "",
            seed=model.get("seed"),
            precision=model.get("precision", FLOAT32),  # older results do not say it
            folder=file.parent,
            listed_as=model["name"],
            benchmarks={
                key: entry for key, entry in content["benchmarks"].items() if model["name"] in entry["models"]
            },
            skipped=content["skipped"],
        )
        for model in content["models"]
    ]
    evaluated = [run for run in runs if run.benchmarks]
    if not evaluated:
        skipped = "".join(f"\n  {key}: {why}" for key, why in content["skipped"].items())
        raise ValueError(
            f"{file}: no model was evaluated on a benchmark; run luab evaluate to its end"
            + (f". Not run:{skipped}" if skipped else "")
        )
    return evaluated


def _per_image(run: EvaluatedRun, key: str) -> dict[str, np.ndarray]:
    file = (run.folder / run.result(key)["per_image"]).resolve()
    if not file.is_relative_to(run.folder.resolve()):
        raise ValueError(f"{run.folder / FILE}: the scores of {key} lie outside its folder: {file}")
    try:
        table = read_arrays(file)
        columns = {name: table[name] for name in ("ids", "groups", "score")}
        columns |= {name: table[name] for name in ("pixels", "truths", "weights") if name in table}
        _check(columns)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{file}: no scores of each image can be read ({error}); copy the whole folder of the results, "
            "or evaluate the model again"
        ) from error
    return columns


def _check(columns: dict[str, np.ndarray]) -> None:
    """Raises ValueError for arrays that `Results.add` does not write."""
    kinds = {"ids": "S", "groups": "U", "score": "fiub", "pixels": "iu", "truths": "iu", "weights": "f"}
    for name, column in columns.items():
        if column.dtype.kind not in kinds[name] or column.shape != (len(columns["ids"]),):
            raise ValueError(f"{name} is {column.dtype} {column.shape}")
    if not len(columns["ids"]):
        raise ValueError("no images")
    if not np.isfinite(columns["score"]).all():
        raise ValueError("a score is not a finite number")
    if "weights" in columns and not (np.isfinite(columns["weights"]) & (columns["weights"] > 0)).all():
        raise ValueError("a weight is not a finite number above 0")


def _in_order(
    table: dict[str, np.ndarray],
    first: dict[str, np.ndarray],
    of: tuple[EvaluatedRun, EvaluatedRun],
    key: str,
) -> dict[str, np.ndarray]:
    """The rows of `table` in the order of `first`: the same images by name, or by their pixels.

    Args:
        table: The columns of the scores of the first run of `of`.
        first: Those of the second.
        of: Both runs.
        key: The benchmark.
    """
    who = f"{of[1].name} and {of[0].name}"
    if of[0].name == of[1].name:
        who = f"the results of {of[0].name} in {of[1].folder} and in {of[0].folder}"
    checked = "pixels" in table and "pixels" in first
    old = [run for run, one in zip(of, (table, first), strict=True) if "truths" not in one]
    order = _matched(table, first, "ids")
    if order is None and checked:
        order = _matched(table, first, "pixels")
        if order is not None and old and _ambiguous(table, "pixels") and _ambiguous(first, "pixels"):
            raise ValueError(
                f"{who}: several of the same pixels have other names and other scores, and the results of "
                f"{few([run.name for run in old])} are of an earlier version and do not tell which is "
                f"which; {evaluate_again(old, of)}"
            )
    if order is None:
        ours, theirs = first["ids"], table["ids"]
        both = len(np.intersect1d(ours, theirs))
        different = (
            f"{who} were evaluated on different images ({len(ours):,} and {len(theirs):,}, {both:,} of "
            "them the same), so that they cannot be compared in pairs"
        )
        if len(old) == 1:
            raise ValueError(
                f"{different}; the results of {old[0].name} in {old[0].folder} are of an earlier version, "
                "which took an image of several classes, or of several rows, as several: "
                f"{evaluate_again(old, of)}"
            )
        raise ValueError(f"{different}; evaluate both on the same data")
    table = {name: column[order] for name, column in table.items()}
    if checked and (other := table["pixels"] != first["pixels"]).any():
        name = first["ids"][other.argmax()].decode(errors="replace")
        raise ValueError(
            f"{who} were evaluated on different images: {other.sum():,} of {len(other):,} have the same name "
            f"and other pixels, such as {name}; evaluate both on the same files"
        )
    if "truths" in table and "truths" in first and (other := table["truths"] != first["truths"]).any():
        name = first["ids"][other.argmax()].decode(errors="replace")
        raise ValueError(
            f"{who} were measured against different truths: {other.sum():,} of {len(other):,} images have "
            f"another class, other boxes or other people, such as {name}; evaluate both again with one "
            f"version, on the same data{_with_options(of[0], key)}"
        )
    return table


def _with_options(run: EvaluatedRun, key: str) -> str:
    """Which options decide what images are measured against, in words."""
    options = benchmark_class(run.benchmarks[key]["benchmark"]).truths_options
    return f", with the same {few(options)}" if options else ""


def _ambiguous(table: dict[str, np.ndarray], by: str) -> bool:
    """Whether rows with one value of `by` and one group have different scores."""
    pairs: dict[tuple[object, object], object] = {}
    return any(
        pairs.setdefault((value, group), score) != score
        for value, group, score in zip(
            table[by].tolist(), table["groups"].tolist(), table["score"].tolist(), strict=True
        )
    )


def _matched(table: dict[str, np.ndarray], first: dict[str, np.ndarray], by: str) -> np.ndarray | None:
    """Which row of `table` has the value of `by`, and the group, of each row of `first`; None: not all do."""
    if np.array_equal(first[by], table[by]) and np.array_equal(first["groups"], table["groups"]):
        return np.arange(len(first[by]))
    # Rows of the same pixels are told apart by their truths, and by their names where one table has none.
    names = ("ids", "truths") if "truths" in first and "truths" in table else ("ids",)
    wanted, found = (
        np.lexsort((*(one[name] for name in names), one["groups"], one[by])) for one in (first, table)
    )
    if len(wanted) != len(found) or not all(
        np.array_equal(first[name][wanted], table[name][found]) for name in (by, "groups")
    ):
        return None
    order = np.empty_like(wanted)
    order[wanted] = found
    return order
