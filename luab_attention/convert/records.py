"""What a reader gives: one `SourceRecord` for each entry of its source, in the source's own numbers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from luab_attention.columns import NOT_HERE
from luab_attention.convert.frames import RATIOS, Frame
from luab_attention.convert.mask_files import MaskFile, read_mask_file
from luab_attention.convert.masks import MaskContent
from luab_data.errors import RejectedRecord
from luab_data.sources.entries import BYPRODUCTS, Reject


class PointPart(NamedTuple):
    """One point; `sign` -1: the class is not there."""

    x: float
    y: float
    label: str | None = None
    weight: float | None = None
    sign: int | None = None


class PathPart(NamedTuple):
    """One viewing: samples or fixations in order.

    Times and durations are in ms. Parts of an image with the same `key` are one viewing, which a source gives
    in pieces.
    """

    x: list[float]
    y: list[float]
    time: list[float] | None = None
    duration: list[float] | None = None
    segment: list[int] | None = None
    annotator: str | None = None
    task: str | None = None
    label: str | None = None
    weight: float | None = None
    key: str | None = None


class BoxPart(NamedTuple):
    """A box from its upper left corner, in the record's frame.

    Parts of an image with the same `key` are one box, which a source repeats.
    """

    x: float
    y: float
    width: float
    height: float
    label: str | None = None
    key: str | None = None


class MaskPart(NamedTuple):
    """A mask of the whole image."""

    content: MaskContent
    label: str | None = None


class HeatmapPart(NamedTuple):
    """A map of the whole image: the bytes of an image file."""

    content: bytes
    label: str | None = None
    annotator: str | None = None


@dataclass(frozen=True)
class SourceRecord:
    """One entry of a source, or several that follow each other and belong to one image.

    Attributes:
        image_id: the image, by any name that tells which it is: see `image_key`.
        name: of the entry, for `rejects.jsonl`.
        frame: where the image is among the numbers.
        size: width and height of the image in pixels, if the source states them.
        label: the image's own class.
        image: the image file's bytes, if the source has them.
        pixels_per_degree: image pixels in a degree of visual angle.
        count: number of the source's entries.
    """

    image_id: str
    name: str
    frame: Frame = RATIOS
    size: tuple[float, float] | None = None
    label: str | None = None
    points: list[PointPart] = field(default_factory=list)
    paths: list[PathPart] = field(default_factory=list)
    boxes: list[BoxPart] = field(default_factory=list)
    masks: list[MaskPart] = field(default_factory=list)
    heatmaps: list[HeatmapPart] = field(default_factory=list)
    image: bytes | None = None
    pixels_per_degree: float | None = None
    count: int = 1

    def labels(self) -> Iterator[str]:
        """The classes that it names, in order, also those that it says are not there."""
        return self._labels(self.points)

    def present(self) -> Iterator[str]:
        """The classes that it says are there."""
        return self._labels([point for point in self.points if point.sign != NOT_HERE])

    def _labels(self, points: list[PointPart]) -> Iterator[str]:
        parts: tuple[PointPart | PathPart | BoxPart | MaskPart | HeatmapPart, ...]
        parts = (*points, *self.paths, *self.boxes, *self.masks, *self.heatmaps)
        for label in (self.label, *(part.label for part in parts)):
            if label is not None:
                yield label

    def rejects(self, reason: str, role: str = BYPRODUCTS) -> list[Reject]:
        """A reject for each of its entries."""
        if self.count == 1:
            return [Reject(role, self.name, reason)]
        return [Reject(role, f"{self.name}, {n} of {self.count}", reason) for n in range(1, self.count + 1)]


class Records(list[SourceRecord]):
    """The records of an image with all that a row is made of, so that another machine can make it."""

    @property
    def nbytes(self) -> int:
        """Bytes of the files that they hold, each counted once."""
        files: list[object] = [record.image for record in self]
        files += [heatmap.content for record in self for heatmap in record.heatmaps]
        masks = (mask.content for record in self for mask in record.masks)
        files += [mask.content for mask in masks if isinstance(mask, MaskFile)]
        return sum(map(len, {id(file): file for file in files if isinstance(file, bytes)}.values()))


def with_files(records: Iterable[SourceRecord]) -> Records:
    """The records with the bytes of their mask files; each file is read once."""
    read: dict[Path, bytes | RejectedRecord] = {}
    return Records(replace(record, masks=[_read(mask, read) for mask in record.masks]) for record in records)


def _read(mask: MaskPart, read: dict[Path, bytes | RejectedRecord]) -> MaskPart:
    file = mask.content
    if not isinstance(file, MaskFile) or not isinstance(file.content, Path):
        return mask
    if file.content not in read:
        read[file.content] = read_mask_file(file.content)
    return mask._replace(content=file._replace(content=read[file.content]))


class Unannotated(NamedTuple):
    """An entry that nobody annotated: it is counted, and neither used nor rejected.

    `what` names its kind in the plural, such as "images without an object".
    """

    what: str


Read = Iterator[SourceRecord | Reject | Unannotated]  # what a reader's function gives
