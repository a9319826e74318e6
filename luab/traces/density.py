"""Where the annotators of an image looked, as a map: one line of a Parquet file an image."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from luab.traces.rows import SIZES, TracedRow, TraceRows, size_of
from luab.traces.tables import table
from luab_attention.area_maps import Gaze
from luab_attention.blur import PEOPLE, fixation_sigma
from luab_attention.columns import ATTENTION_SOURCE
from luab_attention.traces.dwell import mixture, share_grid
from luab_attention.traces.scanpath import Scanpath
from luab_data.errors import SourceError
from luab_vision.geometry import WHOLE_IMAGE

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("image_id", pa.string()),
        ("traces", pa.int64()),
        ("height", pa.int64()),
        ("width", pa.int64()),
        ("sigma", pa.float64()),
        ("density", pa.list_(pa.float32())),
    ]
)

Sigma = tuple[float, float]
Size = tuple[float, float]
SIGMA_COLUMNS = (*SIZES, ATTENTION_SOURCE)  # that `sigma_of` reads


def density_map(
    paths: list[Scanpath], grid: tuple[int, int], sigma: Sigma | None, until_click: bool = False
) -> np.ndarray | None:
    """The density of an image's traces on a grid [h, w], sum 1; None without a sample in the image.

    Samples count by the time until the next, fixations by their duration, and all annotators the same (see
    `mixture`). Each spreads as a Gaussian of `sigma`, averaged over the area of each cell; what is outside
    the image is cut off. Without a sigma, each counts in its cell.
    """
    points, weights = mixture(paths, until_click)
    if not len(points):
        return None
    if sigma is None:
        return share_grid(points, weights, grid)
    counts = weights > 0
    found = Gaze(points[counts], weights[counts], sigma).averages(WHOLE_IMAGE, grid)
    spread: np.ndarray = found / found.sum()
    return spread


def sigma_of(row: TracedRow, given: float | None, size: Size | None = None) -> Sigma:
    """The sigma of a row in x and in y, ratios of the image: `fixation_sigma`, as `luab align` has it.

    Args:
        row: with the columns of `SIGMA_COLUMNS`.
        given: a ratio of the width; None: that of the data.
        size: width and height of the image; None: see `size_of`.

    Raises:
        SourceError: the image's size is not known, or its source's numbers are not above 0; names the row.
    """
    try:
        size = size or size_of(row.row, ", or take the shares of the cells (--sigma 0)")
        return fixation_sigma(row.row.get(ATTENTION_SOURCE), size, given, PEOPLE)
    except (SourceError, ValueError) as error:
        raise SourceError(f"row {row.number:,}: {error}") from error


def write_densities(
    traced: TraceRows, out: Path, grid: tuple[int, int], sigma: float | None, until_click: bool
) -> tuple[int, int]:
    """Writes a map an image, row by row in `density`; the number of maps, and of images without one.

    `row` is the image's first row, and the sigma is that of its first row with a trace.
    `sigma`: of the image's width; None: see `sigma_of`; 0: the shares of time in the cells.
    """
    maps = without = 0
    columns = () if sigma == 0 else SIGMA_COLUMNS  # images cost time
    with table(out, SCHEMA) as add:
        for rows in traced.read_images(*columns):
            traced_row = next((row for row in rows if any(map(len, row.paths))), None)
            own = sigma_of(traced_row, sigma) if columns and traced_row else None
            paths = [path for row in rows for path in row.paths]
            found = density_map(paths, grid, own, until_click)
            maps += found is not None
            without += found is None
            values = None if found is None else found.ravel().tolist()
            across = None if found is None or own is None else own[0]
            traces = sum(len(path) > 0 for path in paths)
            add((rows[0].number, rows[0].image_id, traces, *grid, across, values))
    return maps, without
