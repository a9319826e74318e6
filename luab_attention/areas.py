"""Dataset row -> areas: gaze, boxes, masks and heat maps. Clicks stay points: `luab_attention.targets`.

    scanpaths -> Gaze: a Gaussian around each fixation
    boxes     -> Picture: 1 inside the boxes; its cells end at their edges
    masks     -> Picture: 1 inside
    heat maps -> Picture, one for each annotator

`luab_attention.area_maps` takes them into the crop.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from luab_attention.area_maps import Area, Gaze, Mean, Part, Picture
from luab_attention.blur import TARGET, fixation_sigma
from luab_attention.boxes.reader import of_class
from luab_attention.boxes.rows import RowBoxes
from luab_attention.columns import ATTENTION_SOURCE
from luab_attention.gray import gray_image
from luab_attention.points import FAR_OUTSIDE
from luab_attention.targets import ROW_LABEL
from luab_attention.traces.dwell import mixture
from luab_attention.traces.rows import TraceColumn, scanpaths_of
from luab_data.constants import IMAGE, LABEL, SHUFFLED
from luab_data.rows.columns import AreaKind, Columns
from luab_data.rows.labels import class_number, names_no_class
from luab_vision.geometry import MEASURE_UPRIGHT, other_orientation

Entry = Mapping[str, Any]


def areas_of(
    row: Mapping[str, Any],
    kind: AreaKind,
    columns: Columns,
    classes: Collection[int],
    size: tuple[int, int],
    boxes: RowBoxes | None = None,
    sigma: float | None = None,
    in_ratios: bool = False,
) -> list[Area]:
    """The areas of a row: one for each of its classes that has one.

    What is of another class than the row's gives nothing. In a row of one class, what is of no class is of
    that one, unless something says that it is.

    Args:
        row: The row.
        kind: "scanpath", "boxes", "masks" or "heatmap".
        columns: Names of the row's columns.
        classes: The row's classes.
        size: Width and height of the upright image, pixels.
        boxes: Reads the boxes of the rows' dataset; by default class numbers.
        sigma: Of the Gaussian around a fixation, in ratios of the image's width. None: see
            `luab_attention.blur`.
        in_ratios: Whether gaze is known to be in ratios, by all samples of the column. Else a row whose
            samples are all far outside the image is taken to be in another unit.

    Raises:
        ValueError: unreadable values; names the column.
    """
    (column,) = columns.of_byproduct(kind)
    if kind == "boxes":
        return _boxes(row, classes, size, RowBoxes(columns.label) if boxes is None else boxes)
    entries = [entry for entry in row[column] or [] if entry is not None]
    areas = []
    for label, own in _by_class(entries, classes, column).items():
        if kind == "scanpath":
            of_source = row.get(ATTENTION_SOURCE)
            parts = _gaze(own, column, fixation_sigma(of_source, size, sigma, TARGET), in_ratios)
        else:
            # A control's are of an image of any shape: they are stretched onto this one, as ratios are.
            shape = None if row.get(SHUFFLED) else size
            read = [(entry.get("annotator"), picture_of(entry[IMAGE], column, shape)) for entry in own]
            parts = [united([picture for _, picture in read], column)] if kind == "masks" else _each(read)
        parts = [part for part in parts if part.mass > 0]
        if parts:
            areas.append(Area(label, tuple(parts)))
    return areas


def _by_class(entries: Sequence[Entry], classes: Collection[int], column: str) -> dict[int, list[Entry]]:
    """The entries of each of the row's classes."""
    found: dict[int, list[Entry]] = {}
    for entry in entries:
        label = entry.get(LABEL)
        if not names_no_class(label) and (number := class_number(label, column)) in classes:
            found.setdefault(number, []).append(entry)
    if found or len(classes) != 1:
        if entries and len(classes) > 1 and LABEL not in entries[0]:
            raise ValueError(
                f"column {column!r} does not say which class its entries are of, but the image has several: "
                "each entry needs a label. What is about all classes of the image is repeated for each"
            )
        return found
    unnamed = [entry for entry in entries if names_no_class(entry.get(LABEL))]
    return {ROW_LABEL: unnamed} if unnamed else {}


