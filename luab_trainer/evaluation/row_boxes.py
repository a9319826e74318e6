"""The real boxes of a dataset row, in ratios of its image: its own `objects`, or from box files by its id."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from luab_data import constants
from luab_data.errors import SourceError
from luab_data.images import upright_size
from luab_trainer.evaluation.boxes import HEIGHT, WIDTH, read_boxes
from luab_trainer.evaluation.ilsvrc_boxes import read_box_file, xml_files


def row_boxes(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """The row's `objects` -> boxes [n, 4] in image ratios, categories [n]."""
    objects = row[constants.OBJECTS]
    if not objects["bbox"]:
        return None
    return _ratios(objects["bbox"], *row_size(row), objects.get("category"))


def row_size(row: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of the row's upright image, in the pixels that its boxes are given in.

    Raises:
        SourceError: a row with neither width and height nor an image.
        OSError: an image that cannot be read.
    """
    if WIDTH in row:
        return row[WIDTH], row[HEIGHT]
    if constants.IMAGE not in row:
        raise SourceError("boxes are in pixels, and rows have neither width and height nor the image.")
    image = row[constants.IMAGE]
    return upright_size(image["bytes"] or Path(image["path"]).read_bytes())


class BoxFiles:
    """Boxes from files, looked up by a row's `image_id`: the whole id, or what follows its last slash."""

    def __init__(self, source: Path, several: bool):
        if several:
            raise SourceError(
                "rows with several classes need boxes with categories: their own `objects` column."
            )
        self._xml = source.is_dir()
        self._found: dict[str, Any] = xml_files(source) if self._xml else {}
        for file, of_file in ({} if self._xml else read_boxes(source)).items():
            self._found[file.rpartition(".")[0]] = of_file

    def __call__(self, row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
        image_id = row[constants.IMAGE_ID]
        found = self._found.get(image_id.rpartition("/")[2] if self._xml else image_id)
        if found is None:
            return None
        if not self._xml:
            return _ratios(found.bbox, found.width, found.height)
        file = read_box_file(found)
        corners = [box for _, box in file.objects]
        return _ratios([(x, y, u + 1 - x, v + 1 - y) for x, y, u, v in corners], file.width, file.height)


def _ratios(
    bbox: Iterable[Sequence[float]], width: float, height: float, categories: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels -> [n, 4] in image ratios, categories [n] (0 if not given); empty ones left out."""
    boxes = np.array(list(bbox), np.float64).reshape(-1, 4) / [width, height, width, height]
    categories = np.zeros(len(boxes), int) if categories is None else np.array(categories, int)
    real = (boxes[:, 2:] > 0).all(axis=1)
    return boxes[real], categories[real]
