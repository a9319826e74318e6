"""A column of human attention -> what the entries of each row say: fixations, or a map.

--against    column                      gives
click        click                       a fixation
points       points                      fixations; points of sign -1 are left out
scanpaths    scanpaths, or annotations   fixations, or samples up to the click; by time in the density
heatmaps     heatmaps                    a map of each annotator
masks        masks                       the union of each class's masks
boxes        objects                     the union of each class's boxes
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, Literal, NamedTuple, get_args

import datasets
import numpy as np
import pyarrow as pa
from PIL import Image

from luab_attention.area_maps import Picture
from luab_attention.areas import picture_of, rectangles, united
from luab_attention.boxes.rows import ImageSizes, RowBoxes
from luab_attention.columns import ANNOTATOR, HEATMAPS, MASKS, SCANPATHS
from luab_attention.points import GazeCounts, count_gaze, flat_points, is_far, require_ratios
from luab_attention.reading import Reading, point_values
from luab_attention.traces.dwell import in_image, weights
from luab_attention.traces.rows import scanpaths_of, trace_column
from luab_data.console.names import few
from luab_data.constants import CLICK, HEIGHT, IMAGE, LABEL, NO_LABEL, OBJECTS, OTHER_CLASS, POINTS, WIDTH
from luab_data.errors import SourceError
from luab_data.rows.arrow import in_order, is_list
from luab_data.rows.class_names import match
from luab_data.rows.columns import Columns
from luab_data.rows.labels import class_number, names_no_class
from luab_data.rows.same_classes import class_feature, class_names_of
from luab_eval.alignment.people import GRID, Viewing
from luab_vision.geometry import WHOLE_IMAGE

Against = Literal["click", "points", "scanpaths", "heatmaps", "masks", "boxes"]
AGAINST: tuple[Against, ...] = get_args(Against)
COLUMN: Mapping[Against, str] = {
    "click": CLICK,
    "points": POINTS,
    "scanpaths": SCANPATHS,
    "heatmaps": HEATMAPS,
    "masks": MASKS,
    "boxes": OBJECTS,
}
WITH_FIXATIONS: tuple[Against, ...] = ("click", "points", "scanpaths")
ROWS_AT_ONCE = 16
UNNAMED = -3  # the class of an entry that names none

# Of one row: class number (None: no class) -> its viewings.
ByClass = dict[int | None, list[Viewing]]


class ReadViewings(NamedTuple):
    """The viewings of each row, how many values were left out, by reason, and a note on others."""

    rows: list[ByClass]
    left_out: Counter[str]
    note: str = ""


def read_viewings(
    rows: datasets.Dataset, columns: Columns, against: Against, numbers: Sequence[int] | None = None
) -> ReadViewings:
    """The viewings of all rows.

    Args:
        rows: The dataset; images are not decoded.
        columns: Its columns. Rows without the label column have no classes.
        against: What to read.
        numbers: What errors call each row. Default: its position.

    Raises:
        SourceError: no such column, or values that cannot be read.
    """
    name = COLUMN[against]
    if name not in rows.column_names and against != "scanpaths":
        there = [kind for kind, column in COLUMN.items() if column in rows.column_names]
        advice = (
            f"it has {', '.join(there)}: take one of these" if there else f"it has {few(rows.column_names)}"
        )
        raise SourceError(f"--against {against}: the dataset has no column {name!r}; {advice}.")
    left_out: Counter[str] = Counter()
    numbers = range(len(rows)) if numbers is None else numbers
    if against in ("click", "points"):
        return ReadViewings(_points(rows, columns, name, left_out), left_out)
    if against == "boxes":
        found, note = _boxes(rows, columns, numbers)
        return ReadViewings(found, left_out, note)
    if against == "scanpaths":
        return ReadViewings(_scanpaths(rows, columns, left_out, numbers), left_out)
    return ReadViewings(_pictures(rows, columns, name, left_out, numbers), left_out)


def raw_rows(rows: datasets.Dataset, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows' values as they are stored; no image is decoded."""
    for batch in rows.select_columns(list(names)).with_format("arrow").iter(ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _points(rows: datasets.Dataset, columns: Columns, name: str, left_out: Counter[str]) -> list[ByClass]:
    """All points of one class of a row are one viewing."""
    values, feature, _ = point_values(rows, Reading(), name)
    points = flat_points(values, name)
    require_ratios(points.xy, points.row, name)
    number = _numbering(feature, rows, columns, name)
    left_out["points that say where a class is not (sign -1)"] += points.negative
    shares = np.ones(len(points.row)) if points.weight is None else points.weight
    labels = [None] * len(points.row) if points.label is None else pa.array(points.label).to_pylist()
    here = in_image(points.xy)
    left_out["points outside the image"] += int((~here).sum())
    left_out["points of weight 0"] += int((here & (shares <= 0)).sum())
    kept: list[dict[int | None, list[int]]] = [defaultdict(list) for _ in range(points.count)]
    for at in np.flatnonzero(here & (shares > 0)).tolist():
        kept[points.row[at]][number(labels[at])].append(at)
    stored = np.empty(len(kept), object)
    stored[:] = kept
    return [
        {label: [Viewing(None, points.xy[at], shares[at], entries=len(at))] for label, at in row.items()}
        for row in in_order(rows, stored)
    ]


def _scanpaths(
    rows: datasets.Dataset, columns: Columns, left_out: Counter[str], numbers: Sequence[int]
) -> list[ByClass]:
    column = trace_column(rows.features)
    entry = class_feature(rows.features[column.name])
    number = _numbering(None if column.annotations else entry.get(LABEL), rows, columns, column.name)
    found: list[ByClass] = []
    counts, far_rows, far_places = GazeCounts(), [], []  # of each row only its first far place
    for at, row in zip(numbers, raw_rows(rows, [column.name]), strict=True):
        of_class: ByClass = defaultdict(list)
        paths = of_row(partial(scanpaths_of, row, column), f"column {column.name!r}, row {at}")
        places = np.concatenate([np.zeros((0, 2)), *(path.xy for path in paths)])
        counts = counts.plus(count_gaze(places, np.zeros(len(places), np.int64)))
        if (far := is_far(places)).any():
            far_rows.append(at)
            far_places.append(places[far.argmax()])
        for path in paths:
            end = path.end
            path = path if end is None else path.before(end)
            here = in_image(path.xy)
            left_out["samples outside the image"] += int((~here).sum())
            left_out["samples without a place or a time"] += path.missing
            if not here.any() or path.weight <= 0:
                left_out["scanpaths without a sample in the image, or of weight 0"] += 1
                continue
            shares = weights(path, end)[here]
            shares = shares if shares.sum() > 0 else np.ones(len(shares))
            viewing = Viewing(path.annotator, path.xy[here], shares, weight=path.weight)
            of_class[number(path.label)].append(viewing)
        found.append(of_class)
    if not counts.are_ratios:
        require_ratios(np.array(far_places), np.array(far_rows), column.name, str(counts))
    return found


def _pictures(
    rows: datasets.Dataset, columns: Columns, name: str, left_out: Counter[str], numbers: Sequence[int]
) -> list[ByClass]:
    """Heat maps, one viewing each; masks, one viewing for all of a class."""
    entry = class_feature(rows.features[name])
    if not isinstance(entry, dict) or IMAGE not in entry:
        raise SourceError(
            f"column {name!r} holds {str(entry)[:60]}, and not a list of {{label, {IMAGE}}} as "
            "`luab convert` writes it (docs/attention.md)."
        )
    number = _numbering(entry.get(LABEL), rows, columns, name)
    found: list[ByClass] = []
    sizes = ImageSizes(columns.image)
    for at, row in zip(numbers, raw_rows(rows, [name, columns.image]), strict=True):
        where = f"row {at}"
        size = of_row(partial(sizes, row), where)
        read: dict[int | None, list[tuple[str | None, Picture]]] = defaultdict(list)
        for entry in row[name] or ():
            if entry is None:
                continue
            picture = of_row(partial(picture_of, entry[IMAGE], name, size), where)
            if not picture.mass:
                left_out[f"empty {name}"] += 1
                continue
            read[number(entry.get(LABEL))].append((entry.get(ANNOTATOR), picture))
        of_class: ByClass = {}
        for label, several in read.items():
            if name == MASKS:
                union = of_row(partial(united, [mask for _, mask in several], name), where)
                of_class[label] = [_of_picture(None, union, len(several))]
            else:
                of_class[label] = [_of_picture(*each) for each in several]
        found.append(of_class)
    return found


def _boxes(rows: datasets.Dataset, columns: Columns, numbers: Sequence[int]) -> tuple[list[ByClass], str]:
    label = columns.label if columns.label in rows.column_names else None
    reader = RowBoxes(label, rows)
    several = label is not None and is_list(rows.features[label])
    named = (OBJECTS, WIDTH, HEIGHT, columns.image)
    names = [name for name in named if name in rows.column_names]
    found: list[ByClass] = []
    sizes = ImageSizes(columns.image)
    for at, row in zip(numbers, raw_rows(rows, names), strict=True):
        where = f"column {OBJECTS!r}, row {at}"
        boxes, categories = of_row(partial(reader.read, row, partial(sizes, row)), where)
        if boxes.bbox and categories is None and several:
            raise SourceError(f"{where}: the image has several classes, so that the boxes need categories.")
        edges = boxes.ratios()
        of: np.ndarray = np.full(len(edges), UNNAMED)
        if categories is not None:
            of = np.where(categories == NO_LABEL, UNNAMED, categories)
        of_class: ByClass = {}
        for own in np.unique(of).tolist():
            mine = edges[of == own]
            of_class[None if own == UNNAMED else own] = [_of_picture(None, rectangles(mine), len(mine))]
        found.append(of_class)
    return found, reader.box_note()


def _numbering(
    feature: Any, rows: datasets.Dataset, columns: Columns, column: str
) -> Callable[[Any], int | None]:
    """From an entry's label to the number of the rows' class: None without a class.

    Labels of both are matched by name (`class_names.match`), or by number where they have no names.

    Args:
        feature: The feature of the entries' labels; None: they have none.
        rows: The dataset.
        columns: Its columns.
        column: The entries' column, for errors.
    """
    if feature is None or columns.label not in rows.column_names:
        return lambda label: None
    own = class_feature(rows.features[columns.label])
    known = class_names_of(rows, columns.label) if isinstance(own, datasets.ClassLabel) else None
    feature = class_feature(feature)
    names = feature.names if isinstance(feature, datasets.ClassLabel) and feature != own else None

    @cache
    def of_name(name: str) -> int:
        (found,) = match([(name,)], known or [], f"class in column {column!r}", "the labels'")
        return OTHER_CLASS if found is None else found

    def number(label: Any) -> int | None:
        if names_no_class(label):
            return None
        name = names[label] if names is not None else label
        if known is not None and isinstance(name, str):
            return of_name(name)
        return class_number(name, column)

    return number


def of_row(read: Callable[[], Any], where: str) -> Any:
    """What `read` returns. Raises SourceError that begins with `where` if the row cannot be read."""
    try:
        return read()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"{where}: {error}") from error


def _of_picture(annotator: str | None, picture: Picture, entries: int = 1) -> Viewing:
    area = picture.averages(WHOLE_IMAGE, (GRID, GRID)).astype(np.float32)
    return Viewing(annotator, np.zeros((0, 2)), np.zeros(0), area, entries=entries)
