"""Where the annotators of an image looked, as a map: one line of a Parquet file an image."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from luab.traces.rows import TraceRows
from luab.traces.tables import table
from luab_attention.density import density
from luab_attention.traces.dwell import mixture, share_grid
from luab_attention.traces.scanpath import Scanpath

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("image_id", pa.string()),
        ("traces", pa.int64()),
        ("height", pa.int64()),
        ("width", pa.int64()),
        ("density", pa.list_(pa.float32())),
    ]
)


def density_map(
    paths: list[Scanpath], grid: tuple[int, int], sigma: float, until_click: bool = False
) -> np.ndarray | None:
    """The density of an image's traces on a grid [h, w], sum 1; None without a sample in the image.

    Samples count by the time until the next, fixations by their duration, and all annotators the same (see
    `mixture`). Each spreads as a Gaussian of `sigma`, a ratio of the image. With 0 it
    counts in its cell.
    """
    points, weights = mixture(paths, until_click)
    if not len(points):
        return None
    if sigma == 0:
        return share_grid(points, weights, grid)
    return density(torch.from_numpy(points), torch.from_numpy(weights), grid, sigma).numpy()


def write_densities(
    traced: TraceRows, out: Path, grid: tuple[int, int], sigma: float, until_click: bool
) -> tuple[int, int]:
    """Writes a map an image, row by row in `density`; the number of maps, and of images without one."""
    maps = without = 0
    with table(out, SCHEMA) as add:
        for number, image_id, _, paths in traced.read():
            found = density_map(paths, grid, sigma, until_click)
            maps += found is not None
            without += found is None
            values = None if found is None else found.ravel().tolist()
            add((number, image_id, sum(len(path) > 0 for path in paths), *grid, values))
    return maps, without
