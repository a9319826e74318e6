"""An image, COCO's annotation and its byproducts -> one row. `CocoPairToRow` decides what is kept."""

import copy
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Features

from coco_ab.byproducts import Byproducts, find_byproducts, near
from coco_ab.images import image_id_of, open_images
from coco_ab.instances import INSTANCES, Instances, Labeled, find_instances
from coco_ab.points import DEFAULT_RULE, Rule, require_rule, unknown_icons
from coco_ab.rows import SizedImage, features, row
from luab_data.build.batches import Outcome, RowByRow
from luab_data.build.join import Found, LoadedPair, Pair, join
from luab_data.build.raw import Source
from luab_data.constants import ANNOTATIONS, LABELS, POINTS
from luab_data.errors import RejectedRecord
from luab_data.images.pillow import checked_image, upright_size
from luab_data.sources.entries import BYPRODUCTS, IMAGES, Reject
from luab_data.sources.folders import FolderSource, ZipSource
from luab_data.sources.parts import PartOf, Parts

LOST = "cursor positions on no page, left out"
NO_IMAGE = "there is no image of this id, or it cannot be read"


@dataclass(frozen=True)
class Known:
    """One image's entries: COCO's labels (None: not listed) and the annotators' records."""

    labeled: Labeled | None
    annotations: list[dict[str, Any]]


class KnownImages:
    """The byproducts together with COCO's labels. A Lookup by the byproducts' ids."""

    role = BYPRODUCTS
    ignored = 0

    def __init__(self, byproducts: Byproducts | PartOf, instances: Instances):
        self._byproducts = byproducts
        self._instances = instances

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._byproducts or self._labeled(entry_id) is not None

    def get(self, entry_id: str) -> Known:
        """Both files' entries of an image."""
        return Known(self._labeled(entry_id), self._byproducts.get(entry_id))

    def ids(self) -> Iterator[str | Reject]:
        """The byproducts' ids."""
        return self._byproducts.ids()

    def _labeled(self, entry_id: str) -> Labeled | None:
        image_id = image_id_of(entry_id)
        return None if image_id is None else self._instances.get(image_id)


@dataclass(frozen=True)
class File:
    """A file that is read whole when the pairs are requested."""

    role: str
    place: Path
    ignored: int = 0


class RawCocoAB:
    """The user's raw files; see `open_images`, `find_instances` and `find_byproducts` for allowed values.

    Opening is cheap; `pairs` reads the two JSON files. Raises `SourceError` if one is missing.
    """

    def __init__(
        self,
        images: str | Path | None,
        instances: str | Path | None,
        byproducts: str | Path | None,
        with_images: bool = True,
        rule: Rule = DEFAULT_RULE,
    ):
        require_rule(rule)
        self.rule = rule
        self.images: FolderSource | ZipSource | PartOf | None = open_images(images) if with_images else None
        self._instances = File(INSTANCES, find_instances(instances)) if with_images else None
        self._byproducts = File(BYPRODUCTS, find_byproducts(byproducts))
        self._parts = Parts([0], 1)
        self._read: list[tuple[Byproducts, Instances | None]] = []  # shared by all parts
        self._reading = threading.Lock()

    @property
    def sources(self) -> list[Source]:
        """The images and the two files; only the byproducts without images."""
        return [each for each in (self.images, self._instances, self._byproducts) if each is not None]

    @property
    def most_parts(self) -> int:
        """Into how many parts the release can be divided."""
        return 1_000

    def part(self, parts: Iterable[int], of: int) -> "RawCocoAB":
        """Some parts of the release: each has some of the images and their records.

        The JSON files are read once, for all parts of one process.
        """
        part = copy.copy(self)
        part._parts = own = Parts(parts, of)
        if isinstance(self.images, FolderSource | ZipSource):
            part.images = self.images.part(own)
        return part

    def features(self) -> Features:
        """The types of the rows' columns."""
        return features(images=self.images is not None)

    def pairs(self, found: Found | None = None) -> Iterator[Pair | Reject]:
        """All images and all byproducts, in the images' order; then what COCO lists without an image.

        `found` as for `join`.
        """
        found = Found() if found is None else found
        byproducts, instances = self._known()
        own = PartOf(byproducts, self._parts)
        if self.images is None or instances is None:
            yield from join(None, own, found)
            return
        # The images that could be read: the row, or its reject, has COCO's entry too.
        paired: set[str] = set()
        for item in join(self.images, KnownImages(own, instances), found):
            if isinstance(item, Pair) and item.image is not None:
                paired.add(item.id)
            yield item
        names = [name for name in instances.names() if self._parts.own(name)]
        rejects = [reject for reject in instances.rejects if self._parts.own(reject.id)]
        found[INSTANCES] += len(names) + len(rejects)
        yield from rejects
        for name in names:
            if name not in paired:
                unread = name in self.images
                yield Reject(INSTANCES, name, "its image was rejected" if unread else NO_IMAGE)

    def _known(self) -> tuple[Byproducts, Instances | None]:
        """The two JSON files, read when they are first needed."""
        with self._reading:
            if not self._read:
                instances = None if self._instances is None else Instances(self._instances.place)
                self._read.append((Byproducts(self._byproducts.place), instances))
            return self._read[0]

    def to_batch(self, max_side: int | None = None) -> RowByRow:
        """The function that makes rows from `pairs`; shrinks images with a side above `max_side` pixels."""
        return RowByRow(
            RecordsToRow(self.rule) if self.images is None else CocoPairToRow(max_side, self.rule)
        )


