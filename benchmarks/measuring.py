"""Measures ways to do one job, in alternation: `alternate`, each time in a fresh process, or `in_turn`, many
short pieces in one, where the imports would take longer than the job. Medians, ratios, spread, JSON.

A benchmark imports the packages where it uses them: Linux counts what a parent took to its children's peak
memory. CPU time (of the process and of those that it waited for) is what can be compared on a machine that
others use too; the ratio is that of two runs beside each other.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, where it is not installed

# A way imports what it needs and returns the job. The job is what is measured; it returns a function, called
# afterwards, that says in numbers what came out, to be printed and compared.
Way = Callable[..., Callable[[], Callable[[], dict[str, float]]]]


def options(description: str, repeats: int = 5, name: str = "--repeats") -> argparse.ArgumentParser:
    """A parser with the options of all benchmarks; `name` is what the repeats are called."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(name, type=int, default=repeats, help="runs of each way (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser


def warm(path: Path) -> None:
    """Into the system's cache, so that the first run does not wait for the disk.

    Not at once: Linux counts the memory that a parent used to its children's peak.
    """
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def in_fresh_process(function: Callable, *arguments):
    """What `function` returns, called in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_call, args=(function, arguments, queue))
    process.start()
    while process.is_alive() and queue.empty():
        time.sleep(0.05)
    if queue.empty():
        process.join()
        raise RuntimeError(f"{function.__name__} ended with exit code {process.exitcode}")
    result = queue.get()
    process.join()
    return result


def alternate(ways: dict[str, Way], arguments: tuple, repeats: int) -> dict[str, list[dict]]:
    """Runs each way `repeats` times, in changing order, and prints each run."""
    runs: dict[str, list[dict]] = {name: [] for name in ways}
    for number in range(repeats):
        for name in ways if number % 2 == 0 else reversed(ways):
            runs[name].append(in_fresh_process(_measured, ways[name], arguments))
            print(f"  {name:12} " + "  ".join(f"{key} {value:.2f}" for key, value in runs[name][-1].items()))
    return runs


def in_turn(jobs: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[dict]]:
    """Does each job `repeats` times in this process, in changing order; a first round is not counted."""
    runs: dict[str, list[dict]] = {name: [] for name in jobs}
    for number in range(repeats + 1):
        for name in jobs if number % 2 == 0 else reversed(jobs):
            before, started = time.process_time(), time.perf_counter()
            jobs[name]()
            took = {"cpu_s": time.process_time() - before, "wall_s": time.perf_counter() - started}
            if number:
                runs[name].append(took)
    return runs


def report(
    runs: dict[str, list[dict]],
    pairs: Sequence[tuple[str, str]],
    facts: dict,
    file: Path | None,
    keys: Sequence[str] = ("cpu_s", "wall_s"),
) -> dict:
    """Prints medians, and of each pair how many times as fast, by each of `keys`, the first way is as the
    second; writes it as JSON.
    """
    result = {
        **facts,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"pyarrow {pa.__version__}",
        "runs": runs,
        "medians": {
            name: {key: statistics.median(run[key] for run in each) for key in each[0]}
            for name, each in runs.items()
        },
        "ratios": {
            f"{way} : {other}": {key: _ratio(runs[other], runs[way], key) for key in keys}
            for way, other in pairs
        },
    }
    for name, medians in result["medians"].items():
        peaks = [run["peak_rss_mb"] for run in runs[name] if "peak_rss_mb" in run]
        peak = f", peak memory {max(peaks):.0f} MB" if peaks else ""
        print(f"{name:16} CPU {medians['cpu_s']:.3f} s, wall {medians['wall_s']:.3f} s{peak}")
    for ways, ratios in result["ratios"].items():
        for key, ratio in ratios.items():
            print(
                f"{ways}, {key[:-2]}: {ratio['median']:.2f} times as fast "
                f"({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
            )
    if file is not None:
        file.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    return result


def _ratio(slow: list[dict], fast: list[dict], key: str) -> dict[str, float]:
    ratios = [one[key] / other[key] for one, other in zip(slow, fast, strict=True)]
    return {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def _call(function: Callable, arguments: tuple, queue) -> None:
    queue.put(function(*arguments))


def _measured(way: Way, arguments: tuple) -> dict[str, float]:
    job = way(*arguments)
    before, started = _cpu(), time.perf_counter()
    made = job()
    wall, cpu = time.perf_counter() - started, _cpu() - before
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"cpu_s": cpu, "wall_s": wall, "peak_rss_mb": peak / 1024, **made()}


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
