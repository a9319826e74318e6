"""Does the build on a Ray cluster give the same files, how fast, and what does a killed worker cost?

    python benchmarks/build_ray.py [--images 600] [--json FILE]

The build of images of ImageNet's size (500 x 375 pixels, about 77 kB), shrunk to `max_side=384`, so that each
is decoded and encoded. In alternation, each time in a fresh process:

    local        one process
    ray, 2       `--engine ray` with a cluster of two workers on this machine, started for this build

Once more a worker of the cluster is killed while it works. All runs must have written the same files, byte
for byte. `start_s` is what the cluster takes until both workers are there and have imported the package:
seconds, however long the build. `build_s` is the build without it, `wall_s` all of it with the cluster's end.

CPU time and peak include the cluster's processes. All of it stays on the loopback interface.
"""

import hashlib
import importlib
import importlib.util
import os
import secrets
import signal
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

from build import write_raw
from measuring import alternate, in_fresh_process, options, report

MAX_SIDE = 384
ROWS_PER_SHARD = 100
WORKERS = 2
# Ray reads them when it is imported: no statistics, no one else's cluster, nothing but loopback, a token of
# this run's own.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ADDRESS": "local",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


def build(folder: Path, **engine):
    """A fresh folder, and the build into it."""
    from imagenet_ab.build import build_imagenet_ab

    out = Path(tempfile.mkdtemp(prefix="out-", dir=folder))
    raw = {"images": folder / "train", "byproducts": folder / "ab.tar.gz"}
    return out, partial(
        build_imagenet_ab, out, **raw, max_side=MAX_SIDE, rows_per_shard=ROWS_PER_SHARD, **engine
    )


def local(folder: Path):
    _, run = build(folder)

    def job():
        started = time.perf_counter()
        summary = run()
        seconds = time.perf_counter() - started
        return lambda: {"images": summary.rows, "start_s": 0.0, "build_s": seconds}

    return job


def on_ray(folder: Path, kill: bool = False):
    from luab_data.build.workers import open_workers

    out, run = build(folder, engine="ray", num_proc=WORKERS)

    def job():
        before = cpu_and_peak()[0]
        started = time.perf_counter()
        with open_workers("ray", WORKERS) as ordered_map:  # the build uses the connection that there is
            for _ in ordered_map(importlib.import_module, ["imagenet_ab.build"] * 2 * WORKERS):
                pass
            ready = time.perf_counter()
            if kill:
                threading.Thread(target=kill_a_worker, args=(out,), daemon=True).start()
            summary = run()
            built = time.perf_counter()
            cpu, peak = cpu_and_peak()
        result = {"images": summary.rows, "start_s": ready - started, "build_s": built - ready}
        return lambda: {"cpu_s": cpu - before, "peak_rss_mb": peak, **result}

    return job


WAYS = {"local": local, "ray, 2": on_ray}


def kill_a_worker(out: Path) -> None:
    """Kills the first one that is seen at work after two shards."""
    while len(list((out / "data").glob("*.parquet"))) < 2:
        time.sleep(0.01)
    while True:
        for pid, name in processes().items():
            if name.startswith("ray::_run_task"):
                os.kill(pid, signal.SIGKILL)
                (out.parent / "killed").touch()
                return
        time.sleep(0.01)


def processes() -> dict[int, str]:
    """This process and all below it, with their command lines; Ray's workers put there what they work on."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    ours = [os.getpid()]
    for pid in ours:  # grows as it goes
        ours += [child for child, parent in parents.items() if parent == pid]
    return {pid: read_proc(pid, "cmdline").replace("\0", " ") for pid in ours}


def read_proc(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:
        return ""


def cpu_and_peak() -> tuple[float, float]:
    """CPU seconds of all our processes and of those that they waited for; MB of the largest."""
    ticks, peak = 0, 0
    for pid in processes():
        ticks += sum(map(int, read_proc(pid, "stat").rpartition(")")[2].split()[11:15]))
        high = [
            line.split()[1] for line in read_proc(pid, "status").splitlines() if line.startswith("VmHWM:")
        ]
        peak = max(peak, *map(int, high), 0)
    return ticks / os.sysconf("SC_CLK_TCK"), peak / 1024


def digest(folder: Path) -> str:
    """Of all files: their names and what is in them."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return total.hexdigest()


def main() -> None:
    parser = options(__doc__, repeats=3)
    parser.add_argument("--images", type=int, default=600, help="at least 400 (default: %(default)s)")
    arguments = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        sys.exit("this needs Ray: pip install 'luab[ray]'")
    if not Path("/proc/self/status").exists():
        sys.exit("processes are read from /proc: run this on Linux")
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        megabytes = in_fresh_process(write_raw, folder, arguments.images, 500, 375) / 1e6
        print(f"{arguments.images:,} images, {megabytes:.0f} MB")
        runs = alternate(WAYS, (folder,), arguments.repeats)
        print("a worker is killed:")
        killed = alternate({"ray, killed": partial(on_ray, kill=True)}, (folder,), 1)["ray, killed"]
        if not (folder / "killed").exists():
            sys.exit("the build was over before a worker was killed: pass more --images")
        outs = list(folder.glob("out-*"))
        if len({digest(out) for out in outs}) != 1:
            sys.exit("the runs did NOT write the same files")
    facts = {"images": arguments.images, "megabytes": megabytes, "killed": killed, "same_files": len(outs)}
    medians = report(runs, [("ray, 2", "local")], facts, arguments.json, ("cpu_s", "wall_s", "build_s"))[
        "medians"
    ]
    for name, median in medians.items():
        print(f"{name:12} {arguments.images / median['build_s']:,.0f} images/s once it runs")
    print(f"the cluster's start: {medians['ray, 2']['start_s']:.1f} s")
    lost = killed[0]["build_s"] - statistics.median(run["build_s"] for run in runs["ray, 2"])
    print(f"a killed worker: the same files, {lost:+.1f} s; {len(outs)} runs, the same files byte for byte")


if __name__ == "__main__":
    main()
