"""Images in class folders and a CSV of boxes -> a dataset with the `objects` column that the pointing game
reads.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import datasets

from luab_data.constants import IMAGE, IMAGE_ID, LABEL, OBJECTS
from luab_data.errors import SourceError

WIDTH, HEIGHT = "width", "height"  # columns: pixels of the image
CSV_COLUMNS = ("file", "x0", "y0", "x1", "y1", WIDTH, HEIGHT)


class ImageBoxes(NamedTuple):
    """The boxes of one image, [[x, y, w, h]], and its size, all in pixels."""

    bbox: list[list[float]]
    width: float
    height: float


def load_boxes(
    images: str | Path, boxes: str | Path, classes: Sequence[str] | None = None
) -> datasets.Dataset:
    """One row for each image that the CSV lists, in its order.

    Args:
        images: folder of `<class>/<file>`.
        boxes: CSV with the columns file (`<class>/<file>`), x0, y0, x1, y1 (first and last pixel of the box,
            x1 and y1 included), width, height (of the image that the pixels are of). One line a box.
        classes: names of the labels in order; default: the class folders that the CSV names, sorted.

    Returns:
        Dataset with image, label (ClassLabel), image_id (`<class>/<name>`), objects {"bbox": [[x, y, w, h]]
        pixels, "category": [label]}, and width and height of the image that the pixels are of.

    Raises:
        SourceError: a missing file or column, a value that is no number, a class that is not in `classes`.
    """
    images, boxes = Path(images), Path(boxes)
    if not images.is_dir():
        raise SourceError(f"images={str(images)!r} is not a folder; give the one that holds <class>/<file>.")
    by_file = read_boxes(boxes)
    found = sorted({file.split("/")[0] for file in by_file})
    names = list(found if classes is None else classes)
    if unknown := sorted(set(found) - set(names)):
        raise SourceError(f"{boxes} has images of the classes {unknown}, but the labels are {names}.")
    table = features(names)
    columns: dict[str, list] = {name: [] for name in table}
    for file, (found_boxes, width, height) in by_file.items():
        path = images / file
        if not path.is_file():
            raise SourceError(f"{boxes} lists {file}, but there is no {path}.")
        label = names.index(file.split("/")[0])
        columns[IMAGE].append(str(path))
        columns[LABEL].append(label)
        columns[IMAGE_ID].append(file.rpartition(".")[0])
        columns[OBJECTS].append({"bbox": found_boxes, "category": [label] * len(found_boxes)})
        columns[WIDTH].append(width)
        columns[HEIGHT].append(height)
    return datasets.Dataset.from_dict(columns, features=table)


def features(classes: Sequence[str]) -> datasets.Features:
    """The columns of images with boxes of their class."""
    return datasets.Features(
        {
            IMAGE: datasets.Image(),
            LABEL: datasets.ClassLabel(names=list(classes)),
            IMAGE_ID: datasets.Value("string"),
            OBJECTS: {
                "bbox": datasets.List(datasets.List(datasets.Value("float32"), length=4)),
                "category": datasets.List(datasets.ClassLabel(names=list(classes))),
            },
            WIDTH: datasets.Value("float32"),
            HEIGHT: datasets.Value("float32"),
        }
    )


def read_boxes(boxes: Path) -> dict[str, ImageBoxes]:
    """A CSV as `load_boxes` takes it -> the boxes of each file.

    Raises:
        SourceError: a missing file or column, a value that is no number, or no size; names the line.
    """
    if not boxes.is_file():
        raise SourceError(f"boxes={str(boxes)!r} is not a file; give a CSV with {', '.join(CSV_COLUMNS)}.")
    by_file: dict[str, ImageBoxes] = {}
    with boxes.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if missing := [name for name in CSV_COLUMNS if name not in (reader.fieldnames or ())]:
            raise SourceError(f"{boxes} lacks the columns {missing}; it needs {', '.join(CSV_COLUMNS)}.")
        for number, line in enumerate(reader, start=2):
            file = line["file"]
            if ".." in file.split("/") or file.startswith("/") or "/" not in file:
                raise SourceError(f"{boxes}, line {number}: file is {file!r}, but <class>/<file> is needed.")
            try:
                x0, y0, x1, y1, width, height = (float(line[name]) for name in CSV_COLUMNS[1:])
            except (TypeError, ValueError) as error:
                raise SourceError(
                    f"{boxes}, line {number}: the box is not four numbers and the size two: {line}"
                ) from error
            if not (width > 0 and height > 0):
                raise SourceError(f"{boxes}, line {number}: the image's size is {width} x {height} pixels.")
            of_file = by_file.setdefault(file, ImageBoxes([], width, height))
            of_file.bbox.append([x0, y0, x1 + 1 - x0, y1 + 1 - y0])
    return by_file
