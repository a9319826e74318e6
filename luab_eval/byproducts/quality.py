"""Compares clicks and traces with the true boxes, per class and per worker.

    rows + boxes --(measure)--> Quality: tables of points, clicks, traces --> summary: all, classes, workers

It measures three things against the boxes of their class, and skips those that the rows lack:

* points, which training reads: the row's `click` (the mean over its annotators), or each of its `points`
  (COCO-AB). If rows have no label, all boxes have one class.
* clicks of single workers: the first click of each annotation in which the image was selected at the end. On
  COCO-AB these are the points again, which are from the image's last annotator.
* traces of the same annotations: the share of positions inside, with equal weights (`inside`) and with the
  weights of training (`weighted`; see `luab_attention.traces.weighting`). On COCO-AB a trace belongs to all
  classes of the image, so it is compared with the boxes of all of them, with equal weights.

It also measures the boxes themselves: the side of a large object, for the radius of the background mix.

A distance is in box units: sqrt(((x - cx) / w)^2 + ((y - cy) / h)^2), to the center of the nearest box. 0 is
the center, 0.5 the middle of an edge, 0.71 a corner.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa

from luab_attention.boxes.boxes import inside
from luab_attention.boxes.formats import box_reader
from luab_attention.boxes.reader import BoxReader, of_class
from luab_attention.boxes.rows import row_size
from luab_attention.reading import Reading, label_name, point_name, read_points, with_usual_points
from luab_attention.targets import ROW_LABEL, Byproduct, byproducts_of
from luab_attention.traces import trace
from luab_data import constants
from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.rows.arrow import has_column, is_list, read_column, replace_column, require_column
from luab_data.rows.columns import Columns
from luab_data.rows.labels import Labels, read_labels
from luab_data.rows.same_classes import class_feature
from luab_eval.byproducts.tables import ALL_CLASSES, Quality, QualityTable
from luab_eval.metrics.energy_pointing_game.energy_pointing_game import energy_inside

Row = Mapping[str, Any]
CENTER = np.array([[0.5, 0.5]])
EVERYWHERE = np.ones((1, 1))
UNKNOWN = "unknown"  # worker of an annotation without a worker id


class QualityColumns(NamedTuple):
    """The columns of the rows to measure, as in `Columns`. `None`: there is no such column."""

    image: str
    label: str | None
    point: str | None
    annotations: str | None


def measure(
    rows: datasets.Dataset,
    boxes: str | Path | None = None,
    columns: QualityColumns | None = None,
    image_id: str = constants.IMAGE_ID,
) -> Quality:
    """Measure the byproducts of rows with points, traces or both, one row in memory at a time.

    Args:
        rows: rows built by `imagenet_ab` or `coco_ab`, with or without images, or your own, with `objects`
            and points or annotations.
        boxes: the true boxes: a CSV or a folder of ImageNet's official XML files. Default: the rows'
            `objects` column.
        columns: names of the rows' columns; see `quality_columns`, the default.
        image_id: column of the ids that identify boxes in files.

    Raises:
        SourceError: missing columns, unreadable boxes, or no box for any row.
    """
    columns = columns or quality_columns(rows)
    if columns.point is None and columns.annotations is None:
        raise SourceError(
            f"the rows have neither points nor annotations; their columns are {few(rows.column_names)}. Say "
            "which column holds the points."
        )
    if boxes is None and constants.OBJECTS not in rows.column_names:
        raise SourceError(
            f"the rows lack {constants.OBJECTS}; they have {few(rows.column_names)}. Pass the real boxes: a "
            "CSV, or a folder of XML files."
        )
    several = columns.label is not None and is_list(rows.features[columns.label])
    reader = box_reader(columns.label, rows, boxes, image_id)
    parts = {"label": columns.label, "point": columns.point, "annotations": columns.annotations}
    quality = Quality(absent=tuple(part for part, column in parts.items() if column is None))
    measured = _Measuring(quality, reader, columns, several, _class_names(rows, columns.label))
    needed = [*parts.values(), image_id if boxes is not None else constants.OBJECTS]
    for row in _light(rows, [column for column in needed if column is not None], columns.image):
        measured.add(row)
    if quality.rows and quality.without_boxes == quality.rows:
        raise SourceError(
            f"none of the {quality.rows} rows has a box{'' if boxes is None else f' in {boxes}'}"
            f"{': ' * bool(reader.left_out)}{reader.box_note()}."
        )
    quality.left_out = reader.box_note()
    return quality


def read_byproducts(
    rows: datasets.Dataset, reading: Reading, root: Path | None
) -> tuple[datasets.Dataset, QualityColumns, list[str]]:
    """Rows with classes and points as training reads them, the names of their columns, and notes on these.

    Unlike in training, rows need no image and no class (-1 is no class), and columns may be missing.

    Raises:
        SourceError: see `read_rows`; or a given column is missing.
    """
    for option in ("label", "point", "annotations", "x", "y"):
        if (column := getattr(reading, option)) is not None:
            require_column(rows.features, column, f"{option}-column".replace("_", "-"))
    notes: list[str] = []
    label = label_name(rows, reading)
    labels = Labels(pa.chunked_array([], pa.int64()), datasets.Value("int64"))
    if has_column(rows.features, label):
        labels = labels._replace(feature=require_column(rows.features, label, "label-column"))
        if (
            not isinstance(class_feature(labels.feature), datasets.ClassLabel)
            or label not in rows.column_names
        ):
            values = read_column(rows, label)
            if is_list(labels.feature) or not pa.types.is_integer(values.type):
                labels = read_labels(values, labels.feature, label, reading.label_format)
                values = labels.values
                notes += labels.notes
            rows = replace_column(rows, label, values, labels.feature)
    reading, said = with_usual_points(rows, reading)
    notes += said
    point = point_name(rows, reading, labels)
    if reading.x is not None or has_column(rows.features, point):
        columns = Columns(reading.image, label, point, None)
        rows, more, _ = read_points(rows, columns, labels, reading, root, required=False)
        notes += more
    annotations = reading.annotations
    if annotations is not None and annotations not in rows.column_names:
        feature = require_column(rows.features, annotations, "annotations-column")
        rows = replace_column(rows, annotations, read_column(rows, annotations), feature)
    given = (reading.label, point if reading.x is not None else reading.point, annotations)
    return rows, quality_columns(rows, reading.image, *given), notes


def quality_columns(
    rows: datasets.Dataset,
    image: str = constants.IMAGE,
    label: str | None = None,
    point: str | None = None,
    annotations: str | None = None,
) -> QualityColumns:
    """The columns to read; the default is the usual names, if the rows have them.

    Raises:
        SourceError: a given column is missing.
    """
    names = rows.column_names
    for option, column in (("label", label), ("point", point), ("annotations", annotations)):
        if column is not None and column not in names:
            raise SourceError(
                f"there is no column {column!r} (--{option}-column); the columns are {few(names)}."
            )
    return QualityColumns(
        image=image,
        label=label or _first(names, constants.LABEL, constants.LABELS),
        point=point or _first(names, constants.CLICK, constants.POINTS),
        annotations=annotations or _first(names, constants.ANNOTATIONS),
    )


def _first(names: Sequence[str], *wanted: str) -> str | None:
    return next((name for name in wanted if name in names), None)


@dataclass(frozen=True)
class _Measuring:
    """Adds one row after the other to the tables of `quality`."""

    quality: Quality
    reader: BoxReader
    columns: QualityColumns
    several: bool
    name_of: Callable[[int], str]

    def add(self, row: Row) -> None:
        self.quality.rows += 1
        label = None if self.columns.label is None else row[self.columns.label]
        found, categories = self.reader.read(row, partial(row_size, row, self.columns.image))
        boxes = found.ratios()
        if not self.several and categories is not None:
            boxes = boxes[of_class(categories, label)] if label is not None else boxes[:0]
        if not len(boxes):
            self.quality.without_boxes += 1
            return
        self.quality.sides += np.sqrt(boxes[:, 2:].prod(axis=1)).tolist()
        entries = [] if self.columns.annotations is None else row[self.columns.annotations] or []
        annotations = [entry for entry in entries if entry is not None]
        own = ALL_CLASSES if self.several or label is None else self.name_of(label)
        if self.columns.point is not None:
            self._points(self._byproducts(row, label), boxes, categories, annotations, own)
        for annotation in annotations:
            self._annotation(annotation, boxes, own)

    def _byproducts(self, row: Row, label: Any) -> list[Byproduct]:
        """The row's clicks; in a row of one class those that training reads, and others are counted.

        What names no class is of the row's, unless something names it.
        """
        found = byproducts_of(row, "click", Columns(point=self.columns.point))
        if self.several or self.columns.label is None:
            return found
        named = [each for each in found if each.label == label]
        kept = named or [each for each in found if each.label == ROW_LABEL]
        self.quality.other_class += sum(len(each.points) for each in found)
        self.quality.other_class -= sum(len(each.points) for each in kept)
        return kept

    def _points(
        self,
        byproducts: Sequence[Byproduct],
        boxes: np.ndarray,
        categories: np.ndarray | None,
        annotations: Sequence[Row],
        own: str,
    ) -> None:
        """Adds each point; for a row with several classes also as a click of its last annotator."""
        for byproduct in byproducts:
            of_class, name = boxes, own
            if self.several and byproduct.label != ROW_LABEL:
                name = self.name_of(byproduct.label)
                of_class = boxes[categories == byproduct.label]
            if not len(of_class):
                self.quality.without_class += len(byproduct.points)
                continue
            for point in byproduct.points[:, None]:
                _add_point(self.quality.points, name, annotations, point, of_class)
                if self.several and annotations:
                    worker = annotations[-1].get("worker_id") or UNKNOWN
                    _add_click(self.quality.clicks, name, worker, point, of_class)

    def _annotation(self, annotation: Row, boxes: np.ndarray, name: str) -> None:
        """One annotator's click and trace; `boxes` [n, 4] x, y, w, h in image ratios."""
        worker = annotation.get("worker_id") or UNKNOWN
        if self.several:
            if annotation["mouse_tracking"]:
                inside_share = inside(_xy(annotation["mouse_tracking"]), boxes).mean()
                self.quality.traces.add(ALL_CLASSES, worker, inside=inside_share)
            return
        if not (annotation["selected"] and annotation["selected_record"]):
            return
        _add_click(self.quality.clicks, name, worker, _xy(annotation["selected_record"][:1]), boxes)
        track = trace([annotation])
        if track is not None:
            positions = _xy(annotation["mouse_tracking"])
            weighted = float((inside(track[0], boxes) * track[1]).sum())
            inside_share = inside(positions, boxes).mean()
            self.quality.traces.add(name, worker, inside=inside_share, weighted=weighted)


