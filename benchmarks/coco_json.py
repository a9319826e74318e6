"""How fast, and in how much memory, is COCO-AB's byproduct file read? Ours against `json.load` and rows.

    python benchmarks/coco_json.py [--megabytes 398] [--repeats 5] [--out coco_json.json]

Generates a file of the released size in the released layout (simulated annotators), then reads it in
alternation, each time in a fresh process, in two ways that end alike: records in the dataset's names, looked
up by image id.

    ours        coco_ab.byproducts.Byproducts: pieces of the file to Arrow, checked column by column
    json.load   the file to Python objects, each record renamed to a row; nothing is checked

Prints the medians of CPU and wall time, the ratio of each pair of runs with its spread, and the peak resident
memory of a process, and writes all of it as JSON.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
RECORDS = 2000  # different ones; the file repeats them under new image ids
TRACED = 0.4  # share of the records with a cursor track; 398 MB then hold about as many records as released


def write_file(path: Path, megabytes: float) -> int:
    """A byproduct file of this size. Returns the number of records."""
    from coco_ab.simulate.annotators import Annotators, annotate
    from coco_ab.simulate.images import draw

    rng = np.random.default_rng(0)
    records = []
    for _ in range(RECORDS // 10):
        _, objects = draw(96, 72, rng)
        records += [annotate(0, objects, 640, 480, rng, Annotators(traced=TRACED)) for _ in range(10)]
    texts = [json.dumps(record)[len('{"image_id": 0') :] for record in records]
    size, count = 1, 0
    with path.open("w") as file:
        file.write("[")
        for count, text in enumerate(itertools.cycle(texts), start=1):
            entry = f'{", " if count > 1 else ""}{{"image_id": {count}{text}'
            file.write(entry)
            size += len(entry)
            if size >= megabytes * 1e6:
                break
        file.write("]")
    return count


def warm(path: Path) -> None:
    """Into the system's cache, so that the first run does not wait for the disk.

    Not at once: Linux counts the memory that a parent used to its children's peak.
    """
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def read_ours(path: Path):
    from coco_ab.byproducts import Byproducts
    from coco_ab.images import name_of

    source = Byproducts(path)
    return lambda image_id: source.get(name_of(image_id))


def read_json(path: Path):
    from coco_ab.json_types import snake_case

    names = {}  # the same few names come back millions of times

    def row(value):
        if isinstance(value, dict):
            return {
                names.get(key) or names.setdefault(key, snake_case(key)): row(each)
                for key, each in value.items()
            }
        return [row(each) for each in value] if isinstance(value, list) else value

    rows: dict[int, list[dict]] = {}
    with path.open() as file:
        for record in json.load(file):
            fields = row(record)
            rows.setdefault(fields.pop("image_id"), []).append(fields)
    return lambda image_id: rows.get(image_id, [])


WAYS = {"ours": read_ours, "json.load": read_json}


def measure(way: str, path: Path, queue) -> None:
    """Reads the file once, in this process, and puts what it took into `queue`."""
    import coco_ab.byproducts  # noqa: F401 - imports are not what is measured

    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    get = WAYS[way](path)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = sum(getattr(after, part) - getattr(before, part) for part in ("ru_utime", "ru_stime"))
    [record] = get(7)
    queue.put(
        {
            "cpu_s": cpu,
            "wall_s": wall,
            "peak_rss_mb": after.ru_maxrss / 1024,
            "actions_of_record_7": len(record["action_histories"]),
        }
    )


def in_fresh_process(way: str, path: Path) -> dict:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(way, path, queue))
    process.start()
    result = queue.get(timeout=600)
    process.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--megabytes", type=float, default=398, help="size of the file (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("coco_json.json"))
    arguments = parser.parse_args()
    runs: dict[str, list[dict]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coco_ab_v1_0.json"
        records = write_file(path, arguments.megabytes)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {records:,} records")
        warm(path)
        for number in range(arguments.repeats):
            for way in WAYS if number % 2 == 0 else reversed(WAYS):
                runs[way].append(in_fresh_process(way, path))
                print(f"  {way:10} " + "  ".join(f"{k} {v:.2f}" for k, v in runs[way][-1].items()))
    seen = {run["actions_of_record_7"] for each in runs.values() for run in each}
    if len(seen) > 1:
        sys.exit(f"the two ways disagree on record 7: {seen} actions")
    report = {
        "megabytes": arguments.megabytes,
        "records": records,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"pyarrow {pa.__version__}",
        "runs": runs,
        "medians": {
            way: {key: statistics.median(run[key] for run in each) for key in each[0]}
            for way, each in runs.items()
        },
    }
    for key in ("cpu_s", "wall_s"):
        pairs = zip(runs["json.load"], runs["ours"], strict=True)
        ratios = [slow[key] / fast[key] for slow, fast in pairs]
        report[f"{key[:-2]}_ratio"] = {
            "median": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
        }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    for way, medians in report["medians"].items():
        print(
            f"{way:10} CPU {medians['cpu_s']:.2f} s, wall {medians['wall_s']:.2f} s, "
            f"peak memory {max(run['peak_rss_mb'] for run in runs[way]):.0f} MB"
        )
    for key in ("cpu", "wall"):
        ratio = report[f"{key}_ratio"]
        print(f"{key}: {ratio['median']:.1f} times as fast ({ratio['lowest']:.1f} to {ratio['highest']:.1f})")


if __name__ == "__main__":
    main()
