"""How fast is a dataset folder built, and does its memory grow with the rows?

    python benchmarks/build.py [--images 1500] [--rows 100000] [--json FILE]

1. Speed: images of ImageNet's size (500 x 375 pixels, 77 kB) in class folders and an archive of their
   byproducts, both generated. In alternation, each time in a fresh process:

       build        loading_scripts/imagenet_ab.py's build: every image is checked by decoding it
       build, 2     the same with --num-proc 2
       384          with --max-side 384: every image is decoded, shrunk and encoded
       384, 2       the same with --num-proc 2
       copy         the same files copied, file by file: what the disk and the file system take

2. Memory: --rows rows with tiny images, built in one process. Its resident memory is taken ten times a
   second, beside the rows that are finished; the slope is the least-squares line through all but the first
   fifth.

MB are those of the images that are read.
"""

import io
import shutil
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

from byproducts_xml import image_names, write_archive
from measuring import alternate, in_fresh_process, options, report

ROWS_PER_SHARD = 1000
DIFFERENT_IMAGES = 50


def write_raw(folder: Path, count: int, width: int, height: int) -> int:
    """`folder/train/<class>/<name>.JPEG` and `folder/ab.tar.gz`. Returns the bytes of the images."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    payloads = []
    for _ in range(min(DIFFERENT_IMAGES, count)):
        coarse = rng.integers(0, 256, (max(1, height // 4), max(1, width // 4), 3), np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
        payloads.append(buffer.getvalue())
    size = 0
    for number, name in enumerate(image_names(count)):
        path = folder / "train" / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        size += path.write_bytes(payloads[number % len(payloads)])
    write_archive(folder / "ab.tar.gz", count)
    return size


def build(num_proc: int, max_side: int | None, folder: Path):
    from imagenet_ab.build import build_imagenet_ab

    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)

    def job():
        summary = build_imagenet_ab(
            out,
            images=folder / "train",
            byproducts=folder / "ab.tar.gz",
            rows_per_shard=ROWS_PER_SHARD,
            max_side=max_side,
            num_proc=num_proc,
        )
        return lambda: {"images": summary.rows}

    return job


def copy(folder: Path):
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)

    def job():
        shutil.copytree(folder / "train", out)
        shutil.copy(folder / "ab.tar.gz", out)
        return lambda: {"images": sum(1 for _ in out.glob("*/*.JPEG"))}

    return job


WAYS = {
    "build": partial(build, 1, None),
    "build, 2": partial(build, 2, None),
    "384": partial(build, 1, 384),
    "384, 2": partial(build, 2, 384),
    "copy": copy,
}


def memory(folder: Path) -> list[tuple[int, float]]:
    """Builds, and returns (rows finished, resident MB) as they were taken."""
    job, samples, stop = build(1, None, folder), [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            shards = len(list((folder / "out" / "data").glob("*.parquet")))
            samples.append((shards * ROWS_PER_SHARD, resident_mb()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    job()
    stop.set()
    watcher.join()
    return samples


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


def slope(samples: list[tuple[int, float]], rows: int) -> float:
    """MB for each 100,000 rows."""
    later = [each for each in samples if each[0] >= rows / 5]
    mean_rows = sum(each[0] for each in later) / len(later)
    mean_mb = sum(each[1] for each in later) / len(later)
    across = sum((each[0] - mean_rows) * (each[1] - mean_mb) for each in later)
    return 1e5 * across / sum((each[0] - mean_rows) ** 2 for each in later)


def main() -> None:
    parser = options(__doc__, repeats=3)
    parser.add_argument("--images", type=int, default=1500, help="for the speed (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="for the memory (default: %(default)s)")
    arguments = parser.parse_args()
    if not Path("/proc/self/status").exists():
        sys.exit("the memory is read from /proc: run this on Linux")
    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder, "large"), Path(folder, "tiny")
        for place in places:
            place.mkdir()
        megabytes = in_fresh_process(write_raw, places[0], arguments.images, 500, 375) / 1e6
        print(f"{arguments.images:,} images, {megabytes:.0f} MB")
        runs = alternate(WAYS, places[:1], arguments.repeats)
        shutil.rmtree(places[0])
        in_fresh_process(write_raw, places[1], arguments.rows, 8, 8)
        samples = in_fresh_process(memory, places[1])
    peak, growth = max(mb for _, mb in samples), slope(samples, arguments.rows)
    facts = {
        "images": arguments.images,
        "megabytes": megabytes,
        "memory": {
            "rows": arguments.rows,
            "peak_mb": peak,
            "mb_for_100000_rows": growth,
            "samples": samples[:: max(1, len(samples) // 100)],
        },
    }
    pairs = [("build, 2", "build"), ("384, 2", "384"), *((name, "copy") for name in WAYS if name != "copy")]
    medians = report(runs, pairs, facts, arguments.json)["medians"]
    for name, median in medians.items():
        print(
            f"{name:12} {arguments.images / median['wall_s']:,.0f} images/s, "
            f"{megabytes / median['wall_s']:,.0f} MB/s"
        )
    print(f"memory of {arguments.rows:,} rows: peak {peak:.0f} MB, {growth:+.1f} MB for each 100,000 rows")


if __name__ == "__main__":
    main()
