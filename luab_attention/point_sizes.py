"""The size of the image that points in pixels were measured on."""

import datasets
import numpy as np
import pyarrow as pa

from luab_attention.points import FlatPoints
from luab_data.console.bars import progress
from luab_data.constants import HEIGHT, WIDTH
from luab_data.errors import SourceError
from luab_data.rows.arrow import OddRows, is_number_type, read_column
from luab_data.rows.image_columns import image_paths
from luab_vision.geometry import MEASURE_UPRIGHT, other_orientation
from luab_vision.images import open_image

MANY = 5000  # images whose headers take a while: a bar shows it


def stated_sizes(source: datasets.Dataset, row: np.ndarray) -> np.ndarray | None:
    """Width and height of each point's image [P, 2], as the columns say; None without such columns.

    Args:
        source: The table of the points.
        row: [P], the point's row in this table.

    Raises:
        SourceError: the columns hold no numbers.
    """
    if not {WIDTH, HEIGHT} <= set(source.column_names):
        return None
    return np.stack([_numbers(source, each)[row] for each in (WIDTH, HEIGHT)], axis=1)


def sized_points(
    points: FlatPoints, sizes: np.ndarray | None, rows: datasets.Dataset, image: str, whole: bool
) -> tuple[FlatPoints, np.ndarray, list[str], int]:
    """Leaves out the points that were measured on an image of another orientation than the upright one.

    Args:
        points: P points of the rows.
        sizes: [P, 2] width and height that they were measured on. None: those of the upright images.
        rows: The rows.
        image: Their column of images.
        whole: Whether these are all points, or enough of them to conclude that none can be used.

    Returns:
        The points that stay, their sizes, a note on the others if there are any, and the number of images
        whose points are left out.

    Raises:
        SourceError: an unreadable image, or no point stays.
    """
    upright = image_sizes(rows, image, points.row)
    if sizes is None:
        return points, upright, [], 0
    turned = other_orientation(sizes, upright)
    if not turned.any():
        return points, sizes, [], 0
    images = np.unique(points.row[turned])
    first = int(images[0])
    path = image_paths(rows.select([first]), image)[0]
    note = (
        f"the points of {len(images):,} of {len(np.unique(points.row)):,} images are left out: columns "
        f"{WIDTH!r} and {HEIGHT!r} are of another orientation than the image, portrait against landscape "
        f"(the first of {path or f'row {first}'}: {MEASURE_UPRIGHT})"
    )
    if whole and turned.all():
        raise SourceError(f"{note}.")
    return points.only(~turned), sizes[~turned], [note], len(images)


def _numbers(rows: datasets.Dataset, column: str) -> np.ndarray:
    values = read_column(rows, column)
    if not is_number_type(values.type):
        raise SourceError(
            f"column {column!r} holds {values.type}, but --point_units pixels needs numbers there."
        )
    return values.cast(pa.float64()).to_numpy()


def image_sizes(rows: datasets.Dataset, image: str, row: np.ndarray) -> np.ndarray:
    """Width and height of the upright images of rows `row` [P] -> [P, 2], from the files' headers."""
    images = rows.select_columns(image).cast_column(image, datasets.Image(decode=False))
    needed, place = np.unique(row, return_inverse=True)
    sizes = np.ones((len(needed), 2))
    with progress(len(needed), "Reading the images' sizes", "img", disable=len(needed) < MANY) as bar:
        for at, row_of_image in enumerate(images.select(needed)):
            try:
                opened = open_image(row_of_image[image])
            except Exception as error:
                raise OddRows(
                    "cannot read the image for its size",
                    f"row {needed[at]}",
                    str(error),
                    "Repair the image, or filter the row out.",
                ) from error
            sizes[at] = opened.width, opened.height
            bar.update()
    return sizes[place]
