"""Many XMLs of the released layout -> Arrow columns, with the values and the checks of `imagenet_ab.record`.

This module exists only for speed. Files with another layout (`imagenet_ab.fast.layout`) or an unusual value
are left to `parse_record`, which reads them or reports the problem. The results equal those of `parse_record`
and `rows.row`, value for value. `imagenet_ab.fields` declares the fields.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_ab.clicks import click_arrays
from imagenet_ab.fast.layout import Layout, read_layout
from imagenet_ab.fast.texts import numbers, texts
from imagenet_ab.fast.traces import FIELDS, TRACE, cut_traces
from imagenet_ab.fields import (
    ANNOTATION_FIELDS,
    ID_FIELD,
    MAX_TEXT,
    MAX_TIME,
    SECONDS_BELOW,
    Flag,
    One,
    Real,
    Repeated,
    Text,
    Time,
    Whole,
    XmlField,
    xml_fields,
)
from imagenet_ab.rows import features
from luab_data.constants import ANNOTATIONS, CLICK

# Of one file: far below the strict parser's limits on bytes and elements (one takes 4 bytes or more).
MAX_FILE_BYTES = 1 << 18
CHUNK_BYTES = 8 << 20  # of XML at once
KEPT_BYTES = 30 << 20  # below the 32 MB above which glibc returns memory at once

_SCHEMA = features(["any"], images=False).arrow_schema
ANNOTATIONS_TYPE = _SCHEMA.field(ANNOTATIONS).type
ANNOTATION_TYPE = ANNOTATIONS_TYPE.value_type
CLICK_TYPE = _SCHEMA.field(CLICK).type


@dataclass(frozen=True)
class ParsedRecords:
    """The records of some files; the columns are those of `rows.features`."""

    numbers: np.ndarray  # of the files among those given, ascending
    image_ids: pa.StringArray
    clicks: pa.StructArray
    annotations: pa.ListArray

    def only(self, which: Sequence[bool]) -> "ParsedRecords":
        """Some of the files."""
        mask = pa.array(which, pa.bool_())
        columns = (column.filter(mask) for column in (self.image_ids, self.clicks, self.annotations))
        return ParsedRecords(self.numbers[np.array(which, bool)], *columns)


def parse_columns(xmls: Sequence[bytes]) -> ParsedRecords:
    """The records of the valid `xmls` in the released layout, in order."""
    _keep_memory()
    found = [_parse(xmls, numbers) for numbers in _chunks(xmls)]
    if len(found) == 1:
        return found[0]
    return ParsedRecords(
        np.concatenate([np.empty(0, np.int64), *(each.numbers for each in found)]),
        pa.concat_arrays([pa.array([], pa.string()), *(each.image_ids for each in found)]),
        pa.concat_arrays([pa.array([], CLICK_TYPE), *(each.clicks for each in found)]),
        pa.concat_arrays([pa.array([], ANNOTATIONS_TYPE), *(each.annotations for each in found)]),
    )


@cache
def _keep_memory() -> None:
    """Makes the C library keep the memory of one batch for the next.

    glibc returns a freed large block to the system, and the next batch waits until the system has cleared its
    pages: about a fifth of a batch's CPU time. It returns blocks that are larger than the largest block freed
    so far (mallopt(3), dynamic threshold). So this function frees one large block, whose pages are never
    touched.
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


def _parse(xmls: Sequence[bytes], chunk: range) -> ParsedRecords:
    chosen = [number for number in chunk if len(xmls[number]) <= MAX_FILE_BYTES]
    traces = cut_traces([xmls[number] for number in chosen])
    which = np.array(chosen, np.int64)
    layout, good = read_layout(traces.rest)
    if layout is None:
        nothing = pa.array([], ANNOTATIONS_TYPE)
        return ParsedRecords(which[:0], pa.array([], pa.string()), pa.array([], CLICK_TYPE), nothing)
    which = which[good]
    values = _Values(layout, traces.positions_of(good))
    image_ids = values.image_ids()
    annotations = values.annotations()
    clicks = values.clicks(annotations)
    sound = np.bincount(layout.files[values.bad], minlength=len(which)) == 0
    offsets = np.searchsorted(layout.files, np.arange(len(which) + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), annotations, type=ANNOTATIONS_TYPE)
    records = ParsedRecords(which, image_ids, clicks, lists)
    return records if sound.all() else records.only(sound)