@dataclass(frozen=True)
class CocoPairToRow:
    """An image and its `Known` -> `Outcome`; picklable, so that Ray can run it.

    A whole image that COCO lists gives a row, with or without byproducts. Byproducts without such an
    image give none.
    """

    max_side: int | None = None  # pixels
    rule: Rule = DEFAULT_RULE

    def __call__(self, pair: LoadedPair) -> Outcome:
        """The outcome of one pair."""
        known = _known(pair)
        if pair.image is None:
            return _no_row(pair.id, known, None, NO_IMAGE)
        try:
            image_id = _image_id(pair.id)
            sized = self._sized(pair.image, known.labeled)
        except RejectedRecord as error:
            return _no_row(pair.id, known, error.reason, "its image was rejected")
        annotations, lost = near(known.annotations)
        columns = row(image_id, annotations, sized, known.labeled, self.rule)
        used = {IMAGES: 1, INSTANCES: 1, BYPRODUCTS: len(annotations)}
        return Outcome(columns, (), used, _facts(columns, lost))

    def refused(self, pair: LoadedPair, reason: str) -> Outcome:
        """No row: a reject for the image, for each of its records, and for COCO's entry."""
        known = _known(pair)
        return _no_row(pair.id, known, None if pair.image is None else reason, reason)

    def _sized(self, image: bytes, labeled: Labeled | None) -> SizedImage:
        """The image, shrunk if requested. Raises RejectedRecord if it is not the one that COCO lists."""
        if labeled is None:
            raise RejectedRecord("the instances file does not list this image")
        encoded = checked_image(image, self.max_side)
        width, height = upright_size(image)
        if (width, height) != (labeled.width, labeled.height):
            raise RejectedRecord(
                f"the image is {width} x {height} pixels, but the instances file says "
                f"{labeled.width} x {labeled.height}: its boxes would not fit"
            )
        return SizedImage(encoded, *upright_size(encoded))


@dataclass(frozen=True)
class RecordsToRow:
    """An image's records -> `Outcome`: the byproducts-only configuration. Picklable."""

    rule: Rule = DEFAULT_RULE

    def __call__(self, pair: LoadedPair) -> Outcome:
        """The row of an image's records."""
        records, lost = near(pair.byproducts)
        columns = row(_image_id(pair.id), records, rule=self.rule)
        return Outcome(columns, (), {BYPRODUCTS: len(records)}, _facts(columns, lost))

    def refused(self, pair: LoadedPair, reason: str) -> Outcome:
        """No row: a reject for each record."""
        return Outcome(None, (Reject(BYPRODUCTS, pair.id, reason),) * len(pair.byproducts))


def _known(pair: LoadedPair) -> Known:
    return pair.byproducts or Known(None, [])


def _image_id(entry_id: str) -> int:
    image_id = image_id_of(entry_id)
    if image_id is None:
        raise RejectedRecord("the file's name is neither COCO_train2014_<id, 12 digits>.jpg nor <id>.jpg")
    return image_id


def _no_row(entry_id: str, known: Known, image_reason: str | None, reason: str) -> Outcome:
    """No row: one reject for the image, one for each of its records, one for COCO's entry."""
    rejects = [Reject(IMAGES, entry_id, image_reason)] if image_reason else []
    rejects += [Reject(BYPRODUCTS, entry_id, reason)] * len(known.annotations)
    if (
        image_reason and known.labeled is not None
    ):  # without an image, the join reports COCO's entry at the end
        rejects.append(Reject(INSTANCES, entry_id, reason))
    return Outcome(None, tuple(rejects))


def _facts(columns: dict[str, Any], lost: int) -> dict[str, int]:
    annotations = columns[ANNOTATIONS]
    return {
        "rows with annotations": int(bool(annotations)),
        "annotations": len(annotations),
        "rows with points": int(bool(columns[POINTS])),
        "points": len(columns[POINTS]),
        **({"labels": len(columns[LABELS])} if LABELS in columns else {}),
        "actions with an icon of no COCO class": unknown_icons(annotations),
        **({LOST: lost} if lost else {}),
    }
