"""Many XMLs of the released layout -> Arrow columns, with the values and the checks of `imagenet_ab.record`.

Only for speed: what is not of the layout (`imagenet_ab.layout`), or holds one value that is not plainly good,
is left to `parse_record`, which reads it or says what is wrong. So whatever comes out of here comes out
alike, value for value, of `parse_record` and `rows.row`. Units as there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_ab.layout import STRUCTURES, Layout, read_layout
from imagenet_ab.record import MAX_COUNT, MAX_TEXT, MAX_TIME, RATIO_RANGE, SECONDS_BELOW
from imagenet_ab.rows import features, mean_point
from imagenet_ab.texts import numbers, texts
from imagenet_ab.traces import FIELDS, TRACE, cut_traces
from luab_data.constants import ANNOTATIONS, CLICK

# Of one file: far below the strict parser's limits on bytes and elements (one takes 4 bytes or more).
MAX_FILE_BYTES = 1 << 18
CHUNK_BYTES = 8 << 20  # of XML at once
KEPT_BYTES = 30 << 20  # less than the 32 MB above which glibc gives memory back at once

_COUNTS = {  # element: (column, highest value)
    "selectedCount": ("selected_count", MAX_COUNT),
    "hoveredCount": ("hovered_count", MAX_COUNT),
    "estimateTime": ("estimate_time", MAX_TIME),
    "originalImageHeight": ("original_image_height", MAX_COUNT),
    "originalImageWidth": ("original_image_width", MAX_COUNT),
    "imageHeight": ("image_height", MAX_COUNT),
    "imageWidth": ("image_width", MAX_COUNT),
    "page_idx": ("page_idx", MAX_COUNT),
}
_TEXTS = ("worker_id", "assignment_id")
_LISTS = {
    "selectedRecord": "selected_record",
    "mouseTracking": "mouse_tracking",
    "hoveredRecord": "hovered_record",
}
_SCHEMA = features(["any"], images=False).arrow_schema
ANNOTATIONS_TYPE = _SCHEMA.field(ANNOTATIONS).type
CLICK_TYPE = _SCHEMA.field(CLICK).type
_ANNOTATION = ANNOTATIONS_TYPE.value_type


@dataclass(frozen=True)
class Columns:
    """The records of some files; the columns are those of `rows.features`."""

    numbers: np.ndarray  # of the files among those given, ascending
    image_ids: pa.StringArray
    clicks: pa.StructArray
    annotations: pa.ListArray

    def only(self, which: Sequence[bool]) -> "Columns":
        """Some of the files."""
        mask = pa.array(which, pa.bool_())
        columns = (column.filter(mask) for column in (self.image_ids, self.clicks, self.annotations))
        return Columns(self.numbers[np.array(which, bool)], *columns)


def parse_columns(xmls: Sequence[bytes]) -> Columns:
    """The records of those `xmls` that are of the layout and sound, in their order."""
    _keep_memory()
    found = [_parse(xmls, numbers) for numbers in _chunks(xmls)]
    if len(found) == 1:
        return found[0]
    return Columns(
        np.concatenate([np.empty(0, np.int64), *(each.numbers for each in found)]),
        pa.concat_arrays([pa.array([], pa.string()), *(each.image_ids for each in found)]),
        pa.concat_arrays([pa.array([], CLICK_TYPE), *(each.clicks for each in found)]),
        pa.concat_arrays([pa.array([], ANNOTATIONS_TYPE), *(each.annotations for each in found)]),
    )


@cache
def _keep_memory() -> None:
    """Has the C library keep the memory of one batch for the next.

    glibc hands a large block back to the system when it is freed, and the next batch waits for the system to
    clear its pages: about a fifth of a batch's CPU time. What it hands back is what is larger than the
    largest block freed so far (mallopt(3), dynamic threshold). Pages of this block are never touched.
    """
    np.empty(KEPT_BYTES, np.uint8)


def _chunks(xmls: Sequence[bytes]) -> Iterator[range]:
    start = size = 0
    for number, xml in enumerate(xmls):
        size += len(xml)
        if size > CHUNK_BYTES and number > start:
            yield range(start, number)
            start, size = number, len(xml)
    if start < len(xmls):
        yield range(start, len(xmls))


def _parse(xmls: Sequence[bytes], chunk: range) -> Columns:
    chosen = [number for number in chunk if len(xmls[number]) <= MAX_FILE_BYTES]
    traces = cut_traces([xmls[number] for number in chosen])
    which = np.array(chosen, np.int64)
    layout, good = read_layout(traces.rest)
    if layout is None:
        nothing = pa.array([], ANNOTATIONS_TYPE)
        return Columns(which[:0], pa.array([], pa.string()), pa.array([], CLICK_TYPE), nothing)
    which = which[good]
    values = _Values(layout, traces.positions_of(good))
    image_ids = values.image_ids()
    rows = values.annotations()
    clicks = values.clicks()
    sound = np.bincount(layout.files[values.bad], minlength=len(which)) == 0
    offsets = np.searchsorted(layout.files, np.arange(len(which) + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), rows, type=ANNOTATIONS_TYPE)
    columns = Columns(which, image_ids, clicks, lists)
    return columns if sound.all() else columns.only(sound)


class _Values:
    """The values at the places of a layout, checked; `bad` are the `metadata` with one that is not sound."""

    def __init__(self, layout: Layout, positions: np.ndarray):
        self._layout = layout
        self._count = len(layout.files)
        self.bad = np.zeros(self._count, bool)
        self._selected = np.zeros(self._count, bool)
        names = [(name,) for name in _COUNTS]
        names += [(each, field) for each in STRUCTURES for field in STRUCTURES[each] if field != "action"]
        self._numbers = {name: self._read_numbers(*name) for name in names}
        self._numbers |= {(TRACE, field): positions[:, column] for column, field in enumerate(FIELDS)}

    def image_ids(self) -> pa.StringArray:
        """Of each file; those of its `metadata` must be the same."""
        found = self._short_texts("imageID")
        first = np.searchsorted(self._layout.files, np.arange(self._layout.files[-1] + 1))
        if len(first) == len(found):
            return found
        own = found.take(pa.array(first))
        self._require(pc.equal(found, own.take(pa.array(self._layout.files))), "imageID")
        return own

    def annotations(self) -> pa.StructArray:
        """One for each `metadata`."""
        columns = {"selected": self._booleans(), "image_position": self._position()}
        for name, (column, high) in _COUNTS.items():
            columns[column] = self._whole(name, high, _ANNOTATION.field(column).type)
        for name in _TEXTS:
            columns[name] = self._texts(name)
        for name, column in _LISTS.items():
            columns[column] = self._list(name, _ANNOTATION.field(column).type)
        fields = list(_ANNOTATION)
        return pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)

    def clicks(self) -> pa.StructArray:
        """The authors' Z of each file: see `rows.click`. After `annotations`."""
        places = self._layout.filled("selectedRecord")
        owners, first = np.unique(self._layout.metadata_of(places), return_index=True)
        counted = self._selected[owners]
        files = self._layout.files[owners[counted]]
        points = [self._numbers["selectedRecord", axis][first[counted]] for axis in "xy"]
        files, start, count = np.unique(files, return_index=True, return_counts=True)
        means = [axis[start] + 0.0 for axis in points]  # as a sum does: no -0.0
        for several in np.flatnonzero(count > 1):
            entries = slice(start[several], start[several] + count[several])
            mean = mean_point(list(zip(*(axis[entries].tolist() for axis in points), strict=True)))
            means[0][several], means[1][several] = mean["x"], mean["y"]
        means = [pa.array(axis.astype(np.float32)) for axis in means]
        clicks = pa.StructArray.from_arrays(means, fields=list(CLICK_TYPE))
        return _spread(clicks, files, self._layout.files[-1] + 1)

    def _require(self, holds: pa.BooleanArray | np.ndarray, *name: str) -> None:
        holds = _array(holds) if isinstance(holds, pa.Array) else holds
        if not holds.all():
            self.bad[self._layout.metadata_of(self._layout.places(*name)[~holds])] = True

    def _read_numbers(self, *name: str) -> np.ndarray:
        """float64, NaN where there is none."""
        begins, ends = self._short_values(*name)
        filled = begins < ends
        if filled.all():
            return numbers(self._layout.content, begins, ends)
        found = np.full(len(begins), np.nan)
        found[filled] = numbers(self._layout.content, begins[filled], ends[filled])
        return found

    def _between(self, name: tuple[str, str], low: float, high: float) -> np.ndarray:
        """The numbers at these places; from now on 0 for one that is not within the bounds."""
        found = self._numbers[name]
        sound = (found >= low) & (found <= high)
        self._require(sound, *name)
        if not sound.all():
            found = self._numbers[name] = np.where(sound, found, 0)
        return found

    def _times(self, structure: str) -> pa.Array:
        times = self._between((structure, "time"), 0, MAX_TIME)
        times = np.where(times < SECONDS_BELOW, times * 1000, times)
        return pa.array(np.rint(times).astype(np.int64))

    def _points(self, structure: str, low: float, high: float) -> dict[str, pa.Array]:
        points = ((axis, self._between((structure, axis), low, high)) for axis in "xy")
        return {axis: pa.array(found.astype(np.float32)) for axis, found in points}

    def _whole(self, name: str, high: int, type: pa.DataType) -> pa.Array:
        numbers = self._numbers[(name,)]
        unknown = np.isnan(numbers)
        numbers = np.where(unknown, 0, numbers)
        sound = (numbers >= 0) & (numbers <= high) & (numbers == np.rint(numbers))
        self._require(sound, name)
        numbers = np.where(sound, numbers, 0)
        if name == "estimateTime":
            unknown |= numbers == 0  # 0 means unknown
        return self._spread(pa.array(numbers, mask=unknown).cast(type), name)

    def _short_values(self, *name: str) -> tuple[np.ndarray, np.ndarray]:
        """Where they begin and end."""
        begins, ends = self._layout.values(*name)
        self._require(ends - begins <= MAX_TEXT, *name)
        return begins, ends

    def _short_texts(self, *name: str) -> pa.StringArray:
        return texts(self._layout.content, *self._short_values(*name))

    def _texts(self, name: str) -> pa.Array:
        found = self._short_texts(name)
        return self._spread(pc.if_else(pc.equal(found, ""), None, found), name)

    def _booleans(self) -> pa.Array:
        found = self._short_texts("selected")
        self._selected = _array(pc.is_in(found, value_set=pa.array(["True", "true"])))
        return pa.array(self._selected)

    def _position(self) -> pa.StructArray:
        points = self._points("imagePosition", -MAX_COUNT, MAX_COUNT)
        fields = list(_ANNOTATION.field("image_position").type)
        points = pa.StructArray.from_arrays(list(points.values()), fields=fields)
        return self._spread(points, "imagePosition", self._layout.filled("imagePosition"))

    def _list(self, structure: str, type: pa.ListType) -> pa.ListArray:
        fields = list(type.value_type)
        columns = {"time": self._times(structure)}
        if fields[0].name == "action":
            columns["action"] = self._short_texts(structure, "action")
        else:
            columns |= self._points(structure, *RATIO_RANGE)
        entries = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
        return pa.ListArray.from_arrays(pa.array(self._layout.offsets(structure)), entries, type=type)

    def _spread(self, values: pa.Array, name: str, places: np.ndarray | None = None) -> pa.Array:
        places = self._layout.places(name) if places is None else places
        return _spread(values, self._layout.metadata_of(places), self._count)


def _spread(values: pa.Array, owners: np.ndarray, count: int) -> pa.Array:
    """`values` for each of `count`, null for one that is not among their `owners`."""
    if len(owners) == count:
        return values
    which = np.full(count, -1)
    which[owners] = np.arange(len(owners))
    return values.take(pa.array(which, mask=which < 0))


def _array(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
