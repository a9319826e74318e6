"""From the names of models to a table and the report: what `luab evaluate` and `luab localize` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import torch

from luab_data.files.whole import sole_writer
from luab_eval.benchmark import Benchmark
from luab_eval.models import load_classifier
from luab_eval.predict import PassSettings, all_cores
from luab_eval.report.table import Table
from luab_eval.report.write import write_report
from luab_eval.results import Results
from luab_eval.suite import run

MODELS_KEPT = 4  # in memory, for the report's galleries after all models were evaluated


def evaluate(
    models: Sequence[str],
    benchmarks: Sequence[Benchmark],
    root: Path,
    output_dir: Path,
    device: str | None = None,
    batch_size: int = 64,
    num_workers: int | None = None,
    skipped: Mapping[str, str] | None = None,
    command: str = "",
    replace_results: bool = False,
) -> tuple[Results, Table]:
    """Evaluates each model on each benchmark and writes the report.

    Args:
        models: Folders of checkpoints, ids on the Hub, or `timm:NAME`.
        benchmarks: Those that `suite.usable` let through.
        root: The folder of the benchmarks' files.
        output_dir: Where the report, the results and the models' answers go.
        device: Default: CUDA where there is one, else the CPU.
        batch_size: Images that a model is asked about at once.
        num_workers: Processes that decode images and evaluate maps. Default: all cores.
        skipped: The benchmarks that `suite.usable` did not let through, with the reason.
        command: What was typed, for the report.
        replace_results: Drop what `output_dir` has of models with the same name and other weights.

    Raises:
        ValueError: another process writes into `output_dir`; it has results of other weights under a model's
            name; a model that cannot be loaded, or does not have the benchmark's classes; an unreadable
            image.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    settings = PassSettings(device, batch_size, all_cores() if num_workers is None else num_workers)
    load = lru_cache(MODELS_KEPT)(partial(load_classifier, device=device))
    with sole_writer(output_dir, "--output-dir"):
        results = run(
            models, benchmarks, root, output_dir, settings, load, dict(skipped or {}), replace_results
        )
        table = write_report(
            output_dir, models, benchmarks, root, settings, load, command=command, shown=results.shown()
        )
    return results, table
