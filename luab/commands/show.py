"""Look at a dataset: images, clicks, gaze, boxes, masks, training crops with their targets, attention maps.

    luab show data/imagenet_ab
    luab show data/imagenet_ab --model runs/plain runs/luab --rows 30 --seed 1
    luab show data/gaze --byproduct scanpath
    luab show you/photos --image-column photo --point-column tap

Writes random rows to one HTML file. Of images with points it also shows what the background mix keeps.
In a notebook, `luab.show(row)` shows one row.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from luab.commands._models import add_model_option
from luab.commands._reading import add_reading_options, own_options, reading_options, say_notes
from luab_data.console.boundary import guarded
from luab_data.console.missing import require_extra
from luab_data.console.options import CommandParser
from luab_data.console.text import counted
from luab_data.rows.columns import AREA_KINDS


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = CommandParser("luab show", __doc__)
    add = options.add_argument
    add("dataset", metavar="DIR_OR_ID", help="a dataset that run.py trains on: a folder or a Hub id")
    add("--config", help="the dataset's configuration")
    add("--split", default="train", help="split, or a part of one (default: %(default)s)")
    add("--rows", type=int, default=12, help="number of rows (default: %(default)s)")
    add("--seed", type=int, default=0, help="draws the rows and their crops (default: %(default)s)")
    add_model_option(options, "the page shows their attention")
    add(
        "--byproduct",
        choices=["click", "trace", "click+trace", *AREA_KINDS],
        help="byproduct that the target is made from (default: click, or what the dataset has instead)",
    )
    add("--min-crop", type=float, default=0.08, help="smallest share of the image in a crop (default: 0.08)")
    add(
        "--background-radius",
        type=float,
        help="as run.py's option: the page shows what the background mix keeps around a click",
    )
    add("--background-shape", choices=["object", "disc"], help="as run.py's option, of the same picture")
    add_reading_options(options)
    add("--points-file", metavar="CSV", help="as run.py's option")
    add("--output", type=Path, default=Path("show.html"), metavar="FILE", help="default: %(default)s")
    return options


@guarded("luab show")
def main(argv: list[str]) -> int:
    """Run the command; 0: done."""
    command = parser()
    options = command.parse_args(argv)
    require_extra("eval")
    if options.rows < 1:
        raise ValueError(f"--rows {options.rows}: it must be 1 or more")
    if not 0 < options.min_crop <= 1:
        raise ValueError(f"--min-crop {options.min_crop}: a share of the image, more than 0 and at most 1")
    from luab.gallery.page import write_page

    with own_options(command):
        shown, total, notes = write_page(options, reading_options(options))
    say_notes(notes, command)
    print(f"{shown:,} of {counted(total, 'row')} in {options.output}")
    return 0
