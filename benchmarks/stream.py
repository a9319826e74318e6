"""What does it cost to stream the raw release in parts, each of which reads the byproducts' archive anew?

    python benchmarks/stream.py [--images 3000] [--repeats 3] [--json FILE]

Images of ImageNet's size in class folders and an archive of their byproducts, both generated. One reader
streams all rows, images not decoded, each time in a fresh process:

    1 part       the archive is read once, as without parts
    16 parts     the default: `shards` of `imagenet_ab.load_dataset`
    64 parts
    archive      the archive alone, once, without its rows: what each part adds

The archive is read in order, so a part reads all of it and leaves out the other parts' files. With N workers
each reads its own parts, and the sum of their CPU time is that of one reader.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from build import write_raw
from measuring import alternate, options, report

WIDTH, HEIGHT = 500, 375


def stream(shards: int, folder: Path):
    import imagenet_ab

    rows = imagenet_ab.load_dataset(
        images=folder / "train",
        byproducts=folder / "ab.tar.gz",
        split="train",
        streaming=True,
        shards=shards,
    )

    def job():
        count = sum(len(table) for table in rows.decode(False).with_format("arrow").iter(100))
        return lambda: {"rows": count}

    return job


def archive(folder: Path):
    from luab_data.sources.archives import TarStream

    def job():
        count = sum(1 for _ in TarStream(folder / "ab.tar.gz"))
        return lambda: {"files": count}

    return job


def main(argv: list[str] | None = None) -> None:
    parser = options(__doc__, repeats=3)
    parser.add_argument("--images", type=int, default=3000, help="number of images (default: %(default)s)")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_raw(folder, args.images, WIDTH, HEIGHT)
        ways = {f"{parts} part{'s' * (parts > 1)}": partial(stream, parts) for parts in (1, 16, 64)}
        runs = alternate({**ways, "archive": archive}, (folder,), args.repeats)
    pairs = [("1 part", "16 parts"), ("1 part", "64 parts"), ("archive", "1 part")]
    report(runs, pairs, {"images": args.images, "size": [WIDTH, HEIGHT]}, args.json)


if __name__ == "__main__":
    main()
