"""Results of one or several evaluations -> models, with their training runs put together.

    results.json --(read_runs)--> Run, one a checkpoint --(by_model)--> runs of each model
    per_image files --(read_scores)--> scores [runs, images] of a benchmark, the same images in each row

Nothing in a results' folder is trusted: no pickle, no path that leads out of it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luab_trainer.evaluation.results import FILE

# What makes the names of a model's training runs differ: "runs/plain-seed0", "plain/seed-1", "plain_seed=2".
_SEED = re.compile(r"[-_./ ]*seed[-_=]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Run:
    """One evaluated checkpoint.

    Attributes:
        folder: Of the results, where its `per_image` paths begin.
        listed_as: The name in its results.json; `name` may have been made unique.
        benchmarks: Key -> the benchmark's entry in results.json; this run's part is `result(key)`.
        skipped: Key -> why it was not run.
    """

    name: str
    revision: str
    fingerprint: str
    seed: int | None
    folder: Path
    listed_as: str
    benchmarks: dict[str, dict[str, Any]]
    skipped: dict[str, str]

    def result(self, key: str) -> dict[str, Any]:
        return self.benchmarks[key]["models"][self.listed_as]


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """All checkpoints of some results.json files, or of the folders that hold them, in their order.

    Names that several checkpoints have are told apart by their results' folder.

    Raises:
        ValueError: no such file, it is no results.json, or nothing was judged in it.
    """
    runs = [run for path in paths for run in _read(path)]
    fingerprints: dict[str, set[str]] = {}
    for run in runs:
        fingerprints.setdefault(run.name, set()).add(run.fingerprint)
    return [
        Run(**{**vars(run), "name": f"{run.folder.resolve().name}: {run.name}"})
        if len(fingerprints[run.name]) > 1
        else run
        for run in runs
    ]


def by_model(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Model name -> its runs: those whose names are the same but for a seed ("plain-seed0", "plain-seed1").

    The same checkpoint in several results (other benchmarks each) is one run for each benchmark.
    """
    together: dict[str, list[Run]] = {}
    for run in runs:
        together.setdefault(_SEED.sub("", run.name) or "model", []).append(run)
    checkpoints = {name: {run.name for run in group} for name, group in together.items()}
    # A model of one checkpoint keeps the name by which the user knows it.
    return {name if len(checkpoints[name]) > 1 else group[0].name: group for name, group in together.items()}


@dataclass(frozen=True)
class Scores:
    """The scores of several runs on the same images.

    Attributes:
        scores: `[runs, N]`.
        ids: `[N]` bytes.
        groups: `[N]` str.
    """

    scores: np.ndarray
    ids: np.ndarray
    groups: np.ndarray


def read_scores(runs: Sequence[Run], key: str) -> Scores:
    """What `Benchmark.statistic` makes each run's primary metric of; the same image in each column.

    Raises:
        ValueError: a file is missing or outside its results' folder, or the runs saw different images.
    """
    rows, ids, groups = [], None, None
    for run in runs:
        table = _per_image(run, key)
        if ids is None:
            ids, groups = table["ids"], table["groups"]
        elif not (np.array_equal(ids, table["ids"]) and np.array_equal(groups, table["groups"])):
            table = _in_order(table, ids, groups, f"{key}: {runs[0].name} and {run.name}")
        rows.append(table["score"])
    return Scores(np.stack(rows).astype(np.float64), ids, groups)


def _read(path: Path) -> list[Run]:
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        models, benchmarks = content["models"], content["benchmarks"]
        runs = [
            Run(
                name=model["name"],
                revision=model.get("revision") or "",
                fingerprint=model.get("fingerprint") or "",
                seed=model.get("seed"),
                folder=file.parent,
                listed_as=model["name"],
                benchmarks={
                    key: entry for key, entry in benchmarks.items() if model["name"] in entry["models"]
                },
                skipped=content.get("skipped") or {},
            )
            for model in models
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file}: no results of luab evaluate ({type(error).__name__}: {error}); give its {FILE}, or the "
            "folder that it wrote"
        ) from error
    judged = [run for run in runs if run.benchmarks]
    if not judged:
        skipped = "".join(f"\n  {key}: {why}" for key, why in (content.get("skipped") or {}).items())
        raise ValueError(
            f"{file}: no model was judged on a benchmark; run luab evaluate to its end"
            + (f". Not run:{skipped}" if skipped else "")
        )
    return judged


def _per_image(run: Run, key: str) -> dict[str, np.ndarray]:
    file = (run.folder / run.result(key)["per_image"]).resolve()
    if not file.is_relative_to(run.folder.resolve()):
        raise ValueError(f"{run.folder / FILE}: the scores of {key} lie outside its folder: {file}")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("ids", "groups", "score")}
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{file}: no scores of each image can be read ({error}); copy the whole folder of the results, "
            "or evaluate the model again"
        ) from error


def _in_order(
    table: dict[str, np.ndarray], ids: np.ndarray, groups: np.ndarray, who: str
) -> dict[str, np.ndarray]:
    """The rows of `table` in the order of `ids` and `groups`."""
    wanted = np.lexsort((groups, ids))
    found = np.lexsort((table["groups"], table["ids"]))
    same = len(wanted) == len(found)
    same = same and np.array_equal(ids[wanted], table["ids"][found])
    if not (same and np.array_equal(groups[wanted], table["groups"][found])):
        both = len(np.intersect1d(ids, table["ids"]))
        raise ValueError(
            f"{who} were judged on different images ({len(ids):,} and {len(table['ids']):,}, {both:,} of "
            "them the same), so that they cannot be compared in pairs; evaluate both on the same data"
        )
    order = np.empty_like(wanted)
    order[wanted] = found
    return {name: column[order] for name, column in table.items()}
