"""Images to try: those of ImageNet-AB's generated sample, which is in the package."""

from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

import imagenet_ab

FOLDER = Path(imagenet_ab.__file__).parent / "sample"


def sample(number: int) -> tuple[bytes, tuple[float, float] | None]:
    """An image's file and its click, in ratios of the image, x first. After the last one comes the first."""
    rows = _rows()
    return rows[number % len(rows)]


@cache
def _rows() -> list[tuple[bytes, tuple[float, float] | None]]:
    table = pq.read_table(sorted(FOLDER.glob("*.parquet")), columns=["image", "click"])
    found = []
    for row in table.to_pylist():
        x, y = (row["click"] or {}).get("x"), (row["click"] or {}).get("y")
        found.append((row["image"]["bytes"], None if x is None or y is None else (x, y)))
    return found
