"""How good are the byproducts? Clicks and traces against the real boxes, per class and per worker.

    rows + boxes --(measure)--> Quality: tables of points, clicks, traces --> summary: all, classes, workers

Three things are measured, each against the boxes of its class:

* points: what training reads: the row's `click` (the mean over its annotators), or each of its `points`
  (COCO-AB).
* clicks: what one worker did: the first click of each annotation that ended selected; on COCO-AB the points
  again, which are those of the image's last annotator.
* traces: the cursor of the same annotations: the share of its positions inside, each counted once (`inside`)
  and as training weighs them (`weighted`; see `luab_trainer.targets.trace`). On COCO-AB, where the cursor
  serves all classes of the image, against the boxes of all of them, each position counted once.

A distance is in box units: sqrt(((x - cx) / w)^2 + ((y - cy) / h)^2), to the centre of the box to which it is
least. 0 is the centre, 0.5 the middle of an edge, 0.71 a corner.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from luab_data import constants
from luab_data.errors import SourceError
from luab_trainer.evaluation.boxes import HEIGHT, WIDTH
from luab_trainer.evaluation.metrics.energy_pointing_game.energy_pointing_game import energy_inside
from luab_trainer.evaluation.row_boxes import BoxFiles, row_boxes
from luab_trainer.targets import trace

Row = Mapping[str, Any]
CENTER = np.array([[0.5, 0.5]])
EVERYWHERE = np.ones((1, 1))
DISTANCE = "distance"
UNKNOWN = "unknown"  # worker of an annotation that does not name one
ALL_CLASSES = ""  # class of what serves all classes of an image


@dataclass
class Table:
    """Measured things, one a line: its class, its worker, and values by name."""

    classes: list[str] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, class_name: str, worker: str, **values: float) -> None:
        self.classes.append(class_name)
        self.workers.append(worker)
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def summary(self) -> dict[str, float]:
        """The mean of each value; of distances the median, as `median_distance`."""
        return _summary({name: np.array(values, float) for name, values in self.values.items()})

    def by(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, float]]]:
        """Each of the `names` (`classes` or `workers`) -> number of its lines, and their summary."""
        known, position, count = np.unique(names, return_inverse=True, return_counts=True)
        order, ends = np.argsort(position, kind="stable"), np.cumsum(count)[:-1]
        parts = {name: np.split(np.array(values, float)[order], ends) for name, values in self.values.items()}
        return {
            name: (int(count[at]), _summary({value: part[at] for value, part in parts.items()}))
            for at, name in enumerate(known.tolist())
        }


def _summary(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    means = {name: float(each.mean()) for name, each in values.items() if name != DISTANCE}
    if DISTANCE in values:
        means[f"median_{DISTANCE}"] = float(np.median(values[DISTANCE]))
    return means


@dataclass
class Quality:
    """The measured tables, and how much could not be measured.

    Values of `points` and `clicks`: inside (0 or 1), distance; of `points` also uniform and center: what a
    point anywhere in the image, or in its middle, would get. Values of `traces`: inside, weighted.
    """

    points: Table = field(default_factory=Table)
    clicks: Table = field(default_factory=Table)
    traces: Table = field(default_factory=Table)
    rows: int = 0
    without_boxes: int = 0  # rows
    without_class: int = 0  # points of classes that the image's boxes do not have

    def summary(self) -> dict[str, Any]:
        """For people and for JSON: `all`, `classes` and `workers`, and the counts of rows."""
        return {
            "rows": self.rows,
            "rows_without_boxes": self.without_boxes,
            "points_of_classes_without_boxes": self.without_class,
            "all": {
                **_prefixed("points", len(self.points.classes), self.points.summary()),
                **_prefixed("clicks", len(self.clicks.classes), self.clicks.summary()),
                **_prefixed("traces", len(self.traces.classes), self.traces.summary()),
            },
            "classes": self._grouped("classes", points=self.points, traces=self.traces),
            "workers": self._grouped("workers", clicks=self.clicks, traces=self.traces),
        }

    @staticmethod
    def _grouped(key: str, **tables: Table) -> dict[str, dict[str, float]]:
        groups: dict[str, dict[str, float]] = {}
        for name, table in tables.items():
            for group, (count, values) in table.by(getattr(table, key)).items():
                groups.setdefault(group, {}).update(_prefixed(name, count, values))
        groups.pop(ALL_CLASSES, None)
        return dict(sorted(groups.items()))


def _prefixed(name: str, count: int, values: Mapping[str, float]) -> dict[str, float]:
    return {name: count, **{f"{name}_{value}": each for value, each in values.items()}}


def measure(rows: datasets.Dataset, boxes: str | Path | None = None) -> Quality:
    """Measure the byproducts of ImageNet-AB or COCO-AB rows, one row in memory at a time.

    Args:
        rows: as `imagenet_ab` and `coco_ab` build them, with or without images.
        boxes: where the real boxes are: a CSV (see `luab_trainer.evaluation.boxes`) or a folder of ImageNet's
            official XML files. Default: the rows' own `objects` column.

    Raises:
        SourceError: rows without the needed columns, boxes that cannot be read, or no box for any row.
    """
    several = constants.POINTS in rows.column_names
    needed = [constants.POINTS if several else constants.CLICK, constants.ANNOTATIONS, constants.IMAGE_ID]
    needed += [] if several else [constants.LABEL]
    needed += [constants.OBJECTS] if boxes is None else []
    if missing := [name for name in needed if name not in rows.column_names]:
        hint = (
            "Pass the real boxes: a CSV, or a folder of XML files." if missing == [constants.OBJECTS] else ""
        )
        raise SourceError(
            f"the rows lack {', '.join(missing)}; they have {', '.join(rows.column_names)}. {hint}".rstrip()
        )
    names = _class_names(rows, several)
    boxes_of = row_boxes if boxes is None else BoxFiles(Path(boxes), several)
    quality = Quality()
    for row in _light(rows, needed):
        quality.rows += 1
        found = boxes_of(row)
        if found is None or not len(found[0]):
            quality.without_boxes += 1
        elif several:
            _measure_points(quality, row, *found, names)
        else:
            _measure_clicks(quality, row, found[0], names[row[constants.LABEL]])
    if quality.rows and quality.without_boxes == quality.rows:
        raise SourceError(
            f"none of the {quality.rows} rows has a box{'' if boxes is None else f' in {boxes}'}."
        )
    return quality


def _measure_clicks(quality: Quality, row: Row, boxes: np.ndarray, name: str) -> None:
    """An ImageNet-AB row; `boxes` [n, 4] x, y, w, h in image ratios."""
    if row[constants.CLICK] is not None and row[constants.CLICK]["x"] is not None:
        _add_point(quality.points, name, row[constants.ANNOTATIONS], _xy([row[constants.CLICK]]), boxes)
    for annotation in row[constants.ANNOTATIONS]:
        if not (annotation["selected"] and annotation["selected_record"]):
            continue
        worker = annotation["worker_id"] or UNKNOWN
        click = _xy(annotation["selected_record"][:1])
        quality.clicks.add(name, worker, inside=_inside(click, boxes)[0], distance=_distance(click, boxes)[0])
        track = trace([annotation])
        if track is not None:
            positions = _xy(annotation["mouse_tracking"])
            weighted = float((_inside(track[0], boxes) * track[1]).sum())
            quality.traces.add(name, worker, inside=_inside(positions, boxes).mean(), weighted=weighted)


def _measure_points(
    quality: Quality, row: Row, boxes: np.ndarray, categories: np.ndarray, names: Sequence[str]
) -> None:
    """A COCO-AB row; `boxes` [n, 4] x, y, w, h in image ratios of the `categories` [n]."""
    annotations = row[constants.ANNOTATIONS]
    worker = (annotations[-1]["worker_id"] or UNKNOWN) if annotations else UNKNOWN
    for point in row[constants.POINTS]:
        of_class = boxes[categories == point["label"]]
        if not len(of_class):
            quality.without_class += 1
            continue
        name = names[point["label"]]
        _add_point(quality.points, name, annotations, _xy([point]), of_class)
        quality.clicks.add(
            name,
            worker,
            inside=_inside(_xy([point]), of_class)[0],
            distance=_distance(_xy([point]), of_class)[0],
        )
    for annotation in annotations:
        if annotation["mouse_tracking"]:
            inside = _inside(_xy(annotation["mouse_tracking"]), boxes).mean()
            quality.traces.add(ALL_CLASSES, annotation["worker_id"] or UNKNOWN, inside=inside)


def _add_point(
    table: Table, name: str, annotations: Sequence[Row], point: np.ndarray, boxes: np.ndarray
) -> None:
    worker = (annotations[-1]["worker_id"] or UNKNOWN) if annotations else UNKNOWN
    table.add(
        name,
        worker,
        inside=_inside(point, boxes)[0],
        distance=_distance(point, boxes)[0],
        uniform=energy_inside(EVERYWHERE, boxes, 1, 1),
        center=_inside(CENTER, boxes)[0],
    )


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """points [P, 2], boxes [n, 4] -> [P] bool: in one of the boxes. The border belongs to the box."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return ((points[:, None] >= low) & (points[:, None] <= high)).all(axis=2).any(axis=1)