def _gaze(entries: Sequence[Entry], column: str, sigma: tuple[float, float], in_ratios: bool) -> list[Part]:
    paths = scanpaths_of({column: entries}, TraceColumn(column, False, False, False))
    places = np.concatenate([np.zeros((0, 2)), *(path.xy for path in paths)])
    if not in_ratios and len(places) and (np.abs(places) > FAR_OUTSIDE).any(axis=1).all():
        raise ValueError(
            f"column {column!r} holds positions that are not ratios of the image, 0 to 1, x first."
        )
    points, weights = mixture(paths)
    counts = weights > 0
    if not counts.any():
        return []
    return [Gaze(points[counts], weights[counts], sigma)]


def _boxes(
    row: Mapping[str, Any], classes: Collection[int], size: tuple[int, int], reader: RowBoxes
) -> list[Area]:
    found, categories = reader.read(row, lambda: size)
    if found.bbox and categories is None and len(classes) > 1:
        raise ValueError("column 'objects' does not say which class its boxes are of: give categories")
    edges = found.ratios()
    if categories is None:
        return [Area(ROW_LABEL, (rectangles(edges),))] if len(edges) else []
    own = {label: edges[of_class(categories, label, len(classes) == 1)] for label in classes}
    return [Area(label, (rectangles(boxes),)) for label, boxes in own.items() if len(boxes)]


def rectangles(boxes: np.ndarray) -> Picture:
    """The union of boxes [n, 4] x, y, width, height: its cells end at their edges."""
    low, high = boxes[:, :2].clip(0, 1), (boxes[:, :2] + boxes[:, 2:]).clip(0, 1)
    x, y = (np.unique(np.concatenate([[0, 1], low[:, axis], high[:, axis]])) for axis in (0, 1))
    middle_x, middle_y = (x[:-1] + x[1:]) / 2, (y[:-1] + y[1:]) / 2
    across = (low[:, :1] < middle_x) & (middle_x < high[:, :1])  # [n, columns]
    down = (low[:, 1:] < middle_y) & (middle_y < high[:, 1:])
    return Picture((down[:, :, None] & across[:, None]).any(axis=0), x, y)


def picture_of(value: Any, column: str, size: tuple[int, int] | None) -> Picture:
    """A mask or a map, 0 to 255, that covers the whole image.

    Args:
        value: A gray image, as it is stored.
        column: Its column, for errors.
        size: Width and height of the upright image, pixels. None: not known.

    Raises:
        ValueError: it cannot be read, is not gray, or is of an image of another orientation.
    """
    image = gray_image(value, column)
    if size is not None and other_orientation(image.size, size):
        raise ValueError(
            f"column {column!r} has an image of {image.width} x {image.height} pixels for one of {size[0]} x "
            f"{size[1]}: {MEASURE_UPRIGHT}"
        )
    try:
        values = np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"cannot read an image in column {column!r}: {error}") from error
    height, width = values.shape
    return Picture(values, np.arange(width + 1) / width, np.arange(height + 1) / height)


def united(pictures: Sequence[Picture], column: str) -> Picture:
    """The union of the masks of one class. Raises ValueError for masks of several sizes."""
    shapes = {picture.values.shape for picture in pictures}
    if len(shapes) > 1:
        raise ValueError(
            f"column {column!r} has masks of {' and '.join(f'{w} x {h}' for h, w in sorted(shapes))} pixels "
            "for one image; all must have one size"
        )
    return pictures[0]._replace(values=np.max([picture.values for picture in pictures], axis=0))


def _each(read: Sequence[tuple[Any, Picture]]) -> list[Part]:
    """The heat maps, each annotator counted once: of one with several, their mean is one part.

    Maps without an annotator are of one each. `luab align` counts the same.
    """
    of_annotator: dict[object, list[Picture]] = {}
    for number, (annotator, picture) in enumerate(read):
        if picture.mass > 0:
            of_annotator.setdefault(number if annotator is None else str(annotator), []).append(picture)
    return [own[0] if len(own) == 1 else Mean(tuple(own)) for own in of_annotator.values()]
