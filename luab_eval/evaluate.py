"""From model names to a table and the report: the code of `luab evaluate` and `luab localize`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from luab_data.files.whole import sole_writer
from luab_eval.benchmark import Benchmark
from luab_eval.devices import check_device
from luab_eval.models import load_classifier
from luab_eval.passes import PassSettings, all_cores
from luab_eval.report.table import Table
from luab_eval.report.write import write_report
from luab_eval.results import Results
from luab_eval.suite import run
from luab_eval.team import ALONE, Team
from luab_vision.precision import SLOW, slow_in_bf16

MODELS_KEPT = 4  # models kept in memory for the report's galleries


def evaluate(
    models: Sequence[str],
    benchmarks: Sequence[Benchmark],
    root: Path,
    output_dir: Path,
    device: str | None = None,
    batch_size: int | None = 64,
    num_workers: int | None = None,
    skipped: Mapping[str, str] | None = None,
    command: str = "",
    replace_results: bool = False,
    bf16: bool = False,
    compiled: bool = False,
    team: Team = ALONE,
) -> tuple[Results, Table]:
    """Evaluates each model on each benchmark and writes the report.

    Args:
        models: Checkpoint folders, Hub ids, or `timm:NAME`.
        benchmarks: The benchmarks that `suite.usable` accepted.
        root: The folder of the benchmarks' files.
        output_dir: Folder for the report, the results and the predictions.
        device: Default: CUDA if available, else the CPU.
        batch_size: Images per batch. None: the largest that fits into the GPU's memory; 64 on a CPU.
        num_workers: Processes that decode images and evaluate maps, of each process of a team. Default: all
            cores together.
        skipped: The benchmarks that `suite.usable` rejected, with the reason.
        command: The command line, for the report.
        replace_results: Delete results in `output_dir` of models with the same name and other weights.
        bf16: Compute in bfloat16, mixed. The numbers differ a little, so they are not mixed with others.
        compiled: Compile the models by torch.compile.
        team: The processes that share the work; this one is the leader.

    Raises:
        ValueError: another process writes into `output_dir`; it has results of other weights under a model's
            name; a device that cannot do this; a model that cannot be loaded, or does not have the
            benchmark's classes; an unreadable image.
    """
    own = team.device(device)
    check_device(own, bf16, compiled)
    if bf16 and slow_in_bf16(own):
        print(f"warning: --bf16: {SLOW}", file=sys.stderr)
    workers = max(all_cores() // team.local_size, 1) if num_workers is None else num_workers
    settings = PassSettings(own, batch_size, workers, team=team)
    load = lru_cache(MODELS_KEPT)(partial(load_classifier, device=own, bf16=bf16, compiled=compiled))
    with sole_writer(output_dir, "--output-dir"):
        results = run(
            models, benchmarks, root, output_dir, settings, load, dict(skipped or {}), replace_results
        )
        table = write_report(
            output_dir,
            models,
            benchmarks,
            root,
            replace(settings, team=ALONE),
            load,
            command=command,
            shown=results.shown(),
        )
    return results, table