def _distance(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """points [P, 2], boxes [n, 4] -> [P] distance to the nearest centre, in box units."""
    steps = (points[:, None] - boxes[:, :2] - boxes[:, 2:] / 2) / boxes[:, 2:]
    return np.hypot(steps[..., 0], steps[..., 1]).min(axis=1)


def _xy(points: Sequence[Mapping[str, float]]) -> np.ndarray:
    return np.array([(point["x"], point["y"]) for point in points], np.float64)


def _class_names(rows: datasets.Dataset, several: bool) -> Sequence[str]:
    feature = rows.features[constants.POINTS].feature["label"] if several else rows.features[constants.LABEL]
    if not isinstance(feature, datasets.ClassLabel):
        raise SourceError(
            f"the rows' labels are {feature}, but class numbers with names (ClassLabel) are needed."
        )
    return [*feature.names, "no class"]  # the last for the label -1


def _light(rows: datasets.Dataset, needed: Sequence[str]) -> Iterator[Row]:
    """The rows without what is not needed; the image, whose size boxes in pixels need, stays encoded."""
    columns = list(needed)
    if constants.OBJECTS in needed:
        sizes = [WIDTH, HEIGHT] if {WIDTH, HEIGHT} <= set(rows.column_names) else [constants.IMAGE]
        columns += [name for name in sizes if name in rows.column_names]
    rows = rows.select_columns(columns)
    if constants.IMAGE in columns:
        rows = rows.cast_column(constants.IMAGE, datasets.Image(decode=False))
    return iter(datasets.utils.tqdm(rows, desc="rows", disable=None))  # silent where nobody looks on