def _add_click(table: QualityTable, name: str, worker: str, click: np.ndarray, boxes: np.ndarray) -> None:
    table.add(name, worker, inside=inside(click, boxes)[0], distance=_distance(click, boxes)[0])


def _add_point(
    table: QualityTable, name: str, annotations: Sequence[Row], point: np.ndarray, boxes: np.ndarray
) -> None:
    worker = (annotations[-1].get("worker_id") or UNKNOWN) if annotations else UNKNOWN
    table.add(
        name,
        worker,
        inside=inside(point, boxes)[0],
        distance=_distance(point, boxes)[0],
        uniform=energy_inside(EVERYWHERE, boxes, 1, 1),
        center=inside(CENTER, boxes)[0],
    )


def _distance(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The distance [P] of points [P, 2] to the nearest center of boxes [n, 4], in box units."""
    steps = (points[:, None] - boxes[:, :2] - boxes[:, 2:] / 2) / boxes[:, 2:]
    return np.hypot(steps[..., 0], steps[..., 1]).min(axis=1)


def _xy(points: Sequence[Mapping[str, float]]) -> np.ndarray:
    return np.array([(point["x"], point["y"]) for point in points], np.float64)


def _class_names(rows: datasets.Dataset, label: str | None) -> Callable[[int], str]:
    feature = None if label is None else class_feature(rows.features[label])
    if not isinstance(feature, datasets.ClassLabel):
        return str
    return lambda number: feature.names[number] if number != constants.NO_LABEL else "no class"


def _light(rows: datasets.Dataset, needed: Sequence[str], image: str) -> Iterator[Row]:
    """The rows with the needed columns; the image stays encoded, because only its size is needed."""
    columns = list(dict.fromkeys(needed))
    columns += [name for name in (constants.WIDTH, constants.HEIGHT, image) if name in rows.column_names]
    rows = rows.select_columns(columns)
    if image in columns:
        rows = rows.cast_column(image, datasets.Image(decode=False))
    return iter(datasets.utils.tqdm(rows, desc="rows", disable=None))  # silent without a terminal
