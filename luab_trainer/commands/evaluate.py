"""judge classifiers on the benchmarks of robustness, side by side

Any image classifier of transformers (or timm:NAME), on the files that the benchmarks' authors publish:

    luab evaluate --model runs/luab --model runs/plain --suite robustness --data /data/benchmarks
    luab evaluate --list --data /data/benchmarks          what is there, and where to get the rest
    luab evaluate --model runs/luab --benchmarks imagenet,occlusion:0.3 --data /data/benchmarks
    luab evaluate --model runs/demo --benchmarks folder:val=images/val,folder:swapped=images/test_swapped

--output-dir gets the report (report.html, report.md), results.json with the scores of each image, and the
models' answers: a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from functools import lru_cache, partial
from pathlib import Path

MODELS_KEPT = 4  # in memory, for the report's galleries after all models were judged


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    from luab_trainer.evaluation.benchmarks import SUITES

    options = argparse.ArgumentParser(
        prog="luab evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add(
        "--model",
        action="append",
        default=[],
        metavar="DIR_OR_ID",
        help="folder of a checkpoint, model id on the Hub, or timm:NAME; repeat it to compare",
    )
    add(
        "--data",
        type=Path,
        default=Path(),
        metavar="ROOT",
        help="where the benchmarks' folders are (default: .)",
    )
    add(
        "--suite",
        choices=SUITES,
        help="all benchmarks of a suite that are below ROOT; the absent ones are listed as skipped "
        "(default: robustness, unless --benchmarks is given)",
    )
    add("--benchmarks", metavar="A,B", help="these benchmarks only; an absent one is an error")
    add("--val", metavar="DIR_OR_ID", help="ImageNet's validation images: their folder, or a dataset's id")
    add("--partial", action="store_true", help="judge on what is there where class folders are missing")
    add("--list", action="store_true", help="say which benchmarks are there, and where to get the rest")
    add("--output-dir", type=Path, default=Path("runs/evaluate"), metavar="DIR", help="default: %(default)s")
    add("--device", help="cpu, cuda, cuda:1, mps (default: cuda where there is one, else cpu)")
    add("--batch-size", type=int, default=64, help="images at once (default: %(default)s)")
    add("--num-workers", type=int, help="processes that decode images (default: all cores)")
    return options


def main(argv: list[str]) -> int:
    """Run the command; 0: done, 1: it could not be, and stderr says why."""
    options = parser().parse_args(argv)
    try:
        return run(options)
    except ValueError as error:
        print(f"luab evaluate: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """What the options ask for.

    Raises:
        ValueError: no such benchmark or model, or files that are not as they should be.
    """
    import torch

    from luab_trainer.evaluation.benchmarks import BENCHMARKS, SUITES, find_benchmark
    from luab_trainer.evaluation.models import load_classifier
    from luab_trainer.evaluation.predict import PassSettings, all_cores
    from luab_trainer.evaluation.report.terminal import terminal
    from luab_trainer.evaluation.report.write import PAGE, write_report
    from luab_trainer.evaluation.results import FILE, counts
    from luab_trainer.evaluation.suite import run as run_suite
    from luab_trainer.evaluation.suite import usable

    root = options.data
    if not root.is_dir():
        raise ValueError(f"--data {root}: no such folder; it is the one that has the benchmarks' folders")
    if options.list:
        print(overview(root, options.val, options.partial, [name for name in BENCHMARKS if name != "folder"]))
        return 0
    if not options.model:
        raise ValueError("--model is needed: a checkpoint's folder, a model's id on the Hub, or timm:NAME")
    named = options.benchmarks.split(",") if options.benchmarks else SUITES[options.suite or "robustness"]
    benchmarks = [find_benchmark(name.strip(), options.val) for name in named]
    present, absent = usable(benchmarks, root, skip_absent=not options.benchmarks, partial=options.partial)
    if not present:
        raise ValueError(
            f"none of the benchmarks is in {root}:\n\n{overview(root, options.val, options.partial, named)}"
        )
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    workers = all_cores() if options.num_workers is None else options.num_workers
    settings = PassSettings(device, options.batch_size, workers)
    load = lru_cache(MODELS_KEPT)(partial(load_classifier, device=device))
    results = run_suite(options.model, present, root, options.output_dir, settings, load, absent)
    table = write_report(options.output_dir, options.model, present, root, settings, load)
    print("\n".join([terminal(table), *counts(results.content)]))
    print(f"More in {options.output_dir / PAGE} and {options.output_dir / FILE}")
    return 0


def overview(root: Path, val: str | None, partial: bool, names: list[str]) -> str:
    """Each benchmark: is it below `root`, what is it, where does it come from."""
    from luab_trainer.evaluation.benchmarks import find_benchmark

    lines = []
    for name in names:
        benchmark = find_benchmark(name, val)
        problem = benchmark.missing(root, partial)
        if problem is None:
            state = f"present: {benchmark.find(root) or val}"
        else:
            state = f"{'absent' if benchmark.absent(root) else 'incomplete'}: {problem}"
            state += f"\n  get it from {benchmark.download}"
        argument = f" [:{benchmark.argument_help}]" if benchmark.argument_help else ""
        lines += [f"{name}{argument}", f"  {benchmark.title}: {benchmark.summary}", f"  {state}", ""]
    return "\n".join(lines).rstrip()
