"""An image and its XML, joined by id -> one row. `ImageNetPairToRow` decides what is kept."""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Features
from datasets.utils.logging import get_logger

from imagenet_ab.byproducts import Byproducts, classes_of, open_byproducts, require_classes
from imagenet_ab.fast.columns import ParsedRecords, parse_columns
from imagenet_ab.fields import Record
from imagenet_ab.images import Images, open_images
from imagenet_ab.record import parse_record
from imagenet_ab.rows import byproduct_columns, features, image_columns, rows_without_images
from luab_data.build.batches import Batch, LoadedItem, Outcome, to_batch
from luab_data.build.join import Found, LoadedPair, Pair, join
from luab_data.build.raw import Source
from luab_data.constants import ANNOTATIONS, CLICK, IMAGE_ID
from luab_data.errors import PASSED_ON, RejectedRecord, internal_error
from luab_data.hub.source import HubImages
from luab_data.imagenet_classes import class_list
from luab_data.images.pillow import checked_image
from luab_data.sources.archives import Spooled, TarOfTars, TarStream
from luab_data.sources.entries import BYPRODUCTS, IMAGES, Reject, same_form
from luab_data.sources.folders import FolderSource, ZipSource
from luab_data.sources.parts import ClassFilter, PartOf, Parts

logger = get_logger(__name__)


class RawImageNetAB:
    """The user's raw files, opened; see `open_images` and `open_byproducts` for allowed values.

    `classes` are the class folders in label order: the requested ones, else those of the images, else those
    of the XML files. Raises `SourceError` if something is missing, also a requested class.
    """

    def __init__(
        self,
        images: str | Path | None,
        byproducts: str | Path | None,
        with_images: bool = True,
        classes: Sequence[str] | None = None,
    ):
        opened = open_images(images) if with_images else None  # first: these are gated on the Hub
        xmls = open_byproducts(byproducts)
        self.images: Images | ClassFilter | PartOf | None = opened
        self.byproducts: Byproducts | ClassFilter | PartOf = xmls
        # What can only be streamed. A ClassFilter does not tell.
        self._images_stream = isinstance(opened, HubImages)
        self._byproducts_stream = isinstance(xmls, TarStream)
        if classes is not None:
            self.classes = class_list(map(same_form, classes))
            require_classes(self.classes, opened, xmls)
            self.byproducts = ClassFilter(xmls, self.classes)
            self.images = None if opened is None else ClassFilter(opened, self.classes)
        else:
            self.classes = class_list(classes_of(xmls) if opened is None else opened.classes())

    @property
    def most_parts(self) -> int:
        """Into how many parts the release can be divided: 1 if the images can only be streamed."""
        return 1 if self._images_stream else max(1, len(self.classes))

    def part(self, parts: Iterable[int], of: int) -> "RawImageNetAB":
        """Some parts of the release: each has the images and the XMLs of some classes."""
        own = Parts(parts, of, self.classes)
        part = copy.copy(self)
        part.byproducts = _part_of(self.byproducts, own)
        part.images = None if self.images is None else _part_of(self.images, own)
        return part

    @property
    def sources(self) -> list[Source]:
        """The images, where rows have them, and the byproducts."""
        return [source for source in (self.images, self.byproducts) if source is not None]

    def features(self) -> Features:
        """The types of the rows' columns."""
        return features(self.classes, images=self.images is not None)

    def pairs(self, found: Found | None = None) -> Iterator[Pair | Reject]:
        """Joins them; `found` as for `join`. Images of the Hub are streamed, all others looked up."""
        images, byproducts = self.images, self.byproducts
        if self._images_stream or isinstance(images, HubImages):
            if self._byproducts_stream or isinstance(byproducts, TarStream):
                return join(images, Spooled(byproducts), found)
            return join(images, byproducts, found)
        return join(byproducts, images, found)

    def to_batch(self, max_side: int | None = None) -> "PairsToBatch":
        """The function that makes rows from `pairs`; shrinks images with a side above `max_side` pixels."""
        return PairsToBatch(ImageNetPairToRow(tuple(self.classes), self.images is not None, max_side))


def _part_of(source: Any, parts: Parts) -> Any:
    """Some parts of a source."""
    if isinstance(source, ClassFilter):
        return source.over(_part_of(source.source, parts))
    if isinstance(source, FolderSource | TarOfTars | ZipSource):
        return source.part(parts)
    return PartOf(copy.copy(source), parts)


# In place of a row's columns of byproducts: which of the `ParsedRecords` of its batch they are from.
PARSED = "parsed"


class Parsed(NamedTuple):
    """In place of an XML: the number of its record among the `ParsedRecords` of the batch."""

    number: int


