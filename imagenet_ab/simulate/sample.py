"""Make the sample that ships with the package: `python -m imagenet_ab.simulate.sample`.

A small simulated release goes the way of the real one: raw files -> records -> rows -> Parquet.
"""

import argparse
import tarfile
import tempfile
from pathlib import Path

from datasets import Dataset

from imagenet_ab.classes import class_list
from imagenet_ab.record import Record, is_apple_double, parse_record
from imagenet_ab.rows import features, row
from imagenet_ab.simulate.release import ARCHIVE, write_release

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
        images = {
            f"{file.parent.name}/{file.stem}": file.read_bytes()
            for file in sorted((release / "images" / "train").glob("*/*.JPEG"))
        }
        records = _records(release / ARCHIVE)
    classes = class_list(image_id.split("/")[0] for image_id in images)
    columns = features(classes, images=True)
    rows = [
        row(image_id, data, records.get(image_id), classes.index(image_id.split("/")[0]))
        for image_id, data in images.items()
    ]
    encoded = [columns.encode_example(each) for each in rows]
    Dataset.from_list(encoded, features=columns).to_parquet(path)


def _records(archive: Path) -> dict[str, Record]:
    with tarfile.open(archive) as members:
        xmls = [members.extractfile(each).read() for each in members if not is_apple_double(each.name)]
    return {record.image_id: record for record in map(parse_record, xmls)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT, help="default: the package's own file")
    out = parser.parse_args().out
    write_sample(out)
    print(out)


if __name__ == "__main__":
    main()
