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
from imagenet_ab.record import ACTIONS, MAX_COUNT, MAX_TEXT, MAX_TIME, RATIO_RANGE, SECONDS_BELOW
from imagenet_ab.rows import features, mean_point
from luab_data.constants import ANNOTATIONS, CLICK

CHUNK_BYTES = 8 << 20  # of XML at once
KEPT_BYTES = 30 << 20  # less than the 32 MB above which glibc gives memory back at once

# What surely is a number. Arrow takes more than that, but all of it is a number for `parse_record` too, the
# same one, or else not finite.
_NUMBER = r"^-?[0-9]{1,20}(\.[0-9]{1,30})?$"
_TEXT = r"^[!-%'-~]*$"  # visible ASCII without spaces and entities
_IMAGE_ID = r"^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$"
_BOOLEANS = {"True": True, "False": False, "true": True, "false": False}

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


def _parse(xmls: Sequence[bytes], numbers: range) -> Columns:
    layout, good = read_layout([xmls[number] for number in numbers])
    values = None if layout is None else _Values(layout)
    if values is None:
        nothing = pa.array([], ANNOTATIONS_TYPE)
        return Columns(np.empty(0, np.int64), pa.array([], pa.string()), pa.array([], CLICK_TYPE), nothing)
    image_ids = values.image_ids()
    rows = values.annotations()
    clicks = values.clicks()
    sound = np.bincount(layout.files[values.bad], minlength=len(good)) == 0
    offsets = np.searchsorted(layout.files, np.arange(len(good) + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), rows, type=ANNOTATIONS_TYPE)
    columns = Columns(numbers.start + good, image_ids, clicks, lists)
    return columns if sound.all() else columns.only(sound)


class _Values:
    """The values at the places of a layout, checked; `bad` are the `metadata` with one that is not sound."""

    def __init__(self, layout: Layout):
        self._layout = layout
        self._count = len(layout.files)
        self.bad = np.zeros(self._count, bool)
        self._selected = np.zeros(self._count, bool)
        self._numbers = self._all_numbers()

    def image_ids(self) -> pa.StringArray:
        """Of each file; those of its `metadata` must be the same."""
        texts = self._plain_texts("imageID", _IMAGE_ID)
        first = np.searchsorted(self._layout.files, np.arange(self._layout.files[-1] + 1))
        own = texts.take(pa.array(first))
        self._require(pc.equal(texts, own.take(pa.array(self._layout.files))), "imageID")
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
        owners, first = np.unique(self._layout.metadata[places], return_index=True)
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
        if isinstance(holds, pa.Array):
            holds = holds.to_numpy(zero_copy_only=False)
        if not holds.all():
            self.bad[self._layout.metadata[self._layout.places(*name)[~holds]]] = True

    def _all_numbers(self) -> dict[tuple[str, ...], np.ndarray]:
        """By element, the numbers at its places (float64, NaN where the text is empty), read in one go."""
        names = [(name,) for name in _COUNTS]
        names += [(each, field) for each in STRUCTURES for field in STRUCTURES[each] if field != "action"]
        places = [self._layout.places(*name) for name in names]
        numbers, sound = _numbers(self._layout.values(np.concatenate(places)))
        ends = np.cumsum([len(each) for each in places])
        parts = [slice(end - len(each), end) for end, each in zip(ends, places, strict=True)]
        for name, part in zip(names, parts, strict=True):
            self._require(sound[part], *name)
        return {name: numbers[part] for name, part in zip(names, parts, strict=True)}

    def _between(self, name: tuple[str, str], low: float, high: float) -> np.ndarray:
        numbers = self._numbers[name]
        self._require((numbers >= low) & (numbers <= high), *name)
        return numbers

    def _times(self, structure: str) -> pa.Array:
        times = np.nan_to_num(self._between((structure, "time"), 0, MAX_TIME)).clip(0, MAX_TIME)
        times = np.where(times < SECONDS_BELOW, times * 1000, times)
        return pa.array(np.rint(times).astype(np.int64))

    def _points(self, structure: str, low: float, high: float) -> dict[str, pa.Array]:
        points = ((axis, self._between((structure, axis), low, high)) for axis in "xy")
        return {axis: pa.array(numbers.clip(low, high).astype(np.float32)) for axis, numbers in points}

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

    def _plain_texts(self, name: str, pattern: str) -> pa.StringArray:
        texts = self._layout.values(self._layout.places(name))
        short = pc.less_equal(pc.binary_length(texts), MAX_TEXT)
        self._require(pc.and_(short, pc.match_substring_regex(texts, pattern)), name)
        return texts

    def _texts(self, name: str) -> pa.Array:
        texts = self._plain_texts(name, _TEXT)
        return self._spread(pc.if_else(pc.equal(texts, ""), None, texts), name)

    def _booleans(self) -> pa.Array:
        texts = self._layout.values(self._layout.places("selected"))
        which = pc.index_in(texts, value_set=pa.array(list(_BOOLEANS)))
        self._require(which.is_valid(), "selected")
        self._selected = np.array(list(_BOOLEANS.values()))[_array(which.fill_null(0))]
        return pa.array(self._selected)

    def _position(self) -> pa.StructArray:
        points = self._points("imagePosition", -MAX_COUNT, MAX_COUNT)
        fields = list(_ANNOTATION.field("image_position").type)
        points = pa.StructArray.from_arrays(list(points.values()), fields=fields)
        return self._spread(points, "imagePosition", self._layout.filled("imagePosition"))

    def _list(self, structure: str, type: pa.ListType) -> pa.ListArray:
        places = self._layout.filled(structure)
        columns = {"time": self._times(structure)}
        if "x" in STRUCTURES[structure]:
            columns |= self._points(structure, *RATIO_RANGE)
        else:
            columns["action"] = self._layout.values(self._layout.places(structure, "action"))
            self._require(pc.is_in(columns["action"], value_set=pa.array(ACTIONS)), structure, "action")
        fields = list(type.value_type)
        entries = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields)
        offsets = np.searchsorted(self._layout.metadata[places], np.arange(self._count + 1))
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), entries, type=type)

    def _spread(self, values: pa.Array, name: str, places: np.ndarray | None = None) -> pa.Array:
        places = self._layout.places(name) if places is None else places
        return _spread(values, self._layout.metadata[places], self._count)


def _numbers(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """float64, NaN where the text is empty, and whether each is a number or empty."""
    lengths = _array(pc.binary_length(texts))
    try:
        numbers = _array(texts.cast(pa.float64()))
    except pa.ArrowInvalid:
        plain = pc.match_substring_regex(texts, _NUMBER)
        numbers = _array(pc.if_else(plain, texts, None).cast(pa.float64()))
    return numbers, (lengths == 0) | (np.isfinite(numbers) & (lengths <= MAX_TEXT))


def _spread(values: pa.Array, owners: np.ndarray, count: int) -> pa.Array:
    """`values` for each of `count`, null for one that is not among their `owners`."""
    if len(owners) == count:
        return values
    which = np.full(count, -1)
    which[owners] = np.arange(len(owners))
    return values.take(pa.array(which, mask=which < 0))


def _array(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
