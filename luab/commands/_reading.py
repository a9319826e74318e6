"""The options that `luab show` and `luab byproducts` share: how a dataset's columns are read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from luab_data.errors import SourceError

if TYPE_CHECKING:
    from luab_attention.reading import Reading


def add_reading_options(options: argparse.ArgumentParser) -> None:
    """Add the options, which are `run.py`'s with hyphens; `reading_options` reads them."""
    add = options.add_argument
    add("--image-column", default="image", help="default: %(default)s")
    add("--label-column", help="default: label or labels, if present")
    add("--point-column", help="clicks, in ratios of the image (default: click or points, if present)")
    add("--x-column", help="instead of --point-column: x of the click, from the left")
    add("--y-column", help="y of the click, from the top")
    add("--point-units", choices=("ratio", "percent", "pixels"), default="ratio", help="default: %(default)s")
    add(
        "--label-format",
        choices=("auto", "indices", "multi_hot"),
        default="auto",
        help="how to read lists of 0 and 1 (default: %(default)s)",
    )
    add("--annotations-column", help="the traces (default: annotations, if present)")


def reading_options(options: argparse.Namespace) -> Reading:
    """The options as a `Reading`.

    Raises:
        SourceError: x without y.
    """
    from luab_attention.reading import reading_of

    if (options.x_column is None) != (options.y_column is None):
        raise SourceError("--x-column and --y-column go together; give both.")
    return reading_of(options)
