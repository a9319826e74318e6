"""Reads and checks a point column in any of the common layouts, as flat arrays.

The column's type decides the layout, once:

    {x, y}                    one point; [x, y] is the same
    [{x, y}, ...]             several points; [[x, y], ...] and {x: [...], y: [...]} are the same
    [{label, x, y}, ...]      points of several classes

An optional `weight` next to x and y is the point's weight. A point whose optional `sign` is -1
says where the class is not; it is no click. Null and an empty list mean "no point".
"""

from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from luab_data.errors import SourceError
from luab_data.rows.arrow import is_list_type, is_number_type, offsets_of, plain_list, require, valid

PointUnits = Literal["ratio", "percent", "pixels"]
# How far outside the image a point in percent or pixels may be, as a ratio of the image: clicks on a border.
MARGIN = 0.1
# Clicks on a border are slightly outside 0 to 1; beyond this a value cannot be a ratio.
FAR_OUTSIDE = 2.0
# What to do about places in another unit, for messages.
CONVERT = "Divide x by the image's width and y by its height, or convert the source with `luab convert`."
X, Y, WEIGHT, SIGN, LABEL = "x", "y", "weight", "sign", "label"

LAYOUTS = (
    "A point is {x, y} or [x, y]; several are a list of these, each with a weight or a label if it needs one."
)


class FlatPoints(NamedTuple):
    """All points of a column, row after row.

    Attributes:
        row: [P] int64, the number of each point's row.
        xy: [P, 2] float64 in the column's unit, x first.
        weight: [P] float64, None: they count the same.
        label: [P] each point's class as in the column, None: the row's class.
        count: the number of rows.
        several: whether a row may have several points.
        negative: number of points that say "not here" (`sign` -1). They are left out, unless they are asked
            for.
        here: [P] bool, whether a point says "here"; None: all do.
    """

    row: np.ndarray
    xy: np.ndarray
    weight: np.ndarray | None
    label: pa.Array | None
    count: int  # type: ignore[assignment]  # in place of a method of tuples that nobody calls
    several: bool
    negative: int = 0
    here: np.ndarray | None = None

    def only(self, kept: np.ndarray) -> "FlatPoints":
        """The points that are `kept`, bool [P]."""
        return self._replace(
            row=self.row[kept],
            xy=self.xy[kept],
            weight=None if self.weight is None else self.weight[kept],
            label=None if self.label is None else self.label.filter(pa.array(kept)),
            here=None if self.here is None else self.here[kept],
        )


def flat_points(values: pa.ChunkedArray, column: str, with_negative: bool = False) -> FlatPoints:
    """Every point of a column. Rows without a point are skipped.

    Args:
        values: The column.
        column: Its name, for errors.
        with_negative: Whether to keep points that say "not here".

    Raises:
        SourceError: another layout, x without y, a value that is not finite, a weight below 0, a sign that is
            neither 1 nor -1.
    """
    kind = values.type
    several = _check_layout(kind, column)
    parts: dict[str, list[Any]] = {name: [] for name in ("row", X, Y, WEIGHT, LABEL, SIGN)}
    start = negative = 0
    for chunk in values.chunks:
        row, fields = _entries(chunk, start)
        there = valid(fields[X]) | valid(fields[Y])
        row = row[there]
        fields = {name: each.filter(pa.array(there)) for name, each in fields.items()}
        if SIGN in fields:
            here = _is_here(fields.pop(SIGN), row, column)
            negative += int((~here).sum())
            kept = here | with_negative
            row, fields = row[kept], {name: each.filter(pa.array(kept)) for name, each in fields.items()}
            parts[SIGN].append(here[kept])
        half = ~(valid(fields[X]) & valid(fields[Y]))
        require(
            half, row, f"column {column!r} has points with x or y only", "Give both, or null for no point."
        )
        parts["row"].append(row)
        for name in (X, Y, WEIGHT):
            if name in fields:
                parts[name].append(_floats(fields[name]))
        if LABEL in fields:
            parts[LABEL].append(fields[LABEL])
        start += len(chunk)
    row, x, y = (np.concatenate([np.zeros(0, np.int64), *parts[name]]) for name in ("row", X, Y))
    xy, row = np.stack([x, y], axis=1).astype(np.float64), row.astype(np.int64)
    weight = np.concatenate(parts[WEIGHT]) if parts[WEIGHT] else None
    odd = ~np.all(np.isfinite(xy), axis=1)
    require(
        odd,
        row,
        f"column {column!r} has points that are not finite",
        "Use null for an image without a point.",
    )
    if weight is not None:
        odd = ~(np.isfinite(weight) & (weight >= 0))
        require(
            odd, row, f"column {column!r} has weights that are not 0 or more", "Give each point one, or none."
        )
    label = pa.chunked_array(parts[LABEL]).combine_chunks() if parts[LABEL] else None
    signs = np.concatenate(parts[SIGN]) if with_negative and negative else None
    return FlatPoints(row, xy, weight, label, start, several, negative, signs)


