"""Points of several classes: the class number of each."""

from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from luab_attention.points import FlatPoints
from luab_data.console.names import few
from luab_data.errors import SourceError
from luab_data.rows.arrow import require, valid
from luab_data.rows.class_names import match
from luab_data.rows.labels import class_numbers


def number_points(points: FlatPoints, feature: Any, classes: Any, column: str) -> np.ndarray:
    """The class number [P] of each point of a column of `{label, x, y}`.

    Args:
        points: The column's points.
        feature: Feature of the points' labels: names or numbers.
        classes: Feature of the label column: `ClassLabel`, or int for classes without names.
        column: The column's name, for errors.
    """
    values = pa.chunked_array([points.label])
    require(
        ~valid(values),
        points.row,
        f"column {column!r} has points without a label",
        "Give each one its class.",
    )
    if not len(points.row):
        return np.zeros(0, np.int64)
    labels = class_numbers(values, points.row, feature, column)
    numbers = labels.values.to_numpy()
    if isinstance(labels.feature, datasets.ClassLabel) and labels.feature != classes:
        if not isinstance(classes, datasets.ClassLabel) and all(map(str.isdecimal, labels.feature.names)):
            return np.array([int(name) for name in labels.feature.names])[numbers]
        if not isinstance(classes, datasets.ClassLabel):
            raise SourceError(f"column {column!r} names classes, but the labels are numbers without names.")
        own, used = labels.feature.names, np.unique(numbers)
        found = match(
            [(own[k],) for k in used], [(name,) for name in classes.names], "point's class", "the labels'"
        )
        odd = [own[k] for k, at in zip(used, found, strict=True) if at is None]
        if odd:
            raise SourceError(
                f"column {column!r} has points of classes that are none of the labels': {few(odd)}. "
                f"These are {few(classes.names)}."
            )
        numbers = np.array(found)[np.searchsorted(used, numbers)]
    elif isinstance(classes, datasets.ClassLabel):
        count = len(classes.names)
        require(
            numbers >= count, points.row,
            f"column {column!r} has points of a class that is none of 0 to {count - 1}",
            "Number them as the labels.", lambda first: str(numbers[first]),
        )  # fmt: skip
    return numbers
