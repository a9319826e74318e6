"""A reader's source, its images and its true boxes, opened: what `luab_data.build` makes a dataset of."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from datasets import Features
from datasets.utils.logging import get_logger

from luab_attention.columns import ColumnLayout, attention_features
from luab_attention.convert.gather import Gathered
from luab_attention.convert.images import NOT_NAMED, open_images
from luab_attention.convert.records import Read, SourceRecord
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.to_rows import AttentionToRow
from luab_data.build.batches import RowByRow
from luab_data.build.join import Found, Pair
from luab_data.build.raw import Source
from luab_data.constants import LABEL, LABELS, OBJECTS
from luab_data.errors import SourceError
from luab_data.hub.source import HubImages
from luab_data.sources.entries import IMAGES, Reject

logger = get_logger(__name__)


class Conversion:
    """A `RawDataset`: the records of a source by image, and the images.

    Args:
        records: what the reader gives.
        source: what is known about it.
        place: its file or folder.
        images: folder, zip, tar or Hub id of the images; None: rows without images.
        truth: records with the true boxes or masks of the same images; others are left out.
        classes: names of the classes in order; None: those that the records name, sorted.

    Raises:
        SourceError: no usable record, or no image that one of them names.
    """

    def __init__(
        self,
        records: Read,
        source: AttentionSource,
        place: str | Path,
        images: str | Path | None = None,
        truth: Read | None = None,
        classes: Sequence[str] | None = None,
    ):
        self.source = source
        self.gathered = Gathered(records, place)
        if not len(self.gathered):
            raise SourceError(f"{str(place)!r} holds no usable entry{_first(self.gathered)}.")
        if images is not None and self.gathered.with_images:
            raise SourceError(f"{IMAGES}={str(images)!r}: {source.title} brings its images. Leave it out.")
        self._truth = {} if truth is None else _of_same_images(truth, self.gathered)
        self.images = None if images is None else open_images(images, self.gathered)
        self.layout = self._layout(classes)

    @property
    def sources(self) -> list[Source]:
        """The images, if they are another source's, and the records."""
        return [source for source in (self.images, self.gathered) if source is not None]

    def features(self) -> Features:
        """The types of the columns."""
        return attention_features(self.layout)

    def pairs(self, found: Found | None = None) -> Iterator[Pair | Reject]:
        """The records of each image with the image, and the rejects; fills `found`."""
        found = Found() if found is None else found
        found[self.gathered.role] = self.gathered.found
        found.first[self.gathered.role] = [key for key, _ in zip(self.gathered.ids(), range(3), strict=False)]
        yield from self.gathered.rejects()
        lookup = _WithTruth(self.gathered, self._truth)
        if isinstance(self.images, HubImages):
            yield from self._streamed(self.images, lookup, found)
            return
        for key in self.gathered.ids():
            image = self.images if self.images is not None and key in self.images else None
            if image is not None:
                found.note(IMAGES, key)
                found.met += 1
            yield Pair(key, image, lookup)

    def to_batch(self, max_side: int | None = None) -> RowByRow:
        """The function that makes rows of `pairs`."""
        return RowByRow(AttentionToRow(self.layout, self.source, self.images is not None, max_side))

    def _streamed(self, images: HubImages, lookup: "_WithTruth", found: Found) -> Iterator[Pair | Reject]:
        seen: set[str] = set()
        for item in images:
            if isinstance(item, Reject) and item.reason == NOT_NAMED:
                images.ignored += 1
                continue
            found.note(IMAGES, item if isinstance(item, Reject) else item.id)
            if isinstance(item, Reject):
                yield item
            elif item.id in seen:
                yield Reject(IMAGES, item.id, "second image of this name")
            else:
                seen.add(item.id)
                found.met += 1
                yield Pair(item.id, item.payload, lookup)
        for key in self.gathered.ids():
            if key not in seen:
                yield Pair(key, None, lookup)

    def _layout(self, classes: Sequence[str] | None) -> ColumnLayout:
        gathered = self.gathered
        fields = {kind: set(names) for kind, names in gathered.fields.items()}
        named = dict.fromkeys(gathered.labels)
        if self._truth:
            fields.setdefault(OBJECTS, set())
            named |= dict.fromkeys(label for record in self._truth.values() for label in record.labels())
        names = tuple(sorted(named) if classes is None else classes)
        if len(set(names)) < len(names):
            raise SourceError(f"classes: a name is there twice among {', '.join(names[:20])}.")
        if not names:
            fields = {kind: found - {LABEL} for kind, found in fields.items()}
        return ColumnLayout(
            fields=fields,
            classes=names,
            single=gathered.single,
            sized=gathered.sized or self.images is not None or gathered.with_images,
            images=self.images is not None or gathered.with_images,
        )

    def column_of_classes(self) -> str | None:
        """The column of the images' classes."""
        if not self.layout.classes:
            return None
        return LABEL if self.layout.single else LABELS


class _WithTruth:
    """The records of an image, and those of its true boxes, which no count of the source counts."""

    def __init__(self, gathered: Gathered, truth: dict[str, SourceRecord]):
        self.role = gathered.role
        self.ignored = 0
        self._gathered = gathered
        self._truth = truth

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._gathered

    def get(self, entry_id: str) -> list[SourceRecord]:
        """The records of an image."""
        found = self._gathered.get(entry_id)
        return found if entry_id not in self._truth else [*found, self._truth[entry_id]]

    def ids(self) -> Iterator[str | Reject]:
        """The images."""
        return self._gathered.ids()


def _of_same_images(truth: Read, gathered: Gathered) -> dict[str, SourceRecord]:
    """The boxes and masks of the gathered images, each image's in one record without a count."""
    known = Gathered(truth, "boxes")
    found = [key for key in known.ids() if key in gathered]
    if not found:
        raise SourceError(
            "the file of true boxes has none of the images: it names "
            f"{', '.join(key for key, _ in zip(known.ids(), range(3), strict=False)) or 'none'}."
        )
    logger.warning(f"true boxes: of {len(found):,} of {len(gathered):,} images")
    whole: dict[str, SourceRecord] = {}
    for key in found:
        records = known.get(key)
        boxes = [box for record in records for box in record.boxes]
        masks = [mask for record in records for mask in record.masks]
        whole[key] = replace(records[0], boxes=boxes, masks=masks, label=None, count=0)
    return whole


def _first(gathered: Gathered) -> str:
    first = next(gathered.rejects(), None)
    return "" if first is None else f" (of {gathered.found:,}, the first: {first.id}: {first.reason})"