def to_ratios(
    points: FlatPoints,
    units: PointUnits,
    column: str,
    sizes: np.ndarray | None = None,
    whole: bool = True,
) -> np.ndarray:
    """The points [P, 2] as ratios of the image.

    Args:
        points: Points in any unit.
        units: The unit, or "auto" to guess it from the values.
        column: The column's name, for errors.
        sizes: [P, 2] width and height of each point's image; for pixels.
        whole: Whether these are all points, or enough of them to conclude that none is above 1.

    Raises:
        SourceError: values that cannot be in this unit.
    """
    xy, row = points.xy, points.row
    if units == "ratio":
        require_ratios(xy, row, column, "Say what they are: --point_units percent, or pixels.")
        return xy
    if whole and len(xy) and xy.max() <= 1:
        raise SourceError(
            f"--point_units {units}: no value of column {column!r} is above 1: these look like ratios. "
            "Leave the option out."
        )
    ratios = xy / (100.0 if units == "percent" else sizes)
    far = np.any((ratios < -MARGIN) | (ratios > 1 + MARGIN), axis=1)
    require(
        far, row, f"column {column!r} has points that lie outside the image as {units}",
        "Check --point_units, and that x comes first.",
        lambda first: f"{_pair(xy[first])}" + ("" if sizes is None else f" in {_pair(sizes[first])}"),
    )  # fmt: skip
    return ratios


def require_ratios(xy: np.ndarray, row: np.ndarray, column: str, fix: str = CONVERT) -> None:
    """Check that places of a column are ratios of the image.

    Args:
        xy: [P, 2] places, x first; NaN where there is none.
        row: [P] the row of each.
        column: The column's name.
        fix: What to do.

    Raises:
        SourceError: some are so far outside the image that they are in another unit.
    """
    require(
        is_far(xy), row,
        f"column {column!r} has places that are no ratios of the image, 0 to 1, x first", fix,
        lambda first: _pair(xy[first]),
    )  # fmt: skip


class GazeCounts(NamedTuple):
    """Where samples of gaze are, to judge their unit. Trackers write lost ones at (0, 0): these say nothing.

    Attributes:
        samples: All.
        far: Further outside the image than a ratio can be.
        here: In the image.
        far_rows: Rows with one that far.
        lost_rows: Rows whose samples are all that far.
        rows: Rows with one in the image.
    """

    samples: int = 0
    far: int = 0
    here: int = 0
    far_rows: int = 0
    lost_rows: int = 0
    rows: int = 0

    def plus(self, other: "GazeCounts") -> "GazeCounts":
        """The counts of both."""
        return GazeCounts(*(one + two for one, two in zip(self, other, strict=True)))

    @property
    def are_ratios(self) -> bool:
        """People also look beside a small or narrow image: in ratios, at least as many are in it."""
        return self.far <= self.here and self.lost_rows <= self.rows

    def __str__(self) -> str:
        return (
            f"{self.far:,} are further than {FAR_OUTSIDE:g} times its size from its corner, {self.here:,} in "
            f"it; in {self.lost_rows:,} rows all are, in {self.rows:,} one is in it. {CONVERT}"
        )


def count_gaze(xy: np.ndarray, row: np.ndarray) -> GazeCounts:
    """The counts of samples.

    Args:
        xy: [P, 2] places, x first; NaN where there is none.
        row: [P] the row of each.
    """
    far, lost = is_far(xy), (xy == 0).all(axis=1)
    here = ((xy >= -MARGIN) & (xy <= 1 + MARGIN)).all(axis=1) & ~lost
    there = np.isfinite(xy).all(axis=1) & ~lost
    own, at = np.unique(row, return_inverse=True)
    with_far, with_here, with_any = (
        np.bincount(at[which], minlength=len(own)) for which in (far, here, there)
    )
    return GazeCounts(
        len(far),
        int(far.sum()),
        int(here.sum()),
        int((with_far > 0).sum()),
        int(((with_far > 0) & (with_far == with_any)).sum()),
        int((with_here > 0).sum()),
    )


def is_far(xy: np.ndarray) -> np.ndarray:
    """Which places [P, 2] are so far outside the image that one of them alone would be in another unit."""
    return np.asarray((np.abs(xy) > FAR_OUTSIDE).any(axis=1))


def point_column(points: FlatPoints, ratios: np.ndarray, labels: np.ndarray | None) -> pa.Array:
    """The column that training reads: `{x, y}` or null, or a list of them.

    A list with `label`, `weight` and `sign` if there are any.

    Args:
        points: P points, by row.
        ratios: [P, 2] ratios of the image, x first.
        labels: [P] class numbers, or None if each point has the class of its row.
    """
    fields = {X: pa.array(ratios[:, 0]), Y: pa.array(ratios[:, 1])}
    if not points.several and labels is None and points.weight is None and points.here is None:
        place = np.full(points.count, -1)
        place[points.row] = np.arange(len(points.row))
        structs = pa.StructArray.from_arrays(list(fields.values()), list(fields))
        return structs.take(pa.array(place, mask=place < 0))
    if labels is not None:
        fields = {LABEL: pa.array(labels, pa.int64()), **fields}
    if points.weight is not None:
        fields[WEIGHT] = pa.array(points.weight)
    if points.here is not None:
        fields[SIGN] = pa.array(np.where(points.here, 1, -1), pa.int8())
    counts = np.bincount(points.row, minlength=points.count)
    return pa.ListArray.from_arrays(
        offsets_of(counts), pa.StructArray.from_arrays(list(fields.values()), list(fields))
    )