class _Values:
    """The checked values of a layout; `bad` marks each `metadata` with an invalid value."""

    def __init__(self, layout: Layout, positions: np.ndarray):
        self._layout = layout
        self._count = len(layout.files)
        self.bad = np.zeros(self._count, bool)
        self._positions = dict(zip(FIELDS, positions.T, strict=True))
        self._reals: dict[tuple[str, ...], np.ndarray] = {}  # float64, those that were read, by their place

    def image_ids(self) -> pa.StringArray:
        """The image id of each file; all its `metadata` must have the same one."""
        found = self._short_texts(ID_FIELD.tag)
        first = np.searchsorted(self._layout.files, np.arange(self._layout.files[-1] + 1))
        if len(first) == len(found):
            return found
        own = found.take(pa.array(first))
        self._require(pc.equal(found, own.take(pa.array(self._layout.files))), ID_FIELD.tag)
        return own

    def annotations(self) -> pa.StructArray:
        """One for each `metadata`."""
        types = [field.type for field in ANNOTATION_TYPE]
        columns = [self._column(*each) for each in zip(ANNOTATION_FIELDS.values(), types, strict=True)]
        return pa.StructArray.from_arrays(columns, fields=list(ANNOTATION_TYPE))

    def clicks(self, annotations: pa.StructArray) -> pa.StructArray:
        """The click of each file, or null; `annotations`: the result of the method of this name."""
        tag = ANNOTATION_FIELDS["selected_record"].tag
        owners = self._layout.metadata_of(self._layout.filled(tag))
        points = np.array([self._reals[tag, axis] for axis in "xy"])
        files, clicks = click_arrays(
            self._layout.files, _array(annotations.field("selected")), owners, points
        )
        axes = [pa.array(axis.astype(np.float32)) for axis in clicks]
        clicks = pa.StructArray.from_arrays(axes, fields=list(CLICK_TYPE))
        return _spread(clicks, files, self._layout.files[-1] + 1)

    def _column(self, field: XmlField, type: pa.DataType) -> pa.Array:
        """The values of one field, one for each `metadata`; null where there is none."""
        tag, kind = field.tag, field.kind
        if isinstance(kind, Repeated):
            entries = self._entries(tag, kind.of, type.value_type)
            return pa.ListArray.from_arrays(pa.array(self._layout.offsets(tag)), entries, type=type)
        if isinstance(kind, One):
            return self._spread(self._entries(tag, kind.of, type), self._layout.filled(tag))
        return self._spread(self._scalars(field, tag), self._layout.places(tag))

    def _entries(self, structure: str, of: type, type: pa.StructType) -> pa.StructArray:
        """The filled elements called `structure`."""
        columns = [self._scalars(field, structure, field.tag) for field in xml_fields(of)]
        return pa.StructArray.from_arrays(columns, fields=list(type))

    def _scalars(self, field: XmlField, *place: str) -> pa.Array:
        """The values at one place of the layout; an invalid one is marked bad and has an arbitrary value."""
        match field.kind:
            case Flag():
                return pc.is_in(self._short_texts(*place), value_set=pa.array(["True", "true"]))
            case Text():
                found = self._short_texts(*place)
                return found if field.required else pc.if_else(pc.equal(found, ""), None, found)
            case Time():
                times = self._between(place, 0, MAX_TIME)
                times = np.where(times < SECONDS_BELOW, times * 1000, times)
                return pa.array(np.rint(times).astype(np.int64))
            case Real():
                found = self._reals[place] = self._between(place, field.kind.low, field.kind.high)
                return pa.array(found.astype(np.float32))
            case Whole():
                return self._whole(field.kind, place)
        raise TypeError(f"{field.name}: the array code reads no {field.kind}")

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

    def _between(self, place: tuple[str, ...], low: float, high: float) -> np.ndarray:
        """The numbers at this place; 0 for one that is not within the bounds."""
        found = self._positions[place[-1]] if place[0] == TRACE else self._read_numbers(*place)
        sound = (found >= low) & (found <= high)
        self._require(sound, *place)
        return found if sound.all() else np.where(sound, found, 0)

    def _whole(self, kind: Whole, place: tuple[str, ...]) -> pa.Array:
        found = self._read_numbers(*place)
        unknown = np.isnan(found)
        found = np.where(unknown, 0, found)
        sound = (found >= 0) & (found <= kind.high) & (found == np.rint(found))
        self._require(sound, *place)
        found = np.where(sound, found, 0)
        if kind.zero_unknown:
            unknown |= found == 0
        return pa.array(found, mask=unknown).cast(kind.stored)

    def _short_values(self, *name: str) -> tuple[np.ndarray, np.ndarray]:
        """Begin and end of the values."""
        begins, ends = self._layout.values(*name)
        self._require(ends - begins <= MAX_TEXT, *name)
        return begins, ends

    def _short_texts(self, *name: str) -> pa.StringArray:
        return texts(self._layout.content, *self._short_values(*name))

    def _spread(self, values: pa.Array, places: np.ndarray) -> pa.Array:
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
