"""Tables of measured byproducts, and their summary: all, classes, workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

DISTANCE = "distance"
LARGE = 90  # percentile of a large object's side
RADIUS = 0.8  # of the background mix, in sides of a large object; see `luab_trainer.data.background`
ALL_CLASSES = ""  # class of a trace that belongs to all classes of an image


@dataclass
class QualityTable:
    """Measurements, one per line: class, worker, and values by name."""

    classes: list[str] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, class_name: str, worker: str, **values: float) -> None:
        """Adds one measurement."""
        self.classes.append(class_name)
        self.workers.append(worker)
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def summary(self) -> dict[str, float]:
        """The mean of each value; for distances the median, as `median_distance`."""
        return _summary({name: np.array(values, float) for name, values in self.values.items()})

    def by(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, float]]]:
        """Each of the `names` (`classes` or `workers`) -> its number of lines, and their summary."""
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
    """The measured tables, and the counts of unmeasured rows.

    Values of `points` and `clicks`: inside (0 or 1), distance. `points` also has the baselines uniform and
    center: a random point in the image, and its center. Values of `traces`: inside, weighted.
    """

    points: QualityTable = field(default_factory=QualityTable)
    clicks: QualityTable = field(default_factory=QualityTable)
    traces: QualityTable = field(default_factory=QualityTable)
    sides: list[float] = field(default_factory=list)  # of boxes: the root of the share of the image
    rows: int = 0
    without_boxes: int = 0  # rows
    without_class: int = 0  # points of classes that the image's boxes do not have
    other_class: int = 0  # points that do not count for their row's one class
    left_out: str = ""  # boxes and images, in words
    absent: tuple[str, ...] = ()  # columns that the rows do not have

    @property
    def large_object_side(self) -> float | None:
        """The side of a large object in image ratios: nine in ten boxes have a smaller one."""
        return float(np.percentile(self.sides, LARGE)) if self.sides else None

    def summary(self) -> dict[str, Any]:
        """The results as JSON-able dict: `all`, `classes` and `workers`, the counts of rows, and sizes.

        Sizes are in image ratios: `large_object_side`, and the `background_radius` for training that fits it.
        """
        side = self.large_object_side
        return {
            "rows": self.rows,
            "rows_without_boxes": self.without_boxes,
            "points_of_classes_without_boxes": self.without_class,
            "points_of_other_classes": self.other_class,
            "left_out": self.left_out,
            "absent_columns": list(self.absent),
            "large_object_side": side,
            "background_radius": None if side is None else RADIUS * side,
            "all": {
                **_prefixed("points", len(self.points.classes), self.points.summary()),
                **_prefixed("clicks", len(self.clicks.classes), self.clicks.summary()),
                **_prefixed("traces", len(self.traces.classes), self.traces.summary()),
            },
            "classes": self._grouped("classes", points=self.points, traces=self.traces),
            "workers": self._grouped("workers", clicks=self.clicks, traces=self.traces),
        }

    @staticmethod
    def _grouped(key: str, **tables: QualityTable) -> dict[str, dict[str, float]]:
        groups: dict[str, dict[str, float]] = {}
        for name, table in tables.items():
            for group, (count, values) in table.by(getattr(table, key)).items():
                groups.setdefault(group, {}).update(_prefixed(name, count, values))
        groups.pop(ALL_CLASSES, None)
        return dict(sorted(groups.items()))


def _prefixed(name: str, count: int, values: Mapping[str, float]) -> dict[str, float]:
    return {name: count, **{f"{name}_{value}": each for value, each in values.items()}}