@dataclass(frozen=True)
class ImageNetPairToRow:
    """An image and its XML -> `Outcome`; picklable, so that Ray can run it.

    An image gives a row, with or without XML. If an XML cannot be parsed it is rejected, and the image is
    kept without annotations. An XML without a valid image gives no row. Without images (`with_images=False`)
    every valid XML gives a row.
    """

    classes: tuple[str, ...]
    with_images: bool = True
    max_side: int | None = None  # pixels
    _labels: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_labels", {name: label for label, name in enumerate(self.classes)})

    def label(self, entry_id: str) -> int | None:
        """The number of its class; None if that is not among `classes`."""
        return self._labels.get(entry_id.partition("/")[0])

    def __call__(self, pair: LoadedPair) -> Outcome:
        """The outcome of one pair."""
        entry_id, image, xml = pair
        label = self.label(entry_id)
        if label is None:
            reason = "its class is not among the dataset's classes: name all of them in classes"
            return self.refused(pair, reason)
        encoded: bytes | None = None
        if self.with_images:
            if image is None:
                return _no_row(entry_id, None, "there is no image of this id")
            try:
                encoded = checked_image(_read(image), self.max_side)
            except RejectedRecord as error:
                return _no_row(entry_id, error.reason, None if xml is None else "its image was rejected")
        columns = image_columns(entry_id, encoded, label)
        record: Record | None = None
        rejects: tuple[Reject, ...] = ()
        if isinstance(xml, Parsed):
            return Outcome({**columns, PARSED: xml.number}, (), self._used(1))
        try:
            record = None if xml is None else parse_record(_read(xml))
            columns |= byproduct_columns(entry_id, record)
        except RejectedRecord as error:
            if not self.with_images:
                return _no_row(entry_id, None, error.reason)
            record, rejects = None, (Reject(BYPRODUCTS, entry_id, error.reason),)
            columns |= byproduct_columns(entry_id, None)
        return Outcome(columns, rejects, self._used(int(record is not None)))

    def _used(self, records: int) -> dict[str, int]:
        return {IMAGES: int(self.with_images), BYPRODUCTS: records}

    def refused(self, pair: LoadedPair, reason: str) -> Outcome:
        """No row: a reject for each entry of the pair."""
        entry_id, image, xml = pair
        return _no_row(entry_id, None if image is None else reason, None if xml is None else reason)


@dataclass(frozen=True)
class PairsToBatch:
    """A `MakeBatch`: the rows of `to_row`, in less time.

    XMLs of the released layout are parsed together into columns; `to_row` handles all other items. With
    images, `to_row` decides which items become rows: it returns the number of the parsed record, and the
    columns are put in that order. Without images, the columns are the rows.
    """

    to_row: ImageNetPairToRow

    def __call__(self, items: Sequence[LoadedItem], schema: pa.Schema) -> Batch:
        """The rows of `items`, in their order."""
        places, records = self._parsed(items)
        make = self._with_images if self.to_row.with_images else self._without_images
        batch = make(list(items), places, records, schema)
        return replace(batch, facts=_facts(batch.table))

    def _parsed(self, items: Sequence[LoadedItem]) -> tuple[list[int], ParsedRecords]:
        """The places of the items whose XML is of the layout and their own, and what is in these XMLs."""
        payloads = [item.byproducts if isinstance(item, LoadedPair) else None for item in items]
        xmls = {place: xml for place, xml in enumerate(payloads) if isinstance(xml, bytes)}
        places = list(xmls)
        try:
            records = parse_columns(list(xmls.values()))
        except PASSED_ON:
            raise
        except Exception as error:  # the strict parser finds the file that caused it
            logger.warning(f"{internal_error(error)}: {len(places):,} XML files are read one by one.")
            records = parse_columns([])
        places = [places[number] for number in records.numbers.tolist()]
        pairs = zip(places, records.image_ids.to_pylist(), strict=True)
        own = [
            items[place].id == image_id and self.to_row.label(image_id) is not None
            for place, image_id in pairs
        ]
        if all(own):
            return places, records
        return list(compress(places, own)), records.only(own)

    def _with_images(
        self, items: list[LoadedItem], places: list[int], records: ParsedRecords, schema: pa.Schema
    ) -> Batch:
        for number, place in enumerate(places):
            item = items[place]
            if isinstance(item, LoadedPair):  # as all of `places`
                items[place] = item._replace(byproducts=Parsed(number))
        batch = to_batch(items, self.to_row, schema.append(pa.field(PARSED, pa.int32())))
        numbers, table = batch.table[PARSED], batch.table.drop_columns(PARSED)
        # The values of a row that has no number are its own: they follow those of all parsed records.
        own = pa.array(np.arange(len(table)) + len(records.numbers))
        which = pc.coalesce(numbers.cast(pa.int64()), own)
        for name, column in ((CLICK, records.clicks), (ANNOTATIONS, records.annotations)):
            column = pa.concat_arrays([column, *table[name].chunks]).take(which)
            table = table.set_column(table.column_names.index(name), table.field(name), column)
        return replace(batch, table=table)

    def _without_images(
        self, items: list[LoadedItem], places: list[int], records: ParsedRecords, schema: pa.Schema
    ) -> Batch:
        ids = [items[place].id for place in places]
        # All have one: `_parsed` chose them so.
        labels = [label for each in ids if (label := self.to_row.label(each)) is not None]
        table = rows_without_images(records.image_ids, labels, records.clicks, records.annotations, schema)
        parsed = set(places)
        batch = to_batch(
            [item for place, item in enumerate(items) if place not in parsed], self.to_row, schema
        )
        batch.used.update({BYPRODUCTS: len(places)})
        if batch.table.num_rows:
            place_of = {item.id: place for place, item in enumerate(items) if isinstance(item, LoadedPair)}
            order = np.argsort(places + [place_of[each] for each in batch.table[IMAGE_ID].to_pylist()])
            table = pa.concat_tables([table, batch.table]).take(order)
        return replace(batch, table=table)


def _read(payload: Any | RejectedRecord) -> bytes:
    if isinstance(payload, RejectedRecord):
        raise payload
    return payload


def _no_row(entry_id: str, image_reason: str | None, xml_reason: str | None) -> Outcome:
    reasons = ((IMAGES, image_reason), (BYPRODUCTS, xml_reason))
    return Outcome(None, tuple(Reject(source, entry_id, reason) for source, reason in reasons if reason))


def _facts(table: pa.Table) -> Counter[str]:
    annotations = pc.list_value_length(table[ANNOTATIONS])
    return Counter(
        {
            "rows with annotations": pc.sum(pc.greater(annotations, 0), min_count=0).as_py(),
            "annotations": pc.sum(annotations, min_count=0).as_py(),
            "rows with a click": len(table) - table[CLICK].null_count,
        }
    )
