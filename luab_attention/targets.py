"""Dataset row -> byproducts -> targets in the crop.

A target is a set of weighted points. The losses compute the mean point or a density on a grid
(`luab_attention.density`) from it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from luab_attention.area_maps import LEAST
from luab_attention.columns import NOT_HERE
from luab_attention.points import FAR_OUTSIDE
from luab_attention.traces import trace
from luab_data.rows.columns import ByproductKind, Columns
from luab_data.rows.labels import class_number, names_no_class
from luab_vision.geometry import View, inside, moved, to_view

Outside = Literal["drop", "keep"]
LabelPolicy = Literal["keep", "authors"]

ROW_LABEL = -1  # a byproduct's label: "the class of the row"
# Coordinates of a point that is padding or outside the crop, as in the authors' loader; its weight is 0.
NO_POINT = -1.0
NO_TARGET = -1  # in a batch's `target_labels`: padding, no target here
NOWHERE = np.zeros((0, 2))


class Byproduct(NamedTuple):
    """Weighted points of one class of one image. `label`: the class, or `ROW_LABEL`."""

    label: int
    points: np.ndarray  # [P, 2] image ratios
    weights: np.ndarray  # [P], sum 1
    away: np.ndarray = NOWHERE  # [Q, 2] where the class is not


def byproducts_of(row: Mapping[str, Any], kind: ByproductKind, columns: Columns) -> list[Byproduct]:
    """The byproducts of a row: one for each class with a usable byproduct.

    "click": the point column. "trace": see `trace`. "click+trace": both, with half the weight each; if one is
    missing, the other has all the weight.

    Raises:
        ValueError: a point that is not in ratios, is not finite, or lacks a coordinate.
    """
    clicks = []
    if "click" in kind:
        (point,) = columns.of_byproduct("click")
        clicks = clicks_of(row[point], point)
    if "trace" not in kind:
        return clicks
    (annotations,) = columns.of_byproduct("trace")
    track = trace(row[annotations] or [])
    if track is None:
        return clicks
    if not clicks:
        return [Byproduct(ROW_LABEL, *track)]
    if len(clicks) > 1 or clicks[0].label != ROW_LABEL:
        raise ValueError(
            f"byproduct={kind!r} needs one point for each image, but column {columns.point!r} has one for "
            "each class: a trace does not say which class it belongs to. Take byproduct='click'."
        )
    points = np.concatenate([clicks[0].points, track[0]])
    weights = np.concatenate([clicks[0].weights, track[1]]) / 2
    return [Byproduct(ROW_LABEL, points, weights, clicks[0].away)]


def clicks_of(value: Any, column: str) -> list[Byproduct]:
    """The point column's value -> one byproduct for each class, with all points of that class.

    `{x, y}` or `[x, y]` is one point of the row's class. A list of these is several points, of the row's
    class or of the class in `label`; null and -1 are the row's. `weight` is a point's weight; by default all
    weights are equal. A `sign` of -1 says that the class is not there; a class that only has such points has
    no byproduct, as they do not say where to look. Null, and null for both coordinates, mean no point. A
    missing field is an error.
    """
    if value is None or len(value) == 0:
        return []
    if isinstance(value, Mapping) and not value.keys().isdisjoint(("label", "weight", "sign")):
        value = [value]
    if not isinstance(value, Mapping):
        entries = [entry for entry in value if entry is not None]
        if not entries or isinstance(entries[0], Mapping | Sequence | np.ndarray):
            value = entries  # null is no point
    if not len(value):
        return []
    if isinstance(value, Mapping) or not isinstance(value[0], Mapping | Sequence | np.ndarray):
        point = _point(value, column)
        return [] if point is None else [Byproduct(ROW_LABEL, point[None], np.ones(1))]
    by_label: dict[int, list[tuple[np.ndarray, float]]] = {}
    away: dict[int, list[np.ndarray]] = {}
    for entry in value:
        point = _point(entry, column)
        if point is None:
            continue
        label, weight = ROW_LABEL, 1.0
        if isinstance(entry, Mapping):
            label, weight = entry.get("label", ROW_LABEL), entry.get("weight", 1.0)
        label = ROW_LABEL if names_no_class(label) else class_number(label, column)
        if weight is None or not 0 <= weight < math.inf:
            raise ValueError(
                f"Column {column!r} holds {entry!r}; a point's weight is 0 or more: give each one, or leave "
                "the field out."
            )
        if isinstance(entry, Mapping) and entry.get("sign") == NOT_HERE:
            away.setdefault(label, []).append(point)
        elif weight > 0:
            by_label.setdefault(label, []).append((point, weight))
    byproducts = []
    for label, points in by_label.items():
        weights = np.array([weight for _, weight in points], np.float64)
        places = np.stack([point for point, _ in points])
        not_here = np.stack(away[label]) if label in away else NOWHERE
        byproducts.append(Byproduct(label, places, weights / weights.sum(), not_here))
    return byproducts


def target_in_view(
    byproduct: Byproduct, view: View, outside: Outside = "drop", moves: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """A byproduct in the crop -> points `[P, 2]` crop ratios, weights `[P]`, both float32.

    Weights sum to 1, or are all 0 without a usable target. With "drop", the authors' rule, points outside the
    crop are (-1, -1) with weight 0, and all are if the crop shows less than `LEAST` of the weight, as of an
    area: the start of a trace is not where the object is. With "keep" they stay outside the border, for
    densities whose tail may reach into the crop.

    Args:
        byproduct: Points of the image.
        view: The crop.
        outside: How to treat points outside the crop.
        moves: What moved the crop's pixels after that, `[2, 3]` each; see `luab_vision.geometry.moved`. A
            point that is outside after any of them has lost its pixel, also if a later one takes it back.
    """
    points, seen = seen_points(byproduct.points, view, moves)
    weights = np.asarray(byproduct.weights, np.float64)
    if outside == "drop":
        return only(points, weights, seen)
    if outside != "keep":
        raise ValueError(f"outside={outside!r} is unknown; take 'drop' or 'keep'.")
    return points.astype(np.float32), of_sum_1(weights)


def only(points: np.ndarray, weights: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The target of some of a target's points, `[P, 2]` and `[P]` float32; the others are (-1, -1), weight 0.

    So are all of them if those have less than `LEAST` of the weight.
    """
    kept = np.where(which, weights, 0.0)
    if kept.sum() < LEAST * np.sum(weights, dtype=np.float64):
        which, kept = np.zeros_like(which), np.zeros_like(kept)
    return np.where(which[:, None], points, NO_POINT).astype(np.float32), of_sum_1(kept)