def _check_layout(kind: pa.DataType, column: str) -> bool:
    """Whether there are several points in a row.

    Raises SourceError for any other layout.
    """
    if pa.types.is_null(kind):
        return False
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        if not {X, Y} <= set(names):
            raise SourceError(
                f"column {column!r} holds no points: its fields are {', '.join(names)}, not x and y. "
                f"{_other_names(kind, column)}"
            )
        types = [kind.field(name).type for name in names if name in (X, Y, WEIGHT)]
        lists = [is_list_type(each) for each in types]
        if all(lists):
            types = [each.value_type for each in types]
        if (all(lists) or not any(lists)) and all(is_number_type(t) or pa.types.is_null(t) for t in types):
            return all(lists)
    elif is_list_type(kind):
        inner = kind.value_type
        if is_number_type(inner):
            return False
        if is_list_type(inner) and is_number_type(inner.value_type):
            return True
        if pa.types.is_null(inner) or (pa.types.is_struct(inner) and not _check_layout(inner, column)):
            return True
    raise SourceError(f"column {column!r} holds {kind}, which is no point. {LAYOUTS}")


def _other_names(kind: pa.StructType, column: str) -> str:
    """A hint at the options for x and y, guessed from the fields' names."""
    paths: dict[str, str] = {}
    for field in kind:
        inner = list(field.type) if pa.types.is_struct(field.type) else None
        for path in [field.name] if inner is None else [f"{field.name}.{each.name}" for each in inner]:
            paths.setdefault(path.rpartition(".")[2].lower().strip("_0123456789")[-1:], f"{column}.{path}")
    x, y = paths.get(X, f"{column}.FIELD"), paths.get(Y, f"{column}.FIELD")
    return f"Say which they are: --x_column {x} --y_column {y}."


def _entries(values: pa.Array, start: int) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """A chunk's entries: the row [P] and the fields [P] of each, null if it is no point."""
    if pa.types.is_null(values.type):
        return np.zeros(0, np.int64), {X: pa.array([], pa.float64()), Y: pa.array([], pa.float64())}
    if pa.types.is_struct(values.type):
        names = [name for name in (X, Y, WEIGHT, SIGN, LABEL) if values.type.get_field_index(name) >= 0]
        fields = {name: pc.struct_field(values, name) for name in names}
        if not is_list_type(fields[X].type):
            return np.arange(start, start + len(values)), fields
        return _zipped({name: plain_list(each) for name, each in fields.items()}, start)
    values = plain_list(values)
    inner = values.type.value_type
    row = pc.list_parent_indices(values).to_numpy() + start
    if is_number_type(inner):
        return _pairs(values, np.arange(start, start + len(values)))
    entries = pc.list_flatten(values)
    if is_list_type(inner):
        return _pairs(plain_list(entries), row)
    place, fields = _entries(entries, 0)
    return row[place], fields


def _pairs(values: pa.Array, row: np.ndarray) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """Lists [x, y] -> fields; an empty list is no point."""
    counts = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    require(~np.isin(counts, (0, 2)), row, "points are lists of other than two numbers", LAYOUTS)
    flat = pc.list_flatten(values)
    pairs = np.flatnonzero(counts)
    at = np.arange(len(pairs)) * 2
    return row[pairs], {X: flat.take(pa.array(at)), Y: flat.take(pa.array(at + 1))}


def _zipped(fields: dict[str, pa.Array], start: int) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """{x: [...], y: [...]} -> fields of points."""
    counts = [
        pc.fill_null(pc.list_value_length(each), 0).to_numpy(zero_copy_only=False) for each in fields.values()
    ]
    uneven = np.any([each != counts[0] for each in counts[1:]], axis=0)
    require(
        uneven, start + np.arange(len(uneven)), f"{', '.join(fields)} are lists of different lengths", LAYOUTS
    )
    row = pc.list_parent_indices(fields[X]).to_numpy() + start
    return row, {name: pc.list_flatten(each) for name, each in fields.items()}


def _is_here(signs: pa.Array, row: np.ndarray, column: str) -> np.ndarray:
    """Which points say where the class is, bool [P]; the others say where it is not."""
    if not (is_number_type(signs.type) or pa.types.is_null(signs.type)):
        raise SourceError(f"column {column!r} has signs of the type {signs.type}; they are 1 and -1.")
    sign = _floats(pc.fill_null(signs.cast(pa.float64()), 1.0))
    require(
        ~np.isin(sign, (1, -1)), row, f"column {column!r} has signs that are neither 1 nor -1",
        "1 says that the class is here, -1 that it is not.",
    )  # fmt: skip
    return sign > 0


def _floats(values: pa.Array) -> np.ndarray:
    """[P] float64, null as NaN."""
    return values.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _pair(values: np.ndarray) -> str:
    return f"({values[0]:g}, {values[1]:g})"
