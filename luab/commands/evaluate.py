"""Evaluate classifiers on robustness benchmarks, side by side.

Any image classifier of transformers (or timm:NAME), on the files that the benchmarks' authors publish:

    luab evaluate --model runs/luab --model runs/plain --suite robustness --data /data/benchmarks
    luab evaluate --list --data /data/benchmarks          what is there, and where to get the others
    luab evaluate --model runs/luab --benchmarks imagenet,occlusion:0.3 --data /data/benchmarks
    luab evaluate --model runs/demo --benchmarks folder:val=images/val,where:val=images/val:boxes_val.csv

--output-dir gets the report (report.html, report.md), results.json with the scores of each image, and the
models' predictions, so an interrupted run resumes where it stopped.
"""

from __future__ import annotations

import argparse
import shlex
from itertools import pairwise
from pathlib import Path

from luab.commands._evaluating import add_evaluation_options, evaluation_options, in_team
from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser
from luab_data.console.text import did_you_mean, printable_lines
from luab_eval.team import Team

DEFAULT_SUITE = "robustness"


def parser() -> argparse.ArgumentParser:
    """The command's options. Imports nothing slow, so `--help` is instant."""
    options = CommandParser("luab evaluate", __doc__)
    add = options.add_argument
    add(
        "--data",
        type=Path,
        default=Path(),
        metavar="ROOT",
        help="where the benchmarks' folders are (default: .)",
    )
    add(
        "--suite",
        help="all benchmarks of a suite that are below ROOT; absent ones are listed as skipped "
        f"(default: {DEFAULT_SUITE}, unless --benchmarks is given)",
    )
    add(
        "--benchmarks",
        metavar="A,B",
        help="only these benchmarks; an absent one is an error (paths in it have no commas)",
    )
    add("--val", metavar="DIR_OR_ID", help="ImageNet's validation images: their folder, or a dataset's id")
    add("--partial", action="store_true", help="evaluate even if class folders are missing")
    add("--list", action="store_true", help="list the benchmarks that are there, and where to get the others")
    add_evaluation_options(options, "runs/evaluate")
    return options


@guarded("luab evaluate")
def main(argv: list[str]) -> int:
    """Run the command and return the exit status: 0, or 1 with the reason on stderr."""
    return in_team(lambda team: _main(argv, team))


def _main(argv: list[str], team: Team) -> int:
    options = parser().parse_args(argv)
    require_extra("eval")
    options.command = shlex.join(["luab", "evaluate", *argv])
    return run(options, team)


def run(options: argparse.Namespace, team: Team) -> int:
    """Run what the options ask for. `team`: the processes that share the work.

    Raises:
        ValueError: no such benchmark or model, or invalid files.
    """
    from luab_eval.benchmarks import BENCHMARKS, find_benchmarks, suite

    root = options.data
    if not root.is_dir():
        raise ValueError(f"--data {root}: no such folder; it is the one that has the benchmarks' folders")
    if options.list:
        print(printable_lines(overview(root, options.val, options.partial, list(BENCHMARKS))))
        return 0
    evaluation = evaluation_options(options)
    if options.suite and options.benchmarks:
        raise ValueError("give either --suite or --benchmarks")
    named = cut(options.benchmarks) if options.benchmarks else suite(options.suite or DEFAULT_SUITE)
    benchmarks = [found for name in named for found in find_benchmarks(name, options.val)]

    from luab_eval.evaluate import evaluate
    from luab_eval.report.terminal import terminal
    from luab_eval.report.write import PAGE
    from luab_eval.results import FILE
    from luab_eval.suite import usable

    present, absent = usable(benchmarks, root, skip_absent=not options.benchmarks, partial=options.partial)
    if not present:
        raise ValueError(
            f"none of the benchmarks is in {root}:\n\n{overview(root, options.val, options.partial, named)}"
        )
    _, table = evaluate(benchmarks=present, root=root, skipped=absent, **evaluation, team=team)
    print(terminal(table))
    print(f"More in {options.output_dir / PAGE} and {options.output_dir / FILE}")
    return 0


def cut(benchmarks: str) -> list[str]:
    """`A,B:ARGUMENT` -> each benchmark.

    Raises:
        ValueError: what is after a comma is no benchmark, but probably the rest of a path.
    """
    from luab_eval.benchmarks import BENCHMARKS, SUITES

    named = [name.strip() for name in benchmarks.split(",")]
    for before, name in pairwise(named):
        kind, path = name.partition(":")[0], f"{before.partition(':')[2]},{name}"
        if ":" in before and kind not in {*BENCHMARKS, *SUITES}:
            raise ValueError(
                f"--benchmarks is cut at each comma, and {name!r} is no benchmark"
                f"{did_you_mean(kind, BENCHMARKS)}. If the path is {path!r}, give one without commas: rename "
                "it, or make a link to it (luab localize and luab align take paths with commas)"
            )
    return named


def overview(root: Path, val: str | None, partial: bool, names: list[str]) -> str:
    """A text on each benchmark: whether it is below `root`, what it is, where to get it."""
    from luab_eval.benchmarks import BENCHMARKS, find_benchmark

    lines = []
    for name in names:
        kind = BENCHMARKS[name]
        argument = f"[:{kind.argument_help}]" if kind.argument_help else ""
        if kind.folders:
            benchmark = find_benchmark(name, val)
            problem = benchmark.missing(root, partial)
            if problem is None:
                places = benchmark.places(root)
                state = f"present: {', '.join(map(str, places)) or val}"
            else:
                state = f"{'absent' if benchmark.absent(root) else 'incomplete'}: {problem}"
                state += f"\n  get it from {benchmark.download}"
        else:  # only what its argument names
            argument, state = f":{kind.argument_help}", f"expects {kind.layout}"
        lines += [f"{name}{argument}", f"  {kind.title}: {kind.summary}", f"  {state}", ""]
    return "\n".join(lines).rstrip()