def of_sum_1(weights: np.ndarray) -> np.ndarray:
    """Weights `[P]` float32 of sum 1, or all 0 if none counts."""
    total = weights.sum(dtype=np.float64)
    return (weights / total if total > 0 else weights).astype(np.float32)


def is_in_view(byproduct: Byproduct, view: View, moves: Sequence[np.ndarray] = ()) -> bool:
    """Whether any point with a weight is in the crop. Arguments as for `target_in_view`."""
    return bool((seen_points(byproduct.points, view, moves)[1] & (byproduct.weights > 0)).any())


def away_in_view(byproduct: Byproduct, view: View, moves: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Where the class is not, in the crop -> `[Q, 2]` float32 crop ratios; only points in the crop.

    Arguments as for `target_in_view`.
    """
    points, seen = seen_points(byproduct.away, view, moves)
    kept: np.ndarray = points[seen].astype(np.float32)
    return kept


def seen_points(
    points: np.ndarray, view: View, moves: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Points `[P, 2]` in crop ratios, after the moves, and which of them the crop still shows, bool `[P]`.

    Arguments as for `target_in_view`.
    """
    points = to_view(points, view)
    seen = inside(points)
    for move in moves:
        points = moved(points, move)
        seen &= inside(points)
    return points, seen


def _point(value: Any, column: str) -> np.ndarray | None:
    """`{x, y}` or `[x, y]` -> float64 `[2]`, None if both coordinates are null."""
    if isinstance(value, Mapping):
        if not ("x" in value and "y" in value):
            raise ValueError(
                f"Column {column!r} holds a point with the fields {', '.join(map(str, value))}; it needs "
                "x and y."
            )
        pair = (value["x"], value["y"])
    elif len(value) == 2:
        pair = tuple(value)
    else:
        raise ValueError(
            f"Column {column!r} holds {value!r}; a point is {{x, y}} or [x, y], or a list of these."
        )
    if pair == (None, None):
        return None
    if None in pair:
        raise ValueError(
            f"Column {column!r} holds the point {value!r}; it needs both x and y, or null for no point."
        )
    x, y = float(pair[0]), float(pair[1])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(
            f"Column {column!r} holds the point {value!r}; use null for an image without a point."
        )
    if max(abs(x), abs(y)) > FAR_OUTSIDE:
        raise ValueError(
            f"Column {column!r} holds the point {pair}, but points are ratios of the image, 0 to 1, x first. "
            "These look like pixels: divide x by the image's width and y by its height."
        )
    return np.array((x, y))
