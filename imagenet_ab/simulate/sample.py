"""Make the sample that ships with the package: `python -m imagenet_ab.simulate.sample`.

A small simulated release takes the path of the real one: raw files -> records -> rows -> Parquet.
"""

import argparse
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from imagenet_ab.byproducts import ARCHIVE
from imagenet_ab.pairs import RawImageNetAB
from imagenet_ab.simulate.release import write_release
from luab_data.build.batches import load

OUT = Path(__file__).parents[1] / "sample" / "train-00000.parquet"
IMAGES_PER_CLASS = 6
SIZE = 64


def write_sample(path: str | Path) -> None:
    """Write the sample as one Parquet file: the same rows each time."""
    with tempfile.TemporaryDirectory() as folder:
        release = write_release(
            folder,
            images_per_class=IMAGES_PER_CLASS,
            evaluation_images_per_class=0,
            size=SIZE,
            progress=False,
        )
        raw = RawImageNetAB(release / "images" / "train", release / ARCHIVE)
        batch = raw.to_batch()([load(item) for item in raw.pairs()], raw.features().arrow_schema)
    pq.write_table(batch.table, path)


def main() -> None:
    """Writes the sample to the package, or to `--output`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUT, help="default: the package's own file")
    out = parser.parse_args().output
    write_sample(out)
    print(out)


if __name__ == "__main__":
    main()
