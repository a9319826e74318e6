"""A reader's source, its images and its true boxes, opened: what `luab_data.build` makes a dataset of."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from datasets import Features
from datasets.utils.logging import get_logger

from luab_attention.columns import MASKS, ColumnLayout, attention_features
from luab_attention.convert.gather import Gathered
from luab_attention.convert.images import DEFAULT, ImageRows, StreamedImages, open_images
from luab_attention.convert.matching import Matching
from luab_attention.convert.records import Read, Records, with_files
from luab_attention.convert.source import AttentionSource
from luab_attention.convert.to_rows import AttentionToRow
from luab_data.build.batches import RowByRow
from luab_data.build.join import Found, Pair
from luab_data.build.raw import Source
from luab_data.console.text import counted
from luab_data.constants import LABEL, OBJECTS
from luab_data.errors import SourceError
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
        choice: which rows of a dataset have the images.

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
        choice: ImageRows = DEFAULT,
    ):
        self.source = source
        self.gathered = Gathered(records, place)
        if not len(self.gathered):
            raise SourceError(f"{str(place)!r} holds no usable entry{_first(self.gathered)}.")
        if images is not None and self.gathered.with_images:
            raise SourceError(f"{IMAGES}={str(images)!r}: {source.title} brings its images. Leave it out.")
        self._records = _WithTruth(self.gathered, None if truth is None else Gathered(truth, "boxes"))
        if images is None and not self.gathered.with_images:
            self._records.require_size()
        self.images = None if images is None else open_images(images, self.gathered, choice)
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
        lookup = self._records
        if isinstance(self.images, StreamedImages):
            yield from self._streamed(self.images, lookup, found)
            return
        if self.images is not None:
            for reject in self.images.several.rejects():
                found.note(IMAGES, reject)
                yield reject
        for key in self.gathered.ids():
            image = self.images if self.images is not None and key in self.images else None
            if image is not None:
                found.note(IMAGES, key)
                found.met += 1
            yield Pair(key, image, lookup)

    def to_batch(self, max_side: int | None = None) -> RowByRow:
        """The function that makes rows of `pairs`."""
        left_out = "" if self.images is None else self.images.left_out
        return RowByRow(AttentionToRow(self.layout, self.source, self.images is not None, max_side, left_out))

    def _streamed(
        self, images: StreamedImages, lookup: "_WithTruth", found: Found
    ) -> Iterator[Pair | Reject]:
        seen: set[str] = set()
        for item in images:
            found.note(IMAGES, item if isinstance(item, Reject) else item[0])
            if isinstance(item, Reject):
                yield item
                continue
            key, image = item
            seen.add(key)
            found.met += 1
            yield Pair(key, image, lookup)
        for key in self.gathered.ids():
            if key not in seen:
                yield Pair(key, None, lookup)

    def _layout(self, classes: Sequence[str] | None) -> ColumnLayout:
        gathered = self.gathered
        fields = self._records.fields
        names = tuple(sorted(self._records.labels) if classes is None else classes)
        if len(set(names)) < len(names):
            raise SourceError(f"classes: a name is there twice among {', '.join(names[:20])}.")
        images = self.images is not None or gathered.with_images
        if not names:
            fields = {kind: found - {LABEL} for kind, found in fields.items()}
        return ColumnLayout(
            fields=fields,
            classes=names,
            single=gathered.single,
            # Boxes are in pixels of them, also if not all images have a size.
            sized=gathered.sized or images or OBJECTS in fields,
            images=images,
        )


class _WithTruth:
    """The records of an image, and those of its true boxes and masks, which no count of the source counts.

    Raises:
        SourceError: the truth is of none of the images.
    """

    def __init__(self, gathered: Gathered, truth: Gathered | None):
        self.role = gathered.role
        self.ignored = 0
        self.fields = {kind: set(names) for kind, names in gathered.fields.items()}
        self.labels = dict.fromkeys(gathered.labels)
        self._gathered = gathered
        self._truth = truth
        self._truths: dict[str, str] = {}  # image -> its key in the truth
        if truth is not None:
            self._truths = _matched(gathered, truth)
            self._note(truth)

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._gathered

    def get(self, entry_id: str) -> Records:
        """The records of an image, their files read; those of the truth come last, without a count."""
        found = self._gathered.get(entry_id)
        if self._truth is not None and entry_id in self._truths:
            truth = self._truth.get(self._truths[entry_id])
            found += (replace(each, points=[], paths=[], label=None, counted=False) for each in truth)
        return with_files(found)

    def ids(self) -> Iterator[str | Reject]:
        """The images."""
        return self._gathered.ids()

    def require_size(self) -> None:
        """Raises SourceError for true boxes if nothing states the size of any of their images."""
        truth = self._truth
        if truth is None or OBJECTS not in truth.fields:
            return
        if not any(
            self._gathered.states_size(i) or truth.states_size(key) for i, key in self._truths.items()
        ):
            raise SourceError(
                "the true boxes are in pixels, and neither they nor the source state the size of an image: "
                "give --images, or --boxes that state it."
            )

    def _note(self, truth: Gathered) -> None:
        if not self._truths:
            names = ", ".join(key for key, _ in zip(truth.ids(), range(3), strict=False)) or "none"
            raise SourceError(
                f"the true boxes are of none of the images: they are of {names}{_first(truth)}."
            )
        for kind in (OBJECTS, MASKS):
            if kind in truth.fields:
                self.fields.setdefault(kind, set()).update(truth.fields[kind])
        for key in self._truths.values():
            self.labels |= dict.fromkeys(label for record in truth.get(key) for label in record.labels())
        logger.warning(f"true boxes: of {len(self._truths):,} of {len(self._gathered):,} images")
        refused = sum(1 for _ in truth.rejects())
        if refused:
            logger.warning(f"true boxes: {refused:,} entries cannot be used{_first(truth)}")


def _matched(gathered: Gathered, truth: Gathered) -> dict[str, str]:
    """The key in the truth of each image that has one: the same, or the only one that ends as it does.

    Of several, it is the only one with the image's suffix.
    """
    matching = Matching(gathered)
    fitting: dict[str, list[str]] = {}
    for key in truth.ids():
        image = matching.key(truth.file_name(key))
        if image is not None:
            fitting.setdefault(image, []).append(key)
    exact = {image: image for image in fitting if image in truth}
    for image, keys in fitting.items():
        alike = [key for key in keys if matching.has_suffix(image, truth.file_name(key))]
        if len(keys) > 1 and len(alike) == 1:
            exact.setdefault(image, alike[0])
    several = {image: keys for image, keys in fitting.items() if len(keys) > 1 and image not in exact}
    if several:
        image, keys = next(iter(several.items()))
        logger.warning(
            f"true boxes: {counted(len(several), 'image has', 'images have')} none, because several fit the "
            f"name, such as {image}: {' and '.join(keys[:2])}"
        )
    return {image: keys[0] for image, keys in fitting.items() if len(keys) == 1} | exact


def _first(gathered: Gathered) -> str:
    first = next(gathered.rejects(), None)
    if first is None and gathered.unannotated:
        return " (" + ", ".join(f"{count:,} {what}" for what, count in gathered.unannotated.items()) + ")"
    return "" if first is None else f" (of {gathered.found:,}, the first: {first.id}: {first.reason})"
