"""Images whose answer is known: a CSV `file,class,present,x0,y0,x1,y1`, one line a class or box of an image.

`file` is the image's path below the project's images. `present`: yes (default) or no. The box is in pixels of
the upright image, both corners inside, and may be absent. A line with `present` no and no class says that
the image shows none of the project's classes. A class that no line of an image names is unknown on
`select`, and not shown on `place`.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from luab_collect.csv_files import Line, read_table
from luab_data.console.text import did_you_mean
from luab_data.errors import RejectedRecord, SourceError

COLUMNS = ("file", "class", "present", "x0", "y0", "x1", "y1")
_CORNERS = COLUMNS[3:]
_PRESENT = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
MAX_SIDE = 65_535

Box = tuple[float, float, float, float]  # left, top, right, bottom
# Class -> its boxes in ratios of the image, () where the place is unknown; None: it is not shown. A class
# that is not named is unknown on `select`, and not shown on `place`.
Gold = dict[str, tuple[Box, ...] | None]
PixelGold = Gold  # the same with corners in pixels, both inside


def read_gold(path: str | Path, classes: Sequence[str]) -> dict[str, PixelGold]:
    """File -> its gold, boxes in pixels: see `gold_in_ratios`.

    Raises:
        SourceError: names the line and what is allowed.
    """
    found: dict[str, PixelGold] = {}
    for line in read_table(path, COLUMNS, ["file", "class"], "gold"):
        file = _required(line, "file")
        of_file = found.setdefault(file, {})
        present = _present(line)
        box = _box(line)
        if "class" not in line.values:
            if present or box is not None:
                raise SourceError(f"{line.where}: a line without a class needs `present` no, and no box.")
            names = classes
        else:
            names = [_class(line, classes)]
        if not present and box is not None:
            raise SourceError(f"{line.where}: a class that is not present has no box.")
        for name in names:
            _add(of_file, name, present, box, line.where)
    if not found:
        raise SourceError(f"gold {str(path)!r} has no line below its header.")
    return found


def gold_in_ratios(gold: PixelGold, width: int, height: int) -> Gold:
    """The gold of an image of this size; raises RejectedRecord for a box that leaves it."""
    converted: Gold = {}
    for name, boxes in gold.items():
        if boxes is None:
            converted[name] = None
            continue
        for _, _, right, bottom in boxes:
            if right >= width or bottom >= height:
                raise RejectedRecord(
                    f"a gold box of {name!r} ends at pixel {right:g}, {bottom:g}, and the image has "
                    f"{width} x {height}"
                )
        converted[name] = tuple(
            (left / width, top / height, (right + 1) / width, (bottom + 1) / height)
            for left, top, right, bottom in boxes
        )
    return converted


def _add(gold: PixelGold, name: str, present: bool, box: Box | None, where: str) -> None:
    if not present:
        if name in gold and gold[name] is not None:
            raise SourceError(f"{where}: {name!r} is not present here, and present in a line above.")
        gold[name] = None
        return
    earlier = gold.get(name, ())
    if earlier is None:
        raise SourceError(f"{where}: {name!r} is present here, and not in a line above.")
    gold[name] = earlier if box is None else (*earlier, box)


def _required(line: Line, column: str) -> str:
    if column not in line.values:
        raise SourceError(f"{line.where}: {column} is empty.")
    return line.values[column]


def _present(line: Line) -> bool:
    given = line.values.get("present", "yes")
    if given.lower() not in _PRESENT:
        raise SourceError(f"{line.where}: present is {given!r}; allowed are yes and no.")
    return _PRESENT[given.lower()]


def _class(line: Line, classes: Sequence[str]) -> str:
    name = line.values["class"]
    if name not in classes:
        raise SourceError(f"{line.where}: there is no class {name!r}{did_you_mean(name, classes)}.")
    return name


def _box(line: Line) -> Box | None:
    given = [line.values[name] for name in _CORNERS if name in line.values]
    if not given:
        return None
    try:
        corners = [float(text) for text in given]
    except ValueError:
        corners = []
    good = len(corners) == 4 and all(math.isfinite(each) and 0 <= each <= MAX_SIDE for each in corners)
    if not good or corners[2] < corners[0] or corners[3] < corners[1]:
        raise SourceError(
            f"{line.where}: the box is {', '.join(given)}; it needs x0 <= x1 and y0 <= y1, in pixels from 0."
        )
    left, top, right, bottom = corners
    return left, top, right, bottom
